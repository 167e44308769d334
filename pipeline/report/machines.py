"""Figures -> servers (instances against need, idle energy) and storages (data kept)."""

import polars as pl
from polars import col

from pipeline.report import charts
from pipeline.report.figures import MOST, Figures
from pipeline.report.markup import Html, details, named, table
from pipeline.report.names import labels
from pipeline.report.sections import CO2, PERIOD_WORDS, Figure, Section, note, paragraph, quoted, total, when
from pipeline.report.words import STORED, count, energy, mass, percent, plain, stored, unit_of


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
    if idle <= 0:
        return "Servers spend no energy idle"
    shares = rows.head(MOST).filter(col.kwh > 0.01 * kwh).with_columns(share=col.idle_kwh / col.kwh)
    if shares.is_empty():
        return title
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
            plain((r["nb"] or 0) / (r["hours"] or 1)),
            plain((r["raw"] or 0) / (r["hours"] or 1)),
            plain(r["nb_peak"] or 0),
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
    on, needed = (plain(total(rows[c]) / len(rows)) for c in ("nb", "raw"))
    caption = f"{quoted(label)}: {on} instance{'' if on == '1' else 's'} on for a need of {needed}"
    if peak["nb"] > 1.05 * total(rows["nb"]) / len(rows):
        caption += f", most in {when(peak['period'], every)}"
    chart = charts.over_time(
        f"server-{number}", drawn, every, f"instances, average of the {word}", {"On": "idle", "Needed": "need"}, caption, stack=False
    )  # fmt: skip
    numbers = [[when(r["period"], every), plain(r["nb"]), plain(r["raw"])] for r in rows.iter_rows(named=True)]
    return Figure(
        chart, caption, table(f"Instances of {quoted(label)}", [word.capitalize(), "On", "Needed"], numbers, [1, 2])
    )


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
