"""Raw columns to canonical columns: text and foreign types to the dictionary's types and units, and which cells could not be read."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl

from pipeline.tables import Column
from pipeline.tables.inputs import COMPUTE_UNITS
from pipeline.units import QUANTITY_CELL, Conversion, UnitError, conversion

UNIT_SUFFIX = ":unit"
"""A column counted in compute_unit has a companion `NAME:unit`: cpu_core, gpu, or empty where the file did not say."""

_INSTANT = r"^\s*(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?)?\s*(Z|UTC|[+-]\d{2}:?\d{2}|[+-]\d{2})?\s*$"


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


def _expectation(failed: pl.Series, sentence: str) -> pl.Series:
    return (
        pl.select(pl.when(failed.fill_null(False)).then(pl.lit(sentence)).otherwise(None)).to_series().cast(pl.String)
    )


def _blank_to_null(text: pl.Series) -> pl.Series:
    return pl.select(pl.when(text.str.len_bytes() > 0).then(text)).to_series()


def unit_conversion(column: Column, unit: str | None) -> tuple[Conversion, str | None]:
    """How to convert a column given in `unit`, and the compute unit it implies; UnitError on a wrong dimension."""
    canonical = column.unit or "1"
    if unit is None or unit.strip() in ("", canonical):
        return Conversion(1, 1), None
    if canonical != "compute_unit":
        return conversion(unit.strip(), canonical), None
    for compute_unit in COMPUTE_UNITS:
        try:
            return conversion(unit.strip(), compute_unit), compute_unit
        except UnitError:
            continue
    raise UnitError(f"{unit!r} does not measure cpu_core or gpu")


def _quantity_cells(column: Column, text: pl.Series) -> tuple[dict[str, float], dict[str, str | None], dict[str, str]]:
    """Distinct cells with a unit of their own: their value, their compute unit, or why they cannot be read."""
    values: dict[str, float] = {}
    units: dict[str, str | None] = {}
    errors: dict[str, str] = {}
    cells = (
        pl.DataFrame({"cell": text.unique()})
        .with_columns(parts=pl.col("cell").str.extract_groups(QUANTITY_CELL))
        .drop_nulls()
    )
    for cell, parts in cells.iter_rows():
        number, unit = parts.values()
        if unit is None:
            continue
        try:
            convert, compute_unit = unit_conversion(column, unit)
            values[cell] = pl.select(convert(pl.lit(float(number)))).item()
            units[cell] = compute_unit
        except UnitError as error:
            errors[cell] = f"{_number_words(column)}: {error}"
    return values, units, errors


def _number_words(column: Column) -> str:
    if column.dtype == pl.Int64:
        return "a whole number"
    return (
        "a number"
        if column.unit in (None, "1")
        else f"a number in {column.unit}, or with its unit as in `150 {column.unit}`"
    )


def parse_number(column: Column, raw: pl.Series, unit: str | None) -> Parsed:
    """Numbers, as text or as any numeric type, in `unit` (None: canonical)."""
    convert, column_unit = unit_conversion(column, unit)
    if raw.dtype.is_numeric():
        numbers = raw.cast(pl.Float64, strict=False)
        expected = _expectation(numbers.is_null() & raw.is_not_null(), _number_words(column))
        units = pl.Series([column_unit], dtype=pl.String).new_from_index(0, len(raw))
        return _whole(column, Parsed(_converted(numbers, convert), expected, units))
    text = _blank_to_null(raw).str.strip_chars()
    numbers = text.cast(pl.Float64, strict=False)
    odd = text.is_not_null() & numbers.is_null()
    values, units_of, errors = _quantity_cells(column, text.filter(odd)) if odd.any() else ({}, {}, {})
    converted = _converted(numbers, convert)
    units = pl.select(pl.when(text.is_not_null()).then(pl.lit(column_unit, dtype=pl.String))).to_series()
    if not odd.any():
        return _whole(column, Parsed(converted, _expectation(odd, ""), units))
    frame = pl.DataFrame({"text": text, "number": converted, "unit": units, "odd": odd}).with_columns(
        own=pl.col("text").replace_strict(values, default=None, return_dtype=pl.Float64),
        own_unit=pl.col("text").replace_strict(units_of, default=None, return_dtype=pl.String),
        error=pl.col("text").replace_strict(errors, default=_number_words(column), return_dtype=pl.String),
    )
    frame = frame.select(
        number=pl.coalesce("number", "own"),
        unit=pl.when("odd").then("own_unit").otherwise("unit"),
        expected=pl.when(pl.col("odd") & pl.col("own").is_null()).then("error"),
    )
    return _whole(column, Parsed(frame["number"], frame["expected"], frame["unit"]))


def _converted(numbers: pl.Series, convert: Conversion) -> pl.Series:
    return pl.select(convert(pl.lit(numbers))).to_series()


def _whole(column: Column, parsed: Parsed) -> Parsed:
    if column.dtype != pl.Int64:
        return parsed
    finite = parsed.values.is_finite().fill_null(True)
    broken = parsed.values.is_not_null() & (
        ~finite | (parsed.values != parsed.values.floor()) | (parsed.values.abs() > 2**53)
    )
    reasons = pl.DataFrame({"e": parsed.expected, "b": broken}).select(
        pl.when(pl.col("b").fill_null(False)).then(pl.lit("a whole number")).otherwise("e")
    )
    values = pl.DataFrame({"v": parsed.values, "b": broken}).select(pl.when(~pl.col("b").fill_null(False)).then("v"))
    return Parsed(values.to_series().cast(pl.Int64), reasons.to_series())


def parse_text(column: Column, raw: pl.Series, unit: str | None) -> Parsed:
    """Text and ids: kept to the letter; an empty cell is no value."""
    del unit
    if raw.dtype != pl.String:
        raw = raw.cast(pl.String)
    values = _blank_to_null(raw)
    return Parsed(values, _expectation(pl.Series([False]).new_from_index(0, len(raw)), ""))


def parse_flag(column: Column, raw: pl.Series, unit: str | None) -> Parsed:
    """True or false."""
    del column, unit
    if raw.dtype == pl.Boolean:
        return Parsed(raw, _expectation(pl.Series([False]).new_from_index(0, len(raw)), ""))
    text = _blank_to_null(raw.cast(pl.String)).str.to_lowercase()
    values = text.replace_strict(
        {"true": True, "false": False, "1": True, "0": False}, default=None, return_dtype=pl.Boolean
    )
    return Parsed(values, _expectation(text.is_not_null() & values.is_null(), "true or false"))


def _offset_minutes(offset: pl.Expr) -> pl.Expr:
    digits = offset.str.replace(":", "")
    sign = pl.when(offset.str.starts_with("-")).then(-1).otherwise(1)
    hours, minutes = digits.str.slice(1, 2).cast(pl.Int64), digits.str.slice(3, 2)
    spelled = sign * (
        hours * 60 + pl.when(minutes.str.len_bytes() > 0).then(minutes).otherwise(pl.lit("0")).cast(pl.Int64)
    )
    return pl.when(offset.is_in(["Z", "UTC"])).then(0).when(offset.is_not_null()).then(spelled)


def _instants(text: pl.Series) -> pl.DataFrame:
    """Text to wall-clock instants (`wall`), and the offset from UTC in minutes where one is given (`offset`)."""
    names = ["date", "hour", "minute", "second", "fraction", "zone"]
    distinct = pl.DataFrame({"text": text.unique().drop_nulls()})
    parts = distinct.with_columns(
        pl.col("text").str.extract_groups(_INSTANT).struct.rename_fields(names).alias("parts")
    ).unnest("parts")
    number = [pl.col(n).cast(pl.Int64).fill_null(0).alias(n) for n in names[1:4]]
    parts = parts.with_columns(
        pl.col("date").str.to_date("%Y-%m-%d", strict=False),
        *number,
        micro=(pl.col("fraction").str.pad_end(6, "0").str.slice(0, 6)).cast(pl.Int64).fill_null(0),
        offset=_offset_minutes(pl.col("zone")),
    )
    valid = (
        (pl.col("hour") < 24)
        & (pl.col("minute") < 60)
        & (pl.col("second") < 60)
        & (pl.col("offset").fill_null(0).abs() <= 18 * 60)
    )
    micros = ((pl.col("hour") * 60 + pl.col("minute")) * 60 + pl.col("second")) * 1_000_000 + pl.col("micro")
    parts = parts.select(
        "text",
        wall=pl.when(valid).then(pl.col("date").cast(pl.Datetime("us")) + pl.duration(microseconds=micros)),
        offset="offset",
    )
    return pl.DataFrame({"text": text}).join(parts, on="text", how="left", maintain_order="left")


def _earliest_to_latest(moment: pl.Series) -> pl.Series:
    """True where the instant is far outside what Python's datetime could print."""
    low, high = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)
    return (moment < low) | (moment > high)


