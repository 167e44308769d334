"""energy.* + cells -> repartition.footprint: every gram of every source, phase and hour, passed on to cells exactly once.

A cell is (job, container, usage pattern). Cells come as series over their own hours; each stream gets a list column of kg, and `in_shape`
puts streams into the table's rows.
"""

from functools import partial

import polars as pl
from polars import col

from pipeline.constants import G_PER_KG
from pipeline.series import LIST, beside, with_row
from pipeline.stages.energy import network
from pipeline.stages.lineage import At, Box, Lineage, Made, Row, Total, Way, same
from pipeline.stages.need import job as need_job
from pipeline.stages.need import run, storage_job
from pipeline.stages.repartition import hours
from pipeline.stages.repartition.hours import with_service
from pipeline.stages.repartition.job import JOB
from pipeline.stages.repartition.periods import hours_of_period, rows_by_grain
from pipeline.stages.repartition.server import own_weight
from pipeline.stages.repartition.storage import NUMBER_OF_JOBS, number_of_jobs
from pipeline.tables import OUTPUTS

TABLE = OUTPUTS["repartition.footprint"]
CELL = ["job_id", "server_id", "container_id", "usage_pattern_id"]
PHASES = {"provisioned": "manufacturing", "idle": "usage", "load": "usage", "retention": "manufacturing", "baseline": "manufacturing",
          "transfer": "usage", "use": "usage"}  # fmt: skip
KIND = pl.Enum(["server", "storage", "network", "device"])
PHASE = pl.Enum(["manufacturing", "usage"])
STREAM = pl.Enum([*PHASES, "unallocated"])
"""Words that stand in every row are numbers of one byte until they are written."""


def footprint() -> pl.Expr:
    """The part of the source's footprint of the hour that falls to the cell, by the rule of its stream. [kg]"""
    return col.footprint


def own_demand(attribution_key: str) -> pl.Expr:
    """What the cell's invocations hold: as a weight (parts of an instance's compute and RAM), or of the binding resource alone. [1]"""
    if attribution_key == "weight":
        return col.compute_need / col.compute + col.ram_need / col.ram
    of_compute = col.compute_need / col.available_compute_per_instance * col.compute_binds
    return of_compute + col.ram_need / col.available_ram_per_instance * col.ram_binds


def demand(rate: str) -> pl.Expr:
    """The own demand, and for a service's job its part of the service's base consumption on all instances. [1]"""
    return col.own_demand + col.avg_occurrences * pl.col(rate)


def load() -> pl.Expr:
    """Carbon of the work itself, by demand, hour by hour. [kg]"""
    return col.demand * col.load_per_demand


def provisioned() -> pl.Expr:
    """Embodied carbon, by demand, hour by hour (on-premise: constant_share of every hour's). [kg]"""
    return col.demand * col.fabrication_per_demand


def idle() -> pl.Expr:
    """Carbon of being on, by demand, hour by hour (on-premise: constant_share of every hour's). [kg]"""
    return col.demand * col.idle_per_demand


def retention() -> pl.Expr:
    """Storage: what the cell's kept data takes of the capacity deployed. [kg]"""
    return col.cumulative_storage_need * col.retention_per_tb


def transfer() -> pl.Expr:
    """Network: energy of the cell's data * the country's carbon intensity. [kg]"""
    return col.energy * col.carbon_intensity / G_PER_KG


def own_demand_alone() -> pl.Expr:
    """The own demand: the job is sent to no service. [1]"""
    return col.own_demand


def size_of_modelled() -> pl.Expr:
    """What splits a job among its cells: invocations in flight. [1]"""
    return col.avg_occurrences


def size_of_observed() -> pl.Expr:
    """What splits an application among its users: what their runs hold, as parts of an instance. [1]"""
    return col.demand_held


def flat_share() -> pl.Expr:
    """The cell's part of its job over the whole period; equal parts where the job never runs. [1]"""
    return pl.when(col.job_size > 0).then(col.size / col.job_size).otherwise(1.0 / col.number_of_cells)


def demanded() -> pl.Expr:
    """What the demand of the hour takes of an on-premise server's provisioned and idle carbon of all hours. [1]"""
    return col.demand * col.provision_rate


