"""A query's result as text for people, as CSV, JSON or Parquet; ids and texts in it come from anyone and are made harmless."""

import io
import json
import math
import re
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl

from pipeline.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

FORMATS = ("table", "csv", "json", "parquet")
SHOWN_ROWS = 200
SHOWN_WIDTH = 60
_FORMULA = r"^[=+\-@\t\r＝＋－＠]"
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_UNPRINTED = re.compile(r"[\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\uffff]")


def render(result: "pa.Table", format: str) -> str | bytes:
    """The result as `table` (text for a terminal), `csv`, `json` (a list of objects) or `parquet` (bytes)."""
    if format == "table":
        return as_text(result)
    if format == "csv":
        return as_csv(result)
    if format == "json":
        return as_json(result)
    if format == "parquet":
        return as_parquet(result)
    raise InputError(f"format {format}: one of {', '.join(FORMATS)}")


def as_parquet(result: "pa.Table") -> bytes:
    """The result as a Parquet file."""
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    pq.write_table(result.rename_columns(unique_names(result.column_names)), sink, compression="zstd")
    return sink.getvalue()


def unique_names(names: list[str]) -> list[str]:
    """The names, with a number where one comes again."""
    made: list[str] = []
    for name in names:
        own, number = name, 1
        while own in made:
            own, number = f"{name}_{number}", number + 1
        made.append(own)
    return made


def as_frame(result: "pa.Table") -> pl.DataFrame:
    """The result with one type per column that text can be made of: numbers, booleans, and texts for all else."""
    columns = [_plain(name, result.column(i)) for i, name in enumerate(unique_names(result.column_names))]
    return pl.DataFrame(columns)


def _plain(name: str, column: "pa.ChunkedArray") -> pl.Series:
    try:
        series = pl.Series(name, pl.from_arrow(column))
    except (pl.exceptions.PolarsError, ValueError, TypeError, NotImplementedError):
        return pl.Series(name, [_text(v) for v in column.to_pylist()], dtype=pl.String)
    kind = series.dtype
    if isinstance(kind, pl.Datetime):
        return _instants(series)
    if kind.is_integer() or kind.is_float() or kind in (pl.String, pl.Boolean) or isinstance(kind, pl.Decimal):
        return series
    if kind == pl.Date:
        return series.cast(pl.String)
    return pl.Series(name, [_text(v) for v in column.to_pylist()], dtype=pl.String)


def _instants(series: pl.Series) -> pl.Series:
    """Instants as ISO texts: UTC ends in Z; fractions of a second only where there are any."""
    zone = series.dtype.time_zone  # type: ignore[attr-defined]
    suffix = "Z" if zone else ""
    utc = series.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if zone else series
    fine = bool((utc != utc.dt.truncate("1s")).any())
    return utc.dt.strftime(("%Y-%m-%dT%H:%M:%S%.6f" if fine else "%Y-%m-%dT%H:%M:%S") + suffix)


def _text(value: object) -> str | None:
    """A nested or unusual value as text."""
    return value if value is None or isinstance(value, str) else json.dumps(_jsonable(value), ensure_ascii=False)


def _jsonable(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): _jsonable(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(v) for v in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return str(value)
    return value if isinstance(value, str | int | bool | None) else str(value)


def as_csv(result: "pa.Table") -> str:
    """The result as CSV: texts (and column names) that a spreadsheet would run as a formula start with an apostrophe."""
    frame = as_frame(result)
    runs = pl.col(pl.String).str.contains(_FORMULA) & ~pl.col(pl.String).str.contains(_NUMBER)
    safe = frame.with_columns(pl.when(runs).then("'" + pl.col(pl.String)).otherwise(pl.col(pl.String)).name.keep())
    renamed = {c: f"'{c}" for c in frame.columns if re.match(_FORMULA, c) and not re.match(_NUMBER, c)}
    return safe.rename(renamed).write_csv()


def as_json(result: "pa.Table") -> str:
    """The result as a list of objects, one per line; numbers that JSON does not know are null."""
    import pyarrow as pa

    frame = as_frame(result)
    nested = {
        n: result.column(i).to_pylist()
        for i, n in enumerate(frame.columns)
        if pa.types.is_nested(result.schema.types[i])
    }
    columns = [map(_jsonable, nested.get(n, frame[n])) for n in frame.columns]
    lines = (
        json.dumps(dict(zip(frame.columns, row, strict=True)), ensure_ascii=False) for row in zip(*columns, strict=True)
    )
    return _unprinted("[\n" + ",\n".join(lines) + "\n]\n" if len(frame) else "[]\n")


def _unprinted(text: str) -> str:
    """Characters that steer a terminal or the direction of text as JSON escapes (they stand inside strings only)."""
    return _UNPRINTED.sub(lambda m: f"\\u{ord(m[0]):04x}", text)


def printable(text: str) -> str:
    """The text with every character that is not printed written as an escape: nothing in it moves the cursor or hides."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.9g}"
    text = printable(str(value))
    return text if len(text) <= SHOWN_WIDTH else text[: SHOWN_WIDTH - 1] + "…"


def as_text(result: "pa.Table") -> str:
    """The result as a table of text, numbers to the right; at most SHOWN_ROWS rows, and how many more there are."""
    frame = as_frame(result)
    if not frame.width:
        return "(no result)\n"
    rows = [[_cell(v) for v in row] for row in frame.head(SHOWN_ROWS).iter_rows()]
    names = [_cell(c) for c in frame.columns]
    right = [d.is_numeric() for d in frame.dtypes]
    widths = [max(map(len, column)) for column in zip(names, *rows, strict=True)]

    def line(cells: list[str]) -> str:
        placed = (c.rjust(w) if r else c.ljust(w) for c, w, r in zip(cells, widths, right, strict=True))
        return "  ".join(placed).rstrip() + "\n"

    more = len(frame) - len(rows)
    tail = f"({len(frame)} rows" + (f", the first {len(rows)} shown; --format csv has all)\n" if more else ")\n")
    return line(names) + line(["-" * w for w in widths]) + "".join(map(line, rows)) + tail
