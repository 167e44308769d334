"""servers + gpu_servers + cloud_servers + cloud_instances -> derived.server: every kind of server as a plain one."""

import polars as pl
from polars import col

from pipeline.stages.lineage import Lineage, Row, Rule, same
from pipeline.tables import OUTPUTS

TABLE = OUTPUTS["derived.server"]


def power() -> pl.Expr:
    """Power of a fully loaded instance; GPU servers: power per GPU times the GPUs of an instance. [W]"""
    return pl.when(col.kind == "gpu_servers").then(col.gpu_power * col.compute).otherwise(col.power)


def idle_power() -> pl.Expr:
    """Power of an idle instance; GPU servers: idle power per GPU times the GPUs of an instance. [W]"""
    return pl.when(col.kind == "gpu_servers").then(col.gpu_idle_power * col.compute).otherwise(col.idle_power)


def ram() -> pl.Expr:
    """Memory of an instance; GPU servers: memory per GPU times the GPUs of an instance. [GB_ram]"""
    return pl.when(col.kind == "gpu_servers").then(col.ram_per_gpu * col.compute).otherwise(col.ram)


def carbon_footprint_fabrication() -> pl.Expr:
    """Embodied carbon of an instance; GPU servers: the chassis, and each GPU times the GPUs of an instance. [kg]"""
    of_gpus = col.carbon_footprint_fabrication_without_gpu + col.carbon_footprint_fabrication_per_gpu * col.compute
    return pl.when(col.kind == "gpu_servers").then(of_gpus).otherwise(col.carbon_footprint_fabrication)


def compute_unit() -> pl.Expr:
    """What compute is counted in: GPUs on GPU servers, else as given, else as the unit of `compute` says, else cores."""
    given = pl.coalesce("compute_unit", "compute:unit", pl.lit("cpu_core"))
    return pl.when(col.kind == "gpu_servers").then(pl.lit("gpu")).otherwise(given)


def build(
    servers: pl.LazyFrame, gpu_servers: pl.LazyFrame, cloud_servers: pl.LazyFrame, cloud_instances: pl.LazyFrame
) -> pl.LazyFrame:
    """One row per server of any kind, sorted by id."""
    hardware = cloud_instances.select(
        "provider", "instance_type", "power", "ram", "compute", "carbon_footprint_fabrication"
    )
    cloud = cloud_servers.join(hardware, on=["provider", "instance_type"], how="left", validate="m:1")
    every = pl.concat(
        [
            servers.with_columns(kind=pl.lit("servers")),
            gpu_servers.with_columns(kind=pl.lit("gpu_servers")),
            cloud.with_columns(kind=pl.lit("cloud_servers")),
        ],
        how="diagonal",
    )
    derived = every.with_columns(
        power=power(),
        idle_power=idle_power(),
        ram=ram(),
        carbon_footprint_fabrication=carbon_footprint_fabrication(),
        compute_unit=compute_unit(),
        fixed_nb_of_instances=col.fixed_nb_of_instances.cast(pl.Float64),
    )
    return derived.select(list(TABLE.columns)).sort("server_id")


LINEAGE = Lineage(
    "derived.server",
    reads=(
        Row("servers", same("server_id")),
        Row("gpu_servers", same("server_id")),
        Row("cloud_servers", same("server_id")),
        Row("cloud_instances", same("provider", "instance_type")),
    ),
    made={"compute:unit": Rule("unit_written", "Unit that the column compute was written in.")},
)
