"""carbon_intensity + countries -> the grid intensity of a usage pattern's country, beside its series."""

import polars as pl
from polars import col

from pipeline.series import LIST, aligned, from_rows
from pipeline.stages.lineage import Lineage, Row, same


def carbon_intensity() -> pl.Expr:
    """The hour's grid intensity of the country's zone where it is known, else the country's average. [g/kWh]"""
    return pl.coalesce("hourly_carbon_intensity", "average_carbon_intensity")


def of_patterns(patterns: pl.LazyFrame, countries: pl.LazyFrame) -> pl.LazyFrame:
    """usage_pattern_id, network_id, zone, average_carbon_intensity of every pattern."""
    placed = countries.select("country_id", "zone", "average_carbon_intensity")
    return patterns.select("usage_pattern_id", "network_id", "country_id").join(placed, on="country_id", validate="m:1")


def with_intensity(
    series: pl.LazyFrame, values: str, grid: pl.LazyFrame, intensity: pl.LazyFrame, *, hourly: bool
) -> pl.LazyFrame:
    """Add `carbon_intensity` [g/kWh] to series of patterns in `grid`: a number where all are averages, a list over their hours else."""
    placed = series.join(grid, on="usage_pattern_id", validate="m:1")
    if not hourly:
        return placed.with_columns(carbon_intensity=col.average_carbon_intensity)
    zones = from_rows(intensity, ["zone"], ["carbon_intensity"]).select("zone", "carbon_intensity", zone_start="start")
    known = placed.join(zones, on="zone", how="left", validate="m:1").with_columns(
        own_start=col.start, hours=pl.col(values).list.len().cast(pl.Int64)
    )
    covered = known.filter(col.carbon_intensity.is_not_null()).with_columns(start=col.zone_start)
    covered = aligned(covered, ["carbon_intensity"], "own_start", "hours")
    average = known.filter(col.carbon_intensity.is_null()).with_columns(
        carbon_intensity=col.average_carbon_intensity.repeat_by("hours").cast(LIST)
    )
    return pl.concat([covered, average]).drop("zone_start", "own_start", "hours")


LINEAGE = Lineage(
    "energy.grid",
    key=("usage_pattern_id", "hour"),
    row="The grid of a usage pattern's country, each hour.",
    reads=(
        Row("usage_patterns", same("usage_pattern_id"), same("country_id")),
        Row("edge_usage_patterns", same("usage_pattern_id"), same("country_id")),
        Row("countries", same("country_id"), same("zone", "average_carbon_intensity")),
        Row("carbon_intensity", same("zone", "hour"), {"hourly_carbon_intensity": "carbon_intensity"}),
    ),
    formulas=(carbon_intensity,),
)
