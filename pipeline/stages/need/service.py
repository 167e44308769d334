"""need.job + jobs -> need.service: the volume of jobs that passes through each service."""

import polars as pl
from polars import col

from pipeline.series import added, rows_of
from pipeline.stages.lineage import Lineage, Total, same
from pipeline.tables import OUTPUTS

TABLE = OUTPUTS["need.service"]


def job_volume() -> pl.Expr:
    """Invocations in flight of all jobs of the service. [1]"""
    return col.avg_occurrences


def build(job: pl.LazyFrame) -> pl.LazyFrame:
    """Series `job_volume` per service of the jobs at hand; `job` is the series of need.job, with service_id."""
    return total(job.filter(col.service_id.is_not_null()).select("service_id", "start", job_volume=job_volume()))


def total(partials: pl.LazyFrame) -> pl.LazyFrame:
    """Series `job_volume` per service, summed over ranges of jobs."""
    return added(partials, ["service_id"], ["job_volume"])


def rows(series: pl.LazyFrame) -> pl.LazyFrame:
    """One row per service and hour."""
    return rows_of(series, ["job_volume"]).select(list(TABLE.columns))


LINEAGE = Lineage(
    "need.service",
    made={
        "job_volume": Total(
            "need.job",
            "avg_occurrences",
            same("job_id", "hour"),
            through=("derived.job", same("service_id"), ("job_id",)),
        )
    },
)
