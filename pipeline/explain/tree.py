"""How one number came about, as a tree of nodes down to input cells."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from pipeline.explain import rules, symbols
from pipeline.explain.registry import Entry, entries, formula_symbols, name_of, unit_of, unit_of_way, words_of
from pipeline.explain.values import NR, Book, Rows
from pipeline.series import hour_index
from pipeline.stages.lineage import At, Box, Made, Row, Rule, Total, Way

Key = dict[str, Any]


@dataclass
class Term:
    """One addend of a sum: the node's value times the weight counts."""

    node: Node
    weight: float = 1.0


@dataclass
class Node:
    """A value with its unit, and where it comes from."""

    name: str
    table: str
    column: str
    key: Key
    value: Any
    unit: str = ""
    kind: str = "value"
    words: str = ""
    formula: str = ""
    filled: str = ""
    """The formula with the values in it."""
    symbols: symbols.Symbols | None = None
    inputs: dict[str, Node] = field(default_factory=dict)
    aggregate: str = ""
    terms: list[Term] = field(default_factory=list)
    rest_count: int = 0
    rest_value: float = 0.0
    source: dict[str, Any] = field(default_factory=dict)
    note: str = ""
    same_as: str = ""
    cut: bool = False

    @property
    def id(self) -> str:
        """What tells the value from all others."""
        told = ", ".join(f"{k}={shown(v)}" for k, v in self.key.items())
        return f"{self.table}.{self.column}[{told}]"


