"""need.occurrence + jobs -> need.job: what each job has in flight and takes, each hour, in each usage pattern."""

from collections.abc import Callable

import polars as pl
from polars import col

from pipeline.constants import SECONDS_PER_HOUR
from pipeline.series import added, boxed, rows_of, with_row
from pipeline.stages.lineage import Box, Lineage, Made, Row, Total, same
from pipeline.stages.need import run
from pipeline.tables import OUTPUTS

TABLE = OUTPUTS["need.job"]
KEY = ["job_id", "server_id", "usage_pattern_id"]
BASE = ["occurrences", "avg_occurrences"]
NEEDS = ["data_transferred", "data_stored", "compute_need", "ram_need"]
PARAMETERS = ["request_duration", "hourly_transfer", "hourly_storing", "compute_needed", "ram_needed"]


def avg_occurrences() -> pl.Expr:
    """Invocations in flight: the occurrences boxed over the request duration. [1]"""
    return col.avg_occurrences


def occurrences() -> pl.Expr:
    """Invocations started: the cells' occurrences, summed over the containers. [occurrence]"""
    return col.occurrences


def data_transferred() -> pl.Expr:
    """Invocations in flight * data per invocation * 1 h / request duration. [MB]"""
    return col.avg_occurrences * col.hourly_transfer


def data_stored() -> pl.Expr:
    """Invocations in flight * data stored per invocation * 1 h / request duration. [MB_stored]"""
    return col.avg_occurrences * col.hourly_storing


def compute_need() -> pl.Expr:
    """Invocations in flight * compute held by one. [compute_unit]"""
    return col.avg_occurrences * col.compute_needed


def ram_need() -> pl.Expr:
    """Invocations in flight * RAM held by one. [GB_ram]"""
    return col.avg_occurrences * col.ram_needed


def hourly_transfer() -> pl.Expr:
    """Data one invocation in flight sends and receives per hour; none where it takes no time. [MB]"""
    return (
        pl.when(col.request_duration > 0)
        .then(col.data_transferred * SECONDS_PER_HOUR / col.request_duration)
        .otherwise(0.0)
    )


def hourly_storing() -> pl.Expr:
    """Data one invocation in flight stores per hour; none where it takes no time. [MB_stored]"""
    return (
        pl.when(col.request_duration > 0).then(col.data_stored * SECONDS_PER_HOUR / col.request_duration).otherwise(0.0)
    )


def parameters(jobs: pl.LazyFrame) -> pl.LazyFrame:
    """What the formulas take from derived.job, one row per job."""
    return jobs.with_columns(hourly_transfer=hourly_transfer(), hourly_storing=hourly_storing()).select(
        "job_id", "service_id", *PARAMETERS
    )


def in_flight(cells: pl.LazyFrame, jobs: pl.LazyFrame) -> pl.LazyFrame:
    """Series `occurrences` and `avg_occurrences` of cells or jobs (`cells` has job_id and a series of occurrences), with the parameters."""
    timed = with_row(cells, parameters(jobs), "job_id")
    return boxed(timed, "occurrences", "request_duration", "avg_occurrences")


def build(occurrence: pl.LazyFrame, jobs: pl.LazyFrame) -> pl.LazyFrame:
    """Series of occurrences and invocations in flight per job and pattern, with the job's parameters beside them."""
    return in_flight(added(occurrence, KEY, ["occurrences"]), jobs)


def with_needs(series: pl.LazyFrame) -> pl.LazyFrame:
    """The series with data_transferred, data_stored, compute_need and ram_need."""
    return series.with_columns(
        data_transferred=data_transferred(), data_stored=data_stored(), compute_need=compute_need(), ram_need=ram_need()
    )


def rows(series: pl.LazyFrame, columns: list[str]) -> pl.LazyFrame:
    """One row per job, pattern and hour, with these of the table's columns."""
    values = [c for c in (*BASE, *NEEDS) if c in columns]
    return rows_of(series.select(*KEY, "start", *values), values).select(columns)


_OBSERVED = {"server_id": "server_id", "application": "job_id", "project": "usage_pattern_id", "hour": "hour"}
"""The rows of need.run that a row of need.job sums up, where the job is an application."""


def _modelled_or(observed: Total, formula: Callable[[], pl.Expr]) -> tuple[Made | Total, ...]:
    return (Made(formula, when=col.request_duration.is_not_null()), observed)


PER_JOB = Lineage(
    "need.per_job",
    key=("job_id",),
    row="What one invocation of a job in flight takes per hour.",
    reads=(Row("derived.job", same("job_id")),),
    formulas=(hourly_transfer, hourly_storing),
)
LINEAGE = Lineage(
    "need.job",
    reads=(
        Row("derived.job", same("job_id", "server_id"), same("request_duration", "compute_needed", "ram_needed")),
        Row("need.per_job", same("job_id")),
        Row("derived.server", same("server_id"), same("compute_unit")),
    ),
    made={
        "occurrences": Total("need.occurrence", "occurrences", same("job_id", "server_id", "usage_pattern_id", "hour")),
        "avg_occurrences": (
            Box(
                "need.job",
                "occurrences",
                same("job_id", "server_id", "usage_pattern_id"),
                lasts="request_duration",
                when=col.request_duration.is_not_null(),
            ),
            Total(
                "need.run",
                "run_hours",
                _OBSERVED,
                words="Observed runs: time held within the hour, all users together.",
            ),
        ),
        "compute_need": (
            Made(compute_need, when=col.request_duration.is_not_null()),
            Total(
                "need.run",
                "gpu_hours",
                _OBSERVED,
                words="Observed runs: GPUs held, all users together.",
                when=col.compute_unit == "gpu",
            ),
            Total("need.run", "core_hours", _OBSERVED, words="Observed runs: cores held, all users together."),
        ),
        "ram_need": _modelled_or(
            Total("need.run", "ram_hours", _OBSERVED, words="Observed runs: memory held, all users together."), ram_need
        ),
        "data_transferred": _modelled_or(
            Total(
                "need.held", run.data_moved, _OBSERVED, words="Observed runs: data spread evenly over the time held."
            ),
            data_transferred,
        ),
        "data_stored": _modelled_or(
            Total("need.held", run.data_left, _OBSERVED, words="Observed runs: data spread evenly over the time held."),
            data_stored,
        ),
    },
)
