"""The procedures that no formula says: pieces of runs, tiers of instances, hours of the week, windows of a step, hours of a period."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from pipeline import civil_time
from pipeline.constants import SECONDS_PER_HOUR
from pipeline.errors import PipelineError
from pipeline.series import hour_index, hour_of
from pipeline.stages.need import run
from pipeline.stages.repartition import hours as server_hours
from pipeline.stages.repartition.device import in_step_values
from pipeline.stages.repartition.periods import PERIODS

if TYPE_CHECKING:
    from pipeline.explain.values import Book, Rows
    from pipeline.stages.lineage import Rule

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def values(rows: Rows, rule: Rule) -> pl.Series:
    """The values of a name that a rule makes."""
    procedures: dict[str, Callable[[Rows], pl.Series]] = {
        "provision_rate": provision_rate,
        "weekly_volume": weekly_volume,
        "in_step": in_step,
        "hours_of_period": partial(hours_of_period, rule=rule),
        "given_occurrences": given_occurrences,
        "any_given": any_given,
        "is_direct": is_direct,
        "starts": starts,
        "unit_written": unit_written,
    }
    procedure = procedures.get(rule.name)
    if procedure is None:
        raise PipelineError(f"no procedure for the rule {rule.name}")
    return procedure(rows)


def one_value(kind: pl.DataType) -> pl.Expr:
    """The value of rows that share a key: their sum, of text the first."""
    several = pl.when(pl.len() > 1).then(pl.col("v").sum()).otherwise(pl.col("v").first())
    return (several if kind.is_float() else pl.col("v").first()).alias("v")


def aggregate(kind: str) -> pl.Expr:
    """What a total does with its addends."""
    if kind == "largest":
        return pl.col("v").max()
    if kind == "sum of those given":
        return pl.when(pl.col("v").is_not_null().any()).then(pl.col("v").sum()).alias("v")
    return pl.col("v").sum()


def moment(index: int) -> datetime:
    """The instant of an hour counted from 1970."""
    return EPOCH + timedelta(hours=index)


def moments(first: int, last: int) -> tuple[datetime, datetime]:
    """The instants of two hours, kept within the years that timestamps of Python have."""
    return moment(max(int(first), -600_000)), moment(int(last))


# ---------------------------------------------------------------- observed runs


def pieces_of_runs(book: Book, where: pl.DataFrame, hours: tuple[Any, Any] | None) -> pl.DataFrame:
    """Rows of need.held: every piece of the runs that match `where`, in each hour it touches, starts or ends in."""
    found = {t: book.source.scan(t) for t in ("job_runs", "job_run_intervals", "log_horizons")}
    job_runs = found["job_runs"]
    if job_runs is None or found["job_run_intervals"] is None or found["log_horizons"] is None:
        from pipeline.errors import InputError

        raise InputError(book.source.missing("job_runs"))
    who = [k for k in run.KEY if k in where.columns]
    held = run.held_intervals(job_runs, found["job_run_intervals"], found["log_horizons"])
    mine = held.join(where.select(who).unique().lazy(), on=who, how="semi") if who else held
    every = _in_hours(mine.collect())
    if "hour" in where.columns:
        every = every.join(where.unique(), on=[*who, "hour"], how="semi")
    return every if hours is None else every.filter(pl.col("hour").is_between(*hours))


def _in_hours(pieces: pl.DataFrame) -> pl.DataFrame:
    """One row per piece and hour, with what it adds to the counts and times of need.run."""
    ms = run.HOUR_MS
    over = pl.col("run_id")
    numbered = pieces.sort("run_id", "begin").with_columns(
        piece=pl.int_range(pl.len()).over(over),
        total=(pl.col("end") - pl.col("begin")).sum().over(over) / ms,
        pieces=pl.len().over(over),
        first=pl.col("begin").min().over(over),
        ended_ms=pl.col("ended_at").dt.timestamp("ms"),
    )
    touching = run.by_hour(numbered.lazy()).collect()
    last = pl.col("piece") == pl.col("pieces") - 1
    late = numbered.filter(last & (pl.col("ended_ms") // ms > pl.max_horizontal(pl.col("end") - 1, "begin") // ms))
    after = late.with_columns(hour=pl.col("ended_ms") // ms, overlap=pl.lit(0.0))
    every = pl.concat([touching, after.select(touching.columns)])
    last_row = pl.col("piece") == pl.col("piece").max().over("run_id", "hour")
    held = pl.col("overlap") > 0
    started = (pl.col("hour") == pl.col("first") // ms) & (pl.col("piece") == 0)
    waited = (pl.col("first") - pl.col("submitted_at").dt.timestamp("ms")).clip(0).fill_null(0) / ms
    return every.with_columns(
        started=started.cast(pl.Float64),
        ended=((pl.col("hour") == pl.col("ended_ms") // ms) & last_row).fill_null(False).cast(pl.Float64),
        running=(held & (held.cast(pl.Int64).cum_sum().over("run_id", "hour", order_by="piece") == 1)).cast(pl.Float64),
        waited=pl.when(started).then(waited).otherwise(0.0),
        hour=hour_of(pl.col("hour")),
    )


# ---------------------------------------------------------------- servers


def provision_rate(rows: Rows) -> pl.Series:
    """`provision_rate` of hours of servers, by the stage's own procedure over all hours of the server."""
    whole = rows.book.rows("repartition.server_hour", rows.select({"server_id": "server_id"}).unique())
    names = ("server_id", "hour", "demand_sum", "guarded_raw", "nb_of_instances")
    every = whole.select({n: n for n in names}).sort("server_id", "hour")
    of_hours = server_hours.PROVISION_RATES[rows.book.parameters["attribution_key"]]
    parts = []
    for _, one in every.group_by("server_id", maintain_order=True):
        demand, raw, on = (one[c].to_numpy() for c in ("demand_sum", "guarded_raw", "nb_of_instances"))
        parts.append(one.select("server_id", "hour").with_columns(pl.Series("v", of_hours(demand, raw, on.max()))))
    if not parts:
        return pl.Series([None] * len(rows), dtype=pl.Float64)
    ours = rows.select({"server_id": "server_id", "hour": "hour"})
    return ours.join(pl.concat(parts), on=["server_id", "hour"], how="left", maintain_order="left")["v"]