def job_share() -> pl.Expr:
    """The job's part of an on-premise server's provisioned and idle carbon; equal parts where nobody ever demands. [1]"""
    return pl.when("any_demand").then(col.job_demanded).otherwise(1.0 / col.number_of_jobs)


def baseline_job_share() -> pl.Expr:
    """The job's part of a storage's baseline, by invocations in flight; equal parts where no job ever runs. [1]"""
    return pl.when(col.total > 0).then(col.job_size / col.total).otherwise(1.0 / col.number_of_jobs)


def baseline_share() -> pl.Expr:
    """The job's part of the storage's baseline * the cell's flat share of the job. [1]"""
    return col.baseline_job_share * col.flat_share


def constant_share() -> pl.Expr:
    """The job's share of the whole period * the cell's flat share of the job. [1]"""
    return col.job_share * col.flat_share


def steady(stream: str) -> pl.Expr:
    """Carbon of the hour * the cell's constant share of the period. [kg]"""
    return pl.col(stream) * col.constant_share


def _with_parts(cells: pl.LazyFrame) -> pl.LazyFrame:
    return cells.with_columns(job_size=col.size.sum().over(JOB), number_of_cells=pl.len().over(JOB))


def demands(
    cells: pl.LazyFrame,
    servers: pl.LazyFrame,
    capacity: pl.LazyFrame,
    server_series: pl.LazyFrame,
    rates: pl.LazyFrame,
    attribution_key: str,
) -> pl.LazyFrame:
    """Cells with the series `demand`; `cells` have service_id, size, avg_occurrences, compute_need and ram_need."""
    hosts = servers.select("server_id", "server_type", "compute", "ram").join(capacity, on="server_id", validate="1:1")
    placed = with_row(cells, hosts, "server_id")
    if attribution_key == "binding":
        placed = beside(placed, "avg_occurrences", server_series, ["server_id"], ["compute_binds", "ram_binds"])
    own = placed.with_columns(own_demand=own_demand(attribution_key).cast(LIST))
    rate = "base_weight_rate" if attribution_key == "weight" else "base_demand_rate"
    served = with_service(own, "avg_occurrences", rates, rate, demand(rate), "own_demand", "demand")
    return served.select(*CELL, "server_type", "start", "size", "demand")


def by_demand(demanding: pl.LazyFrame, server_series: pl.LazyFrame) -> pl.LazyFrame:
    """Series provisioned, idle and load of cells; on-premise only load, the other two are by constant shares."""
    rates = ["fabrication_per_demand", "idle_per_demand", "load_per_demand"]
    placed = beside(demanding, "demand", server_series, ["server_id"], rates)
    streams = placed.with_columns(provisioned=provisioned(), idle=idle(), load=load())
    none = (col.demand * 0.0).cast(LIST)
    fixed = streams.filter(col.server_type == "on-premise").with_columns(provisioned=none, idle=none)
    return pl.concat([streams.filter(col.server_type != "on-premise"), fixed]).select(
        *CELL, "start", "provisioned", "idle", "load"
    )


def constant_shares(demanding: pl.LazyFrame, server_series: pl.LazyFrame, number_of_jobs: pl.LazyFrame) -> pl.LazyFrame:
    """`constant_share` per cell of the provisioned and idle carbon of on-premise servers, the same at every hour. [1]

    The job's demand at the server's provision_rate (equal parts where nobody ever demands), times the cell's flat share of the job.
    """
    fixed = demanding.filter(col.server_type == "on-premise")
    rated = beside(fixed, "demand", server_series, ["server_id"], ["provision_rate"])
    of_cell = rated.select(*CELL, "size", demanded=demanded().list.sum())
    whole = of_cell.group_by(CELL).agg(col.size.sum(), col.demanded.sum())
    hosted = whole.join(server_series.select("server_id", "any_demand"), on="server_id", validate="m:1")
    hosted = hosted.join(number_of_jobs, on="server_id", validate="m:1")
    parts = _with_parts(hosted).with_columns(job_demanded=col.demanded.sum().over(JOB))
    shares = parts.with_columns(job_share=job_share(), flat_share=flat_share())
    return shares.select(*CELL, constant_share=constant_share())


