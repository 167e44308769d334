"""One partition of servers, first half: its needs, instances and energy, the stages in order, one line per table."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import polars as pl
from polars import col

from pipeline import tally
from pipeline.errors import InputError
from pipeline.parquet import SLICE_ROWS, enumerated
from pipeline.plan import Partition
from pipeline.series import hour_of, stretches
from pipeline.settings import Settings
from pipeline.stages.energy import server as energy_server
from pipeline.stages.energy import storage as energy_storage
from pipeline.stages.instances import server as instances_server
from pipeline.stages.instances import storage as instances_storage
from pipeline.stages.need import job, occurrence, run, server, service, storage, storage_job
from pipeline.storage import Rows
from pipeline.tables import OUTPUTS
from pipeline.upstream import Upstream
from pipeline.violations import stacked, violation

Write = Callable[[str, Rows, str], None]
"""Writes rows of a table; the last argument tells the files of one table apart."""

LEFT_OUT = {"need.job": job.NEEDS, "repartition.server": ["weight", "weight_sum"]}
"""Columns that `columns = base` leaves out of the files: the views compute them."""

RUN_NEEDS = ["avg_occurrences", "compute_need", "ram_need"]


def columns_of(table: str, settings: Settings) -> list[str]:
    """The columns of a table that a run writes."""
    left_out = LEFT_OUT.get(table, []) if settings.columns == "base" else []
    return [c for c in OUTPUTS[table].columns if c not in left_out]


def columns_made(table: str, settings: Settings) -> list[str]:
    """The columns of a table that a run writes, and those that are only tallied."""
    wanted = {*columns_of(table, settings), *tally.columns_read(OUTPUTS[table])}
    return [c for c in OUTPUTS[table].columns if c in wanted]


def hosted_spans(up: Upstream) -> pl.LazyFrame:
    """Hours of all servers that have any: those with job series, and fixed on-premise ones without, over the model's hours."""
    with_jobs = up.spans.lazy()
    if up.model_hours is None:
        return with_jobs
    first, end = up.model_hours
    silent = up.servers.lazy().drop_nulls("fixed_nb_of_instances").join(with_jobs, on="server_id", how="anti")
    return pl.concat(
        [with_jobs, silent.select("server_id", first_hour=pl.lit(first, pl.Int64), hours=pl.lit(end - first, pl.Int64))]
    )


def sliced(series: pl.LazyFrame, values: str) -> Iterator[pl.LazyFrame]:
    """The series in slices of about SLICE_ROWS rows each, so that rows are never all in memory at once."""
    frame = series.collect()
    start = size = 0
    for i, length in enumerate(frame[values].list.len().to_list()):
        if size and size + length > SLICE_ROWS:
            yield enumerated(frame[start:i]).lazy()
            start, size = i, 0
        size += length
    yield enumerated(frame[start:]).lazy()


