"""Figures -> the sections of the page: a title that says what one sees, charts, and the same numbers as tables."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import polars as pl
from polars import col

from pipeline.report import charts
from pipeline.report.charts import Chart
from pipeline.report.figures import KINDS, MOST, PHASES, Figures, most
from pipeline.report.markup import Html, details, named, table, tag
from pipeline.report.names import labels
from pipeline.report.words import (
    MASS,
    STORED,
    count,
    energy,
    mass,
    percent,
    period,
    shown,
    significant,
    stored,
    unit_of,
)

KIND_WORDS = {"server": "Servers", "storage": "Storage", "network": "Network", "device": "Devices"}
PHASE_WORDS = {"manufacturing": "Manufacturing", "usage": "Usage"}
PERIOD_WORDS = {"1h": "hour", "1d": "day", "1mo": "month", "1y": "year"}
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
CO2 = "CO₂e"
IN_QUOTES = 40


@dataclass(frozen=True)
class Figure:
    """A chart with its caption and its numbers."""

    chart: Chart
    caption: str
    numbers: Html


@dataclass(frozen=True)
class Section:
    """A part of the page; `parts` in order, markup or figures."""

    key: str
    short: str
    title: str
    parts: Sequence[Html | Figure] = field(default_factory=tuple)

    @property
    def charts(self) -> list[Chart]:
        """The charts of the section."""
        return [p.chart for p in self.parts if isinstance(p, Figure)]


def total(values: pl.Series) -> float:
    """The sum of numbers, 0 where there are none."""
    return float(values.sum())


def note(words: str) -> Html:
    """A sentence below what it explains."""
    return tag("p", words, class_="note")


def paragraph(words: str) -> Html:
    """A sentence."""
    return tag("p", words)


def quoted(label: str) -> str:
    """A name from the model inside a sentence."""
    return f"“{shown(label, IN_QUOTES)}”"


def when(moment: datetime, every: str) -> str:
    """A period as a person writes it."""
    form = {"1h": "%Y-%m-%d %H:00 UTC", "1d": "%Y-%m-%d", "1mo": "%Y-%m", "1y": "%Y"}[every]
    return f"{moment:{form}}"


# ---------------------------------------------------------------- totals


def cards(figures: Figures) -> Html:
    """The headline numbers."""
    usage, made = figures.of(phase="usage"), figures.of(phase="manufacturing")
    shown_cards = [
        (mass(figures.kg), f"{CO2} in all"),
        (mass(usage), f"from usage, {percent(usage, figures.kg)}"),
        (mass(made), f"from manufacturing, {percent(made, figures.kg)}"),
        (energy(figures.kwh), "electricity"),
    ]
    if figures.hours:
        days = ((figures.hours[1] - figures.hours[0]).total_seconds() + 3600) / 86400
        shown_cards.append((mass(figures.kg / days), f"{CO2} a day, on average"))
    return tag("div", *(tag("div", tag("b", b), tag("span", s), class_="card") for b, s in shown_cards), class_="cards")


def totals(figures: Figures) -> Section:
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
    made = figures.run.about.get("rows", {})
    if not any(t.startswith("energy.") for t in made):
        return "its setting `tables` left out the energy tables."
    return "nothing in the model uses a server, a network or a device."


# ---------------------------------------------------------------- over time


def over_time(figures: Figures) -> Section | None:
    """Footprint by period, and the typical week."""
    if figures.hours is None or not figures.kg:
        return None
    every = figures.every
    word = PERIOD_WORDS[every]
    sums = figures.hourly.group_by(col.hour.dt.truncate(every).alias("period"), "kind").agg(col.kg.sum())
    periods = sums.group_by("period").agg(col.kg.sum()).sort("period")
    top = periods.sort("kg", "period", descending=[True, False]).row(0)
    mean = figures.kg / len(periods)
    title = f"The footprint peaks in the {word} {when(top[0], every)}: {mass(top[1])} {CO2}"
    if len(periods) == 1:
        title = f"All {mass(figures.kg)} {CO2} fall into one {word}, {when(top[0], every)}"
    elif top[1] > 1.05 * mean:
        title += f", {significant(top[1] / mean, 2)} times the average {word}"
    factor, unit = unit_of(top[1], MASS)
    drawn = stacked(sums, "period", factor)
    head = f"Footprint by {word}"
    chart = charts.over_time(
        "over-time", drawn, every, f"{unit} {CO2} per {word}", present(sums), f"{head} and category: {title}"
    )
    numbers = by_kind_table(head, word.capitalize(), sums, "period", lambda value: when(value, every))
    return Section("time", "Over time", title, [Figure(chart, head, numbers), weekly(figures)])


def present(sums: pl.DataFrame) -> dict[str, str]:
    """Labels and colours of the categories that emit anything."""
    kinds = set(sums.filter(col.kg > 0)["kind"].to_list())
    return {KIND_WORDS[k]: k for k in KINDS if k in kinds} or {KIND_WORDS["server"]: "server"}


def stacked(sums: pl.DataFrame, key: str, factor: float) -> list[charts.Row]:
    """Rows of a stacked chart over time."""
    order = {k: i for i, k in enumerate(KINDS)}
    return [
        {"time": row[key], "part": KIND_WORDS[row["kind"]], "value": row["kg"] / factor, "order": order[row["kind"]]}
        for row in sums.filter(col.kg > 0).sort(key, "kind").iter_rows(named=True)
    ]


def by_kind_table(caption: str, first: str, sums: pl.DataFrame, key: str, word: Callable[[datetime], str]) -> Html:
    """One row per period, one column per category."""
    held: dict[datetime, dict[str, float]] = {}
    for row in sums.sort(key).iter_rows(named=True):
        held.setdefault(row[key], {})[row["kind"]] = row["kg"]
    kinds = [k for k in KINDS if k in present(sums).values()]
    rows = [[word(t), *(mass(v.get(k, 0.0)) for k in kinds), mass(sum(v.values()))] for t, v in held.items()]
    return table(caption, [first, *(KIND_WORDS[k] for k in kinds), f"{CO2} in all"], rows, range(1, len(kinds) + 2))


def weekly(figures: Figures) -> Figure:
    """The average footprint of each hour of the week."""
    assert figures.hours
    of_week = (col.hour.dt.weekday().cast(pl.Int32) - 1) * 24 + col.hour.dt.hour().cast(pl.Int32)
    every_hour = pl.datetime_range(*figures.hours, "1h", time_zone="UTC", eager=True).alias("hour").to_frame()
    times = every_hour.group_by(of_week.alias("how")).agg(times=pl.len())
    sums = figures.hourly.group_by(of_week.alias("how"), "kind").agg(col.kg.sum()).join(times, on="how")
    means = sums.with_columns(kg=col.kg / col.times).sort("how", "kind")
    by_hour = means.group_by("how").agg(col.kg.sum()).sort("kg", "how", descending=[True, False])
    busiest, quietest = by_hour.row(0), by_hour.row(-1)
    factor, unit = unit_of(busiest[1], MASS)
    order = {k: i for i, k in enumerate(KINDS)}
    rows = [
        {"hour": how, "label": hour_of_week(how), "part": KIND_WORDS[kind], "value": kg / factor, "order": order[kind]}
        for how, kind, kg in means.filter(col.kg > 0).select("how", "kind", "kg").iter_rows()
    ]
    caption = f"A week of hours: {hour_of_week(busiest[0])} UTC emits most, {mass(busiest[1])} {CO2} on average"
    if quietest[0] != busiest[0]:
        caption += f"; {hour_of_week(quietest[0])} least, {mass(quietest[1])}"
    chart = charts.week("week", rows, f"{unit} {CO2} per hour", present(means), caption)
    numbers = [[hour_of_week(how), mass(kg)] for how, kg in by_hour.sort("how").iter_rows()]
    return Figure(chart, caption, table("Average footprint by hour of the week", ["Hour, UTC", CO2], numbers, [1]))


def hour_of_week(how: int) -> str:
    """Monday 14:00."""
    return f"{DAYS[how // 24]} {how % 24:02}:00"


# ---------------------------------------------------------------- servers


def servers(figures: Figures) -> Section:
    """Instances against raw need, and the energy spent idle."""
    rows = figures.servers
    if rows.is_empty():
        words = "No server has any hour in this run."
        return Section("servers", "Servers", "No server was needed", [paragraph(words)])
    kept = rows.head(MOST)
    names = labels(figures.run, "server", kept["server_id"].to_list())
    parts: list[Html | Figure] = []
    if total(kept["nb"]):
        parts.append(need_figure(figures, kept, names))
    for number, server in enumerate(kept["server_id"].head(3).to_list(), start=1):
        drawn = timeline(figures, server, names[server], number)
        if drawn:
            parts.append(drawn)
    if len(rows) > MOST:
        parts.append(note(f"The {MOST} servers that emit most, of {count(len(rows), 'server')}."))
    return Section("servers", "Servers", idle_title(rows, names), parts)


def idle_title(rows: pl.DataFrame, names: dict[str, str]) -> str:
    """What share of their energy servers spend idle."""
    idle, kwh = total(rows["idle_kwh"]), total(rows["kwh"])
    if not kwh:
        return "The servers use no energy"
    first = rows.row(0, named=True)
    if len(rows) == 1:
        return f"{quoted(names[first['server_id']])} idles {percent(idle, kwh)} of its energy"
    title = f"Servers idle {percent(idle, kwh)} of their energy"
    shares = rows.head(MOST).filter(col.kwh > 0.01 * kwh).with_columns(share=col.idle_kwh / col.kwh)
    worst = shares.sort("share", "server_id", descending=[True, False]).row(0, named=True)
    return f"{title}; {quoted(names[worst['server_id']])} {percent(worst['share'])} of its own"


def need_figure(figures: Figures, kept: pl.DataFrame, names: dict[str, str]) -> Figure:
    """How much of the instances that are on is needed."""
    rows: list[charts.Row] = []
    told = []
    for row in kept.filter(col.nb > 0).iter_rows(named=True):
        used = min(row["raw"] / row["nb"], 1.0)
        label = names[row["server_id"]]
        rows.append({"label": label, "part": "Needed", "value": 100 * used, "order": 0})
        rows.append({"label": label, "part": "On without need", "value": 100 * (1 - used), "order": 1})
        told.append(f"{label} {percent(used)}")
    caption = "How much of the instances that are on is needed"
    chart = charts.bars(
        "servers",
        rows,
        "% of instance hours",
        {"Needed": "need", "On without need": "idle"},
        f"{caption}: {'; '.join(told)}",
        end=100,
    )
    return Figure(chart, caption, servers_table(figures, kept, names))


def servers_table(figures: Figures, kept: pl.DataFrame, names: dict[str, str]) -> Html:
    """Instances, need, energy and footprint of servers."""
    head = [
        "Server",
        "Instances on, average",
        "needed, average",
        "on at most",
        "Hours",
        "Electricity",
        "of it idle",
        CO2,
    ]
    rows = [
        [
            named(names[r["server_id"]]),
            significant((r["nb"] or 0) / (r["hours"] or 1)),
            significant((r["raw"] or 0) / (r["hours"] or 1)),
            significant(r["nb_peak"] or 0),
            f"{r['hours'] or 0}",
            energy(r["kwh"]),
            percent(r["idle_kwh"], r["kwh"]),
            mass(r["kg"]),
        ]
        for r in kept.iter_rows(named=True)
    ]
    return table("Instances against need, by server", head, rows, range(1, 8))


def timeline(figures: Figures, server: str, label: str, number: int) -> Figure | None:
    """Instances on and needed over time."""
    rows = figures.timelines.filter(server_id=server)
    if rows.is_empty():
        return None
    every, word = figures.every, PERIOD_WORDS[figures.every]
    drawn: list[charts.Row] = []
    for row in rows.iter_rows(named=True):
        drawn.append({"time": row["period"], "part": "On", "value": row["nb"], "order": 0})
        drawn.append({"time": row["period"], "part": "Needed", "value": row["raw"], "order": 1})
    peak = rows.sort("nb", "period", descending=[True, False]).row(0, named=True)
    caption = (
        f"{quoted(label)}: {significant(total(rows['nb']) / len(rows))} instances on for a need of "
        f"{significant(total(rows['raw']) / len(rows))}"
    )
    if peak["nb"] > 1.05 * total(rows["nb"]) / len(rows):
        caption += f", most in {when(peak['period'], every)}"
    chart = charts.over_time(
        f"server-{number}", drawn, every, f"instances, average of the {word}", {"On": "idle", "Needed": "need"}, caption, stack=False
    )  # fmt: skip
    numbers = [
        [when(r["period"], every), significant(r["nb"]), significant(r["raw"])] for r in rows.iter_rows(named=True)
    ]
    return Figure(
        chart, caption, table(f"Instances of {quoted(label)}", [word.capitalize(), "On", "Needed"], numbers, [1, 2])
    )


# ---------------------------------------------------------------- who


WHO = {
    "jobs": ("job", "Job", "Jobs"),
    "patterns": ("pattern", "Usage pattern", "Usage patterns"),
    "projects": ("", "Project", "Projects"),
    "users": ("", "User", "Users"),
}


def who(figures: Figures) -> Section:
    """The jobs, patterns, projects and users that carry most."""
    parts: list[Html | Figure] = []
    for which in WHO:
        drawn = carriers(figures, which)
        if drawn:
            parts.append(drawn)
    if not parts:
        wanted = "repartition.footprint" in figures.run.about.get("rows", {})
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


def carriers(figures: Figures, which: str) -> Figure | None:
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
    return Figure(chart, caption, carriers_table(caption, one, kept, names, sums, rows, figures.kg))


def carriers_table(
    caption: str, one: str, kept: list[str], names: dict[str, str], sums: dict[tuple[str, str], float],
    rows: pl.DataFrame, whole: float,
) -> Html:  # fmt: skip
    """The numbers of `carriers`, with ids and the rest."""
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
    numbers = range(len(head), len(head) + 4)
    return table(caption, [*head, *PHASE_WORDS.values(), f"{CO2} in all", "Share"], lines, numbers)


# ---------------------------------------------------------------- storage


def storage(figures: Figures) -> Section | None:
    """Data kept over time."""
    rows = figures.storages
    if rows.is_empty() or not total(rows["kept"]):
        return None
    every, word = figures.every, PERIOD_WORDS[figures.every]
    sums = rows.group_by("period").agg(col.kept.sum()).sort("period")
    peak = sums.sort("kept", "period", descending=[True, False]).row(0)
    first, last = sums.row(0), sums.row(-1)
    title = f"Data kept reaches {stored(peak[1])} in {when(peak[0], every)}"
    if last[1] > first[1]:
        title = f"Data kept grows from {stored(first[1])} to {stored(last[1])}"
    elif last[1] < 0.9 * peak[1]:
        title += f" and falls to {stored(last[1])}"
    factor, unit = unit_of(peak[1], STORED)
    drawn: list[charts.Row] = [
        {"time": t, "part": "Kept", "value": kept / factor, "order": 0} for t, kept in sums.iter_rows()
    ]
    caption = f"Data kept in {count(rows['storage_id'].n_unique(), 'storage')}, average of each {word}"
    chart = charts.over_time("storage", drawn, every, f"{unit} kept", {"Kept": "storage"}, f"{caption}: {title}")
    numbers = [[when(t, every), stored(kept)] for t, kept in sums.iter_rows()]
    parts: list[Html | Figure] = [Figure(chart, caption, table(caption, [word.capitalize(), "Kept"], numbers, [1]))]
    parts.append(details("By storage", storages_table(figures)))
    return Section("storage", "Storage", title, parts)


def storages_table(figures: Figures) -> Html:
    """First, largest and last value of each storage."""
    rows = (
        figures.storages.sort("period")
        .group_by("storage_id")
        .agg(first=col.kept.first(), peak=col.kept.max(), last=col.kept.last())
        .sort("peak", "storage_id", descending=[True, False])
        .head(MOST)
    )
    names = labels(figures.run, "storage", rows["storage_id"].to_list())
    kg = dict(figures.sources.filter(kind="storage").group_by("id").agg(col.kg.sum()).iter_rows())
    lines = [
        [named(names[i]), stored(first), stored(peak), stored(last), mass(kg.get(i, 0.0))]
        for i, first, peak, last in rows.iter_rows()
    ]
    return table("Data kept by storage", ["Storage", "At first", "At most", "At last", CO2], lines, range(1, 5))


def headline(figures: Figures) -> tuple[str, str]:
    """The title of the page and the sentence below it."""
    name = shown(figures.run.model_name)
    if figures.hours is None:
        return f"{name}: no footprint", "This run has no hour with any footprint."
    return (
        f"{name} emits {mass(figures.kg)} {CO2}",
        f"Hourly model, {period(*figures.hours)} UTC, with {energy(figures.kwh)} of electricity.",
    )
