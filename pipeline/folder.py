"""A model folder: which file is which table, what does not belong there, and whether a file stayed the same while it was read."""

import difflib
import hashlib
import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from pipeline.tables import DETAILS, INPUTS, Table
from pipeline.violations import violation

NOT_TABLES = re.compile(r"wattrow\.toml|README.*|LICENSE.*|.*\.md|\..*", re.IGNORECASE)
FORMATS = ("csv", "parquet")

State = tuple[int, ...]
"""What tells that a file was replaced or written to: device, inode, size, and times of the last changes."""


@dataclass(frozen=True)
class TableFile:
    """One file of a table; `display` is its path within the model folder."""

    table: Table
    path: Path
    format: str
    display: str


def known_tables() -> dict[str, Table]:
    """Every table that may lie in a model folder."""
    return INPUTS | DETAILS


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The name that a misspelt one was probably meant to be."""
    by_lower = {n.lower(): n for n in names}
    near = difflib.get_close_matches(name.strip().lower(), list(by_lower), n=1)
    return by_lower[near[0]] if near else None


def find_files(folder: Path) -> tuple[list[TableFile], list[pl.DataFrame]]:
    """The files of every table in a model folder, and what does not belong there."""
    files: list[TableFile] = []
    wrong: list[pl.DataFrame] = []
    given: dict[str, str] = {}
    for path in sorted(folder.iterdir()):
        if NOT_TABLES.fullmatch(path.name):
            continue
        name, _, ending = path.name.partition(".")
        table = known_tables().get(name)
        endings = (*FORMATS, "") if path.is_dir() else FORMATS
        if table is None or ending not in endings:
            wrong.append(_unknown_file(path.name, name, ending))
        elif name in given:
            wrong.append(violation(name, "given twice", f"only one of {given[name]} and {path.name}", file=path.name))
        else:
            given[name] = path.name
            found, problems = _folder_files(table, path, ending) if path.is_dir() else _single_file(table, path, ending)
            files += found
            wrong += problems
    return files, wrong


def size_of(folder: Path) -> int:
    """Bytes of all tables in a model folder; 0 where it cannot be read, which `load` reports."""
    try:
        return sum(f.path.stat().st_size for f in find_files(folder)[0])
    except OSError:
        return 0


def _unknown_file(file: str, name: str, ending: str) -> pl.DataFrame:
    """A file that is no table; filed under the table that it was probably meant to be."""
    near = name if name in known_tables() else nearest(name, known_tables())
    if not near:
        return violation(file, "unknown file", "a table of the model, as NAME.csv or NAME.parquet")
    if near == name:
        return violation(near, "unknown file", f"{near}.csv or {near}.parquet", file=file)
    meant = f"{near}.{ending if ending in FORMATS else 'csv'}"
    return violation(near, "unknown file", f"a table of the model (did you mean {meant}?)", file=file)


def _single_file(table: Table, path: Path, ending: str) -> tuple[list[TableFile], list[pl.DataFrame]]:
    if is_regular(path):
        return [TableFile(table, path, ending, path.name)], []
    return [], [violation(table.name, "unreadable file", "a regular file", file=path.name)]


def _folder_files(table: Table, folder: Path, ending: str) -> tuple[list[TableFile], list[pl.DataFrame]]:
    """A table given as a folder of files, in any depth; names that start with a dot or an underscore are not read."""
    below = [p.relative_to(folder) for p in sorted(folder.rglob("*"))]
    parts = [p for p in below if not any(part.startswith((".", "_")) for part in p.parts)]
    inside = [p for p in parts if not (folder / p).is_dir() or (folder / p).is_symlink()]
    wanted = (ending,) if ending else FORMATS
    wrong = []
    for path in inside:
        display = f"{folder.name}/{path}"
        if path.suffix[1:] not in wanted:
            names = " or ".join(f".{w}" for w in wanted)
            wrong.append(violation(table.name, "unknown file", f"only {names} files in the folder", file=display))
        elif not is_regular(folder / path):
            wrong.append(violation(table.name, "unreadable file", "a regular file", file=display))
    if not inside:
        wrong.append(violation(table.name, "empty folder", "files of the table in the folder", file=folder.name))
    if not wrong and len({p.suffix for p in inside}) > 1:
        expected = "only CSV or only Parquet files in one folder"
        wrong.append(violation(table.name, "mixed folder", expected, file=folder.name))
    files = [TableFile(table, folder / p, p.suffix[1:], f"{folder.name}/{p}") for p in inside]
    return ([] if wrong else files), wrong


def is_regular(path: Path) -> bool:
    """Whether the path leads to a plain file; never waits, whatever lies there."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False


def state_of(path: Path) -> State | None:
    """The file's state now; None where it cannot be reached."""
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def file_hash(path: Path) -> str | None:
    """SHA-256 of a file's bytes; None where it cannot be read."""
    try:
        with path.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError:
        return None
