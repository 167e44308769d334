"""Foreign documents -> rows of a detail table: every property read as its column's type, the unknown kept as JSON."""

import json
import math
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from pipeline.importers.documents import Refusal
from pipeline.tables import Table

Reader = Callable[[object, str], Any]
"""Reads the value of a field; raises Refusal, which names the field."""
Row = dict[str, object]

EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)
"""Instants outside are no instants of a job (seconds read as milliseconds, say)."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FLUSHED_ROWS = 20_000
"""Rows kept as Python objects before they become a frame."""
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def column_name(path: str) -> str:
    """The column of a property: `status.startedAt` is status_started_at, `PID_main` pid_main."""
    return _HUMP.sub("_", path.replace(".", "_")).lower()


def json_text(value: object, _field: str = "") -> str | None:
    """A value as JSON text; null stays null."""
    return None if value is None else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def text(value: object, field: str) -> str | None:
    """Text or null."""
    if value is None or isinstance(value, str):
        return value
    raise Refusal("wrong_type", field, value, "expected text")


def flag(value: object, field: str) -> bool | None:
    """True, false or null."""
    if value is None or isinstance(value, bool):
        return value
    raise Refusal("wrong_type", field, value, "expected true or false")


def number(value: object, field: str) -> float | None:
    """A finite number or null."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(float(value)):
        raise Refusal("wrong_type", field, value, "expected a number")
    return float(value)


def whole(value: object, field: str) -> int | None:
    """A whole number of 64 bits or null."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise Refusal("wrong_type", field, value, "expected a whole number")
    if not -(2**63) <= value < 2**63:
        raise Refusal("bad_value", field, value, "expected a number of 64 bits")
    return value


def thing(value: object, field: str) -> dict[str, Any]:
    """An object; null is an empty one."""
    if value is None or isinstance(value, dict):
        return value or {}
    raise Refusal("wrong_type", field, value, "expected an object")


def things(value: object, field: str) -> list[Any]:
    """A list; null is an empty one."""
    if value is None or isinstance(value, list):
        return value or []
    raise Refusal("wrong_type", field, value, "expected a list")


def instant_of_milliseconds(value: object, field: str) -> datetime | None:
    """Unix milliseconds as an instant; null stays null."""
    milliseconds = whole(value, field)
    if milliseconds is None:
        return None
    if not _milliseconds(EARLIEST) <= milliseconds < _milliseconds(LATEST):
        raise Refusal(
            "bad_timestamp", field, value, "expected Unix milliseconds of the years 1990 to 2199 (are these seconds?)"
        )
    return EPOCH + timedelta(milliseconds=milliseconds)


def _milliseconds(instant: datetime) -> int:
    return (instant - EPOCH) // timedelta(milliseconds=1)


def instant_of_iso(value: object, field: str) -> datetime | None:
    """ISO 8601 with a zone as an instant; null, and year 1 or the epoch in its stead, are null."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise Refusal("wrong_type", field, value, "expected a date and time as text")
    try:
        local = datetime.fromisoformat(value)
        if local.year == 1:
            return None
        if local.tzinfo is None:
            raise Refusal("zone_missing", field, value, "a time without zone may be any of 26 hours")
        instant = local.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Refusal("bad_timestamp", field, value, "expected an ISO 8601 date and time") from None
    if instant == EPOCH:
        return None
    if not EARLIEST <= instant < LATEST:
        raise Refusal("bad_timestamp", field, value, "expected a year from 1990 to 2199")
    return instant


class Properties:
    """Where each property of a foreign object goes: paths with dots, each to the column of its name in snake_case.

    `as_json` names those kept as JSON text, `elsewhere` those that other tables hold, `columns` those whose column has
    another name. What none of them names is collected in `other`.
    """

    def __init__(
        self,
        table: Table,
        paths: Iterable[str],
        *,
        instant: Reader,
        as_json: Iterable[str] = (),
        elsewhere: Iterable[str] = (),
        columns: dict[str, str] | None = None,
    ) -> None:
        self.table = table
        self.column_of = {path: (columns or {}).get(path, column_name(path)) for path in (*paths, *as_json)}
        self._tree: dict[str, Any] = {}
        plain = set(as_json)
        for path, column in self.column_of.items():
            self._plant(path, (column, json_text if path in plain else _reader(table, column, instant)))
        for path in elsewhere:
            self._plant(path, None)

    def _plant(self, path: str, leaf: tuple[str, Reader] | None) -> None:
        *branches, last = path.split(".")
        node = self._tree
        for branch in branches:
            node = node.setdefault(branch, {})
        node[last] = leaf

    def read(self, document: object, field: str = "") -> Row:
        """A row of the table, without its key. Refusal where a value is not of its column's kind."""
        row: Row = {}
        other: Row = {}
        self._fill(self._tree, thing(document, field), field, row, other, "")
        row["other"] = json_text(other) if other else None
        return row

    def _fill(
        self, tree: dict[str, Any], document: dict[str, Any], field: str, row: Row, other: Row, path: str
    ) -> None:
        for name, value in document.items():
            here = f"{field}.{name}" if field else name
            if name not in tree:
                other[f"{path}{name}"] = value
            elif isinstance(branch := tree[name], dict):
                self._fill(branch, thing(value, here), here, row, other, f"{path}{name}.")
            elif branch is not None:
                column, reader = branch
                row[column] = reader(value, here)


def _reader(table: Table, column: str, instant: Reader) -> Reader:
    """The reader of a column's kind, which keeps the column's lower bound."""
    dtype = table.columns[column].dtype
    if isinstance(dtype, pl.Datetime):
        return instant
    kinds: dict[Any, Reader] = {pl.String: text, pl.Boolean: flag, pl.Int64: whole, pl.Float64: number}
    least = getattr(table.schema.columns()[column], "min", None)
    reader = kinds[dtype.base_type()]
    return reader if least is None else _at_least(reader, least)


def _at_least(reader: Reader, least: float) -> Reader:
    def read(value: object, field: str) -> Any:
        found = reader(value, field)
        if found is not None and found < least:
            raise Refusal("bad_value", field, value, f"expected at least {least:g}")
        return found

    return read


class Rows:
    """Rows of a table, collected; memory grows with the columns, not with Python objects."""

    def __init__(self, schema: pl.Schema) -> None:
        self._schema = schema
        self._rows: list[Row] = []
        self._frames: list[pl.DataFrame] = []

    def add(self, rows: Iterable[Row]) -> None:
        """Take rows; names that a row lacks are null."""
        self._rows.extend(rows)
        if len(self._rows) >= FLUSHED_ROWS:
            self._flush()

    def _flush(self) -> None:
        columns = {name: [row.get(name) for row in self._rows] for name in self._schema}
        self._frames.append(pl.DataFrame(columns, schema=self._schema))
        self._rows.clear()

    def frame(self) -> pl.DataFrame:
        """All rows."""
        self._flush()
        return pl.concat(self._frames)
