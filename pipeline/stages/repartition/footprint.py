"""energy.* + cells -> repartition.footprint: every gram of every source, phase and hour, passed on to cells exactly once.

A cell is (job, container, usage pattern). Cells come as series over their own hours; each stream gets a list column of kg, and `in_shape`
puts streams into the table's rows.
"""

import numpy as np
import polars as pl
from polars import col

from pipeline.constants import G_PER_KG
from pipeline.series import LIST, beside, flat, rows_of
from pipeline.stages.repartition.hours import with_service
from pipeline.tables import OUTPUTS

TABLE = OUTPUTS["repartition.footprint"]
CELL = ["job_id", "server_id", "container_id", "usage_pattern_id"]
JOB = ["job_id", "server_id"]
PHASES = {"provisioned": "manufacturing", "idle": "usage", "load": "usage", "retention": "manufacturing", "baseline": "manufacturing",
          "transfer": "usage"}  # fmt: skip
PERIODS = {"day": "1d", "month": "1mo"}


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


def flat_share() -> pl.Expr:
    """The cell's part of its job over the whole period; equal parts where the job never runs. [1]"""
    total = col.size.sum().over(JOB)
    return pl.when(total > 0).then(col.size / total).otherwise(1.0 / pl.len().over(JOB))


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
    placed = cells.join(hosts, on="server_id", validate="m:1")
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
    of_cell = rated.select(*CELL, "size", demanded=(col.demand * col.provision_rate).list.sum())
    whole = of_cell.group_by(CELL).agg(col.size.sum(), col.demanded.sum())
    hosted = whole.join(server_series.select("server_id", "any_demand"), on="server_id", validate="m:1")
    hosted = hosted.join(number_of_jobs, on="server_id", validate="m:1")
    of_job = pl.when("any_demand").then(col.demanded.sum().over(JOB)).otherwise(1.0 / col.number_of_jobs)
    return hosted.select(*CELL, constant_share=of_job * flat_share())


def steady_rows(shares: pl.LazyFrame, source_rows: pl.LazyFrame, by: str, streams: list[str]) -> pl.LazyFrame:
    """Rows of streams that go by constant shares: every hour (or period) of the source for every cell with a share."""
    cells = shares.filter(col.constant_share > 0).sort(CELL)
    every = cells.join(source_rows.select(by, "hour", *streams), on=by, maintain_order="left_right")
    return every.with_columns(pl.col(s) * col.constant_share for s in streams)


def storage_shares(sizes: pl.LazyFrame, totals: pl.LazyFrame, number_of_jobs: pl.LazyFrame) -> pl.LazyFrame:
    """`constant_share` per cell of a storage's baseline: the period's invocations in flight (`sizes`; `totals` per server). [1]"""
    whole = (
        sizes.group_by(CELL)
        .agg(col.size.sum())
        .join(totals, on="server_id", validate="m:1")
        .join(number_of_jobs, on="server_id", validate="m:1")
    )
    of_job = pl.when(col.total > 0).then(col.size.sum().over(JOB) / col.total).otherwise(1.0 / col.number_of_jobs)
    return whole.select(*CELL, constant_share=of_job * flat_share())


def retained(kept: pl.LazyFrame, storage_series: pl.LazyFrame) -> pl.LazyFrame:
    """Series retention of cells, from their series of cumulative_storage_need."""
    placed = beside(kept, "cumulative_storage_need", storage_series, ["storage_id"], ["retention_per_tb"])
    return placed.with_columns(retention=retention()).select("storage_id", *CELL, "start", "retention")


def transferred(crossed: pl.LazyFrame) -> pl.LazyFrame:
    """Series transfer of cells, from series of energy over a network."""
    return crossed.with_columns(transfer=transfer()).select("network_id", *CELL, "start", "transfer")


def by_grain(series: pl.LazyFrame, streams: list[str], grain: str) -> pl.LazyFrame:
    """Rows of series per hour, or summed per day or month with the period's first hour in `hour`."""
    return rows_of(series, streams) if grain == "hour" else _summed_by_period(series, streams, PERIODS[grain])


def rows_by_grain(rows: pl.LazyFrame, streams: list[str], grain: str) -> pl.LazyFrame:
    """The same for rows of an hourly table."""
    if grain == "hour":
        return rows
    keys = [n for n in rows.collect_schema() if n not in (*streams, "hour")]
    return rows.group_by(*keys, col.hour.dt.truncate(PERIODS[grain]), maintain_order=True).agg(
        pl.col(s).sum() for s in streams
    )


def in_shape(rows: pl.LazyFrame, kind: str, source: str, streams: list[str]) -> pl.LazyFrame:
    """Rows with one column of kg per stream to rows of the table; rows of 0 kg are left out. `source` names the source's id column."""
    parts = [
        rows.filter(pl.col(stream) > 0).select(
            source_kind=pl.lit(kind),
            source_id=pl.col(source),
            phase=pl.lit(phase_of(stream)),
            stream=pl.lit(stream.partition(":")[0]),
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


def _summed_by_period(series: pl.LazyFrame, streams: list[str], every: str) -> pl.LazyFrame:
    names = series.collect_schema()
    keys = [n for n in names if n not in (*streams, "start")]
    schema = pl.Schema(
        {**{k: names[k] for k in keys}, **dict.fromkeys(streams, pl.Float64()), "hour": pl.Datetime("us", "UTC")}
    )

    def kernel(f: pl.DataFrame) -> pl.DataFrame:
        lengths = pl.col(streams[0]).list.len()
        alike = f.filter(lengths > 0).group_by("start", lengths.alias("hours"), maintain_order=True)
        return pl.concat(
            [pl.DataFrame(schema=schema), *(_by_period(g, keys, streams, every).select(list(schema)) for _, g in alike)]
        )

    return series.map_batches(
        kernel, schema=schema, predicate_pushdown=False, projection_pushdown=False, slice_pushdown=False
    )


def _by_period(f: pl.DataFrame, keys: list[str], streams: list[str], every: str) -> pl.DataFrame:
    """Series over the same hours, summed by period."""
    length = f[streams[0]].list.len()[0]
    hours = pl.select(hour=((pl.int_range(length) + f["start"][0]) * 3_600_000_000).cast(pl.Datetime("us", "UTC")))
    periods = (
        hours.with_row_index("at")
        .group_by(pl.col("hour").dt.truncate(every), maintain_order=True)
        .agg(pl.col("at").min())
    )
    first = periods["at"].to_numpy()
    sums = {s: np.add.reduceat(flat(f[s])[0].reshape(len(f), length), first, axis=1).ravel() for s in streams}
    repeated = f.select(keys)[np.repeat(np.arange(len(f)), len(first))]
    moments = periods["hour"].gather(np.tile(np.arange(len(first)), len(f)))
    return repeated.with_columns(moments, *(pl.Series(s, v) for s, v in sums.items()))