def tiers(rows: Rows) -> tuple[str, list[tuple[int, int, float]]]:
    """What `provision_rate` of one hour adds up: (first tier, last tier, part of each of these tiers)."""
    whole = rows.book.rows("repartition.server_hour", rows.select({"server_id": "server_id"}))
    demand, raw = whole.get("demand_sum").to_numpy(), whole.get("guarded_raw").to_numpy()
    total = float(demand.sum())
    if rows.book.parameters["attribution_key"] != "binding":
        return "period", [(1, 1, 1 / total)] if total > 0 else []
    instances = round(float(whole.get("nb_of_instances").max() or 0))  # type: ignore[arg-type]
    own = int(np.ceil(rows.get("guarded_raw")[0]))
    made: list[tuple[int, int, float]] = []
    below = 0
    levels = np.unique(np.minimum(np.ceil(raw), instances)).astype(int)  # tiers between two have the same demand
    for level in levels:
        inside = float(demand[raw > level - 1].sum())
        part = 1 / (instances * (inside or total)) if (inside <= 0 or own >= level) and total > 0 else 0.0
        if made and made[-1][2] == part:
            made[-1] = (made[-1][0], int(level), part)
        elif level > below:
            made.append((below + 1, int(level), part))
        below = int(level)
    above = made[-1][1] + 1 if made else 1
    if above <= instances and total > 0:
        made.append((above, instances, 1 / (instances * total)))
    if not instances and total > 0:
        made.append((1, 1, 1 / total))
    return "tiers", [m for m in made if m[2]]


# ---------------------------------------------------------------- hours of the week, of a step, of a period


def clocks(rows: Rows) -> pl.DataFrame:
    """`clock` and `timezone` of the rows' usage patterns."""
    from pipeline.explain.registry import entries

    pattern = rows.select({"usage_pattern_id": "usage_pattern_id"})
    usage = type(rows)(rows.book, entries()["need.usage_pattern"], pattern.with_columns(hour=rows.get("hour")))
    zones = rows.book.source.rows("countries").select("country_id", "timezone")
    told = pl.DataFrame([usage.get("clock"), usage.get("country_id")])
    return told.join(zones, on="country_id", how="left", maintain_order="left").select("clock", "timezone")


def weekly_volume(rows: Rows) -> pl.Series:
    """The volume of the server need at each row's hour of the week."""
    weeks = rows.book.source.rows("server_need_volumes")
    asked = clocks(rows).with_columns(index=_index(rows), need=rows.get("container_id")).with_row_index("nr")
    parts = [
        civil_time.weeks(group.drop("need"), weeks.filter(pl.col("server_need_id") == need))
        for (need,), group in asked.group_by("need", maintain_order=True)
    ]
    return pl.concat(parts).sort("nr")["volume"]


def hours_of_week(rows: Rows) -> list[tuple[float, int]]:
    """Of one row: which hours of the typical week count, with their weights (two where civil hours begin within UTC hours)."""
    clock, zone = clocks(rows).row(0)
    local = rows.get("hour")[0].astimezone(zone_of(zone if clock == "local" else "UTC"))
    late = local.minute / 60
    now = local.weekday() * 24 + local.hour
    following = (rows.get("hour")[0] + timedelta(hours=1)).astimezone(local.tzinfo)
    then = following.weekday() * 24 + following.hour
    return [(1.0, now)] if not late else [(1 - late, now), (late, then)]


