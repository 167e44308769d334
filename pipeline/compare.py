"""Two runs -> what differs between them: totals, inputs, the things that changed most, and the difference as it adds up over time."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
from polars import col

from pipeline.report.figures import KINDS, PHASES, Figures, gathered, period_of
from pipeline.report.names import names
from pipeline.report.published import Published, opened
from pipeline.report.words import change, count, distinct, energy, mass, percent, shown
from pipeline.tables import INPUTS, Table

MOST = 10
"""Things named of each sort."""
MOST_CELLS = 100
"""Changed input cells that are kept of each table."""
NOISE = 1e-9
"""Relative difference below which two sums are the same."""


@dataclass(frozen=True)
class Pair:
    """One number in both runs."""

    name: str
    a: float
    b: float
    label: str = ""

    @property
    def difference(self) -> float:
        """B - A, 0 where it is rounding noise."""
        found = self.b - self.a
        return 0.0 if abs(found) <= NOISE * max(abs(self.a), abs(self.b)) else found


@dataclass(frozen=True)
class Cell:
    """An input value that is not the same."""

    row: str
    column: str
    a: str | None
    b: str | None


@dataclass(frozen=True)
class InputChange:
    """What changed in an input table; `cells` only where both runs published it, else its files differ."""

    table: str
    rows_added: int = 0
    rows_removed: int = 0
    cells_changed: int = 0
    cells: tuple[Cell, ...] = ()
    known: bool = True

    def __str__(self) -> str:
        """In words."""
        if not self.known:
            return "files differ"
        parts = [
            (self.cells_changed, "value", "changed"),
            (self.rows_added, "row", "added"),
            (self.rows_removed, "row", "removed"),
        ]
        return ", ".join(f"{count(n, noun)} {verb}" for n, noun, verb in parts if n)


@dataclass(frozen=True)
class Step:
    """A period, the footprint of both runs in it, and the difference so far."""

    period: datetime
    a: float
    b: float
    cumulative: float


@dataclass(frozen=True)
class Comparison:
    """Everything that differs; differences are B - A."""

    a: Figures
    b: Figures
    totals: list[Pair]
    """kind/phase, kg."""
    electricity: Pair
    settings: list[tuple[str, str, str]]
    inputs: list[InputChange]
    largest: dict[str, list[Pair]]
    """servers, jobs, patterns."""
    every: str
    steps: list[Step]

    @property
    def footprint(self) -> Pair:
        """Everything."""
        return Pair("all", self.a.kg, self.b.kg)


def compared(out_a: Path, out_b: Path) -> Comparison:
    """What differs between the current runs of two OUT folders (or between two run folders)."""
    a, b = gathered(opened(out_a)), gathered(opened(out_b))
    every, steps = cumulative(a, b)
    return Comparison(
        a=a,
        b=b,
        totals=[Pair(f"{k}/{p}", a.of(kind=k, phase=p), b.of(kind=k, phase=p)) for k in KINDS for p in PHASES],
        electricity=Pair("electricity", a.kwh, b.kwh),
        settings=changed_settings(a.run, b.run),
        inputs=list(changed_inputs(a.run, b.run)),
        largest={
            "servers": largest(a, b, a.sources.filter(kind="server"), b.sources.filter(kind="server"), "server"),
            "jobs": largest(a, b, a.jobs, b.jobs, "job"),
            "patterns": largest(
                a, b, pl.concat([a.patterns, a.projects]), pl.concat([b.patterns, b.projects]), "pattern"
            ),
        },
        every=every,
        steps=steps,
    )


def largest(a: Figures, b: Figures, of_a: pl.DataFrame, of_b: pl.DataFrame, kind: str) -> list[Pair]:
    """The things whose footprint differs most."""
    sums = [f.drop_nulls("id").group_by("id").agg(col.kg.sum().alias(n)) for f, n in ((of_a, "a"), (of_b, "b"))]
    both = sums[0].join(sums[1], on="id", how="full", coalesce=True).with_columns(pl.col("a", "b").fill_null(0.0))
    size = (col.b - col.a).abs()
    differing = both.filter(size > NOISE * pl.max_horizontal("a", "b"))
    # what one gains another may lose: the last bit of sums must not decide who is named first
    order = size.round_sig_figs(9)
    rows = differing.sort(order, "id", descending=[True, False]).head(MOST).rows()
    names = labels_in_both(a.run, b.run, kind, [i for i, *_ in rows])
    return [Pair(i, x, y, names[i]) for i, x, y in rows]


def labels_in_both(a: Published, b: Published, kind: str, ids: list[str]) -> dict[str, str]:
    """The names that B, else A, gives to ids; the id where two would look the same."""
    known = {**names(a, kind, ids), **names(b, kind, ids)}
    seen = Counter(known.values())
    return distinct({i: known[i] if i in known and seen[known[i]] == 1 else i for i in ids})


def cumulative(a: Figures, b: Figures) -> tuple[str, list[Step]]:
    """The difference as it adds up, by periods that suit both runs together."""
    hours = [h for f in (a, b) if f.hours for h in f.hours]
    every = period_of((min(hours), max(hours))) if hours else "1mo"
    sums = [
        f.hourly.group_by(period=col.hour.dt.truncate(every)).agg(col.kg.sum().alias(n))
        for f, n in ((a, "a"), (b, "b"))
    ]
    both = sums[0].join(sums[1], on="period", how="full", coalesce=True).with_columns(pl.col("a", "b").fill_null(0.0))
    steps = both.sort("period").with_columns(cumulative=(col.b - col.a).cum_sum())
    return every, [Step(*row) for row in steps.select("period", "a", "b", "cumulative").iter_rows()]


# ---------------------------------------------------------------- settings and inputs


def changed_settings(a: Published, b: Published) -> list[tuple[str, str, str]]:
    """Settings and versions that are not the same."""
    found = []
    for part in ("settings", "versions"):
        one, other = a.about.get(part, {}), b.about.get(part, {})
        for name in dict.fromkeys([*one, *other]):
            if one.get(name) != other.get(name):
                found.append((name, str(one.get(name)), str(other.get(name))))
    return found


def changed_inputs(a: Published, b: Published) -> Iterator[InputChange]:
    """Input tables that are not the same, by their published copies, else by the hashes of their files."""
    files = differing_files(a, b)
    for name, table in INPUTS.items():
        key = f"input.{name}"
        if table.key and a.files(key) and b.files(key):
            found = changed_rows(table, a.scan(key).collect(), b.scan(key).collect())
            if found.cells_changed or found.rows_added or found.rows_removed:
                yield found
        elif name in files:
            yield InputChange(name, known=False)
    yield from (InputChange(name, known=False) for name in sorted(files - set(INPUTS)))


def differing_files(a: Published, b: Published) -> set[str]:
    """Tables whose files have other hashes."""

    def hashes(run: Published) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = {}
        for file, told in run.about.get("inputs", {}).items():
            found.setdefault(Path(file).parts[0].split(".")[0], {})[file] = str(told.get("sha256"))
        return found

    one, other = hashes(a), hashes(b)
    return {
        name for name in {*one, *other} if sorted(one.get(name, {}).values()) != sorted(other.get(name, {}).values())
    }


def changed_rows(table: Table, a: pl.DataFrame, b: pl.DataFrame) -> InputChange:
    """Rows added and removed, and cells that differ, of one table."""
    key = table.key
    both = a.join(b, on=key, how="inner", suffix="\0b").sort(key)
    row = pl.concat_str([col(k).cast(pl.String) for k in key], separator="/")
    number, cells = 0, list[Cell]()
    for name in (c for c in table.columns if c not in key):
        differing = both.filter(col(name).ne_missing(col(f"{name}\0b")))
        number += len(differing)
        chosen = differing.head(MOST_CELLS - len(cells)).select(
            row, pl.lit(name).alias("\0column"), col(name).cast(pl.String), col(f"{name}\0b").cast(pl.String)
        )
        cells += [Cell(*values) for values in chosen.iter_rows()]
    return InputChange(
        table.name,
        rows_added=len(b.join(a, on=key, how="anti")),
        rows_removed=len(a.join(b, on=key, how="anti")),
        cells_changed=number,
        cells=tuple(cells),
    )


# ---------------------------------------------------------------- said


def as_json(found: Comparison) -> dict[str, Any]:
    """The comparison as plain values: kg and kWh."""

    def pair(p: Pair) -> dict[str, Any]:
        return {"a": p.a, "b": p.b, "difference": p.difference}

    return {
        **{n: {"run_id": f.run.run_id, "model": f.run.about.get("model")} for n, f in (("a", found.a), ("b", found.b))},
        "footprint_kg": pair(found.footprint),
        "electricity_kwh": pair(found.electricity),
        "totals_kg": [dict(zip(("category", "phase"), p.name.split("/"), strict=True)) | pair(p) for p in found.totals],
        "settings": [{"name": n, "a": x, "b": y} for n, x, y in found.settings],
        "inputs": [
            {
                "table": i.table, "known": i.known, "rows_added": i.rows_added, "rows_removed": i.rows_removed,
                "cells_changed": i.cells_changed, "cells": [vars(c) for c in i.cells],
            }
            for i in found.inputs
        ],
        "largest_kg": {n: [{"id": p.name, **pair(p)} for p in pairs] for n, pairs in found.largest.items()},
        "period": found.every,
        "cumulative_kg": [{**vars(s), "period": f"{s.period:%Y-%m-%dT%H:%M:%SZ}"} for s in found.steps],
    }  # fmt: skip


def as_text(found: Comparison) -> str:
    """The comparison as lines for a terminal."""
    whole = found.footprint
    lines = [f"{n}: {shown(f.run.model_name)}, run {shown(f.run.run_id)}" for n, f in (("A", found.a), ("B", found.b))]
    lines += ["", headline(found), ""]
    pairs = [Pair(p.name, p.a, p.b, p.name.replace("/", " ")) for p in found.totals if p.a or p.b]
    lines += grid("footprint", [*pairs, Pair("all", whole.a, whole.b, "all")])
    lines += ["", f"electricity: {energy(found.electricity.a)} -> {energy(found.electricity.b)}"]
    for name, differing in found.largest.items():
        if differing:
            lines += ["", *grid(f"{name} with the largest differences", differing)]
    lines += ["", *input_lines(found), "", *step_lines(found)]
    return "\n".join(lines).replace("\u00a0", " ").replace("\u202f", " ") + "\n"


def headline(found: Comparison) -> str:
    """Which run emits more, in a sentence."""
    whole = found.footprint
    if not whole.difference:
        return "Both runs emit the same."
    more = "more" if whole.difference > 0 else "less"
    share = f" ({percent(abs(whole.difference), whole.a)})" if whole.a else ""
    return f"B emits {mass(abs(whole.difference))} CO2e {more} than A{share}."


def grid(title: str, pairs: list[Pair]) -> list[str]:
    """Lines of name, A, B, difference."""
    names = [p.label or shown(p.name) for p in pairs]
    width = max(len(title), *(len(n) + 2 for n in names))
    lines = [f"{title:<{width}} {'A':>12} {'B':>12} {'B - A':>12}"]
    for name, p in zip(names, pairs, strict=True):
        lines.append(f"  {name:<{width - 2}} {mass(p.a):>12} {mass(p.b):>12} {change(p.difference):>12}")
    return lines


def input_lines(found: Comparison) -> list[str]:
    """What changed in inputs and settings."""
    lines = [f"setting {shown(n)}: {shown(x)} -> {shown(y)}" for n, x, y in found.settings]
    for item in found.inputs:
        lines.append(f"input {shown(item.table)}: {item}")
        lines += [f"  {shown(c.row)} {c.column}: {shown(c.a)} -> {shown(c.b)}" for c in item.cells[:MOST]]
        if item.cells_changed > MOST:
            lines.append(f"  and {item.cells_changed - MOST} more")
    return lines or ["inputs and settings: no difference"]


def step_lines(found: Comparison, most: int = 12) -> list[str]:
    """The cumulative difference at the ends of at most so many periods."""
    if not found.steps:
        return ["no hour has any footprint"]
    form = {"1h": "%Y-%m-%d %H:00", "1d": "%Y-%m-%d", "1mo": "%Y-%m", "1y": "%Y"}[found.every]
    stride = -(-len(found.steps) // most)
    chosen = found.steps[::-1][::stride][::-1]
    return ["cumulative difference, B - A", *(f"  {s.period:{form}} {change(s.cumulative):>12}" for s in chosen)]