def some_at_once(cells: pl.DataFrame, rows_each: int) -> Iterator[pl.LazyFrame]:
    """The cells in slices that make about SLICE_ROWS rows, where each of them makes so many."""
    return (enumerated(part).lazy() for part in cells.iter_slices(max(SLICE_ROWS // rows_each, 1)))


class Work:
    """One partition at work: its part of the upstream tables, the settings, and where rows go."""

    def __init__(self, up: Upstream, part: Partition, settings: Settings, write: Write) -> None:
        mine = col.server_id.is_in(list(part.servers))
        self.up, self.part, self.settings, self.write = up, part, settings, write
        self.servers, self.services, self.jobs, self.capacity = (
            f.filter(mine).lazy() for f in (up.servers, up.services, up.jobs, up.capacity)
        )
        self.any_services = not self.services.collect().is_empty()
        self.direct = up.direct_of(part)
        self.any_runs = bool(up.run_inputs["server_id"].is_in(list(part.servers)).any())
        self.runs = up.runs.filter(mine) if self.any_runs else up.runs.clear()
        self.spans = hosted_spans(up).filter(mine).collect().lazy()
        self.busy = up.spans.filter(mine).lazy()
        backing = storage_job.backed(self.servers, up.storages.lazy()).collect()
        self.backing, self.any_storage = backing.lazy(), not backing.is_empty()
        fixed = [f["fixed_nb_of_instances"] for f in (self.servers.collect(), backing)]
        self.any_fixed = any(f.count() > 0 for f in fixed)
        self._kept: Chunk | None = None

    @cached_property
    def number_of_jobs(self) -> pl.LazyFrame:
        """number_of_jobs of every server, those that never run included."""
        applications = self.runs.select("server_id", job_id="application").unique()
        every = pl.concat([self.jobs.select("server_id", "job_id"), applications])
        return every.group_by("server_id").agg(number_of_jobs=pl.len()).collect().lazy()

    def wants(self, *tables: str) -> bool:
        """Whether any of these tables is asked for."""
        return any(t in self.settings.wanted for t in tables)

    def forget(self) -> None:
        """Let go of the range that was kept: it knows this work, and a ring is only freed when the interpreter looks for rings."""
        self._kept = None

    def chunks(self) -> Iterator["Chunk"]:
        """The ranges of jobs, one after the other; the only one is kept for the second pass."""
        for index in range(len(self.part.chunks)):
            if self._kept is not None:
                yield self._kept
                continue
            piece = Chunk(self, index)
            if len(self.part.chunks) == 1:
                self._kept = piece
            yield piece


class Chunk:
    """A range of jobs of the partition (with the first range: all observed runs), as series and rows."""

    def __init__(self, work: Work, index: int) -> None:
        self.work = work
        self.name = f"{work.part.number:05}-{index:03}"
        self.jobs = work.jobs.filter(col.job_id.is_in(list(work.part.chunks[index])))
        self.runs = work.runs if index == 0 else work.runs.clear()

    @cached_property
    def occurrence(self) -> pl.LazyFrame:
        """Series of occurrences per modelled cell."""
        cells = self.work.up.cells.lazy().join(self.jobs.select("job_id"), on="job_id", how="semi")
        modelled = occurrence.modelled(cells, self.work.up.triggers.lazy())
        if self.work.up.direct_cells.is_empty():
            return modelled.collect().lazy()
        names = self.jobs.select("job_id").collect()["job_id"].to_list()
        direct = self.work.direct.filter(col.job_id.cast(pl.String).is_in(names))
        return occurrence.build(modelled, occurrence.direct(direct, self.jobs)).collect().lazy()

    @cached_property
    def job(self) -> pl.LazyFrame:
        """Series of occurrences and invocations in flight per modelled job and pattern."""
        return job.build(self.occurrence, self.jobs).collect().lazy()

    @property
    def lasting(self) -> pl.LazyFrame:
        """The series of jobs that are ever in flight."""
        return self.job.filter(col.request_duration > 0)

    @cached_property
    def observed(self) -> pl.LazyFrame:
        """Rows of observed cells: application, project, user and hour, in the columns of need.job."""
        return run.as_cells(self.runs, self.work.servers).collect().lazy()

    @cached_property
    def any_observed(self) -> bool:
        """Whether there are observed runs at all."""
        return self.work.any_runs and not self.observed.collect().is_empty()

    @cached_property
    def observed_job(self) -> pl.LazyFrame:
        """Rows of need.job of observed runs."""
        seen = self.observed.filter((col.avg_occurrences > 0) | (col.occurrences > 0))
        return (
            seen.group_by(*job.KEY, "hour")
            .agg(pl.col(c).sum() for c in (*job.BASE, *job.NEEDS))
            .sort(*job.KEY, "hour")
            .collect()
            .lazy()
        )

    @property
    def observed_needs(self) -> pl.LazyFrame:
        """Rows of need.job of observed runs, in the hours they hold resources."""
        return self.observed_job.filter(col.avg_occurrences > 0)

    @cached_property
    def every_job(self) -> pl.LazyFrame:
        """server_id and job_id of all jobs of the range, those that never run included."""
        applications = self.runs.select("server_id", job_id="application").unique()
        return pl.concat([self.jobs.select("server_id", "job_id"), applications]).collect().lazy()

    @cached_property
    def kept(self) -> pl.LazyFrame:
        """Series of need.storage_job."""
        if not self.work.any_storage:
            return storage_job.NOTHING.lazy()
        by = ["server_id", "job_id"]
        backed = self.work.backing.join(self.work.busy, on="server_id", how="semi")
        mine = backed.select("server_id")
        modelled = job.with_needs(self.lasting.join(mine, on="server_id", how="semi"))
        runs = stretches(self.observed_needs.join(mine, on="server_id", how="semi"), by, ["data_stored"])
        storing = pl.concat([f.select(*by, "start", "data_stored") for f in (modelled, runs)])
        jobs = self.every_job.join(mine, on="server_id", how="semi")
        return storage_job.build(storing, jobs, backed, self.work.busy).collect().lazy()


@dataclass
class StorageTables:
    """Tables by storage."""

    need: pl.LazyFrame
    instances: pl.LazyFrame
    """Without those that no job fills."""
    unused: pl.LazyFrame
    """Rows of instances.storage of fixed storages that no job fills."""
    energy: pl.LazyFrame


@dataclass
class ServerTables:
    """What the first half leaves for the second: tables by server, small next to the job-hours."""

    need: pl.LazyFrame
    volumes: pl.LazyFrame
    instances: pl.LazyFrame
    energy: pl.LazyFrame
    stored: StorageTables


def needs_to_energy(work: Work) -> ServerTables:
    """All chunks of the partition, and from their sums the servers' and storages' need, instances and energy."""
    partial, volumes, kept = [], [], []
    for piece in work.chunks():
        write_jobs(work, piece)
        partial.append(server.partial(piece.lasting).collect())
        if piece.any_observed:
            partial.append(observed_partial(piece).collect())
        if work.any_services:
            volumes.append(service.build(piece.lasting).collect())
        if work.any_storage:
            kept.append(storage.partial(piece.kept).collect())
    up, write = work.up, work.write
    need = server.build(pl.concat(partial).lazy(), work.spans).collect().lazy()
    volume = service.rows(service.total(pl.concat(volumes).lazy())).collect() if volumes else service.TABLE.empty()
    instances = instances_server.build(need, work.capacity, work.servers).collect().lazy()
    energy = energy_server.build(instances, work.servers, up.intensity.lazy()).collect().lazy()
    stored = kept_to_energy(work, kept)
    check_fixed_numbers(work, instances, stored.instances)
    write("need.server", need, "")
    write("instances.capacity", work.capacity, "")
    write("instances.server", instances, "")
    write("energy.server", energy, "")
    if work.any_services:
        write("need.service", volume.lazy(), "")
    if work.any_storage:
        write("need.storage", stored.need, "")
        write("instances.storage", pl.concat([stored.instances, stored.unused]), "")
        write("energy.storage", stored.energy, "")
    return ServerTables(need, volume.lazy(), instances, energy, stored)


def kept_to_energy(work: Work, kept: list[pl.DataFrame]) -> StorageTables:
    """From the series of data kept per storage, one frame per range of jobs, the storages' need, instances and energy."""
    if not kept:
        need, instances, energy = (OUTPUTS[f"{t}.storage"].empty().lazy() for t in ("need", "instances", "energy"))
        return StorageTables(need, instances, instances, energy)
    need = storage.build(pl.concat(kept).lazy(), work.backing).collect().lazy()
    instances = instances_storage.build(need, work.backing).collect().lazy()
    unused = unused_storages(work.backing.join(work.busy, on="server_id", how="anti"), work.up.model_hours)
    energy = energy_storage.build(pl.concat([instances, unused]), work.up.storages.lazy()).collect().lazy()
    return StorageTables(need, instances, unused, energy)


def write_jobs(work: Work, piece: Chunk) -> None:
    """need.occurrence, need.job, need.storage_job and need.run of one range of jobs."""
    settings = work.settings
    if work.wants("need.occurrence"):
        started = piece.observed.filter(col.occurrences > 0).select(list(occurrence.TABLE.columns))
        rows = [*map(occurrence.rows, sliced(piece.occurrence, "occurrences")), started]
        work.write("need.occurrence", rows, piece.name)
    if work.wants("need.job"):
        columns = columns_made("need.job", settings)
        rows = [job.rows(job.with_needs(s), columns) for s in sliced(piece.job, "occurrences")]
        if piece.any_observed:
            rows.append(piece.observed_job.select(columns))
        work.write("need.job", rows, piece.name)
    if work.wants("need.storage_job"):
        work.write(
            "need.storage_job",
            list(map(storage_job.rows, sliced(piece.kept, "cumulative_storage_need"))),
            piece.name,
        )
    if work.any_runs:
        work.write("need.run", piece.runs, piece.name)


def observed_partial(piece: Chunk) -> pl.LazyFrame:
    """Series of what observed runs need of each server, one per unbroken stretch."""
    values = ["compute_need", "ram_need"]
    hourly = piece.observed_needs.group_by("server_id", "hour").agg(pl.col(v).sum() for v in values)
    return stretches(hourly, ["server_id"], values).select("server_id", "start", "ram_need", "compute_need")


def unused_storages(storages: pl.LazyFrame, model_hours: tuple[int, int] | None) -> pl.LazyFrame:
    """Rows of instances.storage of fixed storages that no job fills: every hour of the model, nothing asked for."""
    first, end = model_hours or (0, 0)
    hours = pl.LazyFrame({"hour": pl.int_range(first, end, eager=True)}).select(hour_of(col.hour))
    fixed = storages.drop_nulls("fixed_nb_of_instances").select(
        "storage_id", nb_of_instances=col.fixed_nb_of_instances.cast(pl.Float64)
    )
    return fixed.join(hours, how="cross").select(
        "storage_id", "hour", raw_nb_of_instances=pl.lit(0.0), nb_of_instances="nb_of_instances"
    )


def check_fixed_numbers(work: Work, instances: pl.LazyFrame, storages: pl.LazyFrame) -> None:
    """InputError where a fixed number of servers or storages is too small for the peak."""
    if not work.any_fixed:
        return
    short = (
        ("servers", instances_server.too_small(instances, work.servers)),
        ("storages", instances_storage.too_small(storages, work.backing)),
    )
    wrong = [
        violation(
            table,
            "insufficient capacity",
            f"at least {peak:.6g} instances of {row_id}, asked for in the hour {hour:%Y-%m-%d %H:%M} UTC (InsufficientCapacity)",
            column="fixed_nb_of_instances",
            value=f"{fixed:g} for {row_id}",
        )
        for table, rows in short
        for row_id, peak, hour, fixed in rows.collect().iter_rows()
    ]
    if wrong:
        raise InputError(f"{len(wrong)} fixed number(s) of instances below the peak", stacked(wrong))
