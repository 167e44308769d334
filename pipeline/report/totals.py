"""Figures -> headline and totals: what was emitted, by whom and in which phase."""

from pipeline.report import charts
from pipeline.report.figures import KINDS, PHASES, Figures
from pipeline.report.markup import Html, table, tag
from pipeline.report.sections import CO2, KIND_WORDS, PHASE_WORDS, Figure, Section, paragraph
from pipeline.report.words import MASS, energy, mass, percent, period, shown, unit_of


def cards(figures: Figures) -> Html:
    """The headline numbers."""
    usage, made = figures.of(phase="usage"), figures.of(phase="manufacturing")
    shown_cards = [
        (mass(figures.kg), f"{CO2} in all"),
        (mass(usage), "from usage" + (f", {percent(usage, figures.kg)}" if figures.kg else "")),
        (mass(made), "from manufacturing" + (f", {percent(made, figures.kg)}" if figures.kg else "")),
        (energy(figures.kwh), "electricity"),
    ]
    if figures.hours:
        days = ((figures.hours[1] - figures.hours[0]).total_seconds() + 3600) / 86400
        shown_cards.append((mass(figures.kg / days), f"{CO2} a day, on average"))
    return tag("div", *(tag("div", tag("b", b), tag("span", s), class_="card") for b, s in shown_cards), class_="cards")


def section(figures: Figures) -> Section:
    """Footprint and energy by category and phase."""
    if not figures.kg:
        empty = paragraph(f"No hour of this run has any footprint: {emptiness(figures)}")
        return Section("totals", "Totals", "Nothing was emitted", [cards(figures), empty])
    kind = max(KINDS, key=lambda k: figures.of(kind=k))
    phase = max(PHASES, key=lambda p: figures.of(phase=p))
    title = (
        f"{KIND_WORDS[kind]} make{'' if kind in ('server', 'device') else 's'} "
        f"{percent(figures.of(kind=kind), figures.kg)} of the footprint, "
        f"{phase} {percent(figures.of(phase=phase), figures.kg)}"
    )
    factor, unit = unit_of(max(figures.of(kind=k) for k in KINDS), MASS)
    rows = [
        {"label": KIND_WORDS[k], "part": PHASE_WORDS[p], "value": figures.of(kind=k, phase=p) / factor, "order": i}
        for k in KINDS
        for i, p in enumerate(PHASES)
    ]
    told = "; ".join(f"{KIND_WORDS[k]} {mass(figures.of(kind=k))}" for k in KINDS)
    chart = charts.bars(
        "totals", rows, f"{unit} {CO2}", {PHASE_WORDS[p]: p for p in PHASES}, f"Footprint by category and phase: {told}"
    )
    figure = Figure(chart, "Footprint by category and phase", totals_table(figures))
    return Section("totals", "Totals", title, [cards(figures), figure])


def totals_table(figures: Figures) -> Html:
    """Category by phase, with energy."""
    rows: list[list[object]] = []
    for kind in (*KINDS, None):
        of = {"kind": kind} if kind else {}
        kwh = float(figures.totals.filter(**of)["kwh"].sum())
        masses = [figures.of(**of, phase=p) for p in PHASES]
        rows.append(
            [KIND_WORDS[kind] if kind else "All", *map(mass, masses), mass(sum(masses)),
             percent(sum(masses), figures.kg), energy(kwh)]
        )  # fmt: skip
    head = ["Category", *PHASE_WORDS.values(), f"{CO2} in all", "Share", "Electricity"]
    return table("Footprint and electricity by category", head, rows, range(1, 6))


def emptiness(figures: Figures) -> str:
    """Why a page may have nothing to show."""
    if not any(figures.run.made(f"energy.{kind}") for kind in KINDS):
        return "its setting `tables` left out the energy tables."
    return "nothing in the model uses a server, a network or a device."


def headline(figures: Figures) -> tuple[str, str]:
    """The title of the page and the sentence below it."""
    name = shown(figures.run.model_name)
    if figures.hours is None:
        return f"{name}: no footprint", "This run has no hour with any footprint."
    return (
        f"{name} emits {mass(figures.kg)} {CO2}",
        f"Hourly model, {period(*figures.hours)} UTC, with {energy(figures.kwh)} of electricity.",
    )
