"""journeys under way + cells, direct occurrences, runs -> repartition.job: by what each job is passed on to its containers."""

import polars as pl
from polars import col

from pipeline.series import LIST, added, aligned, beside, from_rows, hour_of, in_order, rows_of
from pipeline.stages import expressions
from pipeline.stages.energy.grid import with_intensity
from pipeline.stages.lineage import At, Lineage, Row, Rule, Total, same
from pipeline.stages.repartition.periods import PERIODS, by_grain, hours_of_period
from pipeline.tables import OUTPUTS

TABLE = OUTPUTS["repartition.job"]
JOB = ["job_id", "server_id"]
BY = [*JOB, "container_id"]
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


def times_through() -> pl.Expr:
    """Times the journey goes through the container * invocations each time. [1]"""
    return col.times_in_journey * col.times_in_container


def of_journeys(
    cells: pl.LazyFrame, under_way: pl.LazyFrame, grid: pl.LazyFrame, intensity: pl.LazyFrame, *, hourly: bool
) -> pl.LazyFrame:
    """Series of both weights per job and step or server need (`cells`: derived.cell; `under_way`: per pattern and journey)."""
    through = cells.group_by(*BY, "usage_pattern_id", "journey_id").agg(times_through=times_through().sum())
    lit_up = with_intensity(under_way, "under_way", grid, intensity, hourly=hourly).select(
        "usage_pattern_id", "journey_id", "start", "under_way", "carbon_intensity"
    )
    each = through.join(lit_up, on=["usage_pattern_id", "journey_id"], validate="m:1")
    each = each.with_columns(fabrication_weight=fabrication_weight()).with_columns(usage_weight=usage_weight())
    return with_silent(each, cells)


def with_silent(weighed: pl.LazyFrame, containers: pl.LazyFrame) -> pl.LazyFrame:
    """The weights summed per job and container; a container that never weighs anything stands beside its siblings with an empty series."""
    empty = pl.lit([], dtype=LIST)
    silent = containers.select(BY).unique().join(weighed.select(BY), on=BY, how="anti")
    silent = silent.select(*BY, start=pl.lit(0, pl.Int64), **dict.fromkeys(WEIGHTS, empty))
    return added(pl.concat([weighed.select(*BY, "start", *WEIGHTS), silent]), BY, WEIGHTS)


def of_direct(direct: pl.LazyFrame, container_weights: pl.LazyFrame) -> pl.LazyFrame:
    """Series of both weights per job and container of direct occurrences: given in container_weights, else the invocations in flight.

    `direct`: series of avg_occurrences per cell.
    """
    pairs = direct.select(BY).unique()
    given = from_rows(container_weights, ["container_id"], WEIGHTS)
    weighed = pairs.join(given, on="container_id", validate="m:1").select(*BY, "start", *WEIGHTS)
    others = direct.join(container_weights.select("container_id"), on="container_id", how="anti").filter(
        col.request_duration > 0
    )
    counted = others.select(*BY, "start", fabrication_weight="avg_occurrences", usage_weight="avg_occurrences")
    return with_silent(pl.concat([weighed, counted]), direct)


def build(weights: pl.LazyFrame) -> pl.LazyFrame:
    """Series of weights and their sums per job and container, over the hours in which any container of the job has weights."""
    sums = added(weights.select(*JOB, "start", *WEIGHTS), JOB, WEIGHTS).select(
        *JOB,
        sum_start="start",
        hours=col.fabrication_weight.list.len().cast(pl.Int64),
        fabrication_weight_sum="fabrication_weight",
        usage_weight_sum="usage_weight",
        fabrication_period_sum=col.fabrication_weight.list.sum(),
        usage_period_sum=col.usage_weight.list.sum(),
    )
    joined = weights.join(sums, on=JOB, validate="m:1", maintain_order="left")
    return in_order(aligned(joined, WEIGHTS, "sum_start", "hours").select(*BY, "start", *WEIGHTS, *SUMS), BY)


def build_observed(weights: pl.LazyFrame) -> pl.LazyFrame:
    """The same for observed runs, over the hours in which the user runs only; `weights` are series of unbroken stretches."""
    hourly = (
        rows_of(weights.select(*JOB, "start", *WEIGHTS), WEIGHTS)
        .group_by(*JOB, "hour")
        .agg(pl.col(w).sum() for w in WEIGHTS)
    )
    sums = from_rows(hourly, JOB, WEIGHTS).rename({w: f"{w}_sum" for w in WEIGHTS})
    periods = sums.select(
        *JOB,
        fabrication_period_sum=col.fabrication_weight_sum.list.sum(),
        usage_period_sum=col.usage_weight_sum.list.sum(),
    )
    beside_sums = beside(weights, "fabrication_weight", sums, JOB, [f"{w}_sum" for w in WEIGHTS])
    return beside_sums.join(periods, on=JOB, validate="m:1").select(*BY, "start", *WEIGHTS, *SUMS).sort(*BY, "start")


def rows(series: pl.LazyFrame) -> pl.LazyFrame:
    """One row per job, container and hour."""
    values = [*WEIGHTS, "fabrication_weight_sum", "usage_weight_sum"]
    return _shared(rows_of(series.with_columns(pl.col(v).cast(LIST) for v in values), values))


