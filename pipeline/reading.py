"""The door: files of a model folder to canonical tables, batch by batch, with every cell that could not be read."""

import csv
import difflib
import hashlib
import io
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from pipeline.parsing import UNIT_SUFFIX, Parsed, parser_of, unit_conversion
from pipeline.tables import DETAILS, INPUTS, Column, Table
from pipeline.units import UnitError
from pipeline.violations import stacked, violation, violations_at

BATCH_ROWS = 1_000_000
NOT_TABLES = re.compile(r"wattrow\.toml|README.*|LICENSE.*|.*\.md|\..*", re.IGNORECASE)
_HEADER = re.compile(r"\s*(.*?)\s*(?:\[([^\[\]]*)\])?\s*")


@dataclass(frozen=True)
class TableFile:
    """One file of a table."""

    table: Table
    path: Path
    format: str


@dataclass
class ReadTable:
    """A table as read: canonical columns with `row` (and `NAME:unit` companions), and what was wrong."""

    frame: pl.DataFrame
    violations: list[pl.DataFrame] = field(default_factory=list)


def known_tables() -> dict[str, Table]:
    """Every table that may lie in a model folder."""
    return INPUTS | DETAILS


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
        if table is None or ending not in ("csv", "parquet", "" if _is_folder(path) else "csv"):
            wrong.append(violation(path.name, "unknown file", _what_it_may_be(name, ending), file=path.name))
        elif name in given:
            wrong.append(violation(name, "given twice", f"one of {given[name]} and {path.name}", file=path.name))
        else:
            given[name] = path.name
            found, problems = _files_of(table, path, ending)
            files += found
            wrong += problems
    return files, wrong


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False


def _what_it_may_be(name: str, ending: str) -> str:
    if name in known_tables():
        return f"{name}.csv or {name}.parquet"
    near = difflib.get_close_matches(name, list(known_tables()), n=1)
    return (
        f"a table of the model (did you mean {near[0]}.{ending or 'csv'}?)"
        if near
        else "a table of the model as NAME.csv or NAME.parquet"
    )


def _files_of(table: Table, path: Path, ending: str) -> tuple[list[TableFile], list[pl.DataFrame]]:
    if not _is_folder(path):
        if not _is_regular(path):
            return [], [violation(table.name, "unreadable file", "a regular file that can be read", file=path.name)]
        return [TableFile(table, path, ending)], []
    inside = sorted(p for p in path.rglob("*") if not p.name.startswith((".", "_")) and not _is_folder(p))
    endings = {ending} if ending else {"csv", "parquet"}
    wrong = [violation(table.name, "unknown file", f"only .{' or .'.join(sorted(endings))} files in the folder", file=f"{path.name}/{p.name}")
             for p in inside if p.suffix[1:] not in endings or not _is_regular(p)]  # fmt: skip
    if not inside:
        wrong.append(violation(table.name, "empty folder", "files of the table in the folder", file=path.name))
    if len({p.suffix for p in inside}) > 1:
        wrong.append(
            violation(table.name, "mixed folder", "only CSV or only Parquet files in one folder", file=path.name)
        )
    return ([] if wrong else [TableFile(table, p, p.suffix[1:]) for p in inside]), wrong


def _is_regular(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def read_batches(file: TableFile, display: str) -> Iterator[ReadTable]:
    """Read one file of a table in batches of about BATCH_ROWS rows; problems of the whole file come in one batch without rows."""
    try:
        batches = _csv_batches(file) if file.format == "csv" else _parquet_batches(file)
        first = 1
        for raw, units, problems in batches:
            if problems:
                yield ReadTable(_empty(file.table), [_named(problem, file.table, display) for problem in problems])
                continue
            yield canonical(file.table, raw.with_row_index("row", offset=first), units, display)
            first += len(raw)
    except OSError as error:
        yield _whole_file(file, display, "unreadable file", f"a file that can be read ({error.strerror or error})")
    except (pl.exceptions.PolarsError, ValueError) as error:
        yield _whole_file(file, display, "unreadable file", _readable(error, file.format))


Raw = tuple[pl.DataFrame, dict[str, str | None], list[pl.DataFrame]]


def _named(problem: pl.DataFrame, table: Table, display: str) -> pl.DataFrame:
    return problem.with_columns(table=pl.lit(table.name), file=pl.lit(display))


def _whole_file(file: TableFile, display: str, rule: str, expected: str) -> ReadTable:
    return ReadTable(_empty(file.table), [violation(file.table.name, rule, expected, file=display)])


def _empty(table: Table) -> pl.DataFrame:
    companions = {c.name + UNIT_SUFFIX: pl.String() for c in table.columns.values() if has_companion(c)}
    return pl.DataFrame(schema=pl.Schema({**table.polars_schema(), **companions, "row": pl.Int64()}))


def has_companion(column: Column) -> bool:
    """Whether the column's unit (or zone) is decided per cell and kept beside it."""
    return column.unit == "compute_unit" or column.wall_clock


def _readable(error: Exception, format: str) -> str:
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    if "utf-8" in text.lower() or "utf8" in text.lower():
        return "a CSV file in UTF-8 (save it again as CSV UTF-8)"
    if format == "parquet":
        return f"a complete Parquet file ({text})"
    return f"a comma-separated CSV file ({text})"


# ---------------------------------------------------------------- CSV


def _csv_header(path: Path) -> tuple[list[str], list[pl.DataFrame]]:
    """The header's cells; problems where the file is no comma-separated UTF-8 text."""
    with path.open("rb") as opened:
        head = opened.read(1 << 20)
    if not head.strip():
        return [], [violation("", "empty file", "a header line with the column names")]
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) or (b"\x00" in head[:200] and b"\x00" in head[1:200:2]):
        return [], [violation("", "encoding", "a CSV file in UTF-8, not UTF-16 (save it again as CSV UTF-8)")]
    if b"\x00" in head:
        return [], [violation("", "encoding", "text without NUL bytes")]
    try:
        text = head.decode("utf-8-sig", errors="strict" if len(head) < 1 << 20 else "ignore")
    except UnicodeDecodeError as error:
        line = head[: error.start].count(b"\n") + 1
        return [], [
            violation(
                "", "encoding", f"a CSV file in UTF-8 (line {line} holds other bytes; save it again as CSV UTF-8)"
            )
        ]
    if "\r" in text and "\n" not in text:
        return [], [violation("", "line ends", "lines that end in LF or CRLF, not in CR alone")]
    names = next(csv.reader(io.StringIO(text, newline="")), [])
    for mark, word in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
        if len(names) == 1 and mark in names[0]:
            return [], [violation("", "separator", f"columns separated by commas, not {word}", value=names[0])]
    if len(names) > 1000:
        return [], [violation("", "too many columns", "at most 1000 columns", value=len(names))]
    return names, []


