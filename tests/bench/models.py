"""Generated models of a given size, written as the Parquet and CSV tables a user would have."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

FIRST_HOUR = datetime(2025, 1, 1, tzinfo=UTC)


def write_model(folder: Path, *, servers: int, jobs: int, hours: int, patterns: int = 10, seed: int = 0) -> None:
    """A model of `jobs` jobs spread evenly over `servers` servers, each triggered by one of `patterns` patterns of `hours` hours."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    server_ids = [f"server-{i:05}" for i in range(servers)]
    job_ids = [f"job-{i:06}" for i in range(jobs)]
    kinds = ["autoscaling", "on-premise", "serverless"]
    pl.DataFrame(
        {
            "server_id": server_ids,
            "server_type": [kinds[i % 3] for i in range(servers)],
            "carbon_footprint_fabrication": rng.uniform(300, 900, servers),
            "power": rng.uniform(200, 400, servers),
            "idle_power": rng.uniform(50, 100, servers),
            "lifespan": rng.uniform(3, 6, servers),
            "ram": rng.uniform(64, 256, servers),
            "compute": rng.uniform(16, 64, servers),
            "power_usage_effectiveness": rng.uniform(1.1, 1.5, servers),
            "average_carbon_intensity": rng.uniform(50, 500, servers),
        }
    ).write_csv(folder / "servers.csv")
    pl.DataFrame(
        {
            "job_id": job_ids,
            "server_id": [server_ids[i * servers // jobs] for i in range(jobs)],
            "data_transferred": rng.uniform(0.1, 10, jobs),
            "data_stored": rng.uniform(0, 1, jobs),
            "request_duration": rng.uniform(0.1, 3000, jobs),
            "compute_needed": rng.uniform(0.1, 2, jobs),
            "ram_needed": rng.uniform(0.01, 1, jobs),
        }
    ).write_csv(folder / "jobs.csv")
    names = [f"pattern-{i}" for i in range(patterns)]
    one = pl.DataFrame({"country_id": ["fr"], "average_carbon_intensity": [56.0], "timezone": ["Europe/Paris"]})
    one.write_csv(folder / "countries.csv")
    pl.DataFrame({"network_id": ["net"], "bandwidth_energy_intensity": [0.05]}).write_csv(folder / "networks.csv")
    pl.DataFrame(
        {"usage_pattern_id": names, "network_id": ["net"] * patterns, "country_id": ["fr"] * patterns}
    ).write_csv(folder / "usage_patterns.csv")
    pl.DataFrame({"usage_pattern_id": names, "usage_journey_id": names}).write_csv(
        folder / "usage_pattern_journeys.csv"
    )
    pl.DataFrame({"usage_journey_id": names, "position": [0] * patterns, "usage_journey_step_id": names}).write_csv(
        folder / "usage_journey_steps.csv"
    )
    pl.DataFrame({"usage_journey_step_id": names, "user_time_spent": [60.0] * patterns}).write_csv(
        folder / "usage_steps.csv"
    )
    steps = [names[i % patterns] for i in range(jobs)]
    pl.DataFrame({"usage_journey_step_id": steps, "job_id": job_ids}).write_csv(folder / "usage_step_jobs.csv")
    moments = pl.datetime_range(FIRST_HOUR, FIRST_HOUR + timedelta(hours=hours - 1), "1h", eager=True, time_unit="us")
    pl.DataFrame(
        {
            "usage_pattern_id": np.repeat(names, hours),
            "hour": pl.concat([moments] * patterns),
            "starts": rng.poisson(20, hours * patterns).astype(float),
        }
    ).write_parquet(folder / "usage_pattern_starts.parquet")
