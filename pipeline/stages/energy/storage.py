"""instances.storage + storages -> energy.storage: embodied carbon of the storage instances, each hour."""

import polars as pl
from polars import col

from pipeline.constants import HOURS_PER_YEAR
from pipeline.stages.lineage import Lineage, Row, same
from pipeline.tables import OUTPUTS

TABLE = OUTPUTS["energy.storage"]


def instances_fabrication_footprint() -> pl.Expr:
    """Embodied carbon per capacity * capacity * instances * 1 h / lifespan; a year has 8766 hours. [kg]"""
    of_one = col.carbon_footprint_fabrication_per_storage_capacity * col.storage_capacity
    return of_one * col.nb_of_instances / (col.lifespan * HOURS_PER_YEAR)


def build(instances: pl.LazyFrame, storages: pl.LazyFrame) -> pl.LazyFrame:
    """One row per storage and hour of instances.storage."""
    sized = instances.join(storages, on="storage_id", validate="m:1", maintain_order="left")
    return sized.select("storage_id", "hour", instances_fabrication_footprint=instances_fabrication_footprint())


LINEAGE = Lineage(
    "energy.storage",
    reads=(
        Row("instances.storage", same("storage_id", "hour")),
        Row(
            "storages",
            same("storage_id"),
            same("carbon_footprint_fabrication_per_storage_capacity", "storage_capacity", "lifespan"),
        ),
    ),
)