def parse_instant(column: Column, raw: pl.Series, unit: str | None) -> Parsed:
    """Instants, as text with any offset (none: UTC) or as timestamps; wall-clock columns stay without zone.

    A wall-clock column's `units` says where a zone was written, for whether one is allowed depends on another table.
    """
    del unit
    words = (
        "a full hour, as in 2026-01-31 13:00 or 2026-01-31T13:00:00Z"
        if "hour" in column.name
        else "an instant, as in 2026-01-31T13:05:00Z"
    )
    if raw.dtype == pl.Date:
        raw = raw.cast(pl.Datetime("us"))
    if isinstance(raw.dtype, pl.Datetime):
        wall = raw.dt.cast_time_unit("us")
        zone = raw.dtype.time_zone
        utc = wall.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if zone else wall
        failed = raw.is_not_null() & wall.is_null()
        zoned = pl.Series(["zone" if zone else None], dtype=pl.String).new_from_index(0, len(raw))
    else:
        frame = _instants(_blank_to_null(raw.cast(pl.String)))
        moved = frame.select(pl.col("wall") - pl.duration(minutes=pl.col("offset").fill_null(0))).to_series()
        utc, failed = moved, frame["text"].is_not_null() & frame["wall"].is_null()
        zoned = frame.select(pl.when(pl.col("offset").is_not_null()).then(pl.lit("zone"))).to_series()
    values = utc if column.wall_clock else utc.dt.replace_time_zone("UTC")
    outside = _earliest_to_latest(utc.dt.replace_time_zone("UTC")).fill_null(False)
    values = pl.DataFrame({"v": values, "o": outside}).select(pl.when(~pl.col("o")).then("v")).to_series()
    return Parsed(values, _expectation(failed | outside, words), zoned if column.wall_clock else None)


def parser_of(column: Column) -> Callable[[Column, pl.Series, str | None], Parsed]:
    """The function that reads raw cells of this column."""
    if column.is_number:
        return parse_number
    if isinstance(column.dtype, pl.Datetime):
        return parse_instant
    return parse_flag if column.dtype == pl.Boolean else parse_text
