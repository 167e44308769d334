"""job_runs + job_run_intervals + log_horizons -> need.run: what observed runs held and how long they waited, each hour.

A run that holds c cores from b to e adds to every hour its overlap with [b, e). Summed over runs this is a step function of time, so
it is kept as its changes: four whole numbers per interval, whatever its length, added up per hour. Times are whole milliseconds and
amounts whole parts of 1/1,024,000 (decimal thousandths and binary 1/1024ths alike), so nothing is rounded and nothing is left over.
"""

import polars as pl
from polars import col

from pipeline.stages.lineage import Lineage, Row, Rule, Total, same
from pipeline.tables import OUTPUTS

TABLE = OUTPUTS["need.run"]
KEY = ["server_id", "application", "project", "user"]
HOUR_MS = 3_600_000
SCALE = 1_024_000
"""Parts that an amount of cores, GPUs or GB is counted in. [1]"""
AMOUNTS = ["cpu_cores", "gpus", "ram"]
SPREAD = ["data_transferred", "data_stored", "energy"]
HELD = {
    "run_hours": 1 / HOUR_MS,
    "core_hours": 1 / (SCALE * HOUR_MS),
    "gpu_hours": 1 / (SCALE * HOUR_MS),
    "ram_hours": 1 / (SCALE * HOUR_MS),
}
LARGEST = 2**62 / (SCALE * HOUR_MS)


def runs_started() -> pl.Expr:
    """Runs whose first piece started in the hour. [occurrence]"""
    return col.runs_started


def runs_ended() -> pl.Expr:
    """Runs that ended in the hour. [occurrence]"""
    return col.runs_ended


def runs_running() -> pl.Expr:
    """Runs that held their resources at some time in the hour. [occurrence]"""
    return col.runs_running


def run_hours() -> pl.Expr:
    """Overlap of the runs with the hour. [h]"""
    return col.run_hours


def core_hours() -> pl.Expr:
    """Cores * overlap with the hour. [cpu_core*h]"""
    return col.core_hours


def gpu_hours() -> pl.Expr:
    """GPUs * overlap with the hour. [gpu*h]"""
    return col.gpu_hours


def ram_hours() -> pl.Expr:
    """RAM * overlap with the hour. [GB_ram*h]"""
    return col.ram_hours


def wait_hours() -> pl.Expr:
    """Time from submission to start, of the runs that started in the hour. [h]"""
    return col.wait_hours


def measured_energy() -> pl.Expr:
    """Measured energy of the runs, spread evenly over the time they held their resources. [kWh]"""
    return col.energy


def cores_held() -> pl.Expr:
    """Cores of the run * overlap with the hour. [cpu_core*h]"""
    return col.cpu_cores * col.overlap


def gpus_held() -> pl.Expr:
    """GPUs of the run * overlap with the hour. [gpu*h]"""
    return col.gpus * col.overlap


def ram_held() -> pl.Expr:
    """RAM of the run * overlap with the hour. [GB_ram*h]"""
    return col.ram * col.overlap


def part() -> pl.Expr:
    """The hour's part of the time the run held its resources; none where it took no time, as for a job of no duration. [1]"""
    return pl.when(col.total > 0).then(col.overlap / col.total).otherwise(0.0)


def data_moved() -> pl.Expr:
    """Data the run sent and received * the hour's part of it. [MB]"""
    return col.data_transferred * part()


def data_left() -> pl.Expr:
    """Data the run left behind * the hour's part of it. [MB_stored]"""
    return col.data_stored * part()


def energy_spent() -> pl.Expr:
    """Energy measured * the hour's part of the run; it counts where the run took no time, too. [kWh]"""
    return col.energy * pl.when(col.total > 0).then(part()).otherwise(1 / col.pieces)


