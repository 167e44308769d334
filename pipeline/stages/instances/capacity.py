"""servers + services -> instances.capacity: what one instance of each server has left for jobs."""

import polars as pl
from polars import col

from pipeline.stages.lineage import Lineage, Row, Total, same
from pipeline.tables import OUTPUTS

TABLE = OUTPUTS["instances.capacity"]


def occupied_ram_per_instance() -> pl.Expr:
    """RAM held by the server itself and by all services installed on it. [GB_ram]"""
    return col.base_ram_consumption + col.services_ram


def occupied_compute_per_instance() -> pl.Expr:
    """Compute held by the server itself and by all services installed on it. [compute_unit]"""
    return col.base_compute_consumption + col.services_compute


def available_ram_per_instance() -> pl.Expr:
    """RAM * utilization rate - what is occupied. [GB_ram]"""
    return col.ram * col.utilization_rate - col.occupied_ram_per_instance


def available_compute_per_instance() -> pl.Expr:
    """Compute * utilization rate - what is occupied. [compute_unit]"""
    return col.compute * col.utilization_rate - col.occupied_compute_per_instance


def build(servers: pl.LazyFrame, services: pl.LazyFrame) -> pl.LazyFrame:
    """One row per server (`servers`: derived.server, `services`: derived.service)."""
    installed = services.group_by("server_id").agg(
        services_ram=col.base_ram_consumption.sum(), services_compute=col.base_compute_consumption.sum()
    )
    hosting = servers.join(installed, on="server_id", how="left", validate="1:1").with_columns(
        col.services_ram.fill_null(0.0), col.services_compute.fill_null(0.0)
    )
    occupied = hosting.with_columns(
        occupied_ram_per_instance=occupied_ram_per_instance(),
        occupied_compute_per_instance=occupied_compute_per_instance(),
    )
    return occupied.with_columns(
        available_ram_per_instance=available_ram_per_instance(), available_compute_per_instance=available_compute_per_instance()
    ).select(list(TABLE.columns)).sort("server_id")  # fmt: skip


LINEAGE = Lineage(
    "instances.capacity",
    reads=(Row("derived.server", same("server_id")),),
    made={
        "services_ram": Total(
            "derived.service",
            "base_ram_consumption",
            same("server_id"),
            words="RAM held by all services installed on the server.",
        ),
        "services_compute": Total(
            "derived.service",
            "base_compute_consumption",
            same("server_id"),
            words="Compute held by all services installed on the server.",
        ),
    },
)
