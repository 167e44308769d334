"""Coverage-guided fuzzing of every importer, the CSV reader and the unit reader: any bytes are read, or refused with a message.

    make fuzz TARGET=slurm MINUTES=60        or        python -m tests.deep.fuzz slurm --minutes 60

Atheris watches which branches of `pipeline` an input reaches and changes those that reached new ones: bytes as libFuzzer does, and cells
or JSON values by the two functions below. A finding is another exception than InputError or PipelineError, one without a message, books
that do not balance, more than ten seconds of work, or a leap in memory. Findings are kept in a folder, one per kind, and the run goes on.
"""

import argparse
import gzip
import json
import os
import random
import re
import resource
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import atheris

with atheris.instrument_imports(include=["pipeline"]):
    import polars as pl

    from pipeline import model
    from pipeline.errors import InputError, PipelineError
    from pipeline.folder import TableFile
    from pipeline.importers.base import ImportReport
    from pipeline.importers.cryosparc import import_cryosparc
    from pipeline.importers.efootprint import import_efootprint
    from pipeline.importers.slurm import import_slurm
    from pipeline.importers.swf import import_swf
    from pipeline.importers.ucloud import import_ucloud
    from pipeline.parsing import parse_number
    from pipeline.reading import read_batches
    from pipeline.tables import INPUTS
    from pipeline.units import UnitError, conversion

from tests.deep import seeds

HORIZON = datetime(2026, 3, 2, 14, tzinfo=UTC)
LONGEST = 10.0
"""Seconds of work that an input of a few kilobytes may take."""
LARGEST_LEAP = 500_000
"""Kilobytes of memory that one input may add to the peak."""
LARGEST_INPUT = 1 << 16


class Finding(Exception):
    """What no input may do."""


# ---------------------------------------------------------------- targets


def of_log(read: Callable[[Path, Path], ImportReport], name: Callable[[bytes], str]) -> Callable[[bytes, Path], None]:
    """A target that imports the bytes as a log; its books must balance."""

    def target(data: bytes, folder: Path) -> None:
        source = folder / name(data)
        source.write_bytes(data)
        report = read(source, folder / "model")
        runs = report.tables.get("job_runs", 0)
        if report.rows_in != runs + report.rejects.total() + report.excluded.total():
            raise Finding(f"{report.rows_in} records, {runs} runs, {report.rejects}, {report.excluded}")

    return target


INSTANCES = "provider,instance_type,power,ram,compute,carbon_footprint_fabrication\nscaleway,dev1-s,15,2,2,30\n"
"""What the cloud servers of the seeds are, without which no model of them loads."""


def efootprint(data: bytes, folder: Path) -> None:
    """A system file; what is written is a model that loads, or one that is refused."""
    source = folder / "system.json"
    source.write_bytes(data)
    import_efootprint(source, folder / "model")
    (folder / "model" / "cloud_instances.csv").write_text(INSTANCES, encoding="utf-8")
    model.load(folder / "model")


TABLES = ("servers", "occurrences", "job_runs", "usage_pattern_starts")


def csv(data: bytes, folder: Path) -> None:
    """One file of a table, the table by the names in its first line; every broken rule has words."""
    first = data[:2000].decode("utf-8", "replace")
    name = max(TABLES, key=lambda t: sum(c in first for c in INPUTS[t].columns))
    path = folder / f"{name}.csv"
    path.write_bytes(data)
    for batch in read_batches(TableFile(INPUTS[name], path, "csv", path.name)):
        for wrong in batch.violations:
            if wrong["expected"].null_count() or wrong["rule"].null_count():
                raise Finding("a broken rule without words")


COLUMNS = [INPUTS[t].columns[c] for t, c in [("servers", "power"), ("servers", "ram"), ("jobs", "compute_needed"), ("jobs", "request_duration")]]  # fmt: skip


def units(data: bytes, folder: Path) -> None:
    """Lines as cells of number columns, and each as a unit in a header."""
    del folder
    lines = data.decode("utf-8", "replace").splitlines()[:50]
    for column in COLUMNS:
        parsed = parse_number(column, pl.Series(lines, dtype=pl.String), None)
        if (parsed.values.is_not_null() & parsed.failed).any():
            raise Finding("a value and an expectation")
        for line in lines[:5]:
            try:
                convert = conversion(line, column.unit or "1")
            except UnitError as refused:
                if not str(refused):
                    raise Finding("a UnitError without words") from None
                continue
            if not convert.factor > 0:
                raise Finding(f"a factor of {convert.factor}")


def slurm(source: Path, into: Path) -> ImportReport:
    return import_slurm(source, into, timezone="Europe/Copenhagen", horizon=HORIZON)


def ending(data: bytes) -> str:
    return "jobs.json" if data[:1] in (b"[", b"\x1f") else "jobs.jsonl"


@dataclass(frozen=True)
class Target:
    run: Callable[[bytes, Path], None]
    seeds: Callable[[], Iterable[bytes]]
    split: bytes = b""
    """What stands between cells; nothing where the bytes are JSON."""


