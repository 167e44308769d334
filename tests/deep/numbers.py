"""Random whole models by the hundred thousand against the naive reference: every table, row by row.

    python -m tests.deep.numbers --examples 100000 --seed 1 --minutes 60

Hypothesis draws single models. Those that begin at the same time are put together, hundreds at once, and run as one model folder
through the whole pipeline, its checks in SQL included; the reference computes each by itself. Attribution key, grain, file format and
size of the partitions change from batch to batch, and one model of 1,200 is run alone. Where a batch disagrees, its models are
run one by one, and hypothesis draws the first that disagrees again and shrinks it. A model that was drawn before is neither run nor counted
again; two seeds share no round of draws.
"""

import argparse
import contextlib
import hashlib
import itertools
import json
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest import mock

import hypothesis
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as drawing

from pipeline import plan, run, settings
from pipeline.errors import InputError, PipelineError
from pipeline.tables import OUTPUTS
from tests import models, reference
from tests.deep import merged
from tests.test_properties import invariants_broken, not_conserved

BATCH = 600
ROUND = 500
"""Models of one round of draws: hypothesis remembers all draws of a round."""
ALONE = 1200
"""One model of so many is run alone, too."""
MOST_FAILURES = 5
"""After so many disagreements a run gives up: they are likely one bug."""
TOO_SMALL = {"insufficient capacity", "no capacity"}


@dataclass(frozen=True)
class How:
    """How a batch is run."""

    attribution_key: str = "weight"
    attribution_grain: str = "hour"
    file_format: str = "csv"
    chunk_rows: int | None = None
    """Job-hour rows a partition may have; None: as the pipeline decides."""


HOWS = [
    How(key, grain, file_format, rows)
    for rows, file_format, grain, key in itertools.product(
        [None, None, 8000], ["csv", "parquet"], ["hour", "hour", "day", "month"], ["weight", "binding"]
    )
]


@dataclass(frozen=True)
class Drawn:
    """A model and where it was drawn: the seed of its round, and a digest by which it is found again."""

    tables: models.Tables
    round_seed: int

    digest: str


def digest_of(tables: models.Tables) -> str:
    volumes = [r["volume"] for r in tables.get("server_need_volumes", [])]
    intensities = [r["carbon_intensity"] for r in tables.get("carbon_intensity", [])[:6]]
    return hashlib.blake2b(f"{tables!r}{volumes}{intensities}".encode(), digest_size=8).hexdigest()


def rounds(count: int, round_seed: int) -> list[Drawn]:
    """`count` models of one round of draws."""
    kept: list[Drawn] = []

    @hypothesis.seed(round_seed)
    @drawing(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(models.models())
    def keep(tables: models.Tables) -> None:
        kept.append(Drawn(tables, round_seed, digest_of(tables)))

    keep()
    return kept[:count]


# ---------------------------------------------------------------- one batch


def problems_of(drawn: Sequence[models.Tables], how: How) -> dict[int, list[str]]:
    """Where the pipeline and the reference disagree: by number of the model, or under -1 what no model is named for."""
    expected = merged.expect(drawn, how.attribution_key)
    kinds: dict[str, list[int]] = defaultdict(list)
    for number, said in enumerate(expected):
        kinds[refusal(said) if isinstance(said, reference.ModelError) else ""].append(number)
    found: dict[int, list[str]] = {}
    for kind, numbers in kinds.items():
        tables = [drawn[n] for n in numbers]
        known = [e for e in expected if isinstance(e, dict)]
        told = refused(tables, how, kind) if kind else compared(tables, known, how)
        found |= {numbers[n] if n >= 0 else -1: problems for n, problems in told.items()}
    return found


def refusal(error: reference.ModelError) -> str:
    """Which rule of the pipeline speaks of this."""
    return "insufficient capacity" if "InsufficientCapacity" in str(error) else "no capacity"


def refused(drawn: Sequence[models.Tables], how: How, rule: str) -> dict[int, list[str]]:
    """The models of which no violation speaks, of models that the reference refuses, all for the same rule."""
    try:
        outputs(merged.merge(drawn), replace(how, chunk_rows=None))
    except InputError as error:
        wrong = error.violations
    else:
        return {-1: [f"{len(drawn)} models with {rule} were computed"]}
    said = "\n".join(" ".join(str(v) for v in row if v is not None) for row in wrong.iter_rows())
    silent = {n: [f"{rule}: not refused"] for n in range(len(drawn)) if merged.prefix(n) not in said}
    other = set(wrong["rule"]) - TOO_SMALL
    return silent | ({-1: [f"refused for {other}: {said[:2000]}"]} if other or not wrong.height else {})


def compared(drawn: Sequence[models.Tables], expected: Sequence[merged.Outputs], how: How) -> dict[int, list[str]]:
    """Differences by model, of models that the reference computes."""
    whole = merged.merge(drawn)
    try:
        tables = outputs(whole, how)
    except (InputError, PipelineError) as error:
        shown = "; ".join(map(str, error.violations.head(5).iter_rows())) if isinstance(error, InputError) else ""
        return {-1: [f"{type(error).__name__}: {error} {shown}"]}
    problems: dict[int, list[str]] = {}
    general = invariants_broken(tables, whole)
    if how.attribution_grain == "hour":
        general += not_conserved(tables)
    if general:
        problems[-1] = general
    wanted = {name: tables[name] for name in expected[0]}
    for number, (said, rows) in enumerate(zip(expected, merged.split(wanted, len(drawn)), strict=True)):
        if wrong := differing(said, rows, how):
            problems[number] = wrong
    return problems


def differing(expected: merged.Outputs, found: merged.Outputs, how: How) -> list[str]:
    problems = []
    for name, reckoned in expected.items():
        wanted, rows = reckoned, found[name]
        if name == "repartition.footprint":
            if how.attribution_key == "binding":
                wanted, rows = list(models.by_job(wanted)), list(models.by_job(rows))
            wanted = merged.coarse(wanted, how.attribution_grain)
        if name == "repartition.job":
            wanted = merged.coarse_jobs(wanted, how.attribution_grain)
        try:
            problems += models.differences(name, wanted, rows)
        except AssertionError as twice:
            problems.append(str(twice))
    return problems


def outputs(tables: models.Tables, how: How) -> dict[str, Any]:
    """A run over the tables with all its checks, in a folder that is gone afterwards."""
    flags = {"attribution_key": how.attribution_key, "attribution_grain": how.attribution_grain}
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="wattrow-deep-")))
        if how.chunk_rows is not None:
            stack.enter_context(mock.patch.object(plan, "chunk_rows", return_value=how.chunk_rows))
            stack.enter_context(mock.patch.object(plan, "SMALLEST_CHUNK", how.chunk_rows))
        run.run(models.write(tables, folder / "model", how.file_format), folder / "out", settings.load(None, flags))
        return {name: models.read(folder / "out" / "current", name) for name in OUTPUTS}