def steady_rows(shares: pl.LazyFrame, source_rows: pl.LazyFrame, by: str, streams: list[str]) -> pl.LazyFrame:
    """Rows of streams that go by constant shares: every hour (or period) of the source for every cell."""
    every = shares.join(source_rows.select(by, "hour", *streams), on=by, maintain_order="left_right")
    return every.with_columns(steady(s) for s in streams)


def storage_shares(sizes: pl.LazyFrame, totals: pl.LazyFrame, number_of_jobs: pl.LazyFrame) -> pl.LazyFrame:
    """`constant_share` per cell of a storage's baseline: the period's invocations in flight (`sizes`; `totals` per server). [1]"""
    whole = (
        sizes.group_by(CELL)
        .agg(col.size.sum())
        .join(totals, on="server_id", validate="m:1")
        .join(number_of_jobs, on="server_id", validate="m:1")
    )
    shares = _with_parts(whole).with_columns(job_share=baseline_job_share(), flat_share=flat_share())
    return shares.select(*CELL, constant_share=constant_share())


def retained(kept: pl.LazyFrame, storage_series: pl.LazyFrame) -> pl.LazyFrame:
    """Series retention of cells, from their series of cumulative_storage_need."""
    placed = beside(kept, "cumulative_storage_need", storage_series, ["storage_id"], ["retention_per_tb"])
    return placed.with_columns(retention=retention()).select("storage_id", *CELL, "start", "retention")


def transferred(crossed: pl.LazyFrame) -> pl.LazyFrame:
    """Series transfer of cells, from series of energy over a network."""
    return crossed.with_columns(transfer=transfer()).select("network_id", *CELL, "start", "transfer")


def in_shape(rows: pl.LazyFrame, kind: str, source: str, streams: list[str]) -> pl.LazyFrame:
    """Rows with one column of kg per stream to rows of the table; rows of 0 kg are left out. `source` names the source's id column."""
    parts = [
        rows.filter(pl.col(stream) != 0).select(
            source_kind=pl.lit(kind, KIND),
            source_id=pl.col(source),
            phase=pl.lit(phase_of(stream), PHASE),
            stream=pl.lit(stream.partition(":")[0], STREAM),
            job_id="job_id",
            container_id="container_id",
            usage_pattern_id="usage_pattern_id",
            hour="hour",
            footprint=pl.col(stream),
        )
        for stream in streams
    ]
    return pl.concat(parts).with_columns(footprint=footprint()).select(list(TABLE.columns))


def phase_of(stream: str) -> str:
    """Manufacturing or usage; a stream spelled `STREAM:PHASE` says so itself."""
    name, _, phase = stream.partition(":")
    return phase or PHASES[name]


def unallocated(energy: pl.LazyFrame, kind: str, source: str, grain: str) -> pl.LazyFrame:
    """Rows for fixed servers and storages without any job series: nobody to pass their footprint on to."""
    usage = col.energy_footprint if "energy_footprint" in energy.collect_schema().names() else pl.lit(0.0)
    nobody = {c: pl.lit(None, pl.String) for c in ("job_id", "container_id", "usage_pattern_id")}
    streams = {"unallocated:manufacturing": col.instances_fabrication_footprint, "unallocated:usage": usage}
    rows = energy.select(source, "hour", **nobody, **streams)
    return in_shape(rows_by_grain(rows, list(streams), grain), kind, source, list(streams))


# ---------------------------------------------------------------- where the names come from

_JOB = same("server_id", "job_id")
_CELL = same("server_id", "job_id", "container_id", "usage_pattern_id")
_HELD = same("server_id", "hour", application="job_id", project="usage_pattern_id", user="container_id")
_MODELLED = col.request_duration.is_not_null()
_PLACE = (
    Row("derived.server", same("server_id"), same("compute", "ram", "compute_unit", "storage_id")),
    Row("instances.capacity", same("server_id")),
    Row(
        "derived.job",
        _JOB,
        same("service_id", "request_duration", "compute_needed", "ram_needed"),
    ),
    Row("repartition.server_hour", same("server_id", "hour"), same("compute_binds", "ram_binds", "provision_rate")),
    Row("repartition.service_hour", same("service_id", "server_id", "hour"), missing=0.0),
)
_DEMAND = (Made(demand, when=col.service_id.is_not_null()), Made(own_demand_alone))


def _of_job(column: str, words: str) -> Total:
    return Total("need.job", column, {**_JOB, "hour": "hour"}, where=col.avg_occurrences > 0, words=words)


