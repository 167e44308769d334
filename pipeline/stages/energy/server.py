"""instances.server + servers + carbon_intensity -> energy.server: energy and carbon of the instances, each hour."""

import polars as pl
from polars import col

from pipeline.constants import G_PER_KG, HOURS_PER_YEAR, W_PER_KW
from pipeline.stages.lineage import Lineage, Row, same
from pipeline.tables import OUTPUTS

TABLE = OUTPUTS["energy.server"]


def idle_energy() -> pl.Expr:
    """Instances on * idle power * PUE over the hour. [kWh]"""
    return col.nb_of_instances * col.idle_power * col.power_usage_effectiveness / W_PER_KW


def load_energy() -> pl.Expr:
    """Instances asked for * (power - idle power) * PUE over the hour. [kWh]"""
    return col.raw_nb_of_instances * (col.power - col.idle_power) * col.power_usage_effectiveness / W_PER_KW


def instances_energy() -> pl.Expr:
    """Idle and load energy together. [kWh]"""
    return col.idle_energy + col.load_energy


def carbon_intensity() -> pl.Expr:
    """The hour's grid intensity of the server's zone where it is known, else the server's average. [g/kWh]"""
    return pl.coalesce("hourly_carbon_intensity", "average_carbon_intensity")


def carbon_intensity_source() -> pl.Expr:
    """Whether the intensity is the hour's own or the average."""
    return pl.when(col.hourly_carbon_intensity.is_not_null()).then(pl.lit("hourly")).otherwise(pl.lit("average"))


def energy_footprint() -> pl.Expr:
    """Energy * carbon intensity. [kg]"""
    return col.instances_energy * col.carbon_intensity / G_PER_KG


def instances_fabrication_footprint() -> pl.Expr:
    """Embodied carbon of an instance * instances on * 1 h / lifespan; a year has 8766 hours. [kg]"""
    return col.carbon_footprint_fabrication * col.nb_of_instances / (col.lifespan * HOURS_PER_YEAR)


def build(instances: pl.LazyFrame, servers: pl.LazyFrame, intensity: pl.LazyFrame) -> pl.LazyFrame:
    """One row per server and hour of instances.server; `intensity` has zone, hour, carbon_intensity."""
    hourly = intensity.select("zone", "hour", hourly_carbon_intensity="carbon_intensity")
    hosted = instances.join(servers, on="server_id", validate="m:1", maintain_order="left").join(
        hourly, on=["zone", "hour"], how="left", validate="m:1", maintain_order="left"
    )
    powered = hosted.with_columns(
        idle_energy=idle_energy(),
        load_energy=load_energy(),
        carbon_intensity=carbon_intensity(),
        carbon_intensity_source=carbon_intensity_source(),
        instances_fabrication_footprint=instances_fabrication_footprint(),
    ).with_columns(instances_energy=instances_energy())
    return powered.with_columns(energy_footprint=energy_footprint()).select(list(TABLE.columns))


LINEAGE = Lineage(
    "energy.server",
    reads=(
        Row("instances.server", same("server_id", "hour")),
        Row("derived.server", same("server_id")),
        Row("carbon_intensity", same("zone", "hour"), {"hourly_carbon_intensity": "carbon_intensity"}),
    ),
)