def rows_by_period(weights: pl.LazyFrame, observed: pl.LazyFrame, grain: str) -> pl.LazyFrame:
    """One row per job, container and day or month: the weights of its hours added up, and the shares of these sums.

    `weights` and `observed` are what `build` and `build_observed` take. A modelled job has every container in every period from its first hour
    to its last, as by the hour; an application those users that run in the period.
    """
    spans = (
        weights.with_columns(hours=col.fabrication_weight.list.len().cast(pl.Int64))
        .filter(col.hours > 0)
        .group_by(JOB)
        .agg(first=col.start.min(), last=(col.start + col.hours).max() - 1)
    )
    begin, end = (hour_of(at).dt.truncate(PERIODS[grain]) for at in (col.first, col.last))
    periods = spans.select(*JOB, hour=pl.datetime_ranges(begin, end, PERIODS[grain])).explode("hour")
    summed = by_grain(weights.select(*BY, "start", *WEIGHTS), WEIGHTS, grain)
    every = weights.select(BY).join(periods, on=JOB)
    whole = every.join(summed, on=[*BY, "hour"], how="left", validate="1:1").with_columns(
        pl.col(w).fill_null(0.0) for w in WEIGHTS
    )
    of_runs = by_grain(observed.select(*BY, "start", *WEIGHTS), WEIGHTS, grain).select(*BY, "hour", *WEIGHTS)
    both = pl.concat([whole.select(*BY, "hour", *WEIGHTS), of_runs])
    kinds = ("fabrication", "usage")
    sums = {f"{k}_weight_sum": pl.col(f"{k}_weight").sum().over(*JOB, "hour") for k in kinds}
    totals = {f"{k}_period_sum": pl.col(f"{k}_weight").sum().over(JOB) for k in kinds}
    return _shared(both.with_columns(**sums, **totals).sort(*BY, "hour"))


def _shared(weighed: pl.LazyFrame) -> pl.LazyFrame:
    """The table's rows, from weights, their sums and the sums of the whole run."""
    shared = weighed.with_columns(
        fabrication_weight_sum=fabrication_weight_sum(),
        usage_weight_sum=usage_weight_sum(),
        fabrication_share=fabrication_share(),
        usage_share=usage_share(),
    )
    return shared.select(list(TABLE.columns))


_THROUGH = ("job_id", "container_id", "usage_pattern_id", "journey_id")
THROUGH = Lineage(
    "repartition.journey",
    key=(*_THROUGH, "hour"),
    row="What a journey under way in a usage pattern weighs for one of its containers, each hour.",
    reads=(
        Row("need.under_way", same("usage_pattern_id", "journey_id", "hour"), missing=0.0),
        Row("energy.grid", same("usage_pattern_id", "hour"), same("carbon_intensity")),
    ),
    made={
        "times_through": Total(
            "derived.cell",
            times_through,
            same(*_THROUGH),
            words="Invocations per journey under way, through the container.",
        )
    },
    formulas=(fabrication_weight, usage_weight),
    rows=((("derived.cell", same(*_THROUGH)),),),
)
_CONTAINER_HOUR = same("job_id", "container_id", "hour")
_CELLS = same("job_id", "server_id", "container_id", "hour")
_SIBLINGS = same("job_id", "server_id", "hour")
_PERIOD = same("job_id", "server_id")


def _weight(column: str, over: str) -> tuple[At | Total, ...]:
    """The ways to a weight: observed runs, given, direct occurrences, journeys."""
    return (
        Total(
            "repartition.cell",
            "demand_held",
            _CELLS,
            words="Observed runs: demand of the user's runs, as parts of an instance.",
            when=col.request_duration.is_null(),
        ),
        At(
            Row("container_weights", same("container_id", "hour"), missing=0.0),
            column,
            when=col.is_direct & (col.times_weighed > 0),
        ),
        Total(
            "repartition.cell",
            "avg_occurrences",
            _CELLS,
            words="Direct occurrences: invocations in flight.",
            when=col.is_direct,
        ),
        Total("repartition.journey", column, _CONTAINER_HOUR, words=over),
    )


_READS = (Row("derived.job", same("job_id", "server_id"), same("request_duration")),)
_CONTAINER: dict[str, Rule | Total] = {
    "is_direct": Rule("is_direct", "Whether the container stands in the table `occurrences`."),
    "times_weighed": Total(
        "container_weights",
        "fabrication_weight",
        same("container_id"),
        kind="count",
        words="Rows of container_weights.",
        unit="1",
    ),
}
_WAYS = {
    "fabrication_weight": _weight("fabrication_weight", "Sum over the journeys that go through the container."),
    "usage_weight": _weight(
        "usage_weight",
        "Sum over the journeys that go through the container, each times its country's carbon intensity.",
    ),
}
HOURLY = Lineage(
    "repartition.hourly_job",
    key=(*BY, "hour"),
    row="What a row of repartition.job is made of in one hour of its day or month.",
    reads=_READS,
    made={**_CONTAINER, **_WAYS},
)
LINEAGE = Lineage(
    "repartition.job",
    reads=_READS,
    made={
        **_CONTAINER,
        **{weight: (hours_of_period(HOURLY.table, weight), *ways) for weight, ways in _WAYS.items()},
        "fabrication_weight_sum": Total("repartition.job", "fabrication_weight", _SIBLINGS),
        "usage_weight_sum": Total("repartition.job", "usage_weight", _SIBLINGS),
        "fabrication_period_sum": Total(
            "repartition.job", "fabrication_weight", _PERIOD, words="Weights of all containers in all hours."
        ),
        "usage_period_sum": Total(
            "repartition.job", "usage_weight", _PERIOD, words="Weights of all containers in all hours."
        ),
    },
)
