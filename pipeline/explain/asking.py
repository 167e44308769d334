"""What a user asks to have explained: a column's address and the key of a row, found or refused with what could be meant."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import polars as pl

from pipeline.errors import InputError
from pipeline.explain.registry import Entry, entries
from pipeline.explain.source import Source
from pipeline.explain.tree import merged, shown
from pipeline.explain.values import Book, Rows
from pipeline.folder import nearest
from pipeline.tables import INPUTS, OUTPUTS

MOST_NAMED = 5


@dataclass(frozen=True)
class Asked:
    """The row and column to be explained."""

    rows: Rows
    column: str


def asked(source: Source, address: str, keys: list[str]) -> Asked:
    """The row that the keys name in the table of the address; InputError says what is unknown or missing."""
    entry, column = place(address)
    if source.scan(entry.table) is None:
        raise InputError(source.missing(entry.table))
    given = dict(_pair(entry, text) for text in keys)
    frame = _matching(source, entry, given)
    if not len(frame):
        raise InputError(_no_row(source, entry, given))
    names = _names(entry, frame)
    if len(frame.select(names).unique()) > 1:
        raise InputError(_several(entry, frame, names, given))
    rows = Rows(Book(source), entry, merged(entry, frame))
    if column not in entry.columns:
        raise InputError(_no_column(entry, column))
    return Asked(rows, column)


def place(address: str) -> tuple[Entry, str]:
    """The table and the column of `FAMILY.TABLE.COLUMN` (inputs: `input.TABLE.COLUMN`)."""
    table, _, column = address.strip().rpartition(".")
    entry = entries().get(table.removeprefix("input.")) if table else None
    if entry is None or not (entry.written or entry.is_input):
        raise InputError(_no_table(address))
    if column not in entry.columns:
        raise InputError(_no_column(entry, column))
    return entry, column


def _no_table(address: str) -> str:
    known = [*OUTPUTS, *(f"input.{n}" for n in INPUTS)]
    table = address.strip().rpartition(".")[0] or address
    near = nearest(table, known) or nearest(address, known)
    columns = {f"{t}.{c}": c for t in OUTPUTS for c in OUTPUTS[t].columns}
    meant = nearest(address, columns)
    if meant and not near:
        return f"{address}: no such column; did you mean {meant}?"
    hint = f"did you mean {near}.COLUMN?" if near else f"tables are {', '.join(OUTPUTS)}"
    return f"{address}: expected FAMILY.TABLE.COLUMN, such as energy.server.energy_footprint; {hint}"


def _no_column(entry: Entry, column: str) -> str:
    near = nearest(column, entry.columns)
    hint = f"did you mean {near}? " if near else ""
    return f"{entry.table} has no column {column!r}; {hint}its columns are {', '.join(entry.columns)}"


def _pair(entry: Entry, text: str) -> tuple[str, Any]:
    name, sign, value = text.partition("=")
    name = name.strip()
    if not sign:
        raise InputError(f"{text}: expected key=value, such as {entry.key[0] if entry.key else 'hour'}=...")
    if name not in _addressable(entry):
        near = nearest(name, _addressable(entry))
        hint = f"did you mean {near}? " if near else ""
        raise InputError(f"{entry.table} has no key {name!r}; {hint}its keys are {', '.join(_addressable(entry))}")
    return name, _value(entry, name, value)


def _addressable(entry: Entry) -> list[str]:
    """Columns that may tell rows apart: the key, and everything that is no figure."""
    return [c.name for c in entry.columns.values() if c.key or not c.is_number]


def _value(entry: Entry, name: str, text: str) -> Any:
    column = entry.columns[name]
    if isinstance(column.dtype, pl.Datetime):
        return _hour(name, text)
    if column.dtype == pl.Int64:
        try:
            return int(text)
        except ValueError:
            raise InputError(f"{name}={text}: expected a whole number") from None
    if column.dtype == pl.Boolean:
        return text.strip().lower() == "true"
    return text if text or not column.nullable else None


def _hour(name: str, text: str) -> datetime:
    for form in (text, f"{text}:00"):
        try:
            found = datetime.fromisoformat(form.strip().replace("Z", "+00:00"))
        except ValueError:
            continue
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    raise InputError(f"{name}={text}: expected an hour in UTC, such as 2026-03-02T14:00")


def _matching(source: Source, entry: Entry, given: dict[str, Any]) -> pl.DataFrame:
    where = pl.DataFrame({n: pl.Series([v], dtype=_dtype(entry, n)) for n, v in given.items()})
    return source.rows(entry.table, where if given else None)


def _dtype(entry: Entry, name: str) -> pl.DataType:
    kind = entry.columns[name].dtype
    return pl.Datetime("us", "UTC") if isinstance(kind, pl.Datetime) else kind


def _names(entry: Entry, frame: pl.DataFrame) -> list[str]:
    return [n for n in _addressable(entry) if n in frame.columns]


def _no_row(source: Source, entry: Entry, given: dict[str, Any]) -> str:
    """Which value is unknown, or that only their combination is."""
    told = " ".join(f"{n}={shown(v)}" for n, v in given.items()) or "(no keys)"
    start = f"{entry.table} has no row with {told}"
    scanned = source.scan(entry.table)
    assert scanned is not None
    for name, value in given.items():
        if isinstance(value, datetime):
            continue
        known = scanned.select(pl.col(name).unique()).collect()[name].drop_nulls()
        if value is not None and value not in known:
            return f"{start}: no {name} is {shown(value)!r}; {_could_be(str(value), known)}"
    hours = [n for n, v in given.items() if isinstance(v, datetime)]
    if hours:
        others = {n: v for n, v in given.items() if n not in hours}
        spans = _matching(source, entry, others)
        if len(spans):
            first, last = spans[hours[0]].min(), spans[hours[0]].max()
            return f"{start}: its hours are {shown(first)} to {shown(last)} UTC"
    return f"{start}: each value occurs, but not together"


def _could_be(value: str, known: pl.Series) -> str:
    names = [str(v) for v in known.sort().to_list()]
    near = nearest(value, names)
    listed = ", ".join(names[:MOST_NAMED]) + (f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else "")
    return f"did you mean {near}?" if near else f"there is {listed or 'none, the table is empty'}"


def _several(entry: Entry, frame: pl.DataFrame, names: list[str], given: dict[str, Any]) -> str:
    """How many rows match, and which keys would tell them apart."""
    apart = [n for n in names if n not in given and frame[n].n_unique() > 1]
    of_key = [n for n in apart if n in entry.key]
    if len(frame.select(of_key).unique()) == len(frame.select(names).unique()):
        apart = of_key
    differ = {n: frame[n].unique() for n in apart}
    hints = []
    for name, values in differ.items():
        some = [shown(v) if v is not None else "" for v in values.sort().to_list()]
        more = f", ... {len(some)} values" if len(some) > MOST_NAMED else ""
        hints.append(f"{name}=({', '.join(some[:3] if more else some)}{more})")
    return f"{entry.table}: {len(frame):,} rows match; add {' and '.join(differ)} to say which: {'; '.join(hints)}"
