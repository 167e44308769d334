"""journeys under way + cells, direct occurrences, runs -> repartition.job: by what each job is passed on to its containers."""

import polars as pl
from polars import col

from pipeline.series import LIST, added, aligned, beside, from_rows, rows_of
from pipeline.stages import expressions
from pipeline.stages.energy.grid import with_intensity
from pipeline.tables import OUTPUTS

TABLE = OUTPUTS["repartition.job"]
BY = ["job_id", "server_id", "container_id"]
WEIGHTS = ["fabrication_weight", "usage_weight"]
SUMS = ["fabrication_weight_sum", "usage_weight_sum", "fabrication_period_sum", "usage_period_sum"]


def fabrication_weight() -> pl.Expr:
    """Journeys under way (edge: fleet) * times gone through the container * invocations each time. [1]"""
    return col.under_way * col.times_through


def usage_weight() -> pl.Expr:
    """The fabrication weight * the carbon intensity of the pattern's country. [g/kWh]"""
    return col.fabrication_weight * col.carbon_intensity


def fabrication_weight_sum() -> pl.Expr:
    """Sum of the fabrication weights of the job's containers. [1]"""
    return col.fabrication_weight_sum


def usage_weight_sum() -> pl.Expr:
    """Sum of the usage weights of the job's containers. [g/kWh]"""
    return col.usage_weight_sum


def fabrication_share() -> pl.Expr:
    """fabrication_weight / its sum; 1 for every container in an hour without weights; empty where no hour has any. [1]"""
    return expressions.share(col.fabrication_weight, col.fabrication_weight_sum, col.fabrication_period_sum)


def usage_share() -> pl.Expr:
    """usage_weight / its sum; 1 for every container in an hour without weights; empty where no hour has any. [1]"""
    return expressions.share(col.usage_weight, col.usage_weight_sum, col.usage_period_sum)


def of_journeys(
    cells: pl.LazyFrame, under_way: pl.LazyFrame, grid: pl.LazyFrame, intensity: pl.LazyFrame, *, hourly: bool
) -> pl.LazyFrame:
    """Series of both weights per job and step or server need (`cells`: derived.cell; `under_way`: per pattern and journey)."""
    through = cells.group_by(*BY, "usage_pattern_id", "journey_id").agg(
        times_through=(col.times_in_journey * col.times_in_container).sum()
    )
    lit_up = with_intensity(under_way, "under_way", grid, intensity, hourly=hourly).select(
        "usage_pattern_id", "journey_id", "start", "under_way", "carbon_intensity"
    )
    each = through.join(lit_up, on=["usage_pattern_id", "journey_id"], validate="m:1")
    each = each.with_columns(fabrication_weight=fabrication_weight()).with_columns(usage_weight=usage_weight())
    return added(each.select(*BY, "start", *WEIGHTS), BY, WEIGHTS)


def of_direct(direct: pl.LazyFrame, container_weights: pl.LazyFrame) -> pl.LazyFrame:
    """Series of both weights per job and container of direct occurrences: given in container_weights, else the invocations in flight.

    `direct`: series of avg_occurrences per cell.
    """
    pairs = direct.select(BY).unique()
    given = from_rows(container_weights, ["container_id"], WEIGHTS)
    weighed = pairs.join(given, on="container_id", validate="m:1").select(*BY, "start", *WEIGHTS)
    others = direct.join(container_weights.select("container_id").unique(), on="container_id", how="anti").filter(
        col.request_duration > 0
    )
    counted = others.select(*BY, "start", fabrication_weight="avg_occurrences", usage_weight="avg_occurrences")
    return pl.concat([weighed, added(counted, BY, WEIGHTS)])


def build(weights: pl.LazyFrame) -> pl.LazyFrame:
    """Series of weights and their sums per job and container, over the hours in which any container of the job has weights."""
    by_job = ["job_id", "server_id"]
    sums = added(weights.select(*by_job, "start", *WEIGHTS), by_job, WEIGHTS).select(
        *by_job,
        sum_start="start",
        hours=col.fabrication_weight.list.len().cast(pl.Int64),
        fabrication_weight_sum="fabrication_weight",
        usage_weight_sum="usage_weight",
        fabrication_period_sum=col.fabrication_weight.list.sum(),
        usage_period_sum=col.usage_weight.list.sum(),
    )
    joined = weights.join(sums, on=by_job, validate="m:1")
    return aligned(joined, WEIGHTS, "sum_start", "hours").select(*BY, "start", *WEIGHTS, *SUMS).sort(BY)


def build_observed(weights: pl.LazyFrame) -> pl.LazyFrame:
    """The same for observed runs, over the hours in which the user runs only; `weights` are series of unbroken stretches."""
    by_job = ["job_id", "server_id"]
    hourly = (
        rows_of(weights.select(*by_job, "start", *WEIGHTS), WEIGHTS)
        .group_by(*by_job, "hour")
        .agg(pl.col(w).sum() for w in WEIGHTS)
    )
    sums = from_rows(hourly, by_job, WEIGHTS).rename({w: f"{w}_sum" for w in WEIGHTS})
    periods = sums.select(
        *by_job,
        fabrication_period_sum=col.fabrication_weight_sum.list.sum(),
        usage_period_sum=col.usage_weight_sum.list.sum(),
    )
    beside_sums = beside(weights, "fabrication_weight", sums, by_job, [f"{w}_sum" for w in WEIGHTS])
    return beside_sums.join(periods, on=by_job, validate="m:1").select(*BY, "start", *WEIGHTS, *SUMS).sort(*BY, "start")


def rows(series: pl.LazyFrame) -> pl.LazyFrame:
    """One row per job, container and hour."""
    values = [*WEIGHTS, "fabrication_weight_sum", "usage_weight_sum"]
    hourly = rows_of(series.with_columns(pl.col(v).cast(LIST) for v in values), values)
    shared = hourly.with_columns(
        fabrication_weight_sum=fabrication_weight_sum(),
        usage_weight_sum=usage_weight_sum(),
        fabrication_share=fabrication_share(),
        usage_share=usage_share(),
    )
    return shared.select(list(TABLE.columns))