TARGETS = {
    "efootprint": Target(efootprint, seeds.efootprint),
    "slurm": Target(of_log(slurm, lambda _: "sacct.txt"), seeds.slurm, b"|"),
    "slurm-json": Target(of_log(slurm, lambda _: "sacct.json"), seeds.slurm_json),
    "swf": Target(of_log(import_swf, lambda _: "toy.swf"), seeds.swf, b" "),
    "ucloud": Target(of_log(lambda s, m: import_ucloud(s, m, horizon=HORIZON), ending), seeds.ucloud),
    "cryosparc": Target(of_log(lambda s, m: import_cryosparc(s, m, horizon=HORIZON), ending), seeds.cryosparc),
    "csv": Target(csv, seeds.csv, b","),
    "units": Target(units, seeds.units, b" "),
}


# ---------------------------------------------------------------- changes that know the format

VALUES: list[Any] = [
    None, True, False, 0, -1, 1, 0.5, 1e308, -1e308, 5e-324, 10**25, -(2**63), 2**63, 2**31, float("nan"), float("inf"), "", " ", "NaN",
    "null", "0", "-1", "1e999", "9" * 400, "x" * 5000, "\ud800", "\u202e", "\x00", "\u0661", [], {}, [[]], [None], {"": ""},
    "2026-03-02T09:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "2026-02-30T25:61:61", "Unknown", "None",
    1772442000000, 1772442000, -62135596800000, 253402300799999, 8_640_000_000_000_001, "kilowatt", "1/0", "RUNNING", "COMPLETED",
]  # fmt: skip
CELLS = [b"", b" ", b"-1", b"0", b"1e308", b"1e-320", b"nan", b"inf", b"9" * 400, b"-0", b"0x10", b"1,5", b'"', b'""', b"\xff", b"\xe2\x80\xae",
         b"Unknown", b"None", b"INVALID", b"CANCELLED by 4", b"2026-03-29T02:30:00", b"2026-10-25T02:30:00", b"9999-12-31T23:59:59",
         b"0001-01-01T00:00:00", b"1-00:00:00", b"99999999-23:59:59", b"16Gn", b"4000Mc", b"cpu=8,mem=16G,gres/gpu:a100=2", b"cpu=,=,",
         b"900_[1-5%2]", b"900+1", b"900_3.batch", b"\r", b";", b"\t", b"1 kW", b"1  W", b"W/0", b"((((", b"%", b"\xef\xbb\xbf"]  # fmt: skip