JOB_HOUR = Lineage(
    "repartition.job_hour",
    key=("server_id", "job_id", "hour"),
    row="What a job holds on its server in all usage patterns together, each hour.",
    reads=_PLACE,
    made={
        "avg_occurrences": _of_job("avg_occurrences", "Invocations in flight, all usage patterns together."),
        "compute_need": _of_job("compute_need", "Compute held, all usage patterns together."),
        "ram_need": _of_job("ram_need", "RAM held, all usage patterns together."),
        "demand": _DEMAND,
    },
    formulas=(own_demand,),
    rows=((("need.job", {**_JOB, "hour": "hour"}),),),
)
CELL_HOUR = Lineage(
    "repartition.cell",
    key=("server_id", "job_id", "container_id", "usage_pattern_id", "hour"),
    row="What a cell (job, container, usage pattern) has in flight and takes, each hour.",
    reads=(
        *_PLACE,
        Row("need.per_job", same("job_id")),
        Row("storages", same("storage_id"), same("data_replication_factor", "data_storage_duration")),
    ),
    made={
        "avg_occurrences": (
            Box(
                "need.occurrence",
                "occurrences",
                _CELL,
                "request_duration",
                when=_MODELLED,
                words="Invocations in flight.",
            ),
            At(Row("need.run", _HELD, missing=0.0), "run_hours"),
        ),
        "compute_need": (
            Made(need_job.compute_need, when=_MODELLED),
            At(Row("need.run", _HELD, missing=0.0), "gpu_hours", when=col.compute_unit == "gpu"),
            At(Row("need.run", _HELD, missing=0.0), "core_hours"),
        ),
        "ram_need": (
            Made(need_job.ram_need, when=_MODELLED),
            At(Row("need.run", _HELD, missing=0.0), "ram_hours"),
        ),
        "data_transferred": (
            Made(need_job.data_transferred, when=_MODELLED),
            Total("need.held", run.data_moved, _HELD, when=col.avg_occurrences > 0),
        ),
        "data_stored": (
            Made(need_job.data_stored, when=_MODELLED),
            Total("need.held", run.data_left, _HELD, when=col.avg_occurrences > 0),
        ),
        "demand": _DEMAND,
        "demand_held": Made(own_weight),
        "size_part": (Made(size_of_modelled, when=_MODELLED), Made(size_of_observed)),
        "cumulative_storage_need": Box(
            "repartition.cell", "storing_rate", _CELL, "retention_hours", "h", words="Data of the cell kept."
        ),
    },
    formulas=(own_demand, storage_job.storing_rate, storage_job.retention_hours),
    rows=(
        (
            ("need.occurrence", _CELL),
            ("need.job", same("server_id", "job_id", "usage_pattern_id", "hour")),
        ),
        (("need.run", _HELD),),
    ),
)
SHARE = Lineage(
    "repartition.share",
    key=("server_id", "job_id", "container_id", "usage_pattern_id"),
    row="What a cell takes of carbon that goes by constant shares of the whole period.",
    made={
        "size": Total("repartition.cell", "size_part", _CELL, words="Size of the cell in all hours.", unit="1"),
        "job_size": Total("repartition.cell", "size_part", _JOB, words="Size of the job in all hours.", unit="1"),
        "number_of_cells": Total(
            "repartition.share", "job_id", _JOB, kind="count or one", words="Cells of the job.", unit="1"
        ),
        "total": Total(
            "repartition.cell",
            "size_part",
            same("server_id"),
            words="Size of all jobs of the server in all hours.",
            unit="1",
        ),
        "job_demanded": Total(
            "repartition.job_hour",
            demanded,
            _JOB,
            words="What the job's demand in all hours takes of the server's provisioned and idle carbon.",
            unit="1",
        ),
        "period_demand": Total(
            "repartition.server_hour",
            "demand_sum",
            same("server_id"),
            words="Demand of all jobs in all hours.",
            unit="1",
        ),
        **NUMBER_OF_JOBS,
        "baseline_share": Made(baseline_share),
    },
    formulas=(constant_share, job_share, flat_share, baseline_job_share, hours.any_demand, number_of_jobs),
    rows=((("need.occurrence", _CELL),), (("need.run", {k: v for k, v in _HELD.items() if k != "hour"}),)),
)
_MOVED = same("job_id", "container_id", "usage_pattern_id", "hour")
TRANSFER = Lineage(
    "repartition.transfer",
    key=("network_id", "job_id", "container_id", "usage_pattern_id", "hour"),
    row="The data of a cell that crosses a network, each hour.",
    reads=(Row("networks", same("network_id"), same("bandwidth_energy_intensity")),),
    made={"data_transferred": Total("repartition.cell", "data_transferred", _MOVED, words="Data of the cell.")},
    formulas=(network.energy,),
)


