"""Raw columns to canonical columns: text and foreign types to the dictionary's types and units, and which cells could not be read."""

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl
from polars import col

from pipeline.tables import Column
from pipeline.tables.inputs import COMPUTE_UNITS
from pipeline.units import Conversion, UnitError, conversion

UNIT_SUFFIX = ":unit"
"""A column counted in compute_unit has a companion `NAME:unit`: cpu_core, gpu, or empty where the file did not say.

A wall-clock column has one too: `zone` where a zone was written.
"""

LARGEST_WHOLE = 2**53
"""From here on a float64 no longer tells a whole number from the next one."""

QUANTITY = r"^([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?) ([A-Za-z%][A-Za-z0-9_ */()%]{0,79})$"
"""A cell that carries its own unit: a dotted decimal, one space, a unit."""
MOST_UNITS = 1000
"""Different units that the cells of one batch may carry."""

INSTANT = (
    r"^\s*([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]{1,9}))?)?)?"
    r"\s*(Z|UTC|[+-][0-9]{2}:?[0-9]{2}|[+-][0-9]{2})?\s*$"
)
LARGEST_OFFSET = 18 * 60
"""Minutes; no zone was ever further from UTC."""

HOUR_WORDS = "a full hour, as in 2026-01-31 13:00 or 2026-01-31T13:00:00Z"
INSTANT_WORDS = "an instant, as in 2026-01-31T13:05:00Z"


@dataclass
class Parsed:
    """A column read: its values, and for each cell that could not be read what was expected there (null elsewhere)."""

    values: pl.Series
    expected: pl.Series
    units: pl.Series | None = None

    @property
    def failed(self) -> pl.Series:
        """Which cells could not be read."""
        return self.expected.is_not_null()


def has_companion(column: Column) -> bool:
    """Whether the column's unit (or zone) is decided per cell and kept beside it."""
    return column.unit == "compute_unit" or column.wall_clock


def parser_of(column: Column) -> Callable[[Column, pl.Series, str | None], Parsed]:
    """The function that reads raw cells of this column, given in a unit."""
    if column.is_number:
        return parse_number
    if isinstance(column.dtype, pl.Datetime):
        return parse_instant
    return parse_flag if column.dtype == pl.Boolean else parse_text


def type_expected(column: Column, found: pl.DataType) -> str | None:
    """What a Parquet column should hold, where its type can hold no such thing."""
    text = found in (pl.String, pl.Categorical, pl.Enum, pl.Null)
    if column.is_number:
        return None if text or found.is_numeric() else "numbers, or text with numbers"
    if isinstance(column.dtype, pl.Datetime):
        return None if text or found in (pl.Date, pl.Datetime) else "timestamps, or text with timestamps"
    if column.dtype == pl.Boolean:
        return None if text or found == pl.Boolean or found.is_integer() else "true and false"
    return None if text or found.is_integer() else "text, or whole numbers"


def unit_conversion(column: Column, unit: str | None) -> tuple[Conversion, str | None]:
    """How to convert a column given in `unit`, and the compute unit it implies; UnitError on a wrong dimension."""
    canonical = column.unit or "1"
    if unit is None or unit.strip() in ("", canonical):
        return Conversion(1, 1), None
    if canonical != "compute_unit":
        return conversion(unit.strip(), canonical), None
    if unit.strip() in COMPUTE_UNITS:
        return Conversion(1, 1), unit.strip()
    for compute_unit in COMPUTE_UNITS:
        try:
            return conversion(unit.strip(), compute_unit), compute_unit
        except UnitError:
            continue
    raise UnitError(f"{unit!r} does not measure cpu_core or gpu")


# ---------------------------------------------------------------- numbers


def number_words(column: Column) -> str:
    """What a cell of a number column may hold."""
    if column.dtype == pl.Int64:
        return "a whole number"
    if column.unit in (None, "1"):
        return "a number"
    example = "cpu_core" if column.unit == "compute_unit" else column.unit
    return f"a number in {column.unit}, or with its unit as in `150 {example}`"


def parse_number(column: Column, raw: pl.Series, unit: str | None) -> Parsed:
    """Numbers, as text or as any numeric type, in `unit` (None: canonical)."""
    convert, compute_unit = unit_conversion(column, unit)
    if raw.dtype.is_numeric():
        read = pl.DataFrame({"cell": raw, "number": raw.cast(pl.Float64, strict=False)})
        return _parsed_number(column, read.with_columns(own=pl.lit(None), error=pl.lit(None)), convert, compute_unit)
    text = raw.cast(pl.String).str.strip_chars()
    cells = pl.select(cell=pl.when(text != "").then(text))
    read = cells.with_columns(number=col.cell.cast(pl.Float64, strict=False), own=pl.lit(None), error=pl.lit(None))
    if read["number"].null_count() == read["cell"].null_count():
        return _parsed_number(column, read, convert, compute_unit)
    odd = read.filter(col.cell.is_not_null() & col.number.is_null())["cell"].unique()
    own = _quantities(column, odd)
    joined = read.drop("own", "error").join(own, on="cell", how="left", maintain_order="left")
    return _parsed_number(column, joined, convert, compute_unit)


