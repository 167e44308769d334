"""jobs + video_streaming_jobs + services -> derived.job: every kind of job as a plain one, with the server that runs it."""

import polars as pl
from polars import col

from pipeline.constants import BITS_PER_MB, MB_PER_GB, MB_RAM_PER_GB_RAM
from pipeline.stages.lineage import Lineage, Row, same
from pipeline.tables import OUTPUTS

TABLE = OUTPUTS["derived.job"]


def server_id() -> pl.Expr:
    """The server given, else the server of the service."""
    return pl.coalesce("server_id", "service_server_id")


def pixels() -> pl.Expr:
    """Pixels of a picture: the product of the two counts in `(W x H)`. [1]"""
    counts = col.resolution.str.extract_groups(r"\(([0-9]+) x ([0-9]+)\)")
    return counts.struct.field("1").cast(pl.Float64) * counts.struct.field("2").cast(pl.Float64)


def bitrate() -> pl.Expr:
    """Streaming: pixels * bits per pixel * pictures per second. [MB/s]"""
    return pixels() * col.bits_per_pixel * col.refresh_rate / BITS_PER_MB


def data_transferred() -> pl.Expr:
    """Data per invocation; streaming: bitrate * video duration. [MB]"""
    return (
        pl.when(col.kind == "video_streaming_jobs")
        .then(col.bitrate * col.video_duration)
        .otherwise(col.data_transferred)
    )


def request_duration() -> pl.Expr:
    """Time one invocation holds its resources; streaming: video duration. [s]"""
    return pl.when(col.kind == "video_streaming_jobs").then(col.video_duration).otherwise(col.request_duration)


def compute_needed() -> pl.Expr:
    """Compute held by one invocation; streaming: delivery cost * bitrate in GB/s. [compute_unit]"""
    delivery = col.static_delivery_cpu_cost * (col.bitrate / MB_PER_GB)
    return pl.when(col.kind == "video_streaming_jobs").then(delivery).otherwise(col.compute_needed)


def ram_needed() -> pl.Expr:
    """RAM held by one invocation; streaming: the buffer per user. [GB_ram]"""
    buffer = col.ram_buffer_per_user / MB_RAM_PER_GB_RAM
    return pl.when(col.kind == "video_streaming_jobs").then(buffer).otherwise(col.ram_needed)


def never_in_flight() -> pl.Expr:
    """Whether invocations take no time at all, so that nothing is ever in flight."""
    return col.request_duration == 0


def build(
    jobs: pl.LazyFrame,
    video_streaming_jobs: pl.LazyFrame,
    services: pl.LazyFrame,
    video_streaming_services: pl.LazyFrame,
) -> pl.LazyFrame:
    """One row per job of any kind, sorted by id; `services` is derived.service."""
    streaming = video_streaming_services.select(
        "service_id", "bits_per_pixel", "static_delivery_cpu_cost", "ram_buffer_per_user"
    )
    every = pl.concat(
        [
            jobs.with_columns(kind=pl.lit("jobs")),
            video_streaming_jobs.with_columns(kind=pl.lit("video_streaming_jobs")),
        ],
        how="diagonal",
    )
    placed = every.join(streaming, on="service_id", how="left", validate="m:1").join(
        services.select("service_id", service_server_id="server_id"), on="service_id", how="left", validate="m:1"
    )
    placed = placed.with_columns(server_id=server_id(), bitrate=bitrate())
    derived = placed.with_columns(
        data_transferred=data_transferred(),
        request_duration=request_duration(),
        compute_needed=compute_needed(),
        ram_needed=ram_needed(),
    )
    return derived.with_columns(never_in_flight=never_in_flight()).select(list(TABLE.columns)).sort("job_id")


LINEAGE = Lineage(
    "derived.job",
    reads=(
        Row("jobs", same("job_id")),
        Row("video_streaming_jobs", same("job_id")),
        Row(
            "video_streaming_services",
            same("service_id"),
            same("bits_per_pixel", "static_delivery_cpu_cost", "ram_buffer_per_user"),
        ),
        Row("derived.service", same("service_id"), {"service_server_id": "server_id"}),
    ),
)
