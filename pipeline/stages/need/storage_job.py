"""need.job + storages -> need.storage_job: the data of each job that its server's storage keeps."""

import polars as pl
from polars import col

from pipeline.constants import MB_STORED_PER_TB_STORED
from pipeline.series import GUARD_HOURS, LIST, added, aligned, kept_for, rows_of, with_row
from pipeline.stages.lineage import Box, Lineage, Row, Total, same
from pipeline.tables import OUTPUTS

TABLE = OUTPUTS["need.storage_job"]
NOTHING = pl.DataFrame(
    schema={
        **dict.fromkeys(("server_id", "job_id", "storage_id"), pl.String()),
        "start": pl.Int64(),
        "cumulative_storage_need": LIST,
    }
)
"""What `build` makes of servers without storages."""


def storing_rate() -> pl.Expr:
    """Data the job stores in the hour, all patterns and copies together. [TB_stored]"""
    return col.data_stored * col.data_replication_factor / MB_STORED_PER_TB_STORED


def retention_hours() -> pl.Expr:
    """Hours data is kept, counted up to whole hours (guarded by 1e-9 h). [h]"""
    return (col.data_storage_duration - GUARD_HOURS).ceil().clip(0).cast(pl.Int64)


def cumulative_storage_need() -> pl.Expr:
    """The storing rate summed over the last retention_hours hours, while the server's hours last. [TB_stored]"""
    return col.cumulative_storage_need


def backed(servers: pl.LazyFrame, storages: pl.LazyFrame) -> pl.LazyFrame:
    """The storage of every server that has one: server_id, server_type and the storage's columns."""
    pairs = servers.select("server_id", "server_type", "storage_id").drop_nulls("storage_id")
    return pairs.join(storages.drop("name"), on="storage_id", validate="1:1")


def kept(storing: pl.LazyFrame, by: list[str], backing: pl.LazyFrame, spans: pl.LazyFrame) -> pl.LazyFrame:
    """Series `cumulative_storage_need` over the server's hours, for series of `data_stored` summed by `by` (which holds server_id)."""
    retained = backing.with_columns(retention_hours=retention_hours()).select(
        "server_id", "storage_id", "data_replication_factor", "retention_hours"
    )
    summed = added(storing.select(*by, "start", "data_stored"), by, ["data_stored"])
    hosted = with_row(with_row(summed, retained, "server_id"), spans, "server_id").with_columns(rate=storing_rate())
    over = aligned(hosted, ["rate"], "first_hour", "hours")
    return kept_for(over, "rate", "retention_hours", "cumulative_storage_need").select(
        *by, "storage_id", "start", "cumulative_storage_need"
    )


def build(storing: pl.LazyFrame, every_job: pl.LazyFrame, backing: pl.LazyFrame, spans: pl.LazyFrame) -> pl.LazyFrame:
    """Series per storage and job of its server, those that never run included (`every_job`: server_id, job_id)."""
    silent = every_job.join(spans.select("server_id", "first_hour"), on="server_id", validate="m:1").select(
        "server_id", "job_id", start="first_hour", data_stored=pl.lit([], dtype=pl.List(pl.Float64))
    )
    by = ["server_id", "job_id"]
    return kept(pl.concat([storing.select(*by, "start", "data_stored"), silent]), by, backing, spans)


def rows(series: pl.LazyFrame) -> pl.LazyFrame:
    """One row per storage, job and hour."""
    return rows_of(
        series.with_columns(cumulative_storage_need=cumulative_storage_need()), ["cumulative_storage_need"]
    ).select(list(TABLE.columns))


LINEAGE = Lineage(
    "need.storage_job",
    reads=(
        Row("storages", same("storage_id"), same("data_replication_factor", "data_storage_duration")),
        Row("derived.server", same("storage_id"), same("server_id")),
    ),
    made={
        "data_stored": Total(
            "need.job",
            "data_stored",
            same("job_id", "server_id", "hour"),
            where=col.avg_occurrences > 0,
            words="Data the job stores in the hour, all patterns together.",
        ),
        "cumulative_storage_need": Box(
            "need.storage_job", "storing_rate", same("storage_id", "job_id"), lasts="retention_hours", unit="h"
        ),
    },
)
