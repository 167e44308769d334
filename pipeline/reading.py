"""The door: files of tables to canonical columns, batch by batch, with every promise of a cell or row that was broken."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from polars import col

from pipeline import csv_text
from pipeline.checking import row_violations
from pipeline.csv_text import Flaw
from pipeline.folder import TableFile, nearest
from pipeline.parsing import UNIT_SUFFIX, Parsed, believable, has_companion, parser_of, type_expected, unit_conversion
from pipeline.tables import Column, Table
from pipeline.units import UnitError
from pipeline.violations import ROW, violation, violations_at

BATCH_ROWS = 250_000
"""Rows that are parsed at once: memory, not speed, depends on it."""
SMALL_FILE = 64 << 20
"""Bytes of a CSV file that is read in one piece."""
_HEADER = re.compile(r"\s*(.*?)\s*(?:\[([^\[\]]*)\])?\s*")


@dataclass
class ReadTable:
    """A batch of a table as read: canonical columns with ROW (and `NAME:unit` companions), and what was wrong.

    `incomplete` says that rows or whole key columns could not be read: references to the table cannot be judged.
    """

    frame: pl.DataFrame
    violations: list[pl.DataFrame]
    incomplete: bool = False


@dataclass
class Layout:
    """What the columns of one file are: the column behind each header cell, units, and what is wrong with them as a whole."""

    names: dict[str, str] = field(default_factory=dict)
    units: dict[str, str | None] = field(default_factory=dict)
    problems: list[pl.DataFrame] = field(default_factory=list)
    spoilt: set[str] = field(default_factory=set)
    """Columns of which no cell can be read."""

    @property
    def wanted(self) -> dict[str, str]:
        """Header cell by column, for the columns that can be read."""
        return {name: cell for cell, name in self.names.items() if name not in self.spoilt}


def read_batches(file: TableFile) -> Iterator[ReadTable]:
    """Read one file of a table in batches of about BATCH_ROWS rows; never raises for what the file holds."""
    try:
        yield from _csv_batches(file) if file.format == "csv" else _parquet_batches(file)
    except Flaw as flaw:
        yield _unreadable(file, flaw)
    except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException, pa.ArrowException, ValueError) as error:
        if isinstance(error, OSError) and error.errno:
            expected = f"a file that can be read ({error.strerror})"
        else:
            what = "a complete Parquet file" if file.format == "parquet" else "a comma-separated CSV file"
            expected = f"{what} ({_first_line(error)})"
        yield _unreadable(file, Flaw("unreadable file", expected))


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__


def _unreadable(file: TableFile, flaw: Flaw) -> ReadTable:
    problem = violation(
        file.table.name, flaw.rule, flaw.expected, file=file.display, row=flaw.row, value=flaw.value
    )  # fmt: skip
    return ReadTable(empty_frame(file.table), [problem], incomplete=True)


@cache
def as_written(file: TableFile) -> pl.LazyFrame | None:
    """A detail table just as an importer wrote it, to be passed on without a look at every cell; None for anything else.

    Nothing is computed from detail tables, and a log of millions of records has dozens of columns of them.
    """
    if file.table.kind != "detail" or file.format != "parquet":
        return None
    try:
        schema = pq.read_schema(file.path)
    except (OSError, pa.ArrowException):
        return None
    columns = file.table.columns
    declared = {name: column.arrow_field() for name, column in columns.items()}
    if any(f.name not in declared or not f.equals(declared[f.name], check_metadata=True) for f in schema):
        return None
    scan = pl.scan_parquet(file.path, glob=False, hive_partitioning=False)
    absent = [pl.lit(c.default, c.dtype).alias(c.name) for c in columns.values() if c.name not in schema.names]
    return scan.with_columns(*absent, pl.lit(None, pl.Int64).alias(ROW)).select(*columns, ROW)


def empty_frame(table: Table) -> pl.DataFrame:
    """A table as read, without rows."""
    companions = {c.name + UNIT_SUFFIX: pl.String() for c in table.columns.values() if has_companion(c)}
    return pl.DataFrame(schema=pl.Schema({ROW: pl.Int64(), **table.polars_schema(), **companions}))


# ---------------------------------------------------------------- columns of a file


def layout_of(file: TableFile, header: list[str], stored_units: list[str | None]) -> Layout:
    """The columns behind header cells such as `power [kW]`; `stored_units` are those of the file's own metadata."""
    layout = Layout()
    suggested = set()
    for position, (cell, stored) in enumerate(zip(header, stored_units, strict=True), start=1):
        match = _HEADER.fullmatch(cell)
        name, written = (match.group(1), match.group(2)) if match else (cell, None)
        column = file.table.columns.get(name)
        if column is None:
            near = nearest(name, file.table.columns) if name else None
            suggested.add(near)
            layout.problems.append(_unknown_column(file, cell, near, position))
        elif name in layout.units:
            _spoil(layout, file, "column given twice", "each column once", name, written=cell)
        else:
            layout.names[cell] = name
            layout.units[name] = written or stored
            _check_unit(layout, file, column, written, stored)
    if not layout.units:
        expected = f"a header line with columns of {file.table.name}: {', '.join(file.table.columns)}"
        raise Flaw("header", expected, value=", ".join(header))
    _check_missing(layout, file, suggested)
    return layout


