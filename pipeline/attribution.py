"""One partition of servers, second half: weights and shares, networks, and every gram passed on to its cells."""

from dataclasses import dataclass

import polars as pl
from polars import col

from pipeline.partition import RUN_NEEDS, Chunk, ServerTables, Work, columns_made, sliced, some_at_once
from pipeline.series import LIST, rows_of, stretches
from pipeline.stages.energy import network
from pipeline.stages.need import job, storage_job
from pipeline.stages.repartition import footprint, hours
from pipeline.stages.repartition import job as repartition_job
from pipeline.stages.repartition import server as repartition_server
from pipeline.stages.repartition import storage as repartition_storage
from pipeline.stages.repartition.periods import by_grain, rows_by_grain

CELL_VALUES = ["avg_occurrences", "data_transferred", "data_stored", "compute_need", "ram_need"]


@dataclass(frozen=True)
class Sources:
    """What the partition passes on: tables by server, and from them series by server, by service (rates of use) and by storage."""

    tables: ServerTables
    servers: pl.LazyFrame
    services: pl.LazyFrame
    storages: pl.LazyFrame
    totals: pl.LazyFrame
    """Sizes of all cells of each server that has a storage."""


def sources_of(work: Work, tables: ServerTables) -> Sources:
    """The series of the partition's sources, as far as they are wanted."""
    servers, services = hours.of_servers(
        tables.need, tables.instances, tables.energy, tables.volumes if work.any_services else None,
        work.services, work.servers, work.capacity,
        attribution_key=work.settings.attribution_key, footprints=work.wants("repartition.footprint"),
    )  # fmt: skip
    stored, storages = tables.stored, pl.LazyFrame()
    if work.any_storage:
        storages = repartition_storage.of_storages(stored.need, stored.instances, stored.energy, work.backing)
    by_server, by_service, by_storage = (f.collect().lazy() for f in (servers, services, storages))
    totals = cell_totals(work) if work.wants("repartition.footprint") else pl.LazyFrame()
    return Sources(tables, by_server, by_service, by_storage, totals)


def attribute(work: Work, tables: ServerTables) -> None:
    """Write everything of the partition that the second half makes."""
    if not any(t.startswith("repartition.") or t == "energy.network" for t in work.settings.wanted):
        return
    sources = sources_of(work, tables)
    for piece in work.chunks():
        if work.wants("repartition.server"):
            write_server_shares(work, piece, sources)
        if work.wants("repartition.storage") and work.any_storage:
            shares = repartition_storage.build(piece.kept, sources.storages, work.number_of_jobs)
            work.write("repartition.storage", list(map(repartition_storage.rows, sliced(shares, "weight"))), piece.name)
        if work.wants("repartition.job"):
            work.write("repartition.job", job_shares(work, piece), piece.name)
        if work.wants("energy.network"):
            write_networks(work, piece)
        if work.wants("repartition.footprint"):
            work.write("repartition.footprint", footprints(work, piece, sources), piece.name)
    if work.wants("repartition.footprint"):
        write_unallocated(work, tables)


def write_server_shares(work: Work, piece: Chunk, sources: Sources) -> None:
    """repartition.server of one range of jobs."""
    series, rates = sources.servers, sources.services
    columns = columns_made("repartition.server", work.settings)
    weights = repartition_server.weighed(piece.lasting, work.servers, rates).collect().lazy()
    jobs = piece.jobs.select("server_id", "job_id").join(series.select("server_id"), on="server_id", how="semi")
    made = [repartition_server.build(weights, jobs, series)]
    if piece.any_observed:
        runs = stretches(piece.observed_needs, job.KEY, RUN_NEEDS).with_columns(service_id=pl.lit(None, pl.String))
        made.append(
            repartition_server.build_observed(repartition_server.weighed_observed(runs, work.servers, rates), series)
        )
    rows = [repartition_server.rows(s, columns) for shares in made for s in sliced(shares, "weight")]
    work.write("repartition.server", rows, piece.name)


def job_shares(work: Work, piece: Chunk) -> list[pl.LazyFrame]:
    """Rows of repartition.job of one range of jobs, by the hour or summed by period."""
    grain = work.settings.attribution_grain
    weights, observed = job_weights(work, piece).collect().lazy(), observed_weights(piece)
    if grain != "hour":
        return [repartition_job.rows_by_period(weights, observed, grain)]
    shares = [repartition_job.build(weights)]
    if piece.any_observed:
        shares.append(repartition_job.build_observed(observed))
    return list(map(repartition_job.rows, sliced(pl.concat(shares), "fabrication_weight")))


