"""A model folder as canonical tables that keep every promise, or one error that lists every promise broken."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import polars as pl
from polars import col

from pipeline import relations
from pipeline.checking import key_violations, reference_violations, shared_id_violations
from pipeline.errors import InputError
from pipeline.folder import TableFile, file_hash, find_files, known_tables, state_of
from pipeline.reading import as_written, empty_frame, read_batches
from pipeline.tables import Table
from pipeline.tables.inputs import JOB_TABLES, SERVER_TABLES, SERVICE_TABLES
from pipeline.violations import ROW, printable, refuse, stacked, violation

IN_MEMORY_ROWS = 3_000_000
"""Tables of more rows are kept as Parquet in the spill folder instead of in memory."""
CATEGORICAL = {"occurrences": ["job_id", "usage_pattern_id", "container_id"]}
MOST_VIOLATIONS = 1_000_000
"""Broken rules of one table after which the rest of it is not read."""
FILE_ROWS = 2**40
"""Rows of the second file of a table are numbered from here, those of the third from twice this."""
NAME_SPACES = {
    "server_id": SERVER_TABLES,
    "service_id": SERVICE_TABLES,
    "job_id": JOB_TABLES,
    "usage_pattern_id": relations.PATTERN_TABLES,
}
"""Ids that must be unique over several tables."""


@dataclass
class Model:
    """The tables of a model, canonical; tables the folder lacks are empty."""

    folder: Path
    tables: dict[str, pl.LazyFrame]
    rows: dict[str, int]
    hashes: dict[str, str]
    warnings: list[str] = field(default_factory=list)

    def __getitem__(self, name: str) -> pl.LazyFrame:
        return self.tables[name]

    def has(self, name: str) -> bool:
        """Whether the table has any rows."""
        return self.rows.get(name, 0) > 0


class AsAsked(dict[str, pl.LazyFrame]):
    """Tables by name, each made when it is asked for: a model folder holds few of those that the dictionary knows."""

    def __init__(self, made: Callable[[str], pl.LazyFrame]) -> None:
        super().__init__()
        self.made = made

    def __missing__(self, name: str) -> pl.LazyFrame:
        frame = self[name] = self.made(name)
        return frame


def load(folder: Path, spill: Path | None = None) -> Model:
    """Read and check a model folder; InputError carries every broken rule of every table.

    `spill` is a folder for tables too large for memory (without it they stay in memory).
    """
    shown = printable(str(folder), 400)
    if not folder.is_dir():
        raise InputError(f"{shown}: no such folder; a model is a folder of tables: at least servers, jobs, occurrences")
    try:
        files, wrong = find_files(folder)
    except OSError as error:
        raise InputError(f"{shown}: cannot be read ({error.strerror})") from error
    if not files and not wrong:
        raise InputError(f"{shown}: holds no tables; the smallest model is servers, jobs and occurrences")
    read = Reading(spill, unread=set(stacked(wrong)["table"]))
    for file in files:
        read.file(file)
    wrong += read.violations
    wrong.append(read.placed(stacked(_between_tables(read, stacked(wrong)))))
    refuse(stacked(wrong), str(folder))
    tables = relations.Tables(read.frames)
    plain = AsAsked(lambda name: read.frames[name].drop(ROW))
    return Model(folder, plain, read.rows, read.hashes, relations.warnings(tables))


class Rows:
    """The rows of one table as they come in: in memory while they are few, then as Parquet files in the spill folder."""

    def __init__(self, table: Table, spill: Path | None) -> None:
        self.table, self.spill = table, spill
        self.batches: list[pl.DataFrame] = []
        self.files: list[Path] = []
        self.passed_on: list[pl.LazyFrame] = []

    def add(self, batch: pl.DataFrame) -> None:
        """Keep a batch."""
        kinds = [col(c).cast(pl.Categorical) for c in CATEGORICAL.get(self.table.name, ())]
        self.batches.append(batch.with_columns(kinds))
        if self.spill is not None and sum(map(len, self.batches)) > IN_MEMORY_ROWS:
            self._write(self.spill)

    def _write(self, spill: Path) -> None:
        spill.mkdir(parents=True, exist_ok=True)
        self.files.append(spill / f"{self.table.name}-{len(self.files):05}.parquet")
        pl.concat(self.batches).write_parquet(self.files[-1], compression="lz4")
        self.batches = []

    def frame(self) -> pl.LazyFrame:
        """All rows."""
        if self.files and self.batches and self.spill:
            self._write(self.spill)
        parts = [*self.passed_on, *(b.lazy() for b in self.batches)]
        if self.files:
            parts.append(pl.scan_parquet(self.files, glob=False, hive_partitioning=False))
        return (
            pl.concat(parts)
            if parts
            else empty_frame(self.table)
            .lazy()
            .cast({c: pl.Categorical() for c in CATEGORICAL.get(self.table.name, ())})
        )


class Reading:
    """All tables while they are read: rows, hashes, and what was wrong."""

    def __init__(self, spill: Path | None, unread: set[str]) -> None:
        self.kept = {name: Rows(table, spill) for name, table in known_tables().items()}
        self.given = set(unread)
        """Tables that the folder has, be they readable or not."""
        self.incomplete = set(unread)
        """Tables of which files, rows or ids could not be read: references to them cannot be judged."""
        self.files: dict[str, list[str]] = {}
        self.rows: dict[str, int] = {}
        self.hashes: dict[str, str] = {}
        self.violations: list[pl.DataFrame] = []

    @cached_property
    def frames(self) -> dict[str, pl.LazyFrame]:
        """Every table, with ROW, once all files are read."""
        return AsAsked(lambda name: self.kept[name].frame())

    def file(self, file: TableFile) -> None:
        """Read one file; a problem where it was replaced, written to or removed meanwhile."""
        name = file.table.name
        self.given.add(name)
        first = FILE_ROWS * len(self.files.setdefault(name, []))
        self.files[name].append(file.display)
        before = state_of(file.path)
        found = 0
        whole = as_written(file)
        if whole is not None:
            self.rows[name] = self.rows.get(name, 0) + int(whole.select(pl.len()).collect().item())
            self.kept[name].passed_on.append(whole)
        for batch in read_batches(file) if whole is None else ():
            self.violations += batch.violations
            found += sum(map(len, batch.violations))
            self.rows[name] = self.rows.get(name, 0) + len(batch.frame)
            if batch.incomplete:
                self.incomplete.add(name)
            if len(batch.frame):
                self.kept[name].add(batch.frame.with_columns(pl.col(ROW) + first))
            if found > MOST_VIOLATIONS:
                self._note(file, "too many broken rules", "a file with fewer broken rules; the rest of it was not read")
                break
        digest = file_hash(file.path)
        if state_of(file.path) != before:
            self._note(file, "changed file", "a file that stays as it is while it is read")
        elif digest is not None:
            self.hashes[file.display] = digest

    def placed(self, violations: pl.DataFrame) -> pl.DataFrame:
        """Violations found over whole tables, with the file that each row stands in and its number there."""
        named = [(table, number, file) for table, files in self.files.items() for number, file in enumerate(files)]
        schema = {"table": pl.String, "number": pl.Int64, "display": pl.String}
        numbered = violations.with_columns(number=col.row // FILE_ROWS, row=col.row % FILE_ROWS)
        files = pl.DataFrame(named, schema=schema, orient="row")
        found = numbered.join(files, on=["table", "number"], how="left", maintain_order="left")
        return found.with_columns(file=pl.coalesce("file", "display")).drop("number", "display")

    def _note(self, file: TableFile, rule: str, expected: str) -> None:
        self.incomplete.add(file.table.name)
        self.violations.append(violation(file.table.name, rule, expected, file=file.display))


def _between_tables(read: Reading, found: pl.DataFrame) -> list[pl.DataFrame]:
    """Keys, references, shared names and rules over several tables, of all tables that are whole enough to be judged."""
    wrong = [] if "unknown file" in found["rule"] else relations.missing_tables(read.given)
    frames = read.frames
    for name, table in known_tables().items():
        if read.rows.get(name) and not read.kept[name].passed_on:
            wrong += key_violations(table, frames[name], read.rows[name])
            wrong += _references(table, frames, read.given, read.incomplete)
    for column, names in NAME_SPACES.items():
        wrong += shared_id_violations(names, column, frames)
    broken = read.incomplete.union(found["table"], stacked(wrong)["table"])
    return wrong + relations.of_several_tables(relations.Tables(frames), broken)


def _references(
    table: Table, frames: dict[str, pl.LazyFrame], given: set[str], unknowable: set[str]
) -> list[pl.DataFrame]:
    """Ids that no row has; tables that the folder lacks although ids refer to them."""
    wrong = []
    for column in table.columns.values():
        if not column.references or unknowable.intersection(column.references):
            continue
        if given.intersection(column.references):
            wrong += reference_violations(column, frames)
        elif frames[table.name].select(pl.col(column.name).is_not_null().any()).collect().item():
            expected = f"a table {' or '.join(column.references)}, for {table.name} names rows of it"
            wrong.append(violation(column.references[0], "missing table", expected, column=column.name))
    return wrong


def derived_tables(model: Model) -> tuple[pl.LazyFrame, pl.LazyFrame, pl.LazyFrame]:
    """derived.server, derived.service, derived.job."""
    tables = relations.Tables(model.tables)
    return tables.servers, tables.services, tables.jobs
