"""services + video_streaming_services -> derived.service: every kind of service as a plain one."""

import polars as pl
from polars import col

from pipeline.stages.lineage import Lineage, Row, same
from pipeline.tables import OUTPUTS

TABLE = OUTPUTS["derived.service"]


def base_compute_consumption() -> pl.Expr:
    """Compute the service holds on every instance; a video streaming service holds none of its own. [compute_unit]"""
    return col.base_compute_consumption.fill_null(0.0)


def build(services: pl.LazyFrame, video_streaming_services: pl.LazyFrame) -> pl.LazyFrame:
    """One row per service of any kind, sorted by id."""
    every = pl.concat(
        [
            services.with_columns(kind=pl.lit("services")),
            video_streaming_services.with_columns(kind=pl.lit("video_streaming_services")),
        ],
        how="diagonal",
    )
    return (
        every.with_columns(base_compute_consumption=base_compute_consumption())
        .select(list(TABLE.columns))
        .sort("service_id")
    )


LINEAGE = Lineage(
    "derived.service", reads=(Row("services", same("service_id")), Row("video_streaming_services", same("service_id")))
)