def _unknown_column(file: TableFile, cell: str, near: str | None, position: int) -> pl.DataFrame:
    if not cell.strip():
        expected = f"a name in every cell of the header; cell {position} is blank"
        return violation(file.table.name, "unknown column", expected, file=file.display)
    hint = f" (did you mean {near}?)" if near else f": {', '.join(file.table.columns)}"
    expected = f"a column of {file.table.name}{hint}"
    return violation(file.table.name, "unknown column", expected, file=file.display, column=cell)


def _spoil(
    layout: Layout, file: TableFile, rule: str, expected: str, name: str, *, value: object = None, written: str = ""
) -> None:
    """Note that a column as a whole is wrong, and read none of its cells."""
    layout.spoilt.add(name)
    layout.problems.append(
        violation(file.table.name, rule, expected, file=file.display, column=written or name, value=value)
    )


def _check_unit(layout: Layout, file: TableFile, column: Column, written: str | None, stored: str | None) -> None:
    unit = written or stored
    if written and stored and written.strip() != stored:
        expected = f"one unit: the header says {written}, the field's metadata {stored}"
        _spoil(layout, file, "unit", expected, column.name)
    elif unit and not column.is_number:
        _spoil(layout, file, "unit", "no unit, for the column holds no numbers", column.name, value=unit)
    elif unit:
        try:
            unit_conversion(column, unit)
        except UnitError as error:
            _spoil(layout, file, "unit", f"a unit that measures the same as {column.unit} ({error})", column.name, value=unit)  # fmt: skip


def _check_missing(layout: Layout, file: TableFile, suggested: set[str | None]) -> None:
    """Columns that must be there and are not, unless a misspelt one was probably meant."""
    for column in file.table.columns.values():
        if column.required and column.name not in layout.units:
            layout.spoilt.add(column.name)
            if column.name not in suggested:
                expected = f"a column of this name: {column.description.rstrip('.')}"
                found = violation(file.table.name, "missing column", expected, file=file.display, column=column.name)
                layout.problems.append(found)


def _check_types(layout: Layout, file: TableFile, types: dict[str, pl.DataType]) -> None:
    for name in layout.wanted:
        column = file.table.columns[name]
        expected = type_expected(column, types[name])
        if expected:
            _spoil(layout, file, "column type", expected, name, value=types[name])


def _layout_problems(file: TableFile, layout: Layout) -> ReadTable:
    incomplete = bool(layout.spoilt.intersection(file.table.key))
    return ReadTable(empty_frame(file.table), layout.problems, incomplete)


# ---------------------------------------------------------------- batches


def _csv_batches(file: TableFile) -> Iterator[ReadTable]:
    header = csv_text.header(file.path)
    layout = layout_of(file, header, [None] * len(header))
    yield _layout_problems(file, layout)
    blank = csv_text.check_shape(file.path, len(header))
    cells = [f"cell_{position}" for position in range(len(header))]
    scan = pl.scan_csv(
        file.path,
        glob=False,
        has_header=False,
        skip_rows=1 + blank,
        infer_schema=False,
        schema=dict.fromkeys(cells, pl.String),
    )
    wanted = [pl.col(cells[header.index(cell)]).alias(name) for name, cell in layout.wanted.items()]
    given = pl.any_horizontal(pl.col(c).is_not_null() for c in cells)
    chosen = scan.select(*wanted, given.alias(GIVEN))
    first = 1 + blank
    for raw in _collected(chosen, file):
        numbered = raw.with_row_index(ROW, offset=first).filter(GIVEN).drop(GIVEN)
        first += len(raw)
        yield canonical(file, numbered, layout)


GIVEN = ":given"
"""Whether a line has any value; lines that are blank, or hold commas only, are no rows but count as lines."""


def _collected(scan: pl.LazyFrame, file: TableFile) -> Iterator[pl.DataFrame]:
    if file.path.stat().st_size <= SMALL_FILE:
        yield scan.collect()
    else:
        yield from scan.collect_batches(chunk_size=BATCH_ROWS, maintain_order=True)


