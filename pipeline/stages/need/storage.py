"""need.storage_job + storages -> need.storage: all data a storage keeps."""

import polars as pl
from polars import col

from pipeline.series import added, rows_of
from pipeline.stages.lineage import Lineage, Row, Total, same
from pipeline.tables import OUTPUTS

TABLE = OUTPUTS["need.storage"]


def full_cumulative_storage_need() -> pl.Expr:
    """Data of all jobs kept, and the base need. [TB_stored]"""
    return col.held + col.base_storage_need


def partial(kept: pl.LazyFrame) -> pl.LazyFrame:
    """Series `held` per storage: the data of the jobs at hand."""
    return added(kept.select("storage_id", "start", held="cumulative_storage_need"), ["storage_id"], ["held"])


def build(partials: pl.LazyFrame, backing: pl.LazyFrame) -> pl.LazyFrame:
    """One row per storage and hour, with `held`, the data of all jobs alone."""
    summed = added(partials, ["storage_id"], ["held"])
    based = rows_of(summed, ["held"]).join(
        backing.select("storage_id", "base_storage_need"), on="storage_id", validate="m:1", maintain_order="left"
    )
    return based.select("storage_id", "hour", full_cumulative_storage_need=full_cumulative_storage_need(), held="held")


LINEAGE = Lineage(
    "need.storage",
    reads=(Row("storages", same("storage_id"), same("base_storage_need")),),
    made={
        "held": Total(
            "need.storage_job",
            "cumulative_storage_need",
            same("storage_id", "hour"),
            words="Data of all jobs kept.",
        )
    },
)
