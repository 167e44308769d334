"""The values of names, for many rows at once, by what the stages declare: looked up, computed by their formulas, summed, boxed.

A value that the run published is taken as it stands; only what is never written is computed.
"""

from __future__ import annotations

from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from pipeline.errors import InputError, PipelineError
from pipeline.explain import rules
from pipeline.explain.registry import Entry, entries, given
from pipeline.series import box_values, hour_index, whole_and_rest
from pipeline.stages.lineage import At, Box, Made, Row, Rule, Total, Way

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.explain.source import Source

NR = "__nr"
OUR = "our_"


class Book:
    """A run, to be asked for values."""

    def __init__(self, source: Source) -> None:
        self.source = source

    @property
    def root(self) -> Path:
        """The run directory."""
        return self.source.root

    @cached_property
    def parameters(self) -> dict[str, str]:
        """What formulas are told of the settings."""
        return given(self.source.settings)

    def expression(self, formula: Any) -> pl.Expr:
        """A formula as an expression, as the settings of the run make it."""
        import inspect

        asked = inspect.signature(formula).parameters
        made: pl.Expr = formula(**{n: v for n, v in self.parameters.items() if n in asked})
        return made

    def rows(self, table: str, where: pl.DataFrame, hours: tuple[Any, Any] | None = None) -> Rows:
        """The rows of a table that match one of `where` in its columns (columns of the table)."""
        entry = entries()[table]
        if self.is_stored(entry):
            return Rows(self, entry, self.source.rows(table, where, hours))
        return Rows(self, entry, self._listed(entry, where, hours))

    def is_stored(self, entry: Entry) -> bool:
        """Whether the rows of a table lie in files."""
        return (entry.written or entry.is_input) and self.source.has(entry.table)

    def at(self, table: str, keys: pl.DataFrame) -> Rows:
        """The rows of these keys; those of tables that are never written need not be listed, they are what their key says."""
        entry = entries()[table]
        if self.is_stored(entry) or not set(entry.key) <= set(keys.columns):
            return self.rows(table, keys)
        return Rows(self, entry, keys.unique())

    def _listed(self, entry: Entry, where: pl.DataFrame, hours: tuple[Any, Any] | None) -> pl.DataFrame:
        """The keys of a table that is never written, from the rows it is declared to have."""
        if entry.table == "need.held":
            return rules.pieces_of_runs(self, where, hours)
        if not entry.lineage.rows:
            if set(entry.key) <= set(where.columns):
                return where.unique()
            raise InputError(self.source.missing(entry.table) if entry.written else f"{entry.table}: rows not declared")
        found = [self._joined(bases, where, hours) for bases in entry.lineage.rows]
        return pl.concat([f.select(entry.key) for f in found if set(entry.key) <= set(f.columns)]).unique()

    def _joined(self, bases: Any, where: pl.DataFrame, hours: tuple[Any, Any] | None) -> pl.DataFrame:
        listed = where.unique()
        for table, on in bases:
            known = {theirs: ours for theirs, ours in on.items() if ours in listed.columns}
            asked = listed.select(pl.col(ours).alias(theirs) for theirs, ours in known.items()).unique()
            found = self.source.rows(table, asked, hours if "hour" in on else None)
            named = found.select(pl.col(theirs).alias(ours) for theirs, ours in on.items()).unique()
            shared = list(known.values())
            how: Any = {"on": shared, "nulls_equal": True} if shared else {"how": "cross"}
            listed = listed.join(named, **how)
        return listed


