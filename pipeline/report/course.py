"""Figures -> the footprint over time: by period, and a week of hours."""

from collections.abc import Callable
from datetime import datetime

import polars as pl
from polars import col

from pipeline.report import charts
from pipeline.report.figures import KINDS, Figures
from pipeline.report.markup import Html, table
from pipeline.report.sections import CO2, DAYS, KIND_WORDS, PERIOD_WORDS, Figure, Section, when
from pipeline.report.words import (
    MASS,
    mass,
    significant,
    unit_of,
)


def section(figures: Figures) -> Section | None:
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