def shown(value: Any) -> str:
    """A value as people read it."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        whole = value.minute == value.second == value.microsecond == 0
        return value.strftime("%Y-%m-%d %H:%M" if whole else "%Y-%m-%d %H:%M:%S")
    return symbols.number_text(float(value)) if isinstance(value, int | float) else str(value)


class Tree:
    """Makes the nodes; `largest` addends of every sum are explained, nodes below `depth` are not."""

    def __init__(self, book: Book, largest: int = 3, depth: int | None = None) -> None:
        self.book, self.largest, self.depth = book, largest, depth
        self._seen: set[str] = set()
        self._inside = 0

    @contextmanager
    def _inside_a_sum(self) -> Iterator[None]:
        """Within an addend, sums show one addend fewer, at least one: else there would be too many to read."""
        self._inside += 1
        yield
        self._inside -= 1

    @property
    def most(self) -> int:
        """Addends of a sum that are explained here."""
        return max(1, self.largest - self._inside)

    def explain(self, rows: Rows, name: str, level: int = 0, within: str | None = None) -> Node:
        """The node of a name in one row; `within` is the column whose formula asks."""
        ways = rows.entry.ways(name, within)
        if within == name or self._is_lookup(ways):
            return self._through(rows, name, ways, level, within)
        node = self._plain(rows, name)
        if not ways:
            return self._end(node, rows)
        if node.id in self._seen:
            return self._again(node)
        way = ways[int(found)] if (found := rows.which(ways)[0]) is not None else None
        if way is None:
            return node
        node.unit = node.unit or unit_of_way(way)
        return self.fill(node, rows, way, level)

    def _is_lookup(self, ways: tuple[Way, ...]) -> bool:
        return bool(ways) and all(isinstance(w, At) and w.when is None for w in ways)

    def _through(self, rows: Rows, name: str, ways: tuple[Way, ...], level: int, within: str | None) -> Node:
        """The node in the table where the name is looked up."""
        found = [w for w in ways if isinstance(w, At)]
        given = [w for w in found if rows.looked_up(w.row, w.column)[0] is not None]
        if not found:
            return self._plain(rows, name, within)
        return self.looked_up(rows, (given or found)[0], name, level)

    def _plain(self, rows: Rows, name: str, within: str | None = None) -> Node:
        entry = rows.entry
        key = {k: rows.frame[k][0] for k in entry.key if k in rows.frame.columns}
        value = rows.get(name, within)[0]
        return Node(name, entry.table, name, key, value, entry.unit(name), words=entry.words(name))

    def _end(self, node: Node, rows: Rows) -> Node:
        """A name that comes from nowhere: a setting, part of the key, or a cell that the user gave."""
        if rows.entry.is_input:
            return self.cell(rows, node.column)
        if node.column in self.book.source.settings:
            node.kind, node.words = "setting", "A setting of the run."
        elif node.column in rows.entry.key:
            node.kind = "key"
        return node

    def _again(self, node: Node) -> Node:
        node.same_as = node.id
        node.kind = "same"
        return node

    def fill(self, node: Node, rows: Rows, way: Way, level: int) -> Node:
        """Say where the node's value comes from."""
        if self.depth is not None and level >= self.depth:
            node.cut = True
            return node
        self._seen.add(node.id)
        if isinstance(way, Made):
            return self._formula(node, rows, way, level)
        if isinstance(way, At):
            inner = self.looked_up(rows, way, node.column, level + 1)
            node.kind, node.symbols, node.formula = "formula", {"name": way.column}, f"{inner.table}.{inner.column}"
            earlier = way.row.earlier
            node.inputs = {
                **({earlier: self.named(rows, earlier, level + 1, "")} if earlier else {}),
                way.column: inner,
            }
            return node
        if isinstance(way, Total):
            return self._total(node, rows, way, level)
        if isinstance(way, Box):
            return self._box(node, rows, way, level)
        return self._rule(node, rows, way, level)

    # ------------------------------------------------------------ formulas

    def _formula(self, node: Node, rows: Rows, way: Made, level: int) -> Node:
        made = formula_symbols(way.by, self.book.source.settings)
        asked: dict[str, Any] = {}

        def get(name: str) -> symbols.Value:
            asked[name] = rows.get(name, node.column if name == node.column else None)[0]
            return plain(asked[name])

        symbols.value_of(made, get)
        node.kind, node.symbols, node.formula = "formula", made, symbols.text(made)
        node.words = words_of(way.by) or node.words
        node.unit = node.unit or unit_of(way.by)
        node.inputs = {n: self.named(rows, n, level + 1, node.column) for n in asked}
        node.filled = symbols.text(self._taken(made, get), lambda n: _filled(asked.get(n)))
        return node

    def _taken(self, made: symbols.Symbols, get: Callable[[str], symbols.Value]) -> symbols.Symbols:
        """The formula with only the branch that counts."""
        if made.get("op") == "if":
            condition, then, otherwise = made["args"]
            return self._taken(then if symbols.value_of(condition, get) else otherwise, get)
        if made.get("op") == "first given of":
            given = [a for a in made["args"] if symbols.value_of(a, get) is not None]
            return self._taken(given[0], get) if given else {"none": True}
        return {**made, "args": [self._taken(a, get) for a in made["args"]]} if "args" in made else made

    def named(self, rows: Rows, name: str, level: int, column: str) -> Node:
        """The node of a name in the formula of a column."""
        node = self.explain(rows, name, level, within=column if name == column else None)
        node.name = name
        return node

    # ------------------------------------------------------------ looked up

    def looked_up(self, rows: Rows, way: At, name: str, level: int) -> Node:
        """The node of the other table's column; a cell where that is an input."""
        keys = rows.on(way.row)
        there = self.book.at(way.row.table, keys)
        if not len(there):
            return self._nothing(keys, way.row, way.column, name)
        one = Rows(self.book, there.entry, merged(there.entry, there.frame))
        node = self.explain(one, way.column, level)
        node.name = name
        if node.value is None and way.row.missing is not None:
            return self._nothing(keys, way.row, way.column, name)
        return node

    def _nothing(self, keys: pl.DataFrame, row: Row, column: str, name: str) -> Node:
        unit = entries()[row.table].unit(column)
        key = dict(zip(keys.columns, keys.row(0), strict=True))
        return Node(name, row.table, column, key, row.missing, unit, kind="missing", note="no such row")

    def cell(self, rows: Rows, column: str) -> Node:
        """An input cell, with what the table `sources` knows of it."""
        entry = rows.entry
        key = {k: rows.frame[k][0] for k in entry.key}
        node = self._cell(entry, key, column, rows.get(column)[0])
        default = entry.columns[column].default if column in entry.columns else None
        if node.value is not None and node.value == default and "source" not in node.source:
            node.note = "the default"
        return node

    def _cell(self, entry: Entry, key: Key, column: str, value: Any) -> Node:
        row_id = "/".join(str(v) if not isinstance(v, datetime) else shown(v) for v in key.values())
        told = {"table": entry.table, "row": row_id, "column": column, **self._sources(entry.table, row_id, column)}
        words, unit = entry.words(column), entry.unit(column)
        return Node(column, entry.table, column, key, value, unit, "cell", words=words, source=told)

    @functools.cached_property
    def _known_sources(self) -> dict[tuple[str, str, str], dict[str, Any]]:
        scanned = self.book.source.scan("sources")
        rows = scanned.collect().iter_rows(named=True) if scanned is not None else iter([])
        names = ("source", "link", "confidence", "comment")
        return {(r["table"], r["row_id"], r["column"]): {n: r[n] for n in names if r[n] is not None} for r in rows}

    def _sources(self, table: str, row_id: str, column: str) -> dict[str, Any]:
        return self._known_sources.get((table, row_id, column), {})

    # ------------------------------------------------------------ sums

    def _total(self, node: Node, rows: Rows, total: Total, level: int) -> Node:
        addends, there = rows.addends(total)
        node.kind, node.aggregate = "sum", total.kind
        node.words = total.words or node.words
        node.formula = total_text(total)
        if "count" in total.kind:
            node.rest_count = len(addends)
            return node
        values = addends.filter(pl.col("v").is_not_null() & (pl.col("v") != 0)).sort(pl.col("v").abs(), descending=True)
        most = 1 if total.kind == "largest" else self.most
        for at, _ in values.select("their", "v").head(most).iter_rows():
            one = Rows(self.book, there.entry, there.frame[int(at) : int(at) + 1])
            with self._inside_a_sum():
                node.terms.append(Term(self._addend(one, total, level + 1)))
        rest = values["v"][most:]
        node.rest_count = len(rest)
        node.rest_value = float((rest.max() or 0.0) if total.kind == "largest" else rest.sum())  # type: ignore[arg-type]
        return node

    def _addend(self, rows: Rows, total: Total, level: int) -> Node:
        if isinstance(total.of, str):
            return self.explain(rows, total.of, level)
        name, entry = name_of(total.of), rows.entry
        key = {k: rows.frame[k][0] for k in entry.key}
        node = Node(name, entry.table, name, key, rows.valued(total)[0], unit_of(total.of))
        return self._again(node) if node.id in self._seen else self.fill(node, rows, Made(total.of), level)

    def _box(self, node: Node, rows: Rows, box: Box, level: int) -> Node:
        whole, rest = rows.lasting(box).row(0)
        hour = int(_index(rows))
        node.kind, node.aggregate = "sum", "sum"
        node.words = box.words or node.words
        node.formula = box_text(box)
        node.inputs = {box.lasts: self.named(rows, box.lasts, level + 1, node.column)}
        weights = {hour - whole: rest} if rest else {}
        first = hour - whole if rest else hour - whole + 1
        there = self.book.rows(box.table, rows.select(dict(box.on)), rules.moments(first, hour))
        return self._weighted(node, there, box.of, lambda h: weights.get(h, 1.0), level)

    def _weighted(self, node: Node, there: Rows, of: str, weight: Callable[[int], float], level: int) -> Node:
        """The terms of a sum over hours, each with its weight."""
        hours = (
            there.frame.select(hour_index(pl.col("hour"))).to_series() if len(there) else pl.Series([], dtype=pl.Int64)
        )
        weights = pl.Series([weight(int(h)) for h in hours], dtype=pl.Float64)
        parts = pl.DataFrame({"v": there.get(of).cast(pl.Float64) if len(there) else [], "w": weights}).with_row_index(
            NR
        )
        parts = parts.with_columns(p=pl.col("v").cast(pl.Float64) * pl.col("w")).filter(pl.col("p") != 0)
        parts = parts.sort(pl.col("p").abs(), NR, descending=[True, False])
        most = self.most
        for at, w in parts.select(NR, "w").head(most).iter_rows():
            one = Rows(self.book, there.entry, there.frame[int(at) : int(at) + 1])
            with self._inside_a_sum():
                node.terms.append(Term(self.explain(one, of, level + 1), w))
        rest = parts["p"][most:]
        node.rest_count, node.rest_value = len(rest), float(rest.sum())
        return node

    # ------------------------------------------------------------ rules

    def _rule(self, node: Node, rows: Rows, rule: Rule, level: int) -> Node:
        node.words, node.unit, node.kind = rule.words or node.words, node.unit or rule.unit, "rule"
        tellers: dict[str, Callable[[Node, Rows, int], Node]] = {
            "provision_rate": self._tiers,
            "weekly_volume": self._week,
            "in_step": self._in_step,
            "hours_of_period": functools.partial(self._period, rule),
            "starts": self._starts,
            "given_occurrences": self._given,
            "overlap": self._overlap,
        }
        teller = tellers.get(rule.name)
        return node if teller is None else teller(node, rows, level)

    def _tiers(self, node: Node, rows: Rows, level: int) -> Node:
        kind, parts = rules.tiers(rows)
        node.kind, node.aggregate = "sum", "sum"
        names = ["period_demand"] if kind == "period" else ["guarded_raw", "nb_of_instances", "period_demand"]
        node.inputs = {n: self.named(rows, n, level + 1, node.column) for n in names}
        node.formula = "1 / period_demand" if kind == "period" else "Σ over tiers of 1 / (tiers × demand of the tier)"
        made = []
        for first, last, part in parts:
            key = {**node.key, "tier": f"{first} to {last}" if last > first else str(first)}
            one = Node("tier", node.table, "tier", key, part, "1", words="Part of one tier of instances.")
            made.append(Term(one, last - first + 1))
        made.sort(key=lambda t: -t.weight * t.node.value)
        node.terms = made[: self.most]
        left = made[self.most :]
        node.rest_count = int(sum(t.weight for t in left))
        node.rest_value = float(sum(t.weight * t.node.value for t in left))
        return node

    def _week(self, node: Node, rows: Rows, level: int) -> Node:
        node.kind, node.aggregate = "sum", "sum"
        entry = entries()["server_need_volumes"]
        need = rows.get("container_id")[0]
        node.formula = "volume at the hour of the week"
        for weight, hour in rules.hours_of_week(rows):
            key = {"server_need_id": need, "hour_of_week": hour}
            found = self.book.source.rows(entry.table, pl.DataFrame({"server_need_id": [need], "hour_of_week": [hour]}))
            node.terms.append(Term(self._cell(entry, key, "volume", found["volume"][0]), weight))
        return node

    def _in_step(self, node: Node, rows: Rows, level: int) -> Node:
        first, weights = rules.step_window(rows)
        hour = int(_index(rows))
        node.kind, node.aggregate = "sum", "sum"
        node.formula = "box(starts, time_after) − box(starts, time_before)"
        node.inputs = {n: self.named(rows, n, level + 1, node.column) for n in ("time_before", "time_after")}
        latest = hour - first
        there = self.book.rows(
            "need.usage_pattern",
            rows.select({"usage_pattern_id": "usage_pattern_id"}),
            rules.moments(latest - len(weights) + 1, latest),
        )
        return self._weighted(node, there, "starts", lambda h: float(weights[latest - h]), level)

    def _period(self, rule: Rule, node: Node, rows: Rows, level: int) -> Node:
        table, column = rule.hours_of
        node.kind, node.aggregate = "sum", "sum"
        node.formula = "Σ over the hours of the period"
        return self._weighted(node, rules.period_rows(rows, table), column, lambda _: 1.0, level)

    def _starts(self, node: Node, rows: Rows, level: int) -> Node:
        edge = rows.get("usage_span")[0] is not None
        entry = entries()["edge_usage_pattern_starts" if edge else "usage_pattern_starts"]
        clock = rows.get("clock")[0]
        key = {"usage_pattern_id": rows.get("usage_pattern_id")[0], "hour": rows.get("hour")[0]}
        cell = self._cell(entry, key, "starts", node.value)
        if clock == "local":
            zone = rules.clocks(rows)["timezone"][0]
            local = key["hour"].astimezone(rules.zone_of(zone))
            cell.note = f"given in civil time of {zone}: {local:%Y-%m-%d %H:%M}"
        node.kind, node.symbols, node.formula = "formula", {"name": "starts"}, f"{entry.table}.starts"
        node.inputs = {"starts": cell}
        return node

    def _given(self, node: Node, rows: Rows, level: int) -> Node:
        entry = entries()["occurrences"]
        key = {k: rows.get(k)[0] for k in ("job_id", "usage_pattern_id", "container_id", "hour")}
        node.kind, node.symbols, node.formula = "formula", {"name": "occurrences"}, "occurrences.occurrences"
        node.inputs = {"occurrences": self._cell(entry, key, "occurrences", node.value)}
        return node

    def _overlap(self, node: Node, rows: Rows, level: int) -> Node:
        run, hour = rows.frame["run_id"][0], rows.frame["hour"][0]
        entry = entries()["job_runs"]
        several = rows.get("pieces")[0] > 1
        node.kind, node.symbols, node.formula = "formula", OVERLAP, symbols.text(OVERLAP)
        for name, column in (("started_at", "begin"), ("ended_at", "end")):
            moment = rules.EPOCH + timedelta(milliseconds=rows.frame[column][0])
            cell = self._cell(entry, {"run_id": run}, name, moment)
            cell.unit = "instant"
            if several:
                cell.table, cell.source = "job_run_intervals", {**cell.source, "table": "job_run_intervals"}
                cell.note = f"piece {rows.frame['piece'][0] + 1} of the run"
            elif name == "ended_at" and rows.frame["ended_at"][0] is None:
                cell.note = "not ended: the horizon of the log"
            node.inputs[name] = cell
        for name, moment in (("hour", hour), ("next_hour", rules.after(hour))):
            node.inputs[name] = Node(name, node.table, name, node.key, moment, "instant", "key")
        node.filled = symbols.text(OVERLAP, lambda n: shown(node.inputs[n].value))
        return node


