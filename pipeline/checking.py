"""What the dictionary promises, held against tables as read: bounds, words, row rules, keys and references."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import polars as pl
from polars import col

from pipeline.tables import INPUTS, Column, Table
from pipeline.violations import ROW, violations_at

Frames = dict[str, pl.LazyFrame]

LARGEST, SMALLEST_DIVISOR = 1e18, 1e-12
"""No quantity is larger, and none that is divided by (declared above 0) is smaller: so no product of inputs overflows a float64."""

HASHES_AT_ONCE = 20_000_000
"""Rows of which the keys are compared at once, by their hashes of 8 bytes."""

UNREAD = ":unread"
FULL_HOUR = "a full hour in UTC: minutes and seconds zero"
FULL_LOCAL_HOUR = f"{FULL_HOUR} (where the pattern's clock is local: a full hour there, written without a zone)"


@dataclass(frozen=True)
class Rule:
    """A promise that every row must keep, over one or more columns."""

    name: str
    columns: tuple[str, ...]
    expected: str
    holds: pl.Expr


def row_violations(
    table: Table,
    frame: pl.DataFrame,
    shown: Callable[[], pl.DataFrame],
    unread: dict[str, pl.Series],
    spoilt: set[str],
    display: str,
) -> list[pl.DataFrame]:
    """Every value out of bounds and every row rule broken in a batch.

    `frame` has the table's columns and ROW; `shown` makes the same rows as messages show them; `unread` marks cells that could not be
    read: they have their message, and break no other rule; nor do columns that are `spoilt` as a whole.
    """
    if not len(frame):
        return []
    marked = frame.with_columns(cells.alias(name + UNREAD) for name, cells in unread.items())
    rules = [rule for rule in rules_of(table) if not spoilt.intersection(rule.columns)]
    broken = [_broken(rule, unread) for rule in rules]
    counts = marked.select(b.sum().alias(str(i)) for i, b in enumerate(broken)).row(0)
    found = []
    for rule, where, count in zip(rules, broken, counts, strict=True):
        if count:
            rows = shown().filter(marked.select(where).to_series())
            cells = [pl.col(c) if c in rows.columns else pl.lit(None, dtype=pl.String) for c in rule.columns]
            value = pl.concat_str([c.fill_null("nothing") for c in cells], separator=", ")
            column = " and ".join(rule.columns)
            found.append(violations_at(table.name, rule.name, rows, column=column, value=value, expected=rule.expected, file=display))  # fmt: skip
    return [pl.concat(found).unique(["row", "column"], keep="first", maintain_order=True)] if found else []


def _broken(rule: Rule, unread: dict[str, pl.Series]) -> pl.Expr:
    judged = [~pl.col(name + UNREAD) for name in rule.columns if name in unread]
    return pl.all_horizontal(~rule.holds.fill_null(True), *judged)


def rules_of(table: Table) -> list[Rule]:
    """The promises of a table's columns and rows; those that explain a broken cell best come first."""
    rules = []
    for name, declared in table.schema.columns().items():
        column = table.columns[name]
        promised = declared.validation_rules(pl.col(name))
        for rule in sorted(promised, key=lambda r: r not in ("nan", "inf")):
            if rule not in ("nullability", "dtype"):
                rules.append(Rule(rule, (name,), _expected(column, rule, declared), promised[rule]))
        rules += _size_rules(table, column, declared)
    for name, promise in table.promises.items():
        rules.append(Rule(name, promise.columns, promise.expects, table.row_rule(name)))
    return rules


def _size_rules(table: Table, column: Column, declared: object) -> list[Rule]:
    """Bounds of every quantity that is computed with, so wide that only mistakes lie outside."""
    if column.dtype != pl.Float64 or table.name not in INPUTS:
        return []
    unit = _unit(column)
    value = pl.col(column.name)
    rules = [Rule("size", (column.name,), f"at most {LARGEST:g}{unit}", value <= LARGEST)]
    if getattr(declared, "min_exclusive", None) is not None:
        least = f"at least {SMALLEST_DIVISOR:g}{unit}"
        rules.append(Rule("size", (column.name,), least, value >= SMALLEST_DIVISOR))
    return rules


def _unit(column: Column) -> str:
    return f" {column.unit}" if column.unit not in (None, "1", "compute_unit") else ""


