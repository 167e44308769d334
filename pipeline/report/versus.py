"""Comparison -> the section on how this run differs from another."""

from pipeline.compare import MOST, Comparison, Pair
from pipeline.report import charts
from pipeline.report.markup import Html, details, named, table
from pipeline.report.sections import CO2, KIND_WORDS, PERIOD_WORDS, PHASE_WORDS, Figure, Section, note, quoted, when
from pipeline.report.words import MASS, change, mass, percent, shown, unit_of

HEAD = ["A", "B", "B − A"]
WAYS = {"more": "up", "less": "down"}


def section(found: Comparison) -> Section:
    """How this run (B) differs from the one it is held against (A)."""
    parts: list[Html | Figure] = [
        note(f"A is {quoted(found.a.run.model_name)}, run {found.a.run.run_id}; B is this run, {found.b.run.run_id}."),
        totals(found),
    ]
    for name, pairs in found.largest.items():
        if pairs:
            parts.append(differing(name, pairs))
    if found.steps and found.footprint.a != found.footprint.b:
        parts.append(cumulative(found))
    return Section("against", "Comparison", title(found), [*parts, *inputs(found)])


def title(found: Comparison) -> str:
    """Which run emits more."""
    whole = found.footprint
    other = quoted(found.a.run.model_name)
    if not whole.difference:
        return f"This run emits as much as the one of {other}"
    more = "more" if whole.difference > 0 else "less"
    share = f", {percent(abs(whole.difference), whole.a)}" if whole.a else ""
    return f"This run emits {mass(abs(whole.difference))} {CO2} {more} than the one of {other}{share}"


def totals(found: Comparison) -> Html:
    """By category and phase."""
    rows = [
        [f"{KIND_WORDS[kind]}, {PHASE_WORDS[phase].lower()}", *numbers(p)]
        for p in found.totals
        if p.a or p.b
        for kind, phase in [p.name.split("/")]
    ]
    rows.append(["All", *numbers(found.footprint)])
    return table("Footprint of both runs", ["Category and phase", *HEAD], rows, [1, 2, 3])


def numbers(pair: Pair) -> list[str]:
    """A, B and their difference."""
    return [mass(pair.a), mass(pair.b), change(pair.difference)]


def differing(name: str, pairs: list[Pair]) -> Figure:
    """The largest differences of one sort of thing."""
    factor, unit = unit_of(max(abs(p.difference) for p in pairs), MASS)
    rows: list[charts.Row] = [
        {"label": p.label, "value": p.difference / factor, "way": "more" if p.difference > 0 else "less"} for p in pairs
    ]
    caption = f"{name.capitalize()} with the largest differences"
    told = "; ".join(f"{p.label} {change(p.difference)}" for p in pairs[:3])
    chart = charts.differences(f"against-{name}", rows, f"{unit} {CO2}, B − A", f"{caption}: {told}")
    lines: list[list[object]] = [[named(p.label), *numbers(p)] for p in pairs]
    return Figure(chart, caption, table(caption, [name.capitalize().removesuffix("s"), *HEAD], lines, [1, 2, 3]))


def cumulative(found: Comparison) -> Figure:
    """The difference as it adds up."""
    factor, unit = unit_of(max(abs(s.cumulative) for s in found.steps), MASS)
    rows: list[charts.Row] = [
        {"time": s.period, "part": "more" if s.cumulative > 0 else "less", "value": s.cumulative / factor, "order": 0}
        for s in found.steps
    ]
    caption = f"The difference adds up to {change(found.steps[-1].cumulative)}"
    chart = charts.over_time("against-time", rows, found.every, f"{unit} {CO2}, B − A", WAYS, caption, stack=False)
    lines = [[when(s.period, found.every), mass(s.a), mass(s.b), change(s.cumulative)] for s in found.steps]
    head = [PERIOD_WORDS[found.every].capitalize(), "A", "B", "B − A so far"]
    return Figure(chart, caption, table(caption, head, lines, [1, 2, 3]))


def inputs(found: Comparison) -> list[Html]:
    """Settings and inputs that are not the same."""
    parts: list[Html] = []
    if found.settings:
        rows = [[named(n), named(a), named(b)] for n, a, b in found.settings]
        parts.append(table("Settings and versions that differ", ["Setting", "A", "B"], rows))
    if not found.inputs:
        return [*parts, note("The inputs are the same.")]
    rows = [[named(i.table), named(i)] for i in found.inputs]
    parts.append(table("Inputs that differ", ["Table", "What changed"], rows))
    cells = [(i.table, c) for i in found.inputs for c in i.cells[: 5 * MOST]]
    if cells:
        lines = [
            [named(t), named(c.row), c.column, *(named("" if v is None else shown(v)) for v in (c.a, c.b))]
            for t, c in cells
        ]
        parts.append(details("Changed values", table("Changed values", ["Table", "Row", "Column", "A", "B"], lines)))
    return parts
