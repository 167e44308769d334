"""need.storage + storages -> instances.storage: how many instances of each storage are deployed, each hour."""

import polars as pl
from polars import col

from pipeline.stages.expressions import ceil_guarded
from pipeline.stages.lineage import Lineage, Made, Row, Total, same
from pipeline.tables import OUTPUTS

TABLE = OUTPUTS["instances.storage"]


def raw_nb_of_instances() -> pl.Expr:
    """Instances the kept data asks for, before rounding. [1]"""
    return col.full_cumulative_storage_need / col.storage_capacity


def nb_of_instances() -> pl.Expr:
    """Instances deployed: as asked for on a serverless server, the fixed number where given, else rounded up. [1]"""
    rounded = pl.coalesce(col.fixed_nb_of_instances.cast(pl.Float64), ceil_guarded(col.raw_nb_of_instances))
    return pl.when(col.server_type == "serverless").then(col.raw_nb_of_instances).otherwise(rounded)


def unused_nb_of_instances() -> pl.Expr:
    """The fixed number, of a storage that no job fills, whatever the server's type. [1]"""
    return col.fixed_nb_of_instances


def build(need: pl.LazyFrame, backing: pl.LazyFrame) -> pl.LazyFrame:
    """One row per storage and hour of need.storage."""
    sized = need.join(backing, on="storage_id", validate="m:1", maintain_order="left").with_columns(
        raw_nb_of_instances=raw_nb_of_instances()
    )
    return sized.with_columns(nb_of_instances=nb_of_instances()).select(list(TABLE.columns))


def too_small(instances: pl.LazyFrame, backing: pl.LazyFrame) -> pl.LazyFrame:
    """Storages whose fixed number is below what is kept at the peak: storage_id, the peak, its first hour, and the fixed number."""
    fixed = backing.filter(col.server_type != "serverless").select("storage_id", "fixed_nb_of_instances").drop_nulls()
    peaks = instances.group_by("storage_id").agg(
        peak=col.raw_nb_of_instances.max(),
        hour=col.hour.sort_by(["raw_nb_of_instances", "hour"], descending=[True, False]).first(),
    )
    return (
        peaks.join(fixed, on="storage_id").filter(ceil_guarded(col.peak) > col.fixed_nb_of_instances).sort("storage_id")
    )


LINEAGE = Lineage(
    "instances.storage",
    reads=(
        Row("need.storage", same("storage_id", "hour"), missing=0.0),
        Row("storages", same("storage_id"), same("storage_capacity", "fixed_nb_of_instances")),
        Row("derived.server", same("storage_id"), same("server_type")),
    ),
    made={
        "nb_of_instances": (Made(unused_nb_of_instances, when=col.hours_filled == 0), Made(nb_of_instances)),
        "hours_filled": Total(
            "need.storage",
            "hour",
            same("storage_id", "hour"),
            kind="count",
            words="1 where the storage keeps data.",
            unit="1",
        ),
    },
)
