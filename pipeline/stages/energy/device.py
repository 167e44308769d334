"""need.usage_pattern + devices + countries -> energy.device: energy and carbon of the devices in users' hands."""

import polars as pl
from polars import col

from pipeline.constants import G_PER_KG, HOURS_PER_DAY, HOURS_PER_YEAR, W_PER_KW
from pipeline.stages.energy.grid import carbon_intensity as grid_intensity
from pipeline.stages.lineage import Lineage, Row, same
from pipeline.tables import OUTPUTS

TABLE = OUTPUTS["energy.device"]


def energy() -> pl.Expr:
    """Devices in use over the hour * power. [kWh]"""
    return col.devices_in_use * col.power / W_PER_KW


def energy_footprint() -> pl.Expr:
    """Energy * carbon intensity of the pattern's country. [kg]"""
    return col.energy * col.carbon_intensity / G_PER_KG


def instances_fabrication_footprint() -> pl.Expr:
    """Devices in use * embodied carbon * 1 h / the hours a device is used in its life; a year has 8766 hours. [kg]"""
    hours_of_use = col.lifespan * HOURS_PER_YEAR * col.fraction_of_usage_time / HOURS_PER_DAY
    return col.devices_in_use * col.carbon_footprint_fabrication / hours_of_use


def devices_in_use() -> pl.Expr:
    """Journeys under way * devices per journey. [1]"""
    return col.journeys_in_parallel * col("count")


def footprints(used: pl.LazyFrame, devices: pl.LazyFrame) -> pl.LazyFrame:
    """Add energy, energy_footprint and instances_fabrication_footprint to frames with devices_in_use and carbon_intensity."""
    made = used.join(devices.drop("name"), on="device_id", validate="m:1", maintain_order="left")
    made = made.with_columns(energy=energy(), instances_fabrication_footprint=instances_fabrication_footprint())
    return made.with_columns(energy_footprint=energy_footprint())


def build(
    usage: pl.LazyFrame, held: pl.LazyFrame, devices: pl.LazyFrame, grid: pl.LazyFrame, intensity: pl.LazyFrame
) -> pl.LazyFrame:
    """One row per device, pattern and hour of need.usage_pattern; `held` is usage_pattern_devices."""
    hourly = intensity.select("zone", "hour", hourly_carbon_intensity="carbon_intensity")
    used = usage.join(held, on="usage_pattern_id").join(grid, on="usage_pattern_id", validate="m:1")
    used = used.join(hourly, on=["zone", "hour"], how="left", validate="m:1").with_columns(
        devices_in_use=devices_in_use(),
        carbon_intensity=grid_intensity(),
    )
    return footprints(used, devices).select(list(TABLE.columns)).sort(TABLE.key)


LINEAGE = Lineage(
    "energy.device",
    reads=(
        Row("need.usage_pattern", same("usage_pattern_id", "hour"), same("journeys_in_parallel")),
        Row("usage_pattern_devices", same("usage_pattern_id", "device_id"), same("count")),
        Row("devices", same("device_id")),
        Row("energy.grid", same("usage_pattern_id", "hour"), same("carbon_intensity")),
    ),
)
