"""need.job -> need.server: what all jobs of a server take together, from its first hour to its last."""

import polars as pl
from polars import col

from pipeline.series import LIST, added, aligned, rows_of
from pipeline.stages.lineage import Lineage, Total, same
from pipeline.tables import OUTPUTS

TABLE = OUTPUTS["need.server"]
NEEDS = ["ram_need", "compute_need"]


def ram_need() -> pl.Expr:
    """RAM held by all jobs of the server, those of its services included. [GB_ram]"""
    return col.ram_need


def compute_need() -> pl.Expr:
    """Compute held by all jobs of the server, those of its services included. [compute_unit]"""
    return col.compute_need


def partial(job: pl.LazyFrame) -> pl.LazyFrame:
    """Series of the two needs per server, summed over the jobs at hand: invocations in flight times what one of them holds."""
    return added(
        job.select("server_id", "start", "avg_occurrences", "ram_needed", "compute_needed"),
        ["server_id"],
        {"ram_need": ("avg_occurrences", "ram_needed"), "compute_need": ("avg_occurrences", "compute_needed")},
    )


def build(partials: pl.LazyFrame, spans: pl.LazyFrame) -> pl.LazyFrame:
    """One row per server and hour of its span (server_id, first_hour, hours); hours without demand are zeros."""
    summed = added(partials, ["server_id"], NEEDS)
    placed = (
        spans.sort("server_id")
        .join(summed, on="server_id", how="left", validate="1:1", maintain_order="left")
        .with_columns(col.start.fill_null(col.first_hour), *(pl.coalesce(n, pl.lit([], dtype=LIST)) for n in NEEDS))
    )
    kept = aligned(placed, NEEDS, "first_hour", "hours")
    return rows_of(kept.select("server_id", "start", *NEEDS), NEEDS).select(
        "server_id", "hour", ram_need=ram_need(), compute_need=compute_need()
    )


LINEAGE = Lineage(
    "need.server",
    made={
        "ram_need": Total("need.job", "ram_need", same("server_id", "hour")),
        "compute_need": Total("need.job", "compute_need", same("server_id", "hour")),
    },
)
