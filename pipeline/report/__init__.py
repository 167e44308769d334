"""OUT -> one self-contained HTML page about its current run, and its charts as PNG."""

import os
from pathlib import Path

from pipeline.errors import InputError
from pipeline.report import carriers, charts, course, flow, machines, quality, totals, trust
from pipeline.report.figures import Figures, gathered
from pipeline.report.flow import Flows
from pipeline.report.markup import Html, details, named, table, tag
from pipeline.report.page import page
from pipeline.report.published import opened
from pipeline.report.sections import CO2, Section, note, quoted
from pipeline.report.words import mass

FILE_NAME = "report.html"
LONGEST_LINKS = 100


def write(out: Path, html: Path | None = None, png: Path | None = None, against: Path | None = None) -> Path:
    """Write the report of OUT's current run to `html` (OUT/report.html), its charts into the folder `png`; the page's path."""
    run = opened(out)
    target = html or out / FILE_NAME
    if target.resolve().is_relative_to(run.root):
        raise InputError(f"{target}: inside a published run, which never changes; name another file with --html")
    figures = gathered(run)
    drawn = flow.flows(figures)
    found = [*in_order(figures, drawn), *compared(out, against), *trust_sections(figures)]
    title, lead = totals.headline(figures)
    footer = f"Made by wattrow from run {run.run_id}. Masses are {CO2}; hours are UTC."
    _replace(target, page(title, lead, found, footer))
    if png:
        write_pngs(png, found, drawn)
    return target


def in_order(figures: Figures, drawn: Flows) -> list[Section]:
    """The sections on the results."""
    made = [
        totals.section(figures),
        course.section(figures),
        machines.servers(figures),
        carriers.section(figures),
        flowing(drawn),
        machines.storage(figures),
    ]
    return [s for s in made if s]


def compared(out: Path, against: Path | None) -> list[Section]:
    """The section on another run, where one is asked for."""
    if against is None:
        return []
    from pipeline import compare
    from pipeline.report import versus

    return [versus.section(compare.compared(against, out))]


def trust_sections(figures: Figures) -> list[Section]:
    """The sections on what the numbers rest on."""
    return [trust.data_quality(figures, quality.assessed(figures)), trust.making(figures)]


def flowing(drawn: Flows) -> Section | None:
    """The picture of flows, with its largest links as a table."""
    links = sorted(drawn.links["all"], key=lambda link: -link[3])
    if not links:
        return None
    a, b, _, kg = links[0]
    names = drawn.labels
    title = f"The largest flow: {mass(kg)} from {quoted(names[0].get(a, a))} through {quoted(names[1].get(b, b))}"
    rows = [
        [named(names[0].get(a, a)), named(names[1].get(b, b)), named(names[2].get(c, c)), mass(kg)]
        for a, b, c, kg in links[:LONGEST_LINKS]
    ]
    numbers = table("Flows, both phases", ["Source", "Job", "Usage pattern", CO2], rows, [3])
    words = "From sources (left) through jobs to usage patterns (right); a box is as high as the carbon it holds."
    caption = tag("figcaption", "Where carbon comes from and what it is for")
    inside: list[Html] = [tag("figure", caption, flow.selectable(drawn), details("The numbers", numbers)), note(words)]
    return Section("flow", "Flow", title, inside)


def _replace(target: Path, content: str) -> None:
    """Write a file in one step."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
    try:
        partial.write_text(content, encoding="utf-8", newline="\n")
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def write_pngs(folder: Path, found: list[Section], drawn: Flows) -> None:
    """Every chart of the page as a PNG of its own, in light colours."""
    import vl_convert

    folder.mkdir(parents=True, exist_ok=True)
    for section in found:
        for figure in section.figures:
            charts.write_png(figure.chart, figure.caption, folder)
    for choice in drawn.links:
        if drawn.links[choice]:
            picture = vl_convert.svg_to_png(flow.standing(drawn, choice, charts.LIGHT), scale=2)
            (folder / f"flow-{choice}.png").write_bytes(picture)
