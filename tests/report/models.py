"""Small models, as CSV folders, and the runs of them that the tests of report and compare look at."""

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pipeline.run import run
from pipeline.settings import Settings
from pipeline.tables import INPUTS

START = datetime(2025, 1, 6, tzinfo=UTC)
Rows = list[dict[str, object]]
Model = dict[str, Rows]


def at(hour: int) -> str:
    """An hour of the model."""
    return f"{START + timedelta(hours=hour):%Y-%m-%dT%H:%M:%SZ}"


def server(server_id: str = "web", **given: object) -> dict[str, object]:
    """A server of 4 cores, 100 W, 50 W idle."""
    usual = {
        "server_id": server_id, "name": "", "server_type": "on-premise", "carbon_footprint_fabrication": 600, "power": 100,
        "idle_power": 50, "lifespan": 6, "ram": 16, "compute": 4, "average_carbon_intensity": 100, "storage_id": "", "fixed_nb_of_instances": "",
    }  # fmt: skip
    return {**usual, **given}


def job(job_id: str = "page", **given: object) -> dict[str, object]:
    """A job of one core for an hour."""
    usual = {
        "job_id": job_id, "name": "", "server_id": "web", "data_transferred": 1, "data_stored": 0, "request_duration": 3600,
        "compute_needed": 1, "ram_needed": 1,
    }  # fmt: skip
    return {**usual, **given}


def hours(count: int, **given: object) -> Rows:
    """So many hours of occurrences."""
    usual = {"job_id": "page", "usage_pattern_id": "visitors", "container_id": "step"}
    return [{**usual, "hour": at(h), "occurrences": 1 + h % 4, **given} for h in range(count)]


def smallest(count: int = 48) -> Model:
    """One server, one job, hours of direct occurrences."""
    return {"servers": [server()], "jobs": [job()], "occurrences": hours(count)}


def journey(ids: dict[str, str] | None = None) -> Model:
    """A model with everything that has an id: journeys, device, network, storage, observed runs."""
    i = {
        n: n
        for n in (
            "web",
            "page",
            "disk",
            "net",
            "phone",
            "land",
            "visitors",
            "trip",
            "look",
            "batch",
            "app",
            "proj",
            "user",
            "run",
        )
    }
    i |= ids or {}
    runs = {
        "run_id": i["run"], "source": "slurm", "server_id": i["batch"], "application": i["app"], "project": i["proj"],
        "user": i["user"], "started_at": at(1), "ended_at": at(30), "cpu_cores": 2, "flags": "odd;late",
    }  # fmt: skip
    storage = {
        "storage_id": i["disk"], "storage_capacity": 1, "carbon_footprint_fabrication_per_storage_capacity": 160,
        "data_replication_factor": 2, "data_storage_duration": 40, "lifespan": 6,
    }  # fmt: skip
    return {
        "servers": [server(i["web"], storage_id=i["disk"]), server(i["batch"], server_type="autoscaling")],
        "jobs": [job(i["page"], server_id=i["web"], data_stored=100)],
        "storages": [storage],
        "networks": [{"network_id": i["net"], "bandwidth_energy_intensity": 0.05}],
        "devices": [
            {"device_id": i["phone"], "carbon_footprint_fabrication": 30, "power": 1, "lifespan": 3, "fraction_of_usage_time": 3.6}
        ],
        "countries": [{"country_id": i["land"], "average_carbon_intensity": 85, "timezone": "Europe/Paris"}],
        "usage_patterns": [{"usage_pattern_id": i["visitors"], "name": i["visitors"], "network_id": i["net"], "country_id": i["land"]}],
        "usage_pattern_journeys": [{"usage_pattern_id": i["visitors"], "usage_journey_id": i["trip"]}],
        "usage_pattern_devices": [{"usage_pattern_id": i["visitors"], "device_id": i["phone"]}],
        "usage_pattern_starts": [{"usage_pattern_id": i["visitors"], "hour": at(h), "starts": 3 + h % 5} for h in range(60)],
        "usage_journey_steps": [{"usage_journey_id": i["trip"], "position": 1, "usage_journey_step_id": i["look"]}],
        "usage_steps": [{"usage_journey_step_id": i["look"], "user_time_spent": 600}],
        "usage_step_jobs": [{"usage_journey_step_id": i["look"], "job_id": i["page"]}],
        "job_runs": [runs],
        "rejects": [{"source": "slurm", "row": 7, "code": "no_end", "message": "no end"}],
        "sources": [
            {"table": "servers", "row_id": i["web"], "column": "power", "source": "a guess", "confidence": "low"},
            {"table": "jobs", "row_id": i["page"], "column": "ram_needed", "source": "measured"},
        ],
    }  # fmt: skip


def written(folder: Path, model: Model) -> Path:
    """The model as a folder of CSV files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in model.items():
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as opened:
            writer = csv.DictWriter(opened, list(rows[0]) if rows else list(INPUTS[name].columns))
            writer.writeheader()
            writer.writerows(rows)
    return folder


def published(folder: Path, model: Model, **settings: object) -> Path:
    """The OUT folder of a run of the model."""
    run(written(folder / "model", model), folder / "out", Settings(**settings))
    return folder / "out"
