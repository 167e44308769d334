"""What every partition of servers needs and no partition owns: plain servers and jobs, usage in UTC, cells, spans of hours."""

import json
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import polars as pl
from polars import col

from pipeline import plan
from pipeline.model import Model, derived_tables
from pipeline.stages.derived import cell
from pipeline.stages.energy import grid
from pipeline.stages.instances import capacity
from pipeline.stages.need import occurrence, run, usage_pattern
from pipeline.storage import rows_in

NOT_IN_PARTITIONS = ("steps", "user_starts", "fleets", "usage", "cell_spans", "job_spans")
"""Tables that the first process alone reads; the others get them without rows."""


@dataclass(frozen=True)
class Upstream:
    """Small tables in memory, large ones lazy; all that a partition is computed from."""

    servers: pl.DataFrame
    services: pl.DataFrame
    jobs: pl.DataFrame
    capacity: pl.DataFrame
    cells: pl.DataFrame
    steps: pl.DataFrame
    user_starts: pl.DataFrame
    fleets: pl.DataFrame
    under_way: pl.DataFrame
    triggers: pl.DataFrame
    grid: pl.DataFrame
    intensity: pl.DataFrame
    storages: pl.DataFrame
    networks: pl.DataFrame
    container_weights: pl.DataFrame
    direct: pl.LazyFrame
    direct_cells: pl.DataFrame
    """job_id and container_id of the direct occurrences."""
    runs: pl.LazyFrame
    """Rows of need.run."""
    run_inputs: pl.DataFrame
    """A fingerprint of the records that each server's runs come from: sums of fractions may differ in their last bit, records do not."""
    usage: pl.DataFrame
    """Rows of need.usage_pattern."""
    cell_spans: pl.DataFrame
    job_spans: pl.DataFrame
    spans: pl.DataFrame
    """first_hour and hours of every server that has a job series."""
    model_hours: tuple[int, int] | None
    """First hour and end of any series."""

    buckets: str | None = None
    """Folder where the direct occurrences of each partition lie apart, where they are too many to look through for every one."""

    def direct_of(self, part: plan.Partition) -> pl.LazyFrame:
        """The direct occurrences of a partition's jobs, or of more jobs than those."""
        if self.buckets is None:
            return self.direct
        mine = Path(self.buckets) / f"number={part.number}"
        return (
            pl.scan_parquet(sorted(mine.iterdir()), glob=False, hive_partitioning=False)
            if mine.exists()
            else self.direct.clear()
        )

    def bucketed(self, parts: list[plan.Partition], folder: Path) -> "Upstream":
        """The same with the direct occurrences sorted into one folder per partition, in one pass over them."""
        number = {job: part.number for part in parts for chunk in part.chunks for job in chunk}
        of_job = pl.LazyFrame(
            {"job_id": list(number), "number": list(number.values())}, schema={"job_id": pl.String, "number": pl.Int64}
        )
        placed = (
            self.direct.with_columns(name=col.job_id.cast(pl.String))
            .join(of_job, left_on="name", right_on="job_id")
            .drop("name")
        )
        placed.sink_parquet(pl.PartitionBy(folder, key="number", include_key=False), mkdir=True, compression="lz4")
        return replace(self, buckets=str(folder.resolve()))

    def save(self, folder: Path) -> None:
        """Write everything that partitions are made of under `folder`, for other processes to load."""
        folder.mkdir(parents=True, exist_ok=True)
        for f in fields(self):
            value = getattr(self, f.name)
            if isinstance(value, pl.DataFrame):
                (value.clear() if f.name in NOT_IN_PARTITIONS else value).write_ipc(folder / f"{f.name}.arrow")
            elif isinstance(value, pl.LazyFrame) and not (f.name == "direct" and self.buckets):
                value.sink_parquet(folder / f"{f.name}.parquet", compression="lz4", maintain_order=True)
        if self.buckets:
            self.direct.head(0).sink_parquet(folder / "direct.parquet")
        rest = {"model_hours": self.model_hours, "buckets": self.buckets}
        (folder / "rest.json").write_text(json.dumps(rest), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "Upstream":
        """What `save` wrote."""
        rest = json.loads((folder / "rest.json").read_text(encoding="utf-8"))
        hours = rest["model_hours"]
        kept: dict[str, Any] = {"model_hours": tuple(hours) if hours else None, "buckets": rest["buckets"]}
        for f in fields(cls):
            if (arrow := folder / f"{f.name}.arrow").exists():
                kept[f.name] = pl.read_ipc(arrow)
            elif (parquet := folder / f"{f.name}.parquet").exists():
                scanned = pl.scan_parquet(parquet, glob=False)
                kept[f.name] = scanned if rows_in(parquet) else scanned.collect().lazy()
        return cls(**kept)

    @property
    def hourly(self) -> bool:
        """Whether any country's grid intensity is known by the hour."""
        return len(self.grid.join(self.intensity, on="zone", how="semi")) > 0


def prepare(model: Model) -> Upstream:
    """Everything upstream of the partitions."""
    servers, services, jobs = (f.collect().lazy() for f in derived_tables(model))
    steps = cell.steps_in_time(model["usage_journey_steps"], model["usage_steps"]).collect().lazy()
    cells = cell.build(
        model["usage_pattern_journeys"], steps, model["usage_step_jobs"], model["edge_usage_pattern_journeys"],
        model["edge_usage_journey_needs"], model["server_need_jobs"], jobs,
    ).collect().lazy()  # fmt: skip
    countries, patterns, edge_patterns = model["countries"], model["usage_patterns"], model["edge_usage_patterns"]
    user_starts = usage_pattern.utc_starts(patterns, countries, model["usage_pattern_starts"]).collect().lazy()
    edge_starts = (
        usage_pattern.utc_starts(edge_patterns, countries, model["edge_usage_pattern_starts"]).collect().lazy()
    )
    fleets = usage_pattern.fleets(edge_starts, edge_patterns).collect().lazy()
    user_journeys = (
        usage_pattern.journeys_under_way(user_starts, model["usage_pattern_journeys"], cell.journey_durations(steps))
        .collect()
        .lazy()
    )
    usage = usage_pattern.build(pl.concat([user_starts, edge_starts]), user_journeys, fleets).collect()
    needed = cells.filter(col.kind == "server_need").select("usage_pattern_id", "container_id").unique().sort(pl.all())
    weekly = occurrence.weekly_triggers(fleets, edge_patterns, countries, model["server_need_volumes"], needed)
    of_users = user_starts.select("usage_pattern_id", "start", container_id=pl.lit(None, pl.String), triggers="starts")
    triggers = pl.concat([of_users, weekly], how="diagonal").collect()
    intervals = run.held_intervals(model["job_runs"], model["job_run_intervals"], model["log_horizons"])
    runs = run.build(intervals).collect() if model.has("job_runs") else run.build(intervals).collect_schema().to_frame()
    direct_spans = plan.direct_spans(model["occurrences"], jobs).collect()
    cell_spans = pl.concat([plan.cell_spans(cells, triggers.lazy()).collect(), direct_spans]).sort(pl.all())
    job_spans = plan.job_spans(cell_spans.lazy(), jobs).sort(pl.all()).collect()
    observed = run_spans(runs.lazy())
    return Upstream(
        servers=servers.collect(),
        services=services.collect(),
        jobs=jobs.collect(),
        capacity=capacity.build(servers, services).collect(),
        cells=cells.collect(),
        steps=steps.collect(),
        user_starts=user_starts.collect(),
        fleets=fleets.collect(),
        under_way=pl.concat(
            [user_journeys, usage_pattern.fleets_under_way(fleets, model["edge_usage_pattern_journeys"])],
            how="diagonal",
        ).collect(),
        triggers=triggers,
        grid=pl.concat([grid.of_patterns(p, countries) for p in (patterns, edge_patterns)]).collect(),
        intensity=model["carbon_intensity"].select("zone", "hour", "carbon_intensity").collect(),
        storages=model["storages"].collect(),
        networks=model["networks"].collect(),
        container_weights=model["container_weights"].collect(),
        direct=model["occurrences"],
        direct_cells=direct_spans.select("job_id", "container_id").unique().sort(pl.all()),
        runs=runs.lazy(),
        run_inputs=fingerprints(intervals).collect(),
        usage=usage,
        cell_spans=cell_spans,
        job_spans=job_spans,
        spans=plan.server_spans(job_spans.lazy(), observed).collect(),
        model_hours=_model_hours(usage, cell_spans, job_spans, runs),
    )


def least_job_hours(model: Model) -> tuple[int, int]:
    """Job-hours that a model has at least, and servers that they lie on, at a glance: hours in which patterns start journeys, for every job of those."""
    starts = model["usage_pattern_starts"].filter(col.starts > 0).group_by("usage_pattern_id").agg(hours=pl.len())
    journeys = model["usage_pattern_journeys"].filter(col.times_per_start > 0)
    steps = model["usage_journey_steps"].filter(col.times_per_journey > 0)
    jobs = model["jobs"].filter(col.request_duration > 0).select("job_id", "server_id").drop_nulls()
    reached = (
        journeys.join(steps, on="usage_journey_id")
        .join(model["usage_step_jobs"].filter(col.times_per_step > 0), on="usage_journey_step_id")
        .select("usage_pattern_id", "job_id")
        .unique()
    )
    placed = reached.join(jobs, on="job_id").join(starts, on="usage_pattern_id")
    rows, servers = placed.select(col.hours.cast(pl.Int64).sum(), col.server_id.n_unique()).collect().row(0)
    return int(rows), int(servers)


def row_hashes() -> list[pl.Expr]:
    """Two hashes of each row, to be summed up: what rows there are, in whatever order. They are stable within one version of Polars."""
    return [pl.struct(pl.all()).hash(seed).alias(f"sum_{seed}") for seed in (1, 2)]


def fingerprints(intervals: pl.LazyFrame) -> pl.LazyFrame:
    """Two sums of hashes of the rows of every server, in whatever order they come."""
    hashed = intervals.select("server_id", *row_hashes())
    return hashed.group_by("server_id").agg(pl.all().sum()).sort("server_id")


def run_spans(runs: pl.LazyFrame) -> pl.LazyFrame:
    """First hour and end of the observed runs of every server, and their rows."""
    index = col.hour.dt.timestamp("ms") // run.HOUR_MS
    held = runs.filter(col.run_hours > 0)
    return held.group_by("server_id").agg(first=index.min(), end=index.max() + 1, rows=pl.len().cast(pl.Int64))


def _model_hours(
    usage: pl.DataFrame, cells: pl.DataFrame, jobs: pl.DataFrame, runs: pl.DataFrame
) -> tuple[int, int] | None:
    index = pl.col("hour").dt.timestamp("ms") // run.HOUR_MS
    seen = runs.filter((col.run_hours > 0) | (col.runs_started > 0))  # the hours of need.job: a run may take no time
    pairs = [
        *(f.select(first=index.min(), end=index.max() + 1) for f in (usage, seen)),
        *(f.select(pl.col("first").min(), pl.col("end").max()) for f in (cells, jobs)),
    ]
    every = pl.concat(pairs).drop_nulls()
    return None if every.is_empty() else (every["first"].min(), every["end"].max())  # type: ignore[return-value]