class Rows:
    """Rows of one table that can be asked for any name of its formulas."""

    def __init__(self, book: Book, entry: Entry, frame: pl.DataFrame) -> None:
        self.book, self.entry, self.frame = book, entry, frame
        self._made: dict[tuple[str, str | None], pl.Series] = {}

    def __len__(self) -> int:
        return len(self.frame)

    def keys(self) -> pl.DataFrame:
        """The key columns."""
        return self.frame.select(k for k in self.entry.key if k in self.frame.columns)

    def only(self, mask: pl.Series) -> Rows:
        """Some of the rows."""
        return Rows(self.book, self.entry, self.frame.filter(mask))

    def select(self, names: dict[str, str]) -> pl.DataFrame:
        """Columns (new name -> our name)."""
        return pl.DataFrame([self.get(ours).alias(new) for new, ours in names.items()])

    def get(self, name: str, within: str | None = None) -> pl.Series:
        """The values of a name; `within` is the column whose formula asks."""
        if name != within and name in self.frame.columns:
            return self.frame[name]
        if (name, within) not in self._made:
            self._made[name, within] = self._resolved(name, within).alias(name)
        return self._made[name, within]

    def _resolved(self, name: str, within: str | None) -> pl.Series:
        settings = self.book.source.settings
        ways = self.entry.ways(name, within)
        if not ways:
            return pl.Series([settings.get(name)] * len(self), dtype=pl.String if name in settings else None)
        if all(isinstance(w, At) and w.when is None for w in ways):
            return self._first_given([self.by(w, name) for w in ways])
        return self._by_case(name, ways)

    def _first_given(self, found: list[pl.Series]) -> pl.Series:
        frame = pl.DataFrame([s.alias(str(i)) for i, s in enumerate(found)])
        return frame.select(pl.coalesce(pl.all())).to_series() if len(found) > 1 else found[0]

    def _by_case(self, name: str, ways: tuple[Way, ...]) -> pl.Series:
        """Every row by the first way whose condition it keeps."""
        which = self.which(ways)
        parts = []
        for i in which.drop_nulls().unique().sort():
            mask = which == i
            part = self if mask.all() else self.only(mask)
            parts.append(pl.DataFrame({NR: mask.arg_true(), "v": part.by(ways[i], name)}))
        if not parts:
            return pl.Series([None] * len(self), dtype=pl.Float64)
        every = pl.DataFrame({NR: pl.int_range(len(self), eager=True, dtype=pl.UInt32)})
        return every.join(pl.concat(parts, how="vertical_relaxed"), on=NR, how="left", maintain_order="left")["v"]

    def which(self, ways: tuple[Way, ...]) -> pl.Series:
        """The number of the way that each row goes; empty where it goes none."""
        chosen = pl.Series([None] * len(self), dtype=pl.Int64)
        for i, way in enumerate(ways):
            if not chosen.null_count():
                break
            holds = pl.Series([True] * len(self)) if way.when is None else self._evaluated(way.when).fill_null(False)
            frame = pl.DataFrame({"c": chosen, "h": holds})
            chosen = frame.select(pl.coalesce("c", pl.when("h").then(pl.lit(i, pl.Int64)))).to_series()
        return chosen

    def _evaluated(self, expression: pl.Expr, within: str | None = None) -> pl.Series:
        names = expression.meta.root_names()
        frame = pl.DataFrame([self.get(n, within if n == within else None).alias(n) for n in dict.fromkeys(names)])
        made = frame.select(expression.alias("v")).to_series()
        return made if names else made.extend_constant(made[0], len(self) - 1) if len(self) else made.clear()

    def by(self, way: Way, name: str) -> pl.Series:
        """The values of a name made in one way."""
        if isinstance(way, Made):
            return self._evaluated(self.book.expression(way.by), name)
        if isinstance(way, At):
            return self.looked_up(way.row, way.column)
        if isinstance(way, Total):
            return self._summed(way)
        if isinstance(way, Box):
            return self._boxed(way)
        return rules.values(self, way)

    # ------------------------------------------------------------ looked up

    def on(self, row: Row) -> pl.DataFrame:
        """The key of another table's rows that belong to ours, in the order of ours."""
        keys = self.select(dict(row.on))
        if row.earlier is not None:
            before = pl.Series([timedelta(hours=h or 0) for h in self.get(row.earlier)], dtype=pl.Duration("us"))
            keys = keys.with_columns(hour=keys["hour"] - before)
        return keys

    def looked_up(self, row: Row, column: str) -> pl.Series:
        """A column of the row that belongs to each of ours."""
        keys = self.on(row)
        there = self.book.at(row.table, keys.unique())
        pairs = there.frame.select(keys.columns).with_columns(there.get(column).alias("v"))
        one = pairs.group_by(keys.columns, maintain_order=True).agg(rules.one_value(pairs.schema["v"]))
        found = keys.join(one, on=keys.columns, how="left", nulls_equal=True, maintain_order="left")["v"]
        return found if row.missing is None else found.fill_null(row.missing)

    # ------------------------------------------------------------ summed

    def addends(self, total: Total) -> tuple[pl.DataFrame, Rows]:
        """What is summed: NR of ours, their number, value `v`; and their rows."""
        if not self._there(total):
            return pl.DataFrame(schema={NR: pl.UInt32, "their": pl.UInt32, "v": pl.Float64}), self
        ours = self.select({f"{OUR}{k}": k for k in self._needed(total)}).with_row_index(NR)
        if total.through:
            ours = self._through(ours, total)
        theirs_on = list(total.on)
        ours_on = [f"{OUR}{n}" for n in total.on.values()]
        where = ours.select(pl.col(o).alias(t) for o, t in zip(ours_on, theirs_on, strict=True)).unique()
        there = self.book.rows(total.table, where)
        numbered = there.frame.select(theirs_on).with_row_index("their")
        pairs = ours.join(numbered, left_on=ours_on, right_on=theirs_on, nulls_equal=True, coalesce=False)
        pairs = pairs.with_columns(there.valued(total)[pairs["their"]].alias("v"))
        return self._kept(pairs, there, total).select(NR, "their", "v"), there

    def _there(self, total: Total) -> bool:
        """Whether the rows to be summed may be there: a run without observed runs or services was made without those tables."""
        return len(self) > 0

    def _needed(self, total: Total) -> list[str]:
        names = list(total.on.values())
        if total.through:
            names = [n for n in names if n not in total.through[2]] + list(total.through[1].values())
        if total.where is not None:
            names += [n.removeprefix(OUR) for n in total.where.meta.root_names() if n.startswith(OUR)]
        return list(dict.fromkeys(names))

    def _through(self, ours: pl.DataFrame, total: Total) -> pl.DataFrame:
        assert total.through
        table, on, added = total.through
        where = ours.select(pl.col(f"{OUR}{o}").alias(t) for t, o in on.items()).unique()
        between = self.book.rows(table, where).select({n: n for n in (*on, *added)}).unique()
        renamed = between.rename({n: f"{OUR}{n}" for n in added})
        return ours.join(renamed, left_on=[f"{OUR}{o}" for o in on.values()], right_on=list(on))

    def valued(self, total: Total) -> pl.Series:
        """Of each row what a total adds."""
        if "count" in total.kind:
            return pl.Series([1.0] * len(self), dtype=pl.Float64)
        if isinstance(total.of, str):
            return self.get(total.of).cast(pl.Float64)
        return self._evaluated(self.book.expression(total.of)).cast(pl.Float64)

    def _kept(self, pairs: pl.DataFrame, there: Rows, total: Total) -> pl.DataFrame:
        if total.where is None:
            return pairs
        names = [n for n in total.where.meta.root_names() if not n.startswith(OUR)]
        told = pairs.with_columns(there.get(n)[pairs["their"]].alias(n) for n in names)
        return told.filter(total.where)

    def _summed(self, total: Total) -> pl.Series:
        addends, there = self.addends(total)
        if total.kind == "count of different":
            named = (
                addends.with_columns(there.get(str(total.of))[addends["their"]].alias("v")) if len(addends) else addends
            )
            made = named.group_by(NR).agg(pl.col("v").n_unique().cast(pl.Float64))
        else:
            made = addends.group_by(NR).agg(rules.aggregate(total.kind))
        every = pl.DataFrame({NR: pl.int_range(len(self), eager=True, dtype=pl.UInt32)})
        found = every.join(made, on=NR, how="left", maintain_order="left")["v"]
        if total.kind in ("largest", "sum of those given"):
            return found
        found = found.fill_null(0.0)
        return found.clip(1.0) if total.kind == "count or one" else found

    # ------------------------------------------------------------ boxed

    def lasting(self, box: Box) -> pl.DataFrame:
        """The duration of each row's box as `whole` hours and the `rest`."""
        seconds = self.get(box.lasts).cast(pl.Float64) * (3600.0 if box.unit == "h" else 1.0)
        whole, rest = whole_and_rest(pl.col("s"))
        return pl.DataFrame({"s": seconds.fill_null(0.0)}).select(whole=whole, rest=rest)

    def _boxed(self, box: Box) -> pl.Series:
        frame = self.select(dict(box.on)).hstack(self.lasting(box)).with_columns(self._hours().alias("h"))
        values = np.zeros(len(self))
        groups = frame.with_row_index(NR).group_by([*box.on, "whole", "rest"], maintain_order=True)
        for key, group in groups:
            whole, rest = int(key[-2]), float(key[-1])
            hours = group["h"].to_numpy()
            first, series = self._series(box, group.select(list(box.on)).unique(), hours.min() - whole - 1, hours.max())
            values[group[NR].to_numpy()] = _box_at(series, whole, rest, hours - first)
        return pl.Series(values)

    def _hours(self) -> pl.Series:
        return pl.DataFrame({"h": self.get("hour")}).select(hour_index(pl.col("h"))).to_series()

    def _series(self, box: Box, on: pl.DataFrame, first: int, last: int) -> tuple[int, Any]:
        """The values of one series from its first hour (or `first`) to `last`."""
        there = self.book.rows(box.table, on, rules.moments(first, last))
        if not len(there):
            return last, np.zeros(1)
        hours, values = there._hours().to_numpy(), there.get(box.of).cast(pl.Float64).fill_null(0.0).to_numpy()
        begin = int(hours.min())
        series = np.zeros(last - begin + 1)
        np.add.at(series, hours - begin, values)
        return begin, series


def _box_at(series: Any, whole: int, rest: float, at: Any) -> Any:
    """The boxed series at these positions; positions before it are zero."""
    boxed = box_values(series, min(whole, len(series)), rest if whole < len(series) else 0.0)
    inside = (at >= 0) & (at < len(boxed))
    return np.where(inside, boxed[np.where(inside, at, 0)], 0.0)


def refuse_rule(rule: Rule) -> PipelineError:
    """A rule that nothing here computes: our bug."""
    return PipelineError(f"no procedure for the rule {rule.name}")
