"""A generated sacct log."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl

HEADER = (
    "JobID|JobIDRaw|Cluster|Partition|Account|User|JobName|State|Submit|Eligible|Start|End|ElapsedRaw|Suspended|Restarts|NNodes|AllocCPUS|ReqMem|"
    "AllocTRES|NodeList|TotalCPU|MaxRSS|ConsumedEnergyRaw|ExitCode"
)


def write_sacct(path: Path, rows: int) -> None:
    """`rows` jobs over a month on four partitions: 40 applications, 30 accounts, 200 users, minutes to days long."""
    rng = np.random.default_rng(0)
    begin = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())
    submit = begin + np.sort(rng.integers(0, 30 * 86400, rows))
    start = submit + rng.exponential(1800, rows).astype(int)
    elapsed = np.minimum(rng.exponential(7200, rows).astype(int) + 60, 5 * 86400)
    cores = rng.choice([1, 2, 4, 8, 16, 32, 64], rows)
    frame = pl.DataFrame(
        {
            "id": np.arange(1, rows + 1), "part": rng.integers(0, 4, rows), "account": rng.integers(0, 30, rows), "user": rng.integers(0, 200, rows),
            "name": rng.integers(0, 40, rows), "submit": submit, "start": start, "end": start + elapsed, "elapsed": elapsed, "cores": cores,
        }
    )  # fmt: skip
    line = pl.format(
        "{}|{}|hpc|part{}|acc{}|u{}|app{}|COMPLETED|{}|{}|{}|{}|{}|00:00:00|0|1|{}|4G|billing={},cpu={},mem={}G,node=1|cn1|00:00:00||0|0:0",
        "id", "id", "part", "account", "user", "name", "submit", "submit", "start", "end", "elapsed", "cores", "cores", "cores", pl.col("cores") * 4,
    )  # fmt: skip
    path.write_text(HEADER + "\n" + "\n".join(frame.select(line).to_series()) + "\n")


def write_servers(folder: Path) -> Path:
    """The mapping of partitions to servers."""
    path = folder / "mapping.csv"
    path.write_text("partition,server_id\nhpc/part*,cluster\n")
    return path


def complete_servers(model: Path) -> None:
    """The figures that accounting rows cannot tell."""
    pl.DataFrame(
        {
            "server_id": ["cluster"], "server_type": ["on-premise"], "carbon_footprint_fabrication": [1500.0], "power": [700.0], "idle_power": [200.0],
            "lifespan": [5.0], "ram": [512.0], "compute": [128.0], "average_carbon_intensity": [56.0],
        }
    ).write_csv(model / "servers.csv")  # fmt: skip
