"""need.job + networks + countries -> energy.network: energy and carbon of the data each job sends, in each usage pattern."""

import polars as pl
from polars import col

from pipeline.constants import G_PER_KG, MB_PER_GB
from pipeline.series import rows_of
from pipeline.stages.energy.grid import with_intensity
from pipeline.stages.lineage import Lineage, Row, Total, same
from pipeline.tables import OUTPUTS

TABLE = OUTPUTS["energy.network"]


def energy() -> pl.Expr:
    """Energy per data * data transferred. [kWh]"""
    return col.data_transferred * col.bandwidth_energy_intensity / MB_PER_GB


def energy_footprint() -> pl.Expr:
    """Energy * carbon intensity of the pattern's country. [kg]"""
    return col.energy * col.carbon_intensity / G_PER_KG


def crossed(
    transferred: pl.LazyFrame, networks: pl.LazyFrame, grid: pl.LazyFrame, intensity: pl.LazyFrame, *, hourly: bool
) -> pl.LazyFrame:
    """Series of energy and energy_footprint beside series of `data_transferred`, for patterns that cross a network."""
    placed = with_intensity(transferred, "data_transferred", grid, intensity, hourly=hourly)
    on_network = placed.join(
        networks.select("network_id", "bandwidth_energy_intensity"), on="network_id", validate="m:1"
    )
    return on_network.with_columns(energy=energy()).with_columns(energy_footprint=energy_footprint())


def rows(series: pl.LazyFrame) -> pl.LazyFrame:
    """One row per network, job, pattern and hour."""
    columns = list(TABLE.columns)
    values = ["energy", "energy_footprint"]
    return rows_of(series.select(*(c for c in columns if c != "hour"), "start"), values).select(columns)


LINEAGE = Lineage(
    "energy.network",
    reads=(
        Row("networks", same("network_id"), same("bandwidth_energy_intensity")),
        Row("energy.grid", same("usage_pattern_id", "hour"), same("carbon_intensity")),
    ),
    made={
        "data_transferred": Total(
            "need.job",
            "data_transferred",
            same("job_id", "usage_pattern_id", "hour"),
            where=col.avg_occurrences > 0,
            words="Data the job sends and receives in the hour.",
        )
    },
)