def held_intervals(job_runs: pl.LazyFrame, job_run_intervals: pl.LazyFrame, log_horizons: pl.LazyFrame) -> pl.LazyFrame:
    """One row per run and piece in which it held its resources: `begin` and `end` in ms; open ones end at the source's horizon.

    A source without a horizon is taken to have been read at its latest instant.
    """
    moments = ["submitted_at", "queued_at", "started_at", "ended_at"]
    latest = job_runs.select("source", m=pl.max_horizontal(moments)).group_by("source").agg(latest=col.m.max())
    pieces = job_run_intervals.select("run_id", piece_start="started_at", piece_end="ended_at")
    horizons = log_horizons.select("source", "horizon")
    joined = (
        job_runs.join(pieces, on="run_id", how="left")
        .join(horizons, on="source", how="left", validate="m:1", nulls_equal=True)
        .join(latest, on="source", how="left", validate="m:1", nulls_equal=True)
    )
    begin = pl.coalesce("piece_start", "started_at")
    end = pl.max_horizontal(pl.coalesce("piece_end", "ended_at", "horizon", "latest"), begin)
    started = joined.with_columns(begin_at=begin, end_at=end).drop_nulls("begin_at")
    return started.with_columns(
        begin=col.begin_at.dt.timestamp("ms"),
        end=col.end_at.dt.timestamp("ms"),
        hour_b=col.begin_at.dt.timestamp("ms") // HOUR_MS,
    )


def _countable() -> pl.Expr:
    """Whether every amount of the run is a whole number of parts, and small enough to add up without overflow."""
    scaled = [pl.col(a) * SCALE for a in AMOUNTS]
    whole = pl.all_horizontal(*((s - s.round()).abs() <= 1e-6 for s in scaled))
    return whole & pl.all_horizontal(*(pl.col(a) < LARGEST / 1000 for a in AMOUNTS))


def _changes(intervals: pl.LazyFrame, by: list[str]) -> pl.LazyFrame:
    """Changes of the held amounts at hours: rows (by, hour, ms, cores, gpus, ram), to be summed up along the hours."""
    parts = [(pl.col(a) * SCALE).round().cast(pl.Int64).alias(a) for a in AMOUNTS]
    first, last = col.begin // HOUR_MS, col.end // HOUR_MS
    begun, ended = (first + 1) * HOUR_MS - col.begin, (last + 1) * HOUR_MS - col.end
    steps = [(first, begun), (first + 1, HOUR_MS - begun), (last, -ended), (last + 1, ended - HOUR_MS)]
    scaled = intervals.with_columns(parts)
    changed = [
        scaled.select(
            *by, hour=hour, run_hours=ms, core_hours=ms * col.cpu_cores, gpu_hours=ms * col.gpus, ram_hours=ms * col.ram
        )
        for hour, ms in steps
    ]
    return pl.concat(changed)


def held(intervals: pl.LazyFrame, by: list[str]) -> pl.LazyFrame:
    """Rows (by, hour since 1970, run_hours, core_hours, gpu_hours, ram_hours), only hours in which something is held."""
    values = list(HELD)
    summed = _changes(intervals, by).group_by(*by, "hour").agg(pl.col(v).sum() for v in values).sort(*by, "hour")
    running = summed.with_columns(pl.col(v).cum_sum().over(by, order_by="hour") for v in values)
    until = col.hour.shift(-1).over(by, order_by="hour")
    lasting = running.with_columns(lasts=(until - col.hour).fill_null(0)).filter((col.run_hours > 0) & (col.lasts > 0))
    every = (
        lasting.with_columns(hour=pl.int_ranges(col.hour, col.hour + col.lasts))
        .explode("hour", empty_as_null=False)
        .drop("lasts")
    )
    return every.with_columns(pl.col(v).cast(pl.Float64) * unit for v, unit in HELD.items())