def _expected(column: Column, rule: str, declared: object) -> str:
    words = {"min": "at least", "min_exclusive": "more than", "max": "at most"}
    if rule in words:
        percent = " (a percentage is written `90 %`)" if rule == "max" and column.unit == "1" else ""
        return f"{words[rule]} {getattr(declared, rule):g}{_unit(column)}{percent}"
    sentences = {
        "inf": "a finite number",
        "nan": "a number",
        "min_length": "a value",
        "check__one_of": " or ".join(column.values),
        "check__full_hour": FULL_LOCAL_HOUR if column.wall_clock else FULL_HOUR,
        "check__believable_date": "a date from the year 1900 to 2299",
        "check__resolution": "two pixel counts as in `1080p (1920 x 1080)`",
    }
    return sentences.get(rule, f"a value that keeps the rule {rule}")


def key_violations(table: Table, rows: pl.LazyFrame, count: int) -> list[pl.DataFrame]:
    """Keys that stand in more than one of `count` rows (which have the table's columns and ROW)."""
    if not table.key or (count <= HASHES_AT_ONCE and _strictly_ascending(table, rows)):
        return []
    key = pl.struct(pl.col(c).to_physical() for c in table.key).hash()
    parts = 1 + count // HASHES_AT_ONCE
    repeated = pl.concat(_repeated(rows.select(key.alias("hash")).filter(col.hash % parts == i)) for i in range(parts))
    if not len(repeated):
        return []
    suspects = rows.with_columns(key.alias("hash")).join(repeated.lazy(), on="hash", how="semi")
    twice = suspects.group_by(table.key).agg(times=pl.len(), last=pl.col(ROW).max()).filter(col.times > 1)
    found = twice.drop_nulls(table.key).rename({"last": ROW}).sort(ROW, *table.key).collect()
    if not len(found):
        return []
    shown = pl.concat_str([_as_text(table.columns[c]) for c in table.key], separator=", ")
    expected = pl.format("each key once; it stands in {} rows", col.times)
    return [violations_at(table.name, "duplicate key", found, column=", ".join(table.key), value=shown, expected=expected)]  # fmt: skip


def _repeated(hashes: pl.LazyFrame) -> pl.DataFrame:
    ordered = hashes.collect()["hash"].sort()
    return ordered.filter(ordered == ordered.shift(1)).unique().to_frame()


def _as_text(column: Column) -> pl.Expr:
    if isinstance(column.dtype, pl.Datetime):
        return pl.col(column.name).dt.strftime("%Y-%m-%d %H:%M")
    return pl.col(column.name).cast(pl.String)


def _strictly_ascending(table: Table, rows: pl.LazyFrame) -> bool:
    """Whether the rows come in strictly ascending order of the key: then no key repeats, found without hashing."""
    ascending: pl.Expr = pl.lit(False)
    for name in reversed([*(k for k in table.key if k != "hour"), *(k for k in table.key if k == "hour")]):
        key = pl.col(name)
        before = key.shift(1)
        ascending = (key > before) | ((key == before) & ascending)
    checked = rows.select(ascending.slice(1).all(ignore_nulls=False)).collect(engine="in-memory").item()
    return bool(checked)


def reference_violations(column: Column, frames: Frames) -> list[pl.DataFrame]:
    """Ids of a column that stand in no row of the tables it refers to."""
    dangling = _dangling(column, frames)
    if not len(dangling):
        return []
    expected = f"the {column.name} of a row in {' or '.join(column.references)}"
    return [violations_at(column.table, "dangling reference", dangling, column=column.name, value=column.name, expected=expected)]  # fmt: skip


def _dangling(column: Column, frames: Frames) -> pl.DataFrame:
    name = pl.col(column.name)
    known = pl.concat([frames[target].select(name.cast(pl.String)) for target in column.references]).unique()
    used = frames[column.table].select(name, ROW).drop_nulls()
    ids = used.select(name.unique()).with_columns(text=name.cast(pl.String))
    unknown = ids.join(known, left_on="text", right_on=column.name, how="anti").select(column.name).collect()
    if not len(unknown):
        return pl.DataFrame()
    return used.join(unknown.lazy(), on=column.name, how="semi").sort(ROW).collect()


def shared_id_violations(names: Iterable[str], column: str, frames: Frames) -> list[pl.DataFrame]:
    """Ids that stand in more than one of several tables which share a name space."""
    tables = list(names)
    found = []
    for name in tables[1:]:
        others = tables[: tables.index(name)]
        earlier = pl.concat([frames[t].select(column, other=pl.lit(t)) for t in others]).unique(column)
        twice = frames[name].select(column, ROW).join(earlier, on=column).sort(ROW).collect()
        if len(twice):
            expected = pl.format("an id of its own; a row of {} has the same", col.other)
            found.append(violations_at(name, "id given twice", twice, column=column, value=column, expected=expected))
    return found
