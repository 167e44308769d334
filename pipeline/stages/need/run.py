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
HOURS_PER_KEY, FIRST_HOUR = 2**23, 2**22
"""Hours that fit beside a key in one whole number, and what is added to an hour before 1970 to make it positive."""


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


def data_transferred() -> pl.Expr:
    """Data the runs sent and received, spread evenly over the time they held their resources. [MB]"""
    return col.data_transferred


def data_stored() -> pl.Expr:
    """Data the runs left behind, spread evenly over the time they held their resources. [MB_stored]"""
    return col.data_stored


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

    A source without a horizon is taken to have been read at its latest instant. `pieces` counts the run's pieces.
    """
    moments = ["submitted_at", "queued_at", "started_at", "ended_at"]
    latest = job_runs.select("source", m=pl.max_horizontal(moments)).group_by("source").agg(latest=col.m.max())
    pieces = job_run_intervals.select(
        "run_id", piece_start="started_at", piece_end="ended_at", pieces=pl.len().over("run_id")
    )
    horizons = log_horizons.select("source", "horizon")
    joined = (
        job_runs.select("run_id", "source", *KEY, "submitted_at", "started_at", "ended_at", *AMOUNTS, *SPREAD)
        .join(pieces, on="run_id", how="left")
        .join(horizons, on="source", how="left", nulls_equal=True)
        .join(latest, on="source", how="left", nulls_equal=True)
    )
    begin = pl.coalesce("piece_start", "started_at")
    end = pl.max_horizontal(pl.coalesce("piece_end", "ended_at", "horizon", "latest"), begin)
    started = joined.with_columns(begin=begin, end=end).drop_nulls("begin")
    return started.with_columns(
        col.begin.dt.timestamp("ms"), col.end.dt.timestamp("ms"), col.pieces.fill_null(1).cast(pl.Int64)
    ).drop("piece_start", "piece_end", "horizon", "latest")


def _countable() -> pl.Expr:
    """Whether every amount of the run is a whole number of parts, and small enough to add up without overflow."""
    scaled = [pl.col(a) * SCALE for a in AMOUNTS]
    whole = pl.all_horizontal(*((s - s.round()).abs() <= 1e-6 for s in scaled))
    return whole & pl.all_horizontal(*(pl.col(a) < LARGEST / 1000 for a in AMOUNTS))


def _slot(hour: pl.Expr) -> pl.Expr:
    """Who and when as one whole number, so that rows are grouped and sorted by a single key."""
    return col.who * HOURS_PER_KEY + hour + FIRST_HOUR


def _changes(intervals: pl.LazyFrame) -> pl.LazyFrame:
    """What begins and ends to be held, as changes at hours: rows (slot, run_hours, core_hours, gpu_hours, ram_hours, running)."""
    parts = [(pl.col(a) * SCALE).round().cast(pl.Int64).alias(a) for a in AMOUNTS]
    first, last = col.begin // HOUR_MS, col.end // HOUR_MS
    begun, ended = (first + 1) * HOUR_MS - col.begin, (last + 1) * HOUR_MS - col.end
    some = (col.end > col.begin).cast(pl.Int64)
    whole = (col.end % HOUR_MS == 0).cast(pl.Int64)  # a run that ends on the hour is not under way in the next one
    steps = [
        (first, begun, some),
        (first + 1, HOUR_MS - begun, 0 * some),
        (last, -ended, -some * whole),
        (last + 1, ended - HOUR_MS, -some * (1 - whole)),
    ]
    scaled = intervals.with_columns(parts)
    changed = [
        scaled.select(
            slot=_slot(hour),
            run_hours=ms,
            core_hours=ms * col.cpu_cores,
            gpu_hours=ms * col.gpus,
            ram_hours=ms * col.ram,
            running=running,
        )
        for hour, ms, running in steps
    ]
    return pl.concat(changed)


def _summed_up(changes: pl.LazyFrame) -> pl.LazyFrame:
    """Rows (slot, run_hours, core_hours, gpu_hours, ram_hours, runs_running), only hours in which something is held.

    All changes of a run add up to zero, so one running sum serves all keys: it is zero wherever a new key begins.
    """
    values = [*HELD, "running"]
    summed = changes.group_by("slot").agg(pl.col(v).sum() for v in values).sort("slot")
    held = summed.with_columns(*(pl.col(v).cum_sum() for v in values), lasts=col.slot.shift(-1) - col.slot)
    lasting = held.filter((col.run_hours > 0) & (col.lasts > 0))
    every = lasting.with_columns(slot=pl.int_ranges(col.slot, col.slot + col.lasts)).explode(
        "slot", empty_as_null=False
    )
    amounts = [pl.col(v).cast(pl.Float64) * unit for v, unit in HELD.items()]
    return every.select("slot", *amounts, runs_running="running")


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
    return each.group_by(slot=_slot(col.hour)).agg(
        run_hours=col.overlap.sum(),
        core_hours=cores_held().sum(),
        gpu_hours=gpus_held().sum(),
        ram_hours=ram_held().sum(),
        runs_running=pl.len().cast(pl.Int64),
    )


def _counted_twice(intervals: pl.LazyFrame) -> pl.LazyFrame:
    """What to take off runs_running: a run counts once in an hour, whatever the number of its pieces there."""
    pieces = by_hour(intervals.filter((col.pieces > 1) & (col.end > col.begin)))
    several = pieces.group_by("run_id", slot=_slot(col.hour)).agg(n=pl.len().cast(pl.Int64)).filter(col.n > 1)
    return several.group_by("slot").agg(runs_running=(1 - col.n).sum())


def _spread(intervals: pl.LazyFrame) -> pl.LazyFrame:
    """Data and measured energy per hour, in proportion to the time held."""
    some = intervals.filter((col.data_transferred > 0) | (col.data_stored > 0) | col.energy.is_not_null())
    total = (col.end - col.begin).sum().over("run_id")
    each = by_hour(some.with_columns(total=total / HOUR_MS))
    spent = pl.when(col.energy.is_not_null().any()).then(energy_spent().sum())
    return each.group_by(slot=_slot(col.hour)).agg(
        data_transferred=data_moved().sum(), data_stored=data_left().sum(), energy=spent
    )


def _events(intervals: pl.LazyFrame) -> pl.LazyFrame:
    """Counts per hour: runs that started, runs that ended; and the waiting time of those that started."""
    several = intervals.filter(col.pieces > 1).group_by("run_id", "who").agg(
        col.begin.min(), col.submitted_at.first(), col.ended_at.first()
    )  # fmt: skip
    columns = ["who", "begin", "submitted_at", "ended_at"]
    runs = pl.concat([intervals.filter(col.pieces == 1).select(columns), several.select(columns)])
    waited = (col.begin - col.submitted_at.dt.timestamp("ms")).clip(0).fill_null(0) / HOUR_MS
    started = runs.select(slot=_slot(col.begin // HOUR_MS), runs_started=1, runs_ended=0, wait_hours=waited)
    ended_in = col.ended_at.dt.timestamp("ms") // HOUR_MS
    ended = runs.drop_nulls("ended_at").select(slot=_slot(ended_in), runs_started=0, runs_ended=1, wait_hours=0.0)
    both = pl.concat([started, ended])
    return both.group_by("slot").agg(
        col.runs_started.sum().cast(pl.Int64), col.runs_ended.sum().cast(pl.Int64), col.wait_hours.sum()
    )


def build(intervals: pl.LazyFrame) -> pl.LazyFrame:
    """One row per server, application, project, user and hour in which a run held resources, started or ended, with data beside it."""
    people = intervals.select(KEY).unique().sort(KEY).with_row_index("who").with_columns(col.who.cast(pl.Int64))
    keyed = intervals.join(people, on=KEY, how="left", nulls_equal=True)
    whole = _summed_up(_changes(keyed.filter(_countable())))
    others = keyed.filter(~_countable())
    parts = [whole, _held_in_parts(others), _counted_twice(keyed), _events(keyed), _spread(keyed)]
    zero = [*HELD, "runs_started", "runs_ended", "runs_running", "wait_hours", "data_transferred", "data_stored"]
    energy = pl.when(col.energy.is_not_null().any()).then(col.energy.sum())
    summed = pl.concat(parts, how="diagonal_relaxed").group_by("slot").agg(*(pl.col(c).sum() for c in zero), energy)
    hour = (col.slot % HOURS_PER_KEY - FIRST_HOUR) * (HOUR_MS * 1000)
    timed = summed.sort("slot").with_columns(who=col.slot // HOURS_PER_KEY, hour=hour.cast(pl.Datetime("us", "UTC")))
    named = timed.join(people, on="who", how="left", maintain_order="left").drop("who", "slot")
    return named.with_columns(
        runs_started=runs_started(), runs_ended=runs_ended(), runs_running=runs_running(), run_hours=run_hours(), core_hours=core_hours(),
        gpu_hours=gpu_hours(), ram_hours=ram_hours(), wait_hours=wait_hours(), measured_energy=measured_energy(), data_transferred=data_transferred(), data_stored=data_stored(),
    )  # fmt: skip


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
        "data_transferred": Total("need.held", data_moved, _IN_HELD),
        "data_stored": Total("need.held", data_left, _IN_HELD),
    },
)
