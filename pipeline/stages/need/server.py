"""need.job -> need.server: what all jobs of a server take together, from its first hour to its last."""

import polars as pl
from polars import col

from pipeline.series import added, aligned, rows_of
from pipeline.stages.lineage import Lineage, Total, same
from pipeline.tables import OUTPUTS

TABLE = OUTPUTS["need.server"]


def ram_need() -> pl.Expr:
    """RAM held by all jobs of the server, those of its services included. [GB_ram]"""
    return col.ram_need


def compute_need() -> pl.Expr:
    """Compute held by all jobs of the server, those of its services included. [compute_unit]"""
    return col.compute_need


def partial(job: pl.LazyFrame) -> pl.LazyFrame:
    """Series of the two needs per server, summed over the jobs at hand."""
    return added(
        job.select("server_id", "start", ram_need=ram_need(), compute_need=compute_need()),
        ["server_id"],
        ["ram_need", "compute_need"],
    )


def build(partials: pl.LazyFrame, spans: pl.LazyFrame) -> pl.LazyFrame:
    """One row per server and hour of its span (server_id, first_hour, hours); hours without demand are zeros."""
    summed = added(partials, ["server_id"], ["ram_need", "compute_need"])
    idle = spans.select(
        "server_id",
        start="first_hour",
        ram_need=pl.lit(0.0).repeat_by("hours"),
        compute_need=pl.lit(0.0).repeat_by("hours"),
    )
    whole = added(pl.concat([idle, summed]), ["server_id"], ["ram_need", "compute_need"]).join(
        spans, on="server_id", validate="1:1"
    )
    kept = aligned(whole, ["ram_need", "compute_need"], "first_hour", "hours")
    return rows_of(kept, ["ram_need", "compute_need"]).select(list(TABLE.columns))


LINEAGE = Lineage(
    "need.server",
    made={
        "ram_need": Total("need.job", "ram_need", same("server_id", "hour")),
        "compute_need": Total("need.job", "compute_need", same("server_id", "hour")),
    },
)