def job_weights(work: Work, piece: Chunk) -> pl.LazyFrame:
    """Series of the weights of modelled jobs' containers: by journeys under way, or by direct occurrences."""
    up = work.up
    names = piece.jobs.select("job_id")
    cells = up.cells.lazy().join(names, on="job_id", how="semi")
    by_journey = repartition_job.of_journeys(
        cells, up.under_way.lazy(), up.grid.lazy(), up.intensity.lazy(), hourly=up.hourly
    )
    if up.direct_cells.is_empty():
        return by_journey
    given = piece.occurrence.join(up.direct_cells.lazy(), on=["job_id", "container_id"], how="semi")
    by_direct = repartition_job.of_direct(job.in_flight(given, piece.jobs), up.container_weights.lazy())
    by_journey = by_journey.join(by_direct, on=repartition_job.BY, how="anti")
    return pl.concat([by_journey, by_direct])


def observed_weights(piece: Chunk) -> pl.LazyFrame:
    """Series of the weights of applications' users, one per unbroken stretch: what their runs hold."""
    demand = (
        piece.observed.filter(col.demand > 0)
        .group_by(*repartition_job.BY, "hour")
        .agg(fabrication_weight=col.demand.sum())
    )
    return stretches(
        demand.with_columns(usage_weight=col.fabrication_weight), repartition_job.BY, repartition_job.WEIGHTS
    )


def crossed(work: Work, transferred: pl.LazyFrame) -> pl.LazyFrame:
    """Series of network energy beside series of data transferred."""
    up = work.up
    return network.crossed(transferred, up.networks.lazy(), up.grid.lazy(), up.intensity.lazy(), hourly=up.hourly)


def write_networks(work: Work, piece: Chunk) -> None:
    """energy.network of one range of jobs."""
    columns = [*job.KEY, "start", "data_transferred"]
    runs = stretches(piece.observed_needs, job.KEY, ["data_transferred"])
    every = crossed(work, pl.concat([job.with_needs(piece.job).select(columns), runs.select(columns)]))
    work.write("energy.network", list(map(network.rows, sliced(every.sort(job.KEY), "energy"))), piece.name)


# ---------------------------------------------------------------- every gram


def cells_of(work: Work, piece: Chunk) -> pl.LazyFrame:
    """Series of every cell of the chunk with what it has in flight and takes; `size` is what splits a job among its cells.

    size: invocations in flight; for observed runs, which differ in size within an application, their demand. A job that nothing
    triggers gets a cell without container and pattern, so that an equal split reaches it.
    """
    columns = [*footprint.CELL, "service_id", "start", "size", *CELL_VALUES]
    modelled = job.with_needs(job.in_flight(piece.occurrence, piece.jobs)).with_columns(
        size=col.avg_occurrences.list.sum()
    )
    # a run that took no time has its cell, too
    seen = piece.observed.filter((col.avg_occurrences > 0) | (col.occurrences > 0))
    held = stretches(seen, footprint.CELL, [*CELL_VALUES, "demand"])
    observed = held.with_columns(size=col.demand.list.sum(), service_id=pl.lit(None, pl.String))
    triggered = pl.concat([f.select("job_id", "server_id") for f in (modelled, observed)]).unique()
    idle = piece.every_job.join(triggered, on=["job_id", "server_id"], how="anti").with_columns(
        *(pl.lit(None, pl.String).alias(c) for c in ("container_id", "usage_pattern_id", "service_id")),
        *(pl.lit([], dtype=LIST).alias(v) for v in CELL_VALUES),
        start=pl.lit(0, pl.Int64),
        size=pl.lit(0.0),
    )
    return pl.concat([f.select(columns) for f in (modelled, observed, idle)])


def cell_totals(work: Work) -> pl.LazyFrame:
    """The sizes of all cells of each server that has a storage, over all ranges of jobs."""
    if not work.any_storage:
        return pl.LazyFrame(schema={"server_id": pl.String(), "total": pl.Float64()})
    backed = work.backing.select("server_id")
    sizes = [
        cells_of(work, piece).select("server_id", "size").join(backed, on="server_id", how="semi").collect()
        for piece in work.chunks()
    ]
    return pl.concat(sizes).group_by("server_id").agg(total=col.size.sum()).lazy()


