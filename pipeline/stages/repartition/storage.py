"""need.storage_job + instances.storage -> repartition.storage: weights and shares of a storage's embodied carbon."""

import polars as pl
from polars import col

from pipeline.series import hour_index, joined_by_hour, rows_of, with_row
from pipeline.stages import expressions
from pipeline.stages.lineage import Lineage, Made, Row, Total, same
from pipeline.tables import OUTPUTS

TABLE = OUTPUTS["repartition.storage"]


def weight() -> pl.Expr:
    """The job's kept data, and an equal part of what is not jobs' data: unused capacity and base need. [TB_stored]"""
    return col.cumulative_storage_need + col.shared / col.number_of_jobs


def weight_sum() -> pl.Expr:
    """Sum of the weights of all jobs: the capacity deployed, as far as it is not below the need. [TB_stored]"""
    return col.held + col.shared


def shared() -> pl.Expr:
    """Capacity deployed - data kept + base need. [TB_stored]"""
    return (col.nb_of_instances * col.storage_capacity - col.full_cumulative_storage_need + col.base_storage_need).clip(
        0.0
    )


def share() -> pl.Expr:
    """Weight / weight_sum; 1 for every job in an hour without weights; empty where no hour has any. [1]"""
    return expressions.share(col.weight, col.weight_sum, col.period_sum)


def deployed() -> pl.Expr:
    """Instances * capacity of one. [TB_stored]"""
    return col.nb_of_instances * col.storage_capacity


def retention_per_tb() -> pl.Expr:
    """Embodied carbon of the hour per capacity deployed; none where there is none. [kg/TB_stored]"""
    return pl.when(deployed() > 0).then(col.instances_fabrication_footprint / deployed()).otherwise(0.0)


def baseline() -> pl.Expr:
    """Embodied carbon of the capacity that no job's data takes: unused capacity and base need. [kg]"""
    unused = (deployed() - col.held).clip(0.0) / deployed()
    return pl.when(deployed() > 0).then(col.instances_fabrication_footprint * unused).otherwise(0.0)


def number_of_jobs() -> pl.Expr:
    """Jobs of the server, those that never run included. [1]"""
    return col.modelled_jobs + col.applications


def of_storages(
    need: pl.LazyFrame, instances: pl.LazyFrame, energy: pl.LazyFrame, backing: pl.LazyFrame
) -> pl.LazyFrame:
    """Series per storage: shared, weight_sum, and the footprint per TB held and of the rest, which the attribution takes."""
    rows = joined_by_hour([need, instances, energy], "storage_id").join(
        backing, on="storage_id", validate="m:1", maintain_order="left"
    )
    made = rows.with_columns(shared=shared()).with_columns(
        weight_sum=weight_sum(), retention_per_tb=retention_per_tb(), baseline=baseline()
    )
    lists = ["shared", "weight_sum", "retention_per_tb", "baseline"]
    return made.group_by("storage_id", "server_id", maintain_order=True).agg(*lists, start=hour_index(col.hour.first()))


def build(kept: pl.LazyFrame, storage_series: pl.LazyFrame, number_of_jobs: pl.LazyFrame) -> pl.LazyFrame:
    """Series of weight and weight_sum per storage and job; `number_of_jobs` of each server, those that never run included."""
    sums = storage_series.select("storage_id", "shared", "weight_sum", period_sum=col.weight_sum.list.sum())
    every = with_row(with_row(kept, sums, "storage_id"), number_of_jobs, "server_id")
    return every.with_columns(weight=weight())


def rows(series: pl.LazyFrame) -> pl.LazyFrame:
    """One row per storage, job and hour."""
    hourly = rows_of(series, ["weight", "weight_sum"])
    return hourly.with_columns(share=share()).select(list(TABLE.columns))


_STORAGE, _STORAGE_HOUR = same("storage_id"), same("storage_id", "hour")
STORAGE_HOUR = Lineage(
    "repartition.storage_hour",
    key=("storage_id", "hour"),
    row="What the repartition takes from a storage, each hour.",
    reads=(
        Row("need.storage", _STORAGE_HOUR),
        Row("instances.storage", _STORAGE_HOUR),
        Row("energy.storage", _STORAGE_HOUR),
        Row("storages", _STORAGE, same("storage_capacity", "base_storage_need")),
    ),
    made={
        "held": Total("need.storage_job", "cumulative_storage_need", _STORAGE_HOUR, words="Data of all jobs kept."),
    },
    formulas=(shared, weight_sum, retention_per_tb, baseline),
    rows=((("need.storage", _STORAGE_HOUR),),),
)
NUMBER_OF_JOBS = {
    "modelled_jobs": Total(
        "derived.job", "job_id", same("server_id"), kind="count", words="Modelled jobs of the server.", unit="1"
    ),
    "applications": Total(
        "need.run",
        "application",
        same("server_id"),
        kind="count of different",
        words="Applications seen on the server.",
        unit="1",
    ),
}
LINEAGE = Lineage(
    "repartition.storage",
    reads=(
        Row("need.storage_job", same("storage_id", "job_id", "hour")),
        Row("repartition.storage_hour", _STORAGE_HOUR, same("shared", "held", "weight_sum")),
        Row("derived.server", _STORAGE, same("server_id")),
    ),
    made={
        "number_of_jobs": Made(number_of_jobs),
        **NUMBER_OF_JOBS,
        "period_sum": Total(
            "repartition.storage_hour", "weight_sum", _STORAGE, words="Weights of all jobs in all hours."
        ),
    },
)
