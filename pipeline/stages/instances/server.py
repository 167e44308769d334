"""need.server + instances.capacity + servers -> instances.server: how many instances of each server are on, each hour."""

import polars as pl
from polars import col

from pipeline.stages.expressions import ceil_guarded
from pipeline.stages.lineage import Lineage, Row, Total, same
from pipeline.tables import OUTPUTS

TABLE = OUTPUTS["instances.server"]


def raw_nb_of_instances() -> pl.Expr:
    """Instances the scarcer resource asks for, before rounding. [1]"""
    return pl.max_horizontal(
        col.ram_need / col.available_ram_per_instance, col.compute_need / col.available_compute_per_instance
    )


def nb_of_instances() -> pl.Expr:
    """Instances on: serverless as asked for, autoscaling rounded up, on-premise the fixed number or the rounded peak of all hours. [1]"""
    return (
        pl.when(col.server_type == "serverless")
        .then(col.raw_nb_of_instances)
        .when(col.server_type == "autoscaling")
        .then(ceil_guarded(col.raw_nb_of_instances))
        .otherwise(pl.coalesce("fixed_nb_of_instances", ceil_guarded(col.peak_nb_of_instances)))
    )


def build(need: pl.LazyFrame, capacity: pl.LazyFrame, servers: pl.LazyFrame) -> pl.LazyFrame:
    """One row per server and hour of need.server."""
    asked = need.join(capacity, on="server_id", validate="m:1", maintain_order="left").join(
        servers.select("server_id", "server_type", "fixed_nb_of_instances"),
        on="server_id",
        validate="m:1",
        maintain_order="left",
    )
    asked = asked.with_columns(raw_nb_of_instances=raw_nb_of_instances())
    peaked = asked.with_columns(peak_nb_of_instances=col.raw_nb_of_instances.max().over("server_id"))
    return peaked.with_columns(nb_of_instances=nb_of_instances()).select(list(TABLE.columns))


def too_small(instances: pl.LazyFrame, servers: pl.LazyFrame) -> pl.LazyFrame:
    """Servers whose fixed number is below what their peak asks for: server_id, the peak, its first hour, and the fixed number."""
    fixed = servers.filter(col.fixed_nb_of_instances.is_not_null()).select("server_id", "fixed_nb_of_instances")
    peaks = instances.group_by("server_id").agg(
        peak=col.raw_nb_of_instances.max(),
        hour=col.hour.sort_by(["raw_nb_of_instances", "hour"], descending=[True, False]).first(),
    )
    return (
        peaks.join(fixed, on="server_id").filter(ceil_guarded(col.peak) > col.fixed_nb_of_instances).sort("server_id")
    )


LINEAGE = Lineage(
    "instances.server",
    reads=(
        Row("need.server", same("server_id", "hour")),
        Row("instances.capacity", same("server_id")),
        Row("derived.server", same("server_id"), same("server_type", "fixed_nb_of_instances")),
    ),
    made={
        "peak_nb_of_instances": Total(
            "instances.server",
            "raw_nb_of_instances",
            same("server_id"),
            kind="largest",
            words="Most instances asked for in any hour.",
        )
    },
)
