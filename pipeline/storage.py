"""Parquet with units, staging, and the one step that publishes a run."""

import errno
import json
import os
import resource
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import parquet, tally
from pipeline.errors import InputError
from pipeline.tables import OUTPUTS, Table
from pipeline.whole_files import appearing

Rows = pl.LazyFrame | Iterable[pl.LazyFrame]

PUBLISHED_FILES = ("run.json", "views.sql")
STAGING, RUNS, CURRENT = ".staging", "runs", "current"
REMOVED = "removed-"
"""How runs, and files that a run no longer needs, are called on their way out, in the staging folder: nobody takes what is left of one for a run."""


def table_folder(root: Path, table: str) -> Path:
    """Where a table's files lie: ROOT/FAMILY/TABLE."""
    family, name = table.split(".")
    return root / family / name


def write_rows(root: Path, table: Table, rows: Rows, file: str, columns: list[str] | None = None) -> int:
    """Write rows as ROOT/FAMILY/TABLE/FILE.parquet with units and descriptions, in one step; the number of rows.

    Several frames of rows become one file, one after the other, so that they need not be in memory together. Hourly rows are noted for the
    checks as they pass.
    """
    names = columns or list(table.columns)
    if "hour" not in table.key:
        return _write_plain(root, table.name, table, rows, file, names)
    notes = tally.Notes(table, names)
    read = list(dict.fromkeys([*names, *tally.columns_read(table)]))
    parts = (part for f in _frames(rows) for part in _typed(f, table, read).iter_slices(parquet.SLICE_ROWS))
    written = parquet.write(_target(root, table.name, file), table, names, parts, notes.take)
    notes.write(root, file)
    return written


def write_empty(target: Path, table: Table) -> None:
    """Write a file of the table without rows."""
    target.parent.mkdir(parents=True, exist_ok=True)
    parquet.write(target, table, list(table.columns), ())


def _write_plain(root: Path, name: str, table: Table, rows: Rows, file: str, columns: list[str]) -> int:
    return parquet.write(_target(root, name, file), table, columns, (_typed(f, table, columns) for f in _frames(rows)))


def _target(root: Path, name: str, file: str) -> Path:
    """The file, in a folder that is there."""
    target = table_folder(root, name) / f"{file}.parquet"
    target.parent.mkdir(parents=True, exist_ok=True)
    return target


def _frames(rows: Rows) -> Iterable[pl.LazyFrame]:
    return [rows] if isinstance(rows, pl.LazyFrame) else rows


def _typed(rows: pl.LazyFrame, table: Table, names: list[str]) -> pl.DataFrame:
    """These columns, numbers and hours in the types of the dictionary; ids however they are held."""
    held = rows.select(names).collect()
    types = {n: table.columns[n].dtype for n in names}
    other = pl.Schema({n: t for n, t in types.items() if t not in (pl.String, held.schema[n])})
    return held.cast(other) if other else held


def rows_in(file: Path) -> int | None:
    """The number of rows in a Parquet file; None where there is no whole one."""
    try:
        return int(pq.read_metadata(file).num_rows)
    except (OSError, pa.ArrowInvalid):
        return None


def write_json(path: Path, content: object) -> None:
    """Write JSON in one step. What is published is synced together before that; of anything else a broken file is as good as none."""
    with appearing(path) as partial:
        partial.write_text(json.dumps(content, indent=2, default=str), encoding="utf-8")


NOT_TO_BE_WRITTEN = (errno.EROFS, errno.EACCES, errno.EPERM, errno.EEXIST, errno.ENOTDIR)


@contextmanager
def writing_to(out: Path) -> Iterator[None]:
    """InputError where OUT is no folder that this process may write to."""
    try:
        yield
    except OSError as error:
        if error.errno not in NOT_TO_BE_WRITTEN:
            raise
        raise InputError(
            f"{out}: cannot be written ({error.filename or out}: {error.strerror}); make it a folder that this user may "
            "write to, or give another --out"
        ) from error


FULL_BELOW = 2**20
"""Bytes free on a disk that is taken to be full: what failed may have been removed since, and blocks are left over."""


@contextmanager
def told_when_full(folder: Path) -> Iterator[None]:
    """The system's own error where Polars could not write there because no space is left: it does not always hand on the reason."""
    try:
        yield
    except pl.exceptions.PolarsError as error:
        limited = resource.getrlimit(resource.RLIMIT_FSIZE)[0] != resource.RLIM_INFINITY and "transport" in str(error)
        full = shutil.disk_usage(folder).free < FULL_BELOW
        if not (full or limited):
            raise
        number = errno.ENOSPC if full else errno.EFBIG
        raise OSError(number, os.strerror(number), str(folder)) from error