def zone_of(name: str) -> ZoneInfo:
    """A zone of the tz database."""
    return ZoneInfo(name)


def after(hour: datetime) -> datetime:
    """The hour after."""
    return hour + timedelta(hours=1)


def _index(rows: Rows) -> pl.Series:
    return pl.DataFrame({"h": rows.get("hour")}).select(hour_index(pl.col("h"))).to_series()


def step_window(rows: Rows, at: int = 0) -> tuple[int, Any]:
    """Of one row: whole hours before the step, and the weights of the starts of that hour, the one before, and so on."""
    begin, end = (rows.get(n)[at] / SECONDS_PER_HOUR for n in ("time_before", "time_after"))
    weights = in_step_values(np.ones(1), begin, end)
    return int(begin), weights[int(begin) :]


def in_step(rows: Rows) -> pl.Series:
    """Journeys in the step at each row's hour."""
    found = []
    hours, patterns = _index(rows), rows.get("usage_pattern_id")
    for i in range(len(rows)):
        first, weights = step_window(rows, i)
        earliest, latest = hours[i] - first - len(weights) + 1, hours[i] - first
        series = starts_between(rows.book, patterns[i], earliest, latest)
        found.append(sum(w * series.get(latest - k, 0.0) for k, w in enumerate(weights)))
    return pl.Series(found, dtype=pl.Float64)


def starts_between(book: Book, pattern: str, first: int, last: int) -> dict[int, float]:
    """Hour -> starts of a usage pattern."""
    where = pl.DataFrame({"usage_pattern_id": [pattern]})
    found = book.source.rows("need.usage_pattern", where, moments(first, last))
    return dict(found.select(hour_index(pl.col("hour")), "starts").iter_rows())


def period_rows(rows: Rows, table: str, at: int = 0) -> Rows:
    """The hours of a row of a day or month, as rows of a table by the hour."""
    from pipeline.explain.registry import entries

    grain = rows.book.source.settings["attribution_grain"]
    entry = entries()[table]
    own = rows.frame[at : at + 1].select(k for k in entry.key if k != "hour")
    first = rows.get("hour")[at]
    after = pl.Series([first]).dt.offset_by(PERIODS[grain])[0]
    hours = pl.datetime_range(first, after, "1h", closed="left", time_unit="us", time_zone="UTC", eager=True)
    return type(rows)(rows.book, entry, own.join(pl.DataFrame({"hour": hours}), how="cross"))


def hours_of_period(rows: Rows, rule: Rule) -> pl.Series:
    """The sum of all hours of each row's day or month."""
    table, column = rule.hours_of
    sums = [period_rows(rows, table, i).get(column).fill_null(0.0).sum() for i in range(len(rows))]
    return pl.Series(sums, dtype=pl.Float64)


# ---------------------------------------------------------------- given by users


def starts(rows: Rows) -> pl.Series:
    """Starts of a pattern that the run did not publish cannot be told."""
    from pipeline.errors import InputError

    raise InputError(rows.book.source.missing("need.usage_pattern"))


def unit_written(rows: Rows) -> pl.Series:
    """The unit of compute: asked for only where nothing else tells what the run took it for."""
    found = rows.frame.get_column("compute_unit", default=None)
    return pl.Series([None] * len(rows), dtype=pl.String) if found is None else found


def any_given(rows: Rows) -> pl.Series:
    """Whether the model had a table `occurrences`."""
    return pl.Series([bool(rows.book.source.told.get("input_rows", {}).get("occurrences"))] * len(rows))


def given_occurrences(rows: Rows) -> pl.Series:
    """What the table `occurrences` gave: all that is not triggered otherwise."""
    if "occurrences" not in rows.frame.columns:
        from pipeline.errors import InputError

        raise InputError(rows.book.source.missing("need.occurrence"))
    rest = rows.get("occurrences") - rows.get("triggered")
    return rest.clip(0.0)


def is_direct(rows: Rows) -> pl.Series:
    """Whether the container of the job stands in the table `occurrences`."""
    pairs = rows.select({"job_id": "job_id", "container_id": "container_id"})
    if not any_given(rows)[:1].any():
        return pl.Series([False] * len(rows))
    ways = rows.book.source.rows("derived.cell", pairs.unique()).select(pairs.columns).unique()
    triggered = pairs.join(ways.with_columns(t=True), on=pairs.columns, how="left", maintain_order="left")["t"]
    direct = triggered.is_null()
    table = rows.book.source.scan("occurrences") if not direct.all() else None
    if table is None:
        return direct
    given = table.select(pairs.columns).unique().collect().with_columns(g=True)
    return pairs.join(given, on=pairs.columns, how="left", maintain_order="left")["g"].fill_null(False)