def _parsed_number(column: Column, read: pl.DataFrame, convert: Conversion, compute_unit: str | None) -> Parsed:
    """Put together `cell`, its plain `number`, or the number in canonical units it gives with a unit of its `own`, or the `error`."""
    value = pl.coalesce(convert(col.number), col.own.cast(pl.Float64))
    unreadable = col.cell.is_not_null() & col.number.is_null() & col.own.is_null()
    expected = pl.when(unreadable).then(pl.coalesce(col.error.cast(pl.String), pl.lit(number_words(column))))
    own_unit = col.own_unit if "own_unit" in read.columns else pl.lit(None, dtype=pl.String)
    made = read.select(
        value=pl.when(value == 0).then(0.0).otherwise(value),
        expected=expected,
        unit=pl.when(col.number.is_not_null()).then(pl.lit(compute_unit, dtype=pl.String)).otherwise(own_unit),
    )
    if column.dtype == pl.Int64:
        made = _whole(made)
    return Parsed(made["value"], made["expected"], made["unit"])


def _whole(made: pl.DataFrame) -> pl.DataFrame:
    in_range = col.value.is_finite() & (col.value == col.value.floor()) & (col.value.abs() < LARGEST_WHOLE)
    broken = col.value.is_not_null() & ~in_range
    return made.with_columns(
        value=pl.when(~broken).then(col.value).cast(pl.Int64),
        expected=pl.when(broken).then(pl.lit("a whole number below 2^53")).otherwise(col.expected),
    )


def _quantities(column: Column, cells: pl.Series) -> pl.DataFrame:
    """Distinct cells that are no plain numbers: `own` value and `own_unit` where they are quantities, `error` where not."""
    words = number_words(column)
    parts = pl.DataFrame({"cell": cells}).with_columns(
        number=col.cell.str.extract(QUANTITY, 1).cast(pl.Float64, strict=False),
        unit=col.cell.str.extract(QUANTITY, 2),
    )
    known = pl.DataFrame(
        [_unit_row(column, unit) for unit in parts["unit"].drop_nulls().unique().sort().head(MOST_UNITS)],
        schema={"unit": pl.String, "up": pl.Float64, "down": pl.Float64, "own_unit": pl.String, "why": pl.String},
        orient="row",
    )
    read = parts.join(known, on="unit", how="left")
    why = pl.coalesce(col.why, _spelling_hint(col.cell))
    return read.select(
        "cell",
        "own_unit",
        own=col.number * col.up / col.down,
        error=pl.when(why.is_null()).then(pl.lit(words)).otherwise(pl.format(f"{words} ({{}})", why)),
    )


def _unit_row(column: Column, unit: str) -> tuple[str, float | None, float | None, str | None, str | None]:
    try:
        convert, compute_unit = unit_conversion(column, unit)
    except UnitError as error:
        return unit, None, None, None, str(error)
    return unit, float(convert.numerator), float(convert.denominator), compute_unit, None


def _spelling_hint(cell: pl.Expr) -> pl.Expr:
    """What is probably wrong with a cell that is no number."""
    number = r"^[+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?"
    return (
        pl.when(cell.str.contains(r"[0-9],[0-9]"))
        .then(pl.lit("with a decimal point, and no commas"))
        .when(cell.str.contains(number + r"[\s\u00a0\u202f]*([A-DF-Za-df-z%]|[eE][A-Za-z])[A-Za-z_%/()*]*$"))
        .then(pl.lit("one space before the unit"))
        .when(cell.str.contains(r"^[+-]?[0-9]{1,3}([ _'][0-9]{3})+"))
        .then(pl.lit("without spaces between the digits"))
    )


# ---------------------------------------------------------------- text and flags


def _read_all(values: pl.Series) -> Parsed:
    return Parsed(values, pl.Series([None], dtype=pl.String).new_from_index(0, len(values)))


def parse_text(column: Column, raw: pl.Series, unit: str | None) -> Parsed:
    """Text and ids: kept to the letter; an empty cell is no value."""
    del column, unit
    text = raw.cast(pl.String)
    return _read_all(pl.select(pl.when(text != "").then(text)).to_series())


def parse_flag(column: Column, raw: pl.Series, unit: str | None) -> Parsed:
    """True or false."""
    del column, unit
    if raw.dtype == pl.Boolean:
        return _read_all(raw)
    text = raw.cast(pl.String).str.to_lowercase()
    values = text.replace_strict(
        {"true": True, "false": False, "1": True, "0": False}, default=None, return_dtype=pl.Boolean
    )
    failed = values.is_null() & text.is_not_null() & (text != "")
    return Parsed(values, pl.select(pl.when(failed).then(pl.lit("true or false"))).to_series())