def _sync(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _sync_all(paths: Iterable[Path]) -> None:
    """Have these files and folders on the disk, not only on their way there."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(_sync, paths))


FAMILIES = {name.split(".")[0] for name in OUTPUTS} | {"input", "source"}
"""Folders of a run that hold what is published."""


def sync_tables(staged: Path) -> None:
    """Have all tables of a run on the disk, before it is published; from here on they stay as they are."""
    _sync_all(p for family in FAMILIES for p in (staged / family).rglob("*"))


Sync = Callable[[Path, dict[str, Any]], object]
"""Has the files of a complete partition (staging folder, what is noted of it) synced, at some time."""


@contextmanager
def syncing() -> Iterator[Sync]:
    """Sync files in a thread while others are computed, so that `sync_tables` finds little left to do."""

    def sync(staged: Path, done: dict[str, Any]) -> None:
        for f in done["files"]:
            with suppress(OSError):  # what is wrong shows when all are synced
                _sync(table_folder(staged, f["table"]) / f["file"])

    pool = ThreadPoolExecutor(1)
    try:
        yield lambda *files: pool.submit(sync, *files)
    finally:
        pool.shutdown(cancel_futures=True)


def publish(out: Path, staged: Path, run_id: str) -> Path:
    """Make a complete staged run, its tables synced, the current one in one step: readers see the run before or this one, whole."""
    runs = out / RUNS
    runs.mkdir(exist_ok=True)
    final = runs / run_id
    _sync_all([*staged.iterdir(), staged])
    staged.rename(final)
    _sync(runs)
    pointer = out / f".{CURRENT}.{run_id}"
    pointer.unlink(missing_ok=True)
    pointer.symlink_to(Path(RUNS) / run_id)
    pointer.replace(out / CURRENT)
    _sync(out)
    return final


def current(out: Path) -> Path | None:
    """The folder of the current run, resolved, or None where there is none."""
    pointer = out / CURRENT
    return pointer.resolve() if pointer.exists() else None


def published_runs(out: Path) -> list[Path]:
    """The complete runs, the current one first, then each that the one before it replaced: clocks may have been set back.

    Behind them those that no run says it replaced: one that was killed between its move to `runs` and becoming current.
    """
    folders = {p.name: p for p in (out / RUNS).glob("*") if p.is_dir()}
    found = []
    held = current(out)
    while held is not None and (run := folders.pop(held.name, None)) is not None:
        found.append(run)
        replaced = manifest(run).get("replaces")
        held = out / RUNS / str(replaced) if replaced else None
    return found + [folders[name] for name in sorted(folders, reverse=True)]


def clean(out: Path, keep: int) -> None:
    """Remove all but the last `keep` complete runs, each in one step; the current one always stays. Needs the lock.

    What cannot be removed does no harm to the run that was just published: the next one tries again.
    """
    for pointer in out.glob(f".{CURRENT}.*"):
        pointer.unlink(missing_ok=True)
    for old in published_runs(out)[max(keep, 1) :]:
        removed = out / STAGING / f"{REMOVED}{old.name}"
        with suppress(OSError):
            removed.parent.mkdir(exist_ok=True)
            old.rename(removed)
    for removed in (out / STAGING).glob(f"{REMOVED}*"):
        shutil.rmtree(removed, ignore_errors=True)


def write_whole(root: Path, family: str, table: Table, rows: Rows) -> int:
    """Write a table that is no output as the one file ROOT/FAMILY/TABLE/part-all.parquet; the number of rows."""
    return _write_plain(root, f"{family}.{table.name}", table, rows, "part-all", list(table.columns))


def current_manifest(out: Path) -> dict[str, Any]:
    """run.json of the current run; empty where there is none."""
    folder = current(out)
    return manifest(folder) if folder else {}


def manifest(folder: Path) -> dict[str, Any]:
    """run.json of a run; empty where it cannot be read."""
    try:
        return dict(json.loads((folder / "run.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def tidy(staged: Path) -> None:
    """Leave what is published: tables, run.json, views.sql. What was only needed on the way there is moved aside, to be removed."""
    aside = staged.with_name(f"{REMOVED}{staged.name}-{secrets.token_hex(4)}")
    aside.mkdir()
    for path in staged.iterdir():
        if path.name not in (FAMILIES if path.is_dir() else PUBLISHED_FILES):
            path.rename(aside / path.name)
    for partial in staged.rglob("*.partial"):
        partial.unlink(missing_ok=True)


def staging(out: Path, identity: str, *, keep: bool, sweep: bool = True) -> Path:
    """The staging folder of a run of this identity. What a killed run of the same identity left there is kept for it to go on.

    `sweep` removes the folders of other runs (needs the lock); without `keep` the run's own is removed too.
    """
    root = out / STAGING
    mine = root / identity[:32]
    if sweep and root.exists():
        for other in root.iterdir():
            if other != mine or not keep:
                shutil.rmtree(other, ignore_errors=True)
    with writing_to(out):
        mine.mkdir(parents=True, exist_ok=True)
    return mine


def _copied(source: Path, target: Path) -> None:
    """Copy a file; it appears whole."""
    with appearing(target) as partial:
        shutil.copyfile(source, partial)


def linked(current_run: Path, staged: Path, earlier: dict[str, Any], number: int) -> dict[str, Any] | None:
    """Take a partition's files over from the current run, as hard links where the file system can, else as copies.

    None where one of them is not there any more.
    """
    files = []
    for f in earlier["files"]:
        source = table_folder(current_run, f["table"]) / f["file"]
        name = f["file"].replace(f"part-{earlier['number']:05}-", f"part-{number:05}-", 1)
        target = table_folder(staged, f["table"]) / name
        if not f["rows"]:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        try:
            os.link(source, target)
        except FileNotFoundError:
            return None
        except OSError:
            _copied(source, target)
        files.append({**f, "file": name})
    return {**earlier, "number": number, "files": files, "how": "unchanged", "seconds": 0.0}