def _named(name: str) -> symbols.Symbols:
    return {"name": name}


OVERLAP: symbols.Symbols = {
    "op": "/",
    "args": [
        {
            "op": "−",
            "args": [
                {"op": "min", "args": [_named("ended_at"), _named("next_hour")]},
                {"op": "max", "args": [_named("started_at"), _named("hour")]},
            ],
        },
        {"number": 3_600_000.0, "unit": "ms/h"},
    ],
}
"""The part of an hour in which a run held its resources; instants count in whole milliseconds."""


def plain(value: Any) -> symbols.Value:
    """A value as formulas take it: instants in whole milliseconds since 1970."""
    return float((value - rules.EPOCH) // timedelta(milliseconds=1)) if isinstance(value, datetime) else value


def _filled(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else shown(value)


def _index(rows: Rows) -> int:
    return int(rows.select({"hour": "hour"}).select(hour_index(pl.col("hour"))).item())


def merged(entry: Entry, frame: pl.DataFrame) -> pl.DataFrame:
    """One row of rows that share a key: their numbers added up."""
    if len(frame) < 2:
        return frame
    numbers = [n for n, kind in frame.schema.items() if kind.is_float()]
    summed = frame.select(pl.col(n).sum() for n in numbers)
    return frame[:1].with_columns(summed.get_columns())


def total_text(total: Total) -> str:
    """A sum in symbols."""
    of = total.of if isinstance(total.of, str) else symbols.text(formula_symbols(total.of, {}))
    signs = {"largest": "largest", "sum": "Σ", "sum of those given": "Σ", "count of different": "number of different"}
    sign = signs.get(total.kind, "number of rows of")
    named = f"{total.table}" if sign == "number of rows of" else f"{total.table}.{of}"
    if not isinstance(total.of, str):
        named = f"({of}) of {total.table}"
    where = f" where {symbols.text(symbols.of_expression(total.where))}" if total.where is not None else ""
    over = " and ".join(ours for theirs, ours in total.on.items())
    return f"{sign} {named} of the same {over}{where}"


def box_text(box: Box) -> str:
    """A box filter in symbols."""
    if box.unit == "h" and box.lasts == "retention_hours":
        return f"Σ over the last {box.lasts} hours of {box.of}"
    return f"box({box.of}, {box.lasts}): the last n hours and r × the one before, n + r = {box.lasts} / (1 h)"