# ---------------------------------------------------------------- a disagreement


def culprit(batch: Sequence[Drawn], how: How, suspects: Sequence[int]) -> tuple[list[Drawn], list[str]]:
    """One model that disagrees when run alone, or else the fewest together that do, and where they disagree."""
    for number in [*suspects, *(n for n in range(len(batch)) if n not in suspects)]:
        if problems := problems_of([batch[number].tables], how):
            return [batch[number]], flat(problems)
    several = list(batch)
    while len(several) > 1:
        halves = several[: len(several) // 2], several[len(several) // 2 :]
        smaller = next((h for h in halves if problems_of([d.tables for d in h], how)), None)
        if smaller is None:
            break
        several = smaller
    return several, flat(problems_of([d.tables for d in several], how))


def flat(problems: dict[int, list[str]]) -> list[str]:
    return [p for wrong in problems.values() for p in wrong]


def shrunk(one: Drawn, how: How, count: int) -> tuple[models.Tables, list[str]]:
    """The same round drawn again, up to the model that disagrees, which hypothesis then makes as small as it can."""
    smallest: list[tuple[models.Tables, list[str]]] = []

    @hypothesis.seed(one.round_seed)
    @drawing(max_examples=count, deadline=None, database=None, phases=[Phase.generate, Phase.shrink],
             report_multiple_bugs=False, suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(models.models())
    def agrees(tables: models.Tables) -> None:
        if not smallest and digest_of(tables) != one.digest:
            return
        if problems := flat(problems_of([tables], how)):
            smallest.append((tables, problems))
            raise AssertionError

    with contextlib.suppress(AssertionError), contextlib.redirect_stderr(None), contextlib.redirect_stdout(None):
        agrees()
    return smallest[-1]


# ---------------------------------------------------------------- a run of many


@dataclass
class Tally:
    """What was done so far."""

    models: int = 0
    seen: set[str] = field(default_factory=set)
    drawn: int = 0
    alone: int = 0
    batches: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    hows: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    def told(self) -> str:
        seconds = time.monotonic() - self.began
        per_second = self.models / seconds if seconds else 0.0
        return (
            f"{self.models} models ({self.drawn} drawn) in {self.batches} batches, {self.alone} alone as well, "
            f"{seconds:.0f} s, {per_second:.1f}/s, {len(self.failures)} disagreements"
        )

    def as_dict(self) -> dict[str, Any]:
        return {
            "models": self.models, "drawn": self.drawn, "batches": self.batches, "alone": self.alone,
            "seconds": round(time.monotonic() - self.began), "holding": dict(self.kinds.most_common()),
            "run_as": dict(sorted(self.hows.items())), "disagreements": self.failures,
        }  # fmt: skip


def kinds_of(tables: models.Tables) -> Iterator[str]:
    """What is in a model."""
    yield from (name for name in tables if name not in ("countries", "networks", "cloud_instances"))
    servers = [r for name in ("servers", "gpu_servers", "cloud_servers") for r in tables.get(name, [])]
    if any(r.get("fixed_nb_of_instances") is not None for r in servers):
        yield "fixed servers"
    if any(r.get("fixed_nb_of_instances") is not None for r in tables.get("storages", [])):
        yield "fixed storages"
    yield from {f"{r['server_type']} servers" for r in servers}
    patterns = tables.get("usage_patterns", []) + tables.get("edge_usage_patterns", [])
    if any(r.get("clock") == "local" for r in patterns):
        yield "local clocks"
    if any(r["ended_at"] is None for r in tables.get("job_runs", [])):
        yield "open runs"


def compare_many(examples: int, seed: int = 1, minutes: float | None = None, *, shrink: bool = True) -> Tally:
    """Draw, run and compare until there are as many examples, the time is over, or too much disagrees."""
    tally, waiting = Tally(), defaultdict[object, list[Drawn]](list)
    until = None if minutes is None else tally.began + 60 * minutes
    for number in itertools.count():
        if tally.models + sum(map(len, waiting.values())) >= examples or (until and time.monotonic() > until):
            break
        left = examples - tally.models - sum(map(len, waiting.values()))
        for one in rounds(ROUND, seed * 1_000_000 + number):
            tally.drawn += 1
            if one.digest in tally.seen:
                continue
            if left == 0:
                break
            left -= 1
            tally.seen.add(one.digest)
            tally.kinds.update(kinds_of(one.tables))
            base = starts_at(one.tables)
            waiting[base].append(one)
            if len(waiting[base]) == BATCH:
                take(tally, waiting.pop(base), shrink=shrink)
                if len(tally.failures) >= MOST_FAILURES or (until and time.monotonic() > until + 60):
                    return tally
        print(tally.told(), flush=True)
    for batch in waiting.values():
        take(tally, batch, shrink=shrink)
    return tally


def starts_at(tables: models.Tables) -> object:
    """The time a model begins at, near enough: models years apart in one folder would wait for each other's hours."""
    rows = (
        r for name in ("usage_pattern_starts", "edge_usage_pattern_starts", "occurrences") for r in tables.get(name, [])
    )
    moments = [r["hour"] for r in rows] or [r["submitted_at"] for r in tables["job_runs"]]
    return f"{min(m.replace(tzinfo=None) for m in moments):%Y-%m}"


def take(tally: Tally, batch: list[Drawn], *, shrink: bool) -> None:
    """Compare one batch, and one of its models alone now and then."""
    how = HOWS[tally.batches % len(HOWS)]
    problems = problems_of([d.tables for d in batch], how)
    tally.batches += 1
    if problems:
        fail(tally, batch, how, problems, shrink=shrink)
    elif tally.batches % (ALONE // BATCH) == 0:
        tally.alone += 1
        one = batch[tally.batches % len(batch)]
        if problems := problems_of([one.tables], how):
            fail(tally, [one], how, problems, shrink=shrink)
    tally.models += len(batch)
    tally.hows[f"{how.attribution_key}, {how.attribution_grain}, {how.file_format}, {how.chunk_rows or 'whole'}"] += (
        len(batch)
    )


def fail(tally: Tally, batch: list[Drawn], how: How, problems: dict[int, list[str]], *, shrink: bool) -> None:
    """Note a disagreement, as small as it can be made."""
    print(f"disagreement in a batch of {len(batch)}, {how}: {flat(problems)[:3]}", flush=True)
    those, told = culprit(batch, how, [n for n in problems if n >= 0])
    shown = [d.tables for d in those]
    if len(those) == 1 and shrink and told:
        smallest, told = shrunk(those[0], how, ROUND)
        shown = [smallest]
    listed = "\n".join(map(repr, shown[:3]))
    where = ", ".join(f"{d.digest} of round {d.round_seed}" for d in those[:5])
    tally.failures.append(
        f"{how}\n{len(those)} model(s): {where}\n" + "\n".join((told or flat(problems))[:12]) + f"\n{listed}"
    )
    print(tally.failures[-1], flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.deep.numbers", description=__doc__.splitlines()[0] if __doc__ else None
    )
    parser.add_argument("--examples", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1, help="another seed, other models")
    parser.add_argument("--minutes", type=float, default=None, help="stop after so long and tell how many it were")
    parser.add_argument("--no-shrink", action="store_true")
    asked = parser.parse_args()
    tally = compare_many(asked.examples, asked.seed, asked.minutes, shrink=not asked.no_shrink)
    print(json.dumps(tally.as_dict(), indent=1))
    return 1 if tally.failures else 0


if __name__ == "__main__":
    sys.exit(main())