def by_hour(intervals: pl.LazyFrame) -> pl.LazyFrame:
    """One row per interval and hour with its `overlap` [h]: for amounts that are no whole parts, and for what is spread over time."""
    last = pl.when(col.end > col.begin).then((col.end - 1) // HOUR_MS).otherwise(col.begin // HOUR_MS)
    every = intervals.with_columns(hour=pl.int_ranges(col.begin // HOUR_MS, last + 1)).explode(
        "hour", empty_as_null=False
    )
    overlap = pl.min_horizontal(col.end, (col.hour + 1) * HOUR_MS) - pl.max_horizontal(col.begin, col.hour * HOUR_MS)
    return every.with_columns(overlap=overlap / HOUR_MS)


def _held_in_parts(intervals: pl.LazyFrame) -> pl.LazyFrame:
    each = by_hour(intervals).filter(col.overlap > 0)
    return each.group_by(*KEY, "hour").agg(
        run_hours=col.overlap.sum(),
        core_hours=cores_held().sum(),
        gpu_hours=gpus_held().sum(),
        ram_hours=ram_held().sum(),
    )


def _spread(intervals: pl.LazyFrame) -> pl.LazyFrame:
    """Data and measured energy per hour, in proportion to the time held.

    A run that took no time has nothing in flight, so its data counts as little as that of a job of no duration; its energy was measured all
    the same, and stands in its hour.
    """
    some = intervals.filter(pl.any_horizontal(*(pl.col(s).fill_null(0) > 0 for s in SPREAD)))
    total = (col.end - col.begin).sum().over("run_id")
    pieces = pl.len().over("run_id")
    each = by_hour(some.with_columns(total=total / HOUR_MS, pieces=pieces))
    return each.group_by(*KEY, "hour").agg(
        data_transferred=data_moved().sum(),
        data_stored=data_left().sum(),
        energy=pl.when(col.energy.is_not_null().any()).then(energy_spent().sum()),
    )


def _events(intervals: pl.LazyFrame) -> pl.LazyFrame:
    """Counts per hour: runs started, ended, under way at some time; and the waiting time of those that started."""
    runs = intervals.group_by("run_id", *KEY).agg(col.begin.min(), col.submitted_at.first(), col.ended_at.first())
    waited = (col.begin - col.submitted_at.dt.timestamp("ms")).clip(0).fill_null(0) / HOUR_MS
    zero = {"runs_started": 0, "runs_ended": 0, "runs_running": 0, "wait_hours": 0.0}
    started = runs.select(*KEY, hour=col.begin // HOUR_MS, runs_started=1, wait_hours=waited)
    ended = runs.drop_nulls("ended_at").select(*KEY, hour=col.ended_at.dt.timestamp("ms") // HOUR_MS, runs_ended=1)
    touched = _touched(intervals)
    return pl.concat([started, ended, touched], how="diagonal_relaxed").group_by(*KEY, "hour").agg(
        *(pl.col(c).sum().cast(pl.Float64 if c == "wait_hours" else pl.Int64) for c in zero)
    )  # fmt: skip


def _touched(intervals: pl.LazyFrame) -> pl.LazyFrame:
    """Rows (key, hour, runs_running): a run counts once in an hour, whatever the number of its pieces there."""
    held_some = intervals.filter(col.end > col.begin).sort("run_id", "begin")
    first, last = col.begin // HOUR_MS, (col.end - 1) // HOUR_MS
    spans = held_some.select("run_id", *KEY, first=first, last=last)
    after = pl.max_horizontal(col.first, col.last.shift(1).over("run_id", order_by="first") + 1).fill_null(col.first)
    spans = spans.with_columns(first=after).filter(col.first <= col.last)
    changes = pl.concat([spans.select(*KEY, hour="first", n=1), spans.select(*KEY, hour=col.last + 1, n=-1)])
    summed = changes.group_by(*KEY, "hour").agg(col.n.sum()).sort(*KEY, "hour")
    running = summed.with_columns(
        runs_running=col.n.cum_sum().over(KEY, order_by="hour"), until=col.hour.shift(-1).over(KEY, order_by="hour")
    )
    lasting = running.filter((col.runs_running > 0) & (col.until > col.hour))
    return (
        lasting.with_columns(hour=pl.int_ranges("hour", "until"))
        .explode("hour", empty_as_null=False)
        .select(*KEY, "hour", "runs_running")
    )


def build(intervals: pl.LazyFrame) -> pl.LazyFrame:
    """One row per server, application, project, user and hour in which a run held resources, started or ended, with data beside it."""
    whole = held(intervals.filter(_countable()), KEY)
    other = _held_in_parts(intervals.filter(~_countable()))
    parts = pl.concat([whole, other, _events(intervals), _spread(intervals)], how="diagonal_relaxed")
    zero = [*HELD, "runs_started", "runs_ended", "runs_running", "wait_hours", "data_transferred", "data_stored"]
    summed = parts.group_by(*KEY, "hour").agg(
        *(pl.col(c).sum() for c in zero), energy=pl.when(col.energy.is_not_null().any()).then(col.energy.sum())
    )
    named = summed.with_columns(
        runs_started=runs_started(), runs_ended=runs_ended(), runs_running=runs_running(), run_hours=run_hours(), core_hours=core_hours(),
        gpu_hours=gpu_hours(), ram_hours=ram_hours(), wait_hours=wait_hours(), measured_energy=measured_energy(),
        hour=(col.hour * HOUR_MS * 1000).cast(pl.Datetime("us", "UTC")),
    )  # fmt: skip
    return named.sort(*KEY, "hour")


def as_cells(run: pl.LazyFrame, servers: pl.LazyFrame) -> pl.LazyFrame:
    """Rows of need.run as rows of cells: application = job, project = usage pattern, user = container; compute in the server's unit."""
    hosted = run.join(servers.select("server_id", "compute_unit", "compute", "ram"), on="server_id", validate="m:1")
    compute_need = pl.when(col.compute_unit == "gpu").then(col.gpu_hours).otherwise(col.core_hours)
    named = hosted.select(
        job_id="application", server_id="server_id", usage_pattern_id="project", container_id="user", hour="hour",
        occurrences=col.runs_started.cast(pl.Float64), avg_occurrences="run_hours", compute_need=compute_need, ram_need="ram_hours",
        data_transferred="data_transferred", data_stored="data_stored", compute="compute", ram="ram",
    )  # fmt: skip
    demand = col.compute_need / col.compute + col.ram_need / col.ram
    return named.with_columns(demand=demand).drop("compute", "ram")


_IN_HELD = same(*KEY, "hour")
HELD_LINEAGE = Lineage(
    "need.held",
    key=(*KEY, "hour", "run_id", "piece"),
    row="One piece of an observed run, in an hour that it touches.",
    reads=(Row("job_runs", same("run_id")),),
    made={
        "overlap": Rule("overlap", "Part of the hour in which the run held its resources.", "h"),
        "total": Rule("time_held", "Time the run held its resources, all its pieces together.", "h"),
        "pieces": Rule("pieces", "Pieces in which the run held its resources.", "1"),
        "started": Rule("run_started", "1 where the run started in the hour.", "occurrence"),
        "ended": Rule("run_ended", "1 where the run ended in the hour.", "occurrence"),
        "running": Rule("run_running", "1 where the run held its resources in the hour.", "occurrence"),
        "waited": Rule("run_waited", "Time from submission to start, where the run started in the hour.", "h"),
    },
)
LINEAGE = Lineage(
    "need.run",
    made={
        "runs_started": Total("need.held", "started", _IN_HELD),
        "runs_ended": Total("need.held", "ended", _IN_HELD),
        "runs_running": Total("need.held", "running", _IN_HELD),
        "run_hours": Total("need.held", "overlap", _IN_HELD),
        "core_hours": Total("need.held", cores_held, _IN_HELD),
        "gpu_hours": Total("need.held", gpus_held, _IN_HELD),
        "ram_hours": Total("need.held", ram_held, _IN_HELD),
        "wait_hours": Total("need.held", "waited", _IN_HELD),
        "measured_energy": Total("need.held", energy_spent, _IN_HELD, kind="sum of those given"),
    },
)