_OWN = ("source_kind", "source_id", "phase", "stream", "job_id", "container_id", "usage_pattern_id")
_WHO = same("job_id", "container_id", "usage_pattern_id")
_SERVER_HOUR, _STORAGE_HOUR = {"server_id": "source_id", "hour": "hour"}, {"storage_id": "source_id", "hour": "hour"}
_OF_SERVER = col.source_kind == "server"
_FIXED, _MADE = col.server_type == "on-premise", col.phase == "manufacturing"
_NOBODY = col.stream == "unallocated"
_OF_DEVICE = Row(
    "repartition.device_step", {"device_id": "source_id", **same("usage_pattern_id", "container_id", "hour")}
)
_READS = (
    Row("derived.server", {"server_id": "source_id"}, same("server_type")),
    Row("derived.server", {"storage_id": "source_id"}, {"storage_server_id": "server_id"}),
    Row("repartition.cell", {"server_id": "source_id", **_WHO, "hour": "hour"}, same("demand")),
    Row(
        "repartition.server_hour",
        _SERVER_HOUR,
        {
            **same("idle", "fabrication_per_demand", "idle_per_demand", "load_per_demand"),
            "provisioned": "fabrication",
        },
    ),
    Row(
        "repartition.cell",
        {"server_id": "storage_server_id", **_WHO, "hour": "hour"},
        same("cumulative_storage_need"),
    ),
    Row("repartition.storage_hour", _STORAGE_HOUR, same("retention_per_tb", "baseline")),
    Row("repartition.transfer", {"network_id": "source_id", **_WHO, "hour": "hour"}, same("energy")),
    Row("energy.grid", same("usage_pattern_id", "hour"), same("carbon_intensity")),
)
_SHARES = (
    At(Row("repartition.share", {"server_id": "source_id", **_WHO}), "constant_share", when=_OF_SERVER),
    At(Row("repartition.share", {"server_id": "storage_server_id", **_WHO}), "baseline_share"),
)
_WAYS: tuple[Way, ...] = (
    At(Row("energy.server", _SERVER_HOUR), "instances_fabrication_footprint", when=_NOBODY & _OF_SERVER & _MADE),
    At(Row("energy.server", _SERVER_HOUR), "energy_footprint", when=_NOBODY & _OF_SERVER),
    At(Row("energy.storage", _STORAGE_HOUR), "instances_fabrication_footprint", when=_NOBODY),
    At(_OF_DEVICE, "instances_fabrication_footprint", when=(col.source_kind == "device") & _MADE),
    At(_OF_DEVICE, "energy_footprint", when=col.source_kind == "device"),
    Made(transfer, when=col.source_kind == "network"),
    Made(retention, when=col.stream == "retention"),
    Made(partial(steady, stream="baseline"), when=col.stream == "baseline"),
    Made(load, when=col.stream == "load"),
    Made(partial(steady, stream="provisioned"), when=(col.stream == "provisioned") & _FIXED),
    Made(partial(steady, stream="idle"), when=(col.stream == "idle") & _FIXED),
    Made(provisioned, when=col.stream == "provisioned"),
    Made(idle, when=col.stream == "idle"),
)
HOURLY = Lineage(
    "repartition.hourly_footprint",
    key=(*_OWN, "hour"),
    row="What a row of repartition.footprint is made of in one hour of its day or month.",
    reads=_READS,
    made={"footprint": _WAYS, "constant_share": _SHARES},
)
LINEAGE = Lineage(
    "repartition.footprint",
    reads=_READS,
    made={
        "footprint": (
            hours_of_period(HOURLY.table, "footprint"),
            *_WAYS,
        ),
        "constant_share": _SHARES,
    },
)
