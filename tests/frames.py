"""Tables drawn as text: what goes into a stage and what should come out of it.

    | server_id | hour  | raw_nb_of_instances |
    | web       | 00:00 |                3/12 |

Hours are those of Monday 2025-01-06 UTC (`+1 02:00` is the next day's), numbers may be arithmetic, `[1, 0, 2]` is a series, `-` is no value.
In the columns `start`, `first_hour` and `to` an hour is counted from 1970, as in pipeline/series.py.
"""

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.tables import INPUTS, OUTPUTS, Table
from tests import models

DAY = datetime(2025, 1, 6, tzinfo=UTC)
HOUR = timedelta(hours=1)
COUNTED_HOURS = ("start", "first_hour", "to")
WHOLE = ("hours", "delay_hours", "position", "interval_no", "number_of_jobs", "len")
IDS = re.compile(
    r".*_id|zone|timezone|clock|kind|stream|phase|source|server_type|compute_unit|application|project|user|name|provider|instance_type"
)

_HOUR = re.compile(r"(?:([+-]\d+) )?(\d\d):(\d\d)(?::(\d\d)\.(\d{3}))?")
_OPERATORS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def at(text: str) -> datetime:
    """The hour `HH:MM` of the drawn day, `+1 HH:MM` of the day after it, `HH:MM:SS.mmm` to the millisecond."""
    match = _HOUR.fullmatch(text)
    assert match, text
    days, hours, minutes, seconds, ms = (int(g or 0) for g in match.groups())
    return DAY + timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds, milliseconds=ms)


def index(text: str) -> int:
    """Hours since 1970 of the hour `HH:MM`."""
    return round(at(text).timestamp() // 3600)


def number(text: str) -> float | None:
    """The value of a number or of arithmetic with numbers; None where the text is something else."""

    def value(node: ast.expr) -> float:
        if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
            return float(node.value)
        if isinstance(node, ast.BinOp):
            return float(_OPERATORS[type(node.op)](value(node.left), value(node.right)))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return -value(node.operand)
        raise ValueError

    try:
        return value(ast.parse(text.strip(), mode="eval").body)
    except (ValueError, SyntaxError, KeyError):
        return None


def _cell(column: str, text: str) -> Any:
    if text in ("-", ""):
        return None
    if IDS.fullmatch(column):
        return text
    if _HOUR.fullmatch(text):
        return index(text) if column in COUNTED_HOURS else at(text)
    if text.startswith("["):
        return [number(part) for part in text.strip("[]").split(",") if part.strip()]
    if text in ("true", "false"):
        return text == "true"
    if column in WHOLE:
        return int(text)
    found = number(text)
    return text if found is None else found


def _dtype(column: str, values: list[Any]) -> pl.DataType:
    if IDS.fullmatch(column):
        return pl.String()
    known = next((v for v in values if v is not None), 0.0)
    kinds: dict[type, pl.DataType] = {
        datetime: pl.Datetime("us", "UTC"),
        list: pl.List(pl.Float64),
        bool: pl.Boolean(),
        int: pl.Int64(),
        str: pl.String(),
    }
    return kinds.get(type(known), pl.Float64())


def table(drawing: str) -> pl.DataFrame:
    """The drawn table."""
    lines = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in drawing.strip().splitlines()]
    header, *rows = [line for line in lines if not set("".join(line)) <= set("-: ")]
    assert all(len(row) == len(header) for row in rows), drawing
    columns = {name: [_cell(name, row[i]) for row in rows] for i, name in enumerate(header)}
    return pl.DataFrame({name: pl.Series(values, dtype=_dtype(name, values)) for name, values in columns.items()})


def frame(drawing: str) -> pl.LazyFrame:
    """The drawn table, lazy, as stages take it."""
    return table(drawing).lazy()


def given(name: str, drawing: str = "") -> pl.LazyFrame:
    """A table of the dictionary with the drawn columns; what is not drawn is the default, or empty."""
    declared: Table = {**INPUTS, **OUTPUTS}[name]
    units = {f"{c.name}:unit": pl.lit(None, pl.String) for c in declared.columns.values() if c.unit == "compute_unit"}
    if not drawing:
        return declared.empty().lazy().with_columns(**units)
    drawn = table(drawing)
    made = {
        c.name: (pl.col(c.name) if c.name in drawn.columns else pl.lit(c.default)).cast(c.dtype)
        for c in declared.columns.values()
    }
    return drawn.lazy().select(**made).with_columns(**units)


def _alike(expected: Any, found: Any, rel: float) -> bool:
    if isinstance(expected, list) and isinstance(found, list):
        return len(expected) == len(found) and all(_alike(e, f, rel) for e, f in zip(expected, found, strict=True))
    if isinstance(expected, float) and isinstance(found, (int, float)):
        return expected == found or math.isclose(expected, found, rel_tol=rel)
    return bool(expected == found)


def _order(row: dict[str, Any]) -> tuple[str, ...]:
    return tuple(str(v) for v in row.values() if not isinstance(v, (float, list)))


def assert_table(found: pl.LazyFrame | pl.DataFrame, drawing: str, *, rel: float = 1e-12) -> None:
    """The drawn columns of `found` hold the drawn rows, in any order; zeros exactly, other numbers to rounding."""
    expected = table(drawing)
    frame = found.lazy().collect().select(expected.columns)
    wanted = sorted(expected.iter_rows(named=True), key=_order)
    rows = sorted(frame.iter_rows(named=True), key=_order)
    same = len(wanted) == len(rows) and all(
        _alike(w[c], r[c], rel) for w, r in zip(wanted, rows, strict=True) for c in expected.columns
    )
    with pl.Config(tbl_rows=60, tbl_cols=20, fmt_table_cell_list_len=30, float_precision=9):
        assert same, f"found\n{frame}\nbut the drawing is\n{expected}"


def computed(folder: Path, drawings: Mapping[str, str], **settings: Any) -> dict[str, pl.DataFrame]:
    """All output tables of a whole model drawn table by table."""
    for name, drawing in drawings.items():
        drawn = table(drawing)
        if name.endswith("_starts"):
            drawn = drawn.with_columns(pl.col("hour").dt.replace_time_zone(None))
        (folder / "model").mkdir(parents=True, exist_ok=True)
        drawn.write_csv(folder / "model" / f"{name}.csv")
    return models.run_folder(folder / "model", folder / "out", **settings)