def _csv_batches(file: TableFile) -> Iterator[Raw]:
    header, problems = _csv_header(file.path)
    columns, more = _matched(file.table, header)
    if problems or more:
        yield pl.DataFrame(), {}, problems or more
        return
    ragged = _first_ragged_line(file.path, len(header))
    if ragged:
        yield pl.DataFrame(), {}, [ragged]
        return
    scan = pl.scan_csv(
        file.path, glob=False, has_header=True, infer_schema=False, schema=dict.fromkeys(header, pl.String)
    )
    wanted = {raw: name for raw, (name, _) in columns.items()}
    units = dict(columns.values())
    read_any = False
    for raw in _collected(scan.select(list(wanted)).rename(wanted), file.path):
        read_any = True
        yield raw, units, []
    if not read_any:
        yield pl.DataFrame(schema=dict.fromkeys(wanted.values(), pl.String)), units, []


SMALL_FILE = 64 << 20


def _collected(scan: pl.LazyFrame, path: Path) -> Iterator[pl.DataFrame]:
    if path.stat().st_size <= SMALL_FILE:
        yield scan.collect()
        return
    yield from scan.collect_batches(chunk_size=BATCH_ROWS, maintain_order=True)


def _first_ragged_line(path: Path, width: int) -> pl.DataFrame | None:
    """A problem where a line has more or fewer cells than the header: Polars would fill up or cut off in silence."""
    separators = width - 1
    with path.open("rb") as opened:
        simple = all(line.count(b",") == separators and b'"' not in line for line in opened if line.strip())
    if simple:
        return None
    with path.open(encoding="utf-8-sig", newline="") as text:
        reader = csv.reader(text, strict=True)
        try:
            for number, cells in enumerate(reader):
                if cells and len(cells) != width:
                    return violation(
                        "",
                        "cells per line",
                        f"{width} cells, as in the header",
                        row=number,
                        value=f"{len(cells)} cells",
                    )
        except csv.Error as error:
            return violation("", "quotes", f"balanced quotes ({error})", row=reader.line_num - 1)
    return None


def _matched(table: Table, header: list[str]) -> tuple[dict[str, tuple[str, str | None]], list[pl.DataFrame]]:
    """Header cells to (column, unit); problems for unknown, repeated and missing ones."""
    columns: dict[str, tuple[str, str | None]] = {}
    problems = []
    for cell in header:
        match = _HEADER.fullmatch(cell)
        name, unit = (match.group(1), match.group(2)) if match else (cell, None)
        if name not in table.columns:
            near = difflib.get_close_matches(name, list(table.columns), n=1)
            hint = f"a column of {table.name}" + (
                f" (did you mean {near[0]}?)" if near else f": {', '.join(table.columns)}"
            )
            problems.append(violation(table.name, "unknown column", hint, column=cell))
        elif name in {known for known, _ in columns.values()}:
            problems.append(violation(table.name, "column given twice", "each column once", column=cell))
        else:
            columns[cell] = (name, unit)
    return columns, problems


# ---------------------------------------------------------------- Parquet


