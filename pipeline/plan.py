"""Which servers are computed together: partitions of about the same size, a very large server in ranges of jobs."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import polars as pl
from polars import col

from pipeline.series import box_length, hour_index, whole_and_rest

BYTES_PER_ROW = 260
"""Peak memory of a partition per job-hour row, measured with `make bench`."""
BASE_BYTES = 250_000_000
"""Memory of a worker before it has any rows."""
LARGEST_CHUNK, SMALLEST_CHUNK = 2_700_000, 200_000
"""Measured on size B: ranges of 1.35 million rows take a tenth more time; two processes of 2.7 million stay below a gigabyte together."""
TOGETHER_ROWS, TOGETHER_ROWS_OF_CELLS = 2_700_000, 1_350_000
"""Servers are computed together up to so many rows, fewer where tables by container are made. Measured on size A: twice as many rows take a
twentieth less time and 0.1 to 0.15 GB more; with tables by container no less time and 0.6 GB more. From 30 to 300 servers memory grows by a seventh at most."""


@dataclass(frozen=True)
class Partition:
    """Servers computed together; more than one chunk of jobs only where a single server is too large for one."""

    number: int
    servers: tuple[str, ...]
    chunks: tuple[tuple[str, ...], ...]
    rows: int


def chunk_rows(memory: int, workers: int) -> int:
    """Job-hour rows that a worker may hold at once."""
    available = max(memory / workers - BASE_BYTES, 0)
    return int(min(max(available / BYTES_PER_ROW, SMALLEST_CHUNK), LARGEST_CHUNK))


def cell_spans(cells: pl.LazyFrame, triggers: pl.LazyFrame) -> pl.LazyFrame:
    """First hour and end of the occurrences of every modelled cell: job_id, server_id, usage_pattern_id, container_id, first, end."""
    hours = triggers.select("usage_pattern_id", "container_id", "start", hours=col.triggers.list.len().cast(pl.Int64))
    by_step = cells.filter(col.kind == "step").join(
        hours.filter(col.container_id.is_null()).drop("container_id"), on="usage_pattern_id"
    )
    by_need = cells.filter(col.kind == "server_need").join(hours, on=["usage_pattern_id", "container_id"])
    first = col.start + col.delay_hours
    every = pl.concat([by_step, by_need], how="diagonal").with_columns(first=first, end=first + col.hours)
    return every.select("job_id", "server_id", "usage_pattern_id", "container_id", "first", "end")


def direct_spans(occurrences: pl.LazyFrame, jobs: pl.LazyFrame) -> pl.LazyFrame:
    """The same for the table `occurrences`."""
    index = hour_index(col.hour)
    keys = ["job_id", "usage_pattern_id", "container_id"]
    spans = (
        occurrences.group_by(keys)
        .agg(first=index.min(), end=index.max() + 1)
        .with_columns(pl.col(k).cast(pl.String) for k in keys)
    )
    placed = spans.join(jobs.select("job_id", "server_id"), on="job_id", validate="m:1")
    return placed.select("job_id", "server_id", "usage_pattern_id", "container_id", "first", "end")


def job_spans(cells: pl.LazyFrame, jobs: pl.LazyFrame) -> pl.LazyFrame:
    """First hour and end in flight of every job and pattern (`cells` from the two functions above), and whether it is ever in flight."""
    by = ["job_id", "server_id", "usage_pattern_id"]
    spans = cells.group_by(by).agg(col.first.min(), col.end.max(), cells=col.container_id.n_unique())
    timed = spans.join(jobs.select("job_id", "request_duration"), on="job_id", validate="m:1")
    whole, rest = whole_and_rest(col.request_duration)
    return timed.select(
        *by,
        "first",
        "cells",
        end=col.first + box_length(col.end - col.first, whole, rest),
        lasts=col.request_duration > 0,
    )


def server_spans(jobs: pl.LazyFrame, observed: pl.LazyFrame) -> pl.LazyFrame:
    """first_hour and hours of every server with a job series (`observed`: server_id, first, end of its runs)."""
    every = pl.concat(
        [jobs.filter("lasts").select("server_id", "first", "end"), observed.select("server_id", "first", "end")]
    )
    return (
        every.group_by("server_id")
        .agg(first_hour=col.first.min(), hours=col.end.max() - col.first.min())
        .sort("server_id")
    )


def partitions(
    servers: Sequence[str],
    jobs: pl.DataFrame,
    observed: pl.DataFrame,
    largest: int,
    together: int,
    cuts: Collection[str] = (),
) -> list[Partition]:
    """Pack servers, by id, into partitions of at most `together` rows; a server of more than `largest` is computed in ranges of jobs.

    `jobs`: server_id, job_id, rows; `observed`: server_id, rows.

    `cuts` are servers that partitions of an earlier run began with: to cut there again leaves most partitions as they were.
    """
    by_server: dict[str, list[tuple[str, int]]] = {server: [] for server in servers}
    for server, job, rows in jobs.select("server_id", "job_id", "rows").sort("server_id", "job_id").iter_rows():
        by_server[server].append((job, rows))
    extra = dict(observed.select("server_id", "rows").iter_rows())
    made: list[Partition] = []
    packed: list[str] = []
    pending: list[str] = []
    size = 0

    def close() -> None:
        nonlocal size
        if packed:
            made.append(Partition(len(made), tuple(packed), (tuple(pending),), size))
        packed.clear()
        pending.clear()
        size = 0

    for server in sorted(by_server):
        rows = sum(r for _, r in by_server[server]) + extra.get(server, 0)
        if size + rows > together or server in cuts:
            close()
        if rows > largest and len(by_server[server]) > 1:
            made.append(Partition(len(made), (server,), _chunks(by_server[server], largest), rows))
            continue
        packed.append(server)
        pending += [job for job, _ in by_server[server]]
        size += rows
    close()
    return made


def _chunks(jobs: list[tuple[str, int]], largest: int) -> tuple[tuple[str, ...], ...]:
    chunks: list[list[str]] = [[]]
    size = 0
    for job, rows in jobs:
        if chunks[-1] and size + rows > largest:
            chunks.append([])
            size = 0
        chunks[-1].append(job)
        size += rows
    return tuple(tuple(c) for c in chunks)