def _parquet_batches(file: TableFile) -> Iterator[ReadTable]:
    with pq.ParquetFile(file.path) as opened:
        schema = opened.schema_arrow
        stored = [(f.metadata or {}).get(b"unit", b"").decode("utf-8", "replace") or None for f in schema]
        layout = layout_of(file, schema.names, stored)
        fields = {name: schema.get_field_index(cell) for name, cell in layout.wanted.items()}
        types = {name: _polars_type(schema.field(at).type) for name, at in fields.items()}
        _check_types(layout, file, types)
        yield _layout_problems(file, layout)
        cells = list(layout.wanted.values())
        first = 1
        for batch in opened.iter_batches(batch_size=BATCH_ROWS, columns=cells):
            raw = _taken([batch.column(cell) for cell in layout.wanted.values()], list(layout.wanted))
            yield canonical(file, raw.with_row_index(ROW, offset=first), layout)
            first += batch.num_rows


def _taken(columns: list[pa.Array], names: list[str]) -> pl.DataFrame:
    """The columns as Polars has them: as a batch, for which it does not load pyarrow.compute as it does for arrays."""
    frame = pl.from_arrow(pa.RecordBatch.from_arrays(columns, names=names))
    assert isinstance(frame, pl.DataFrame)
    return frame


def _polars_type(kind: pa.DataType) -> pl.DataType:
    try:
        return _taken([pa.array([], type=kind)], ["column"]).dtypes[0]
    except (pa.ArrowException, pl.exceptions.PolarsError, pl.exceptions.PanicException, NotImplementedError):
        return pl.Unknown()


# ---------------------------------------------------------------- cells


def canonical(file: TableFile, raw: pl.DataFrame, layout: Layout) -> ReadTable:
    """A raw batch (with ROW) in the dictionary's types and units, defaults filled in; whatever breaks a promise is listed."""
    table = file.table
    row = raw[ROW].cast(pl.Int64)

    @cache
    def shown() -> pl.DataFrame:
        return pl.DataFrame([row, *(_shown(raw[name], layout.units.get(name)) for name in raw.columns if name != ROW)])

    made, found, unread = [row], [], {}
    for column in table.columns.values():
        if column.name not in raw.columns:
            made += _absent(column, len(raw))
            continue
        parsed = parser_of(column)(column, raw[column.name], layout.units.get(column.name))
        found += _broken_cells(file, column, shown, parsed)
        if parsed.failed.any():
            unread[column.name] = parsed.failed
        made += _filled(column, parsed)
    frame = pl.DataFrame(made)
    found += row_violations(table, frame, shown, unread, layout.spoilt, file.display)
    return ReadTable(frame, found)


def _shown(cells: pl.Series, unit: str | None) -> pl.Series:
    """The cells as messages show them: as they were written, with the header's unit."""
    if isinstance(cells.dtype, pl.Date | pl.Datetime):
        readable, ticks = believable(cells).cast(pl.String), cells.to_physical().cast(pl.String)
        return pl.select(pl.coalesce(readable, ticks)).to_series().alias(cells.name)
    text = cells.cast(pl.String)
    return text + f" {unit.strip()}" if unit and unit.strip() not in ("", "1") else text


def _broken_cells(
    file: TableFile, column: Column, shown: Callable[[], pl.DataFrame], parsed: Parsed
) -> list[pl.DataFrame]:
    """Cells that could not be read, and cells without a value where one is required."""
    found = []
    if parsed.failed.any():
        cells = shown().select(ROW, value=column.name).with_columns(parsed.expected.alias("expected"))
        cells = cells.drop_nulls("expected")
        found.append(violations_at(file.table.name, "unreadable value", cells, column=column.name, value="value", expected=col.expected, file=file.display))  # fmt: skip
    blank = parsed.values.is_null() & ~parsed.failed
    if column.required and blank.any():
        rows = shown().filter(blank)
        found.append(violations_at(file.table.name, "missing value", rows, column=column.name, value=None, expected="a value", file=file.display))  # fmt: skip
    return found


def _filled(column: Column, parsed: Parsed) -> list[pl.Series]:
    values = parsed.values.fill_null(column.default) if column.default is not None else parsed.values
    made = [values.cast(column.dtype).alias(column.name)]
    if has_companion(column):
        units = parsed.units if parsed.units is not None else _nothing(len(values))
        made.append(units.cast(pl.String).alias(column.name + UNIT_SUFFIX))
    return made


def _absent(column: Column, rows: int) -> list[pl.Series]:
    """The column where the file has none of it, or none that can be read."""
    filled = pl.Series(column.name, [column.default], dtype=column.dtype).new_from_index(0, rows)
    return [filled, _nothing(rows).alias(column.name + UNIT_SUFFIX)] if has_companion(column) else [filled]


def _nothing(rows: int) -> pl.Series:
    return pl.Series([None], dtype=pl.String).new_from_index(0, rows)
