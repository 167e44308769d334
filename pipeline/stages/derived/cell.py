"""journeys + steps + step jobs, edge journeys + needs + need jobs -> derived.cell: which pattern triggers which job, when and how often."""

import polars as pl
from polars import col

from pipeline.constants import SECONDS_PER_HOUR
from pipeline.series import GUARD_HOURS
from pipeline.stages.lineage import Lineage, Row, Total, same
from pipeline.tables import OUTPUTS

TABLE = OUTPUTS["derived.cell"]


def delay_hours() -> pl.Expr:
    """Whole hours of all earlier steps of the journey together, guarded by 1e-9 h. [h]"""
    return (col.time_before / SECONDS_PER_HOUR + GUARD_HOURS).floor().cast(pl.Int64)


def times() -> pl.Expr:
    """Journeys per start * times the container is gone through * invocations each time. [1]"""
    return col.journeys_per_start * col.times_in_journey * col.times_in_container


def time() -> pl.Expr:
    """Times the step is done there * time a user spends in it. [s]"""
    return col.times_per_journey * col.user_time_spent


def steps_in_time(usage_journey_steps: pl.LazyFrame, usage_steps: pl.LazyFrame) -> pl.LazyFrame:
    """Every position of every journey with `time_before` it and its own weighted `time`. [s]"""
    timed = usage_journey_steps.join(
        usage_steps.select("usage_journey_step_id", "user_time_spent"), on="usage_journey_step_id", validate="m:1"
    )
    ordered = timed.with_columns(time=time()).sort("usage_journey_id", "position")
    until_then = col.time.cum_sum().over("usage_journey_id")
    return ordered.with_columns(
        time_before=until_then.shift(1, fill_value=0.0).over("usage_journey_id"), time_after=until_then
    )


def journey_durations(steps: pl.LazyFrame) -> pl.LazyFrame:
    """Duration of every journey: the sum of its weighted step times. [s]"""
    return steps.group_by("usage_journey_id").agg(duration=col.time_after.max())


def build(
    usage_pattern_journeys: pl.LazyFrame,
    steps: pl.LazyFrame,
    usage_step_jobs: pl.LazyFrame,
    edge_usage_pattern_journeys: pl.LazyFrame,
    edge_usage_journey_needs: pl.LazyFrame,
    server_need_jobs: pl.LazyFrame,
    jobs: pl.LazyFrame,
) -> pl.LazyFrame:
    """One row per job, pattern, container, journey and position; `steps` is steps_in_time, `jobs` derived.job."""
    by_step = (
        usage_pattern_journeys.join(steps, on="usage_journey_id")
        .join(usage_step_jobs, on="usage_journey_step_id")
        .select(
            "usage_pattern_id",
            "job_id",
            "position",
            "time_before",
            container_id="usage_journey_step_id",
            journey_id="usage_journey_id",
            kind=pl.lit("step"),
            journeys_per_start="times_per_start",
            times_in_journey="times_per_journey",
            times_in_container="times_per_step",
        )
    )
    by_need = (
        edge_usage_pattern_journeys.join(edge_usage_journey_needs, on="edge_usage_journey_id")
        .join(server_need_jobs, on="server_need_id")
        .select(
            "usage_pattern_id",
            "job_id",
            position=pl.lit(0, pl.Int64),
            time_before=pl.lit(0.0),
            container_id="server_need_id",
            journey_id="edge_usage_journey_id",
            kind=pl.lit("server_need"),
            journeys_per_start="times_per_deployment",
            times_in_journey="times_per_journey",
            times_in_container="times_per_occurrence",
        )
    )
    every = pl.concat([by_step, by_need]).join(jobs.select("job_id", "server_id"), on="job_id", validate="m:1")
    made = every.with_columns(delay_hours=delay_hours(), times=times())
    return made.select(list(TABLE.columns)).sort(TABLE.key)


LINEAGE = Lineage(
    "derived.cell",
    reads=(
        Row(
            "usage_pattern_journeys",
            same("usage_pattern_id", usage_journey_id="journey_id"),
            {"journeys_per_start": "times_per_start"},
        ),
        Row(
            "edge_usage_pattern_journeys",
            same("usage_pattern_id", edge_usage_journey_id="journey_id"),
            {"journeys_per_start": "times_per_deployment"},
        ),
        Row(
            "usage_journey_steps",
            same("position", usage_journey_id="journey_id"),
            {"times_in_journey": "times_per_journey"},
        ),
        Row(
            "edge_usage_journey_needs",
            {"edge_usage_journey_id": "journey_id", "server_need_id": "container_id"},
            {"times_in_journey": "times_per_journey"},
        ),
        Row(
            "usage_step_jobs",
            same("job_id", usage_journey_step_id="container_id"),
            {"times_in_container": "times_per_step"},
        ),
        Row(
            "server_need_jobs",
            same("job_id", server_need_id="container_id"),
            {"times_in_container": "times_per_occurrence"},
        ),
        Row("derived.job", same("job_id"), same("server_id")),
    ),
    made={
        "time_before": Total(
            "usage_journey_steps",
            time,
            {"usage_journey_id": "journey_id"},
            where=col.position < col.our_position,
            words="Time of all earlier steps of the journey together.",
        )
    },
)
STEPS = Lineage("usage_journey_steps", reads=(Row("usage_steps", same("usage_journey_step_id")),))
