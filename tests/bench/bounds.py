"""The two bounds a run is held against: its arithmetic on warm numpy arrays, and writing its columns as Parquet. One process each."""

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import polars as pl


def arithmetic(jobs: int, hours: int, servers: int) -> float:
    """Seconds of in-flight, needs, sums, weights and shares of every job-hour, two threads, a server at a time."""
    per_server = max(jobs // servers, 1)
    starts = np.random.default_rng(0).poisson(20, (per_server, hours)).astype(float)
    factors = np.random.default_rng(1).uniform(0.1, 2, (per_server, 1))

    def one(_: int) -> float:
        flight = starts * factors
        compute, ram = flight * factors, flight * (1 - factors)
        weight = flight * 0.3
        share = weight / weight.sum(axis=0)
        return float(compute.sum(axis=0).max() + ram.sum(axis=0).max() + share[0, 0])

    began = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(one, range(servers)))
    return time.monotonic() - began


def writing(current: Path, tables: list[str], scratch: Path, threads: int) -> float:
    """Seconds of writing the published files' frames again from memory, with the same options; only writing counts."""
    files = sorted(f for t in tables for f in current.joinpath(*t.split(".")).glob("*.parquet"))

    def one(file: Path) -> float:
        frame = pl.read_parquet(file).with_columns(pl.col(pl.String).cast(pl.Categorical()))
        began = time.process_time()
        frame.write_parquet(
            scratch / f"{os.getpid()}.bound", compression="zstd", compression_level=1, row_group_size=500_000
        )
        return time.process_time() - began

    return sum(map(one, files)) / threads


if __name__ == "__main__":
    if sys.argv[1] == "arithmetic":
        print(arithmetic(*map(int, sys.argv[2:5])))
    else:
        print(writing(Path(sys.argv[2]), sys.argv[4].split(","), Path(sys.argv[3]), 2))