# ---------------------------------------------------------------- instants


def parse_instant(column: Column, raw: pl.Series, unit: str | None) -> Parsed:
    """Instants, as text with any offset (none: UTC) or as timestamps; wall-clock columns stay without zone.

    A wall-clock column's `units` says where a zone was written, for whether one is allowed depends on another table.
    """
    del unit
    written = isinstance(raw.dtype, pl.Date | pl.Datetime)
    read = _timestamps(raw) if written else _instants(raw.cast(pl.String))
    expected = pl.lit(HOUR_WORDS if column.name == "hour" else INSTANT_WORDS)
    made = read.select(
        value=col.utc if column.wall_clock else col.utc.dt.replace_time_zone("UTC"),
        expected=pl.when(col.given & col.utc.is_null()).then(expected),
        unit=pl.when(col.zoned).then(pl.lit("zone")),
    )
    return Parsed(made["value"], made["expected"], made["unit"] if column.wall_clock else None)


def believable(raw: pl.Series) -> pl.Series:
    """Dates and timestamps within the years 1 to 9999; null outside, where arithmetic overflows and Polars cannot print them."""
    ticks = raw.to_physical().cast(pl.Int64)
    if isinstance(raw.dtype, pl.Datetime):
        seconds = ticks // {"ms": 10**3, "us": 10**6, "ns": 10**9}[raw.dtype.time_unit]
    else:
        seconds = ticks * 86_400
    kept = seconds.is_between(EARLIEST_SECOND, LATEST_SECOND).fill_null(False)
    return pl.select(pl.when(kept).then(raw)).to_series()


def _timestamps(raw: pl.Series) -> pl.DataFrame:
    """Dates and timestamps of any precision and zone as `utc` without zone."""
    zone = raw.dtype.time_zone if isinstance(raw.dtype, pl.Datetime) else None
    kept = believable(raw)
    moments = kept.dt.cast_time_unit("us") if isinstance(raw.dtype, pl.Datetime) else kept.cast(pl.Datetime("us"))
    utc = moments.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if zone else moments
    return pl.DataFrame({"utc": utc, "given": raw.is_not_null()}).with_columns(zoned=pl.lit(zone is not None))


EARLIEST_SECOND, LATEST_SECOND = -62_135_596_800, 253_402_300_799
"""From 0001-01-01 to 9999-12-31."""


def _instants(text: pl.Series) -> pl.DataFrame:
    """Text to instants: `utc` without zone (null where it is none), whether one was `given`, and whether it was `zoned`."""
    names = ["date", "hour", "minute", "second", "fraction", "zone"]
    distinct = pl.DataFrame({"text": text.unique().drop_nulls()})
    groups = col.text.str.extract_groups(INSTANT).struct.rename_fields(names)
    parts = distinct.with_columns(parts=groups).unnest("parts")
    parts = parts.with_columns(
        col.date.str.to_date("%Y-%m-%d", strict=False),
        *(pl.col(n).cast(pl.Int64).fill_null(0) for n in ("hour", "minute", "second")),
        micro=col.fraction.str.pad_end(6, "0").str.slice(0, 6).cast(pl.Int64).fill_null(0),
        offset=_offset_minutes(col.zone),
    )
    valid = (col.hour < 24) & (col.minute < 60) & (col.second < 60) & (col.offset.abs() <= LARGEST_OFFSET)
    seconds = col.date.cast(pl.Int64) * 86_400 + ((col.hour * 60 + col.minute - col.offset) * 60 + col.second)
    valid &= seconds.is_between(EARLIEST_SECOND, LATEST_SECOND)
    read = parts.select(
        "text",
        utc=pl.when(valid).then((seconds * 1_000_000 + col.micro).cast(pl.Datetime("us"))),
        zoned=col.zone.is_not_null(),
    )
    every = pl.DataFrame({"text": text}).join(read, on="text", how="left", maintain_order="left")
    return every.with_columns(given=col.text.is_not_null() & (col.text.str.strip_chars() != ""))


def _offset_minutes(zone: pl.Expr) -> pl.Expr:
    """Minutes east of UTC: 0 where no zone is written, null where the minutes are 60 or more."""
    digits = zone.str.extract(r"^[+-]([0-9]{2})", 1).cast(pl.Int64)
    minutes = zone.str.extract(r"^[+-][0-9]{2}:?([0-9]{2})", 1).cast(pl.Int64).fill_null(0)
    sign = pl.when(zone.str.starts_with("-")).then(-1).otherwise(1)
    east = pl.when(minutes < 60).then(sign * (digits * 60 + minutes))
    return pl.when(zone.is_null() | zone.is_in(["Z", "UTC"])).then(0).otherwise(east)
