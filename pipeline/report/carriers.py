"""Figures -> who carries the footprint: jobs, usage patterns, projects, users."""

import polars as pl
from polars import col

from pipeline.report import charts
from pipeline.report.figures import PHASES, Figures, most
from pipeline.report.markup import Html, named, table
from pipeline.report.names import labels
from pipeline.report.sections import CO2, PHASE_WORDS, Figure, Section, note, paragraph, quoted, total
from pipeline.report.words import MASS, count, mass, percent, unit_of

WHO = {
    "jobs": ("job", "Job", "Jobs"),
    "patterns": ("pattern", "Usage pattern", "Usage patterns"),
    "projects": ("", "Project", "Projects"),
    "users": ("", "User", "Users"),
}


def section(figures: Figures) -> Section:
    """The jobs, patterns, projects and users that carry most."""
    parts: list[Html | Figure] = []
    for which in WHO:
        drawn = figure(figures, which)
        if drawn:
            parts.append(drawn)
    if not parts:
        wanted = figures.run.made("repartition.footprint")
        words = "No footprint falls to any job." if wanted else "This run was made without repartition.footprint."
        return Section("who", "Who", "Nobody carries any footprint", [paragraph(words)])
    parts.append(
        note("Attributed by repartition.footprint, in which every gram lands exactly once, idle hours included.")
    )
    return Section("who", "Who", who_title(figures), parts)


def who_title(figures: Figures) -> str:
    """Who carries how much."""
    first = most(figures.jobs, 1)
    if not first:
        return "No job carries any footprint; it falls to those who use devices"
    kg = total(figures.jobs.filter(id=first[0])["kg"])
    name = labels(figures.run, "job", first)[first[0]]
    jobs = figures.jobs.filter(col.kg > 0)["id"].drop_nulls().n_unique()
    alone = "the only job, carries" if jobs == 1 else f"one of {count(jobs, 'job')}, carries"
    return f"{quoted(name)}, {alone} {percent(kg, figures.kg)} of the footprint"


def figure(figures: Figures, which: str) -> Figure | None:
    """A chart of the ids that carry most, the rest summed."""
    rows: pl.DataFrame = getattr(figures, which)
    kind, one, many = WHO[which]
    kept = most(rows)
    if not kept:
        return None
    names = labels(figures.run, kind, kept)
    sums = {(i, p): kg for i, p, kg in rows.filter(col.id.is_in(kept)).iter_rows()}
    kg_of = {i: sum(sums.get((i, p), 0.0) for p in PHASES) for i in kept}
    factor, unit = unit_of(kg_of[kept[0]], MASS)
    drawn: list[charts.Row] = [
        {"label": names[i], "part": PHASE_WORDS[p], "value": sums.get((i, p), 0.0) / factor, "order": n}
        for i in kept
        for n, p in enumerate(PHASES)
    ]
    told = "; ".join(f"{names[i]} {mass(kg_of[i])}" for i in kept[:3])
    ids = rows.filter(col.kg > 0)["id"].drop_nulls().n_unique()
    caption = f"{many} by footprint" + (
        f", the {len(kept)} largest of {count(ids, one.lower())}" if ids > len(kept) else ""
    )
    chart = charts.bars(which, drawn, f"{unit} {CO2}", {PHASE_WORDS[p]: p for p in PHASES}, f"{caption}: {told}")
    return Figure(chart, caption, numbers(caption, one, kept, names, sums, rows, figures.kg))


def numbers(
    caption: str, one: str, kept: list[str], names: dict[str, str], sums: dict[tuple[str, str], float],
    rows: pl.DataFrame, whole: float,
) -> Html:  # fmt: skip
    """The numbers of `figure`, with ids and the rest."""
    different = any(names[i] != i for i in kept)
    lines: list[list[object]] = []
    for i in kept:
        masses = [sums.get((i, p), 0.0) for p in PHASES]
        first: list[object] = [named(names[i]), named(i)] if different else [named(i)]
        lines.append([*first, *map(mass, masses), mass(sum(masses)), percent(sum(masses), whole)])
    rest = [total(rows.filter(~col.id.is_in(kept).fill_null(False), phase=p)["kg"]) for p in PHASES]
    if sum(rest) > 0:
        blank = ["Everything else", ""] if different else ["Everything else"]
        lines.append([*blank, *map(mass, rest), mass(sum(rest)), percent(sum(rest), whole)])
    head = [one, "Id"] if different else [one]
    right = range(len(head), len(head) + 4)
    return table(caption, [*head, *PHASE_WORDS.values(), f"{CO2} in all", "Share"], lines, right)