def footprints(work: Work, piece: Chunk, sources: Sources) -> list[pl.LazyFrame]:
    """Rows of repartition.footprint of servers, storages and networks that fall to one range of jobs."""
    series, rates, grain = sources.servers, sources.services, work.settings.attribution_grain
    cells = cells_of(work, piece).collect().lazy()
    hosted = cells.join(work.busy, on="server_id", how="semi")
    key = work.settings.attribution_key
    demanding = footprint.demands(hosted, work.servers, work.capacity, series, rates, key).collect().lazy()
    streams = ["provisioned", "idle", "load"]
    flowing = footprint.by_demand(demanding, series)
    made = [
        footprint.in_shape(by_grain(s, streams, grain), "server", "server_id", streams)
        for s in (sliced(flowing, "load") if grain == "hour" else [flowing])
    ]
    shares = footprint.constant_shares(demanding, series, work.number_of_jobs)
    fixed = rows_by_grain(server_rows(sources.tables), ["provisioned", "idle"], grain)
    made += steady_footprints(shares, fixed, "server", ["provisioned", "idle"])
    if work.any_storage:
        made += storage_footprints(work, hosted, sources)
    energy = footprint.transferred(crossed(work, cells.select(*footprint.CELL, "start", "data_transferred")))
    moved = by_grain(energy, ["transfer"], grain)
    made.append(footprint.in_shape(moved, "network", "network_id", ["transfer"]))
    return made


def server_rows(tables: ServerTables) -> pl.LazyFrame:
    """Rows of servers' provisioned and idle carbon."""
    return hours.footprints_of_being_on(tables.energy)


def storage_footprints(work: Work, cells: pl.LazyFrame, sources: Sources) -> list[pl.LazyFrame]:
    """Rows of the storages' retention and baseline."""
    stores, grain = sources.storages, work.settings.attribution_grain
    backed = cells.join(work.backing.select("server_id"), on="server_id", how="semi")
    storing = backed.filter(col.data_stored.list.sum() > 0)
    kept = storage_job.kept(
        storing.select(*footprint.CELL, "start", "data_stored"), footprint.CELL, work.backing, work.busy
    )
    retained = by_grain(footprint.retained(kept, stores), ["retention"], grain)
    shares = footprint.storage_shares(backed.select(*footprint.CELL, "size"), sources.totals, work.number_of_jobs)
    placed = shares.join(work.backing.select("server_id", "storage_id"), on="server_id", validate="m:1")
    baseline = rows_of(stores.select("storage_id", "start", "baseline"), ["baseline"])
    by_period = rows_by_grain(baseline, ["baseline"], grain)
    return [
        footprint.in_shape(retained, "storage", "storage_id", ["retention"]),
        *steady_footprints(placed, by_period, "storage", ["baseline"]),
    ]


def steady_footprints(shares: pl.LazyFrame, source: pl.LazyFrame, kind: str, streams: list[str]) -> list[pl.LazyFrame]:
    """Rows of streams that go by constant shares of cells, some cells at a time: every cell has a row for every row of its source."""
    source_id = f"{kind}_id"
    rows = source.collect()
    names = pl.Enum(rows[source_id].unique())
    rows = rows.with_columns(pl.col(source_id).cast(names))
    cells = shares.filter(col.constant_share > 0).sort(footprint.CELL).with_columns(pl.col(source_id).cast(names))
    longest = max(rows[source_id].value_counts()["count"], default=1)
    return [
        footprint.in_shape(footprint.steady_rows(part, rows.lazy(), source_id, streams), kind, source_id, streams)
        for part in some_at_once(cells.collect(), longest)
    ]


def write_unallocated(work: Work, tables: ServerTables) -> None:
    """Rows of repartition.footprint of fixed servers and storages that no job uses."""
    grain = work.settings.attribution_grain
    servers = tables.energy.join(work.busy, on="server_id", how="anti")
    stored = tables.stored
    storages = stored.energy.join(stored.instances.select("storage_id").unique(), on="storage_id", how="anti")
    rows = [
        footprint.unallocated(servers, "server", "server_id", grain),
        footprint.unallocated(storages, "storage", "storage_id", grain),
    ]
    work.write("repartition.footprint", rows, "unallocated")