def _parquet_batches(file: TableFile) -> Iterator[Raw]:
    schema = pq.read_schema(file.path)
    columns, problems = _matched(file.table, schema.names)
    for cell, (name, _) in list(columns.items()):
        stored = (schema.field(cell).metadata or {}).get(b"unit", b"").decode("utf-8", "replace")
        columns[cell] = (name, columns[cell][1] or stored or None)
    if problems:
        yield pl.DataFrame(), {}, problems
        return
    wanted = {raw: name for raw, (name, _) in columns.items()}
    units = dict(columns.values())
    scan = pl.scan_parquet(file.path, glob=False, hive_partitioning=False).select(list(wanted)).rename(wanted)
    types = scan.collect_schema()
    nested = [violation(file.table.name, "column type", "plain values, not lists or structures", column=name, value=dtype) for name, dtype in types.items() if not _is_plain(dtype)]  # fmt: skip
    if nested:
        yield pl.DataFrame(), {}, nested
        return
    rows = pq.read_metadata(file.path).num_rows
    if rows <= BATCH_ROWS:
        yield scan.collect(), units, []
        return
    for start in range(0, rows, BATCH_ROWS):
        yield scan.slice(start, BATCH_ROWS).collect(), units, []


def _is_plain(dtype: pl.DataType) -> bool:
    return not dtype.is_nested() and dtype not in (pl.Object, pl.Binary, pl.Duration, pl.Time)


# ---------------------------------------------------------------- cells


def canonical(table: Table, raw: pl.DataFrame, units: dict[str, str | None], display: str | None) -> ReadTable:
    """A raw batch (with `row`) in the dictionary's types and units, defaults filled in; cells that could not be read are listed."""
    made: list[pl.Series] = []
    found: list[pl.DataFrame] = []
    for column in table.columns.values():
        if column.name not in raw.columns:
            made += _absent(column, len(raw))
            if column.required:
                found.append(violation(table.name, "missing column", "the column", file=display, column=column.name))
            continue
        cells = raw[column.name]
        parsed, problem = _parsed(table, column, cells, units.get(column.name), display)
        found += problem
        blank = parsed.values.is_null() & ~parsed.failed
        if column.required and not problem and blank.any():
            found.append(
                violations_at(
                    table.name,
                    "missing value",
                    raw.filter(blank),
                    column=column.name,
                    value=None,
                    expected="a value",
                    file=display,
                )
            )
        if parsed.failed.any():
            cells_at = raw.select("row", value=column.name).with_columns(expected=parsed.expected).filter(parsed.failed)
            found.append(
                violations_at(
                    table.name,
                    "unreadable value",
                    cells_at,
                    column=column.name,
                    value="value",
                    expected=pl.col("expected"),
                    file=display,
                )
            )
        values = parsed.values.fill_null(column.default) if column.default is not None else parsed.values
        made.append(values.cast(column.dtype).alias(column.name))
        if has_companion(column):
            companion = (
                parsed.units
                if parsed.units is not None
                else pl.Series([None], dtype=pl.String).new_from_index(0, len(raw))
            )
            made.append(companion.alias(column.name + UNIT_SUFFIX))
    return ReadTable(pl.DataFrame([*made, raw["row"].cast(pl.Int64)]), found)


def _parsed(
    table: Table, column: Column, cells: pl.Series, unit: str | None, display: str | None
) -> tuple[Parsed, list[pl.DataFrame]]:
    blank = Parsed(
        pl.Series([None], dtype=column.dtype).new_from_index(0, len(cells)),
        pl.Series(["unit"], dtype=pl.String).new_from_index(0, len(cells)),
    )
    if unit and not column.is_number:
        return blank, [
            violation(
                table.name, "unit", "no unit: the column is not a number", file=display, column=column.name, value=unit
            )
        ]
    try:
        if column.is_number and cells.dtype != pl.String and not cells.dtype.is_numeric() and cells.dtype != pl.Null:
            raise UnitError(f"numbers, not {cells.dtype}")
        unit_conversion(column, unit) if unit else None
    except UnitError as error:
        wanted = "numbers" if not unit else f"a unit of the same kind as {column.unit}"
        problem = violation(
            table.name, "unit", f"{wanted} ({error})", file=display, column=column.name, value=unit or str(cells.dtype)
        )
        return Parsed(blank.values, _silent(len(cells))), [problem]
    if cells.dtype == pl.Null:
        cells = cells.cast(pl.String)
    return parser_of(column)(column, cells, unit), []


def _silent(rows: int) -> pl.Series:
    """Marks cells as failed without a message of their own: the column has one."""
    return pl.Series([None], dtype=pl.String).new_from_index(0, rows)


def _absent(column: Column, rows: int) -> list[pl.Series]:
    filled = pl.Series([column.default], dtype=column.dtype).new_from_index(0, rows).alias(column.name)
    companion = pl.Series([None], dtype=pl.String).new_from_index(0, rows).alias(column.name + UNIT_SUFFIX)
    return [filled, companion] if has_companion(column) else [filled]


__all__ = [
    "ReadTable",
    "TableFile",
    "canonical",
    "file_hash",
    "find_files",
    "has_companion",
    "known_tables",
    "read_batches",
    "stacked",
]
