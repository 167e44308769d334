"""The two bounds a run is held against: its arithmetic on warm numpy arrays, and writing its columns as Parquet. One process each."""

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import polars as pl

from pipeline import parquet
from pipeline.tables import OUTPUTS


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


def writing(current: Path, tables: list[str], scratch: Path, threads: int) -> tuple[float, float]:
    """Seconds of writing the published rows again from memory; only writing counts. By Polars' own writer, and with our encodings."""
    by_polars = as_we_do = 0.0
    for name in tables:
        for file in sorted(current.joinpath(*name.split(".")).glob("*.parquet")):
            frame = pl.read_parquet(file)
            categories, enumerated = (
                frame.with_columns(pl.col(pl.String).cast(pl.Categorical())),
                parquet.enumerated(frame),
            )
            target = scratch / f"{os.getpid()}.bound"
            began = time.process_time()
            categories.write_parquet(target, compression="zstd", compression_level=1, row_group_size=500_000)
            between = time.process_time()
            parts = enumerated.iter_slices(parquet.SLICE_ROWS)
            parquet.write(target, OUTPUTS[name], frame.columns, parts)
            by_polars += between - began
            as_we_do += time.process_time() - between
    return by_polars / threads, as_we_do / threads


if __name__ == "__main__":
    if sys.argv[1] == "arithmetic":
        print(arithmetic(*map(int, sys.argv[2:5])))
    else:
        print(*writing(Path(sys.argv[2]), sys.argv[4].split(","), Path(sys.argv[3]), 2))