def nodes(value: Any, found: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """Every place in a document: the list or object that holds it and its key."""
    for key in list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        found.append((value, key))
        nodes(value[key], found)
    return found


def other_json(data: bytes, chance: random.Random) -> bytes:  # noqa: PLR0912  # one way to change a value each
    """The document with some of its values replaced, moved, doubled, nested or gone."""
    lines = data.decode("utf-8").splitlines()
    at = chance.randrange(len(lines)) if len(lines) > 1 and lines[0].endswith("}") else None
    document = json.loads(data if at is None else lines[at])
    for _ in range(chance.choice((1, 1, 1, 2, 5))):
        places = nodes(document, [])
        if not places:
            break
        holder, key = chance.choice(places)
        match chance.randrange(8):
            case 0 if isinstance(holder, dict):
                del holder[key]
            case 1 if isinstance(holder, list):
                holder.append(holder[key])
            case 2:
                there, where = chance.choice(places)
                try:
                    holder[key] = json.loads(json.dumps(there[where]))
                except (KeyError, IndexError):
                    holder[key] = None
            case 3:
                for _ in range(chance.choice((1, 1, 2, 70, 600))):
                    holder[key] = [holder[key]] if chance.random() < 0.5 else {"value": holder[key]}
            case 4 if isinstance(holder, dict):
                holder[chance.choice(["", "id", "value", "unit", "x" * 300, "_id", "items", str(key) + "s"])] = holder[
                    key
                ]
            case 5 if isinstance(holder[key], str) and holder[key]:
                cut = chance.randrange(len(holder[key]))
                holder[key] = (
                    holder[key][:cut]
                    + chance.choice(["", "-", "0", " ", "/", "Z", "\u00e9"])
                    + holder[key][cut + chance.randrange(2) :]
                )
            case 6 if isinstance(holder[key], int | float):
                holder[key] = chance.choice(
                    [-holder[key], holder[key] * 1000, holder[key] + 1, str(holder[key]), [holder[key]]]
                )
            case _:
                holder[key] = chance.choice(VALUES)
    made = json.dumps(document, ensure_ascii=chance.random() < 0.8).encode("utf-8", "surrogatepass")
    if at is None:
        return made
    lines[at] = made.decode("utf-8", "surrogatepass") if b"\xed" not in made else lines[at]
    return "\n".join(lines).encode()


def other_cells(data: bytes, split: bytes, chance: random.Random) -> bytes:
    """The text with some of its cells replaced, its lines doubled, moved or gone."""
    lines = data.split(b"\n")
    for _ in range(chance.choice((1, 1, 2, 6))):
        at = chance.randrange(len(lines))
        cells = re.split(b" +", lines[at]) if split == b" " else lines[at].split(split)
        here = chance.randrange(len(cells))
        match chance.randrange(8):
            case 0:
                lines.insert(at, lines[at])
            case 1 if len(lines) > 1:
                del lines[at]
            case 2:
                del cells[here]
                lines[at] = split.join(cells)
            case 3:
                other = lines[chance.randrange(len(lines))].split(split)
                cells[here] = chance.choice(other)
                lines[at] = split.join(cells)
            case 4:
                lines[at] += chance.choice([b"\r", b" ", split, b'"', b";"])
            case _:
                cells[here] = chance.choice(CELLS)
                lines[at] = split.join(cells)
    return b"\n".join(lines)


def changed(target: Target) -> Callable[[bytes, int, int], bytes]:
    """How atheris changes an input of this target."""

    def change(data: bytes, max_size: int, seed: int) -> bytes:
        chance = random.Random(seed)
        if chance.random() < 0.3 or not data:
            return bytes(atheris.Mutate(data, max_size))
        try:
            made = other_cells(data, target.split, chance) if target.split else other_json(data, chance)
        except (ValueError, RecursionError, OverflowError):
            return bytes(atheris.Mutate(data, max_size))
        if chance.random() < 0.01:
            made = gzip.compress(made)
        return made[:max_size]

    return change


# ---------------------------------------------------------------- a run


class Watched:
    """A target under watch: what it did so far, and the inputs at which it did what no input may do.

    Minutes are those of the clock, without those for which the process was stopped.
    """

    def __init__(self, name: str, kept: Path, minutes: float) -> None:
        self.target, self.kept, self.minutes = TARGETS[name], kept, minutes
        self.runs = self.read = 0
        self.kinds: set[str] = set()
        self.spent = self.told = 0.0
        self.seen = time.monotonic()
        self.folder = Path(
            tempfile.mkdtemp(prefix=f"wattrow-fuzz-{name}-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
        )

    def __call__(self, data: bytes) -> None:
        now = time.monotonic()
        self.spent += min(now - self.seen, LONGEST)
        self.seen = now
        if self.spent > 60 * self.minutes:
            self.tell()
            shutil.rmtree(self.folder, ignore_errors=True)
            sys.stdout.flush()
            os._exit(0)  # libFuzzer ends by itself only between reports, and says nothing of what it did
        self.runs += 1
        folder = self.folder / "one"
        folder.mkdir()
        memory, since = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
        try:
            self.target.run(data, folder)
            self.read += 1
        except (InputError, PipelineError) as refused:
            if not str(refused).strip():
                self.note("no message", data)
        except BaseException as error:  # noqa: BLE001  # any other is what we look for
            last = [f for f in traceback.extract_tb(error.__traceback__) if "/pipeline/" in f.filename][-1:]
            where = "".join(f"{Path(f.filename).name}:{f.lineno}" for f in last)
            self.note(f"{type(error).__name__} at {where}", data, "".join(traceback.format_exception(error)))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        if (seconds := time.process_time() - since) > LONGEST:
            self.note("slow", data, f"{seconds:.1f} s")
        leap = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory
        if leap > LARGEST_LEAP and self.runs > 20:
            self.note("memory", data, f"{leap} kB more")
        if self.spent - self.told > 30:
            self.tell()

    def note(self, kind: str, data: bytes, more: str = "") -> None:
        """Keep the first input of a kind of finding."""
        if kind in self.kinds:
            return
        self.kinds.add(kind)
        self.kept.mkdir(parents=True, exist_ok=True)
        name = re.sub(r"[^A-Za-z0-9]+", "-", kind)
        (self.kept / name).write_bytes(data)
        (self.kept / f"{name}.txt").write_text(f"{kind}\n{more}", encoding="utf-8", errors="backslashreplace")
        print(f"FINDING {kind}: {more[-1500:]}", flush=True)

    def tell(self) -> None:
        self.told = self.spent
        counted = f"{self.runs} runs, {self.read} of them read"
        print(f"{counted}, {self.spent / 60:.1f} minutes, {len(self.kinds)} findings", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.deep.fuzz")
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0, help="0: another one every time")
    parser.add_argument("--findings", type=Path, default=Path("build/fuzz"))
    asked = parser.parse_args()
    corpus = Path(tempfile.mkdtemp(prefix="wattrow-corpus-"))
    target = TARGETS[asked.target]
    for number, data in enumerate(target.seeds()):
        (corpus / str(number)).write_bytes(data)
    watched = Watched(asked.target, asked.findings / asked.target, asked.minutes)
    flags = ["-timeout=900", "-rss_limit_mb=4000", "-verbosity=0", f"-max_len={LARGEST_INPUT}", f"-seed={asked.seed}",
             f"-artifact_prefix={watched.folder}/"]  # fmt: skip
    atheris.Setup([sys.argv[0], *flags, str(corpus)], watched, custom_mutator=changed(target))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
