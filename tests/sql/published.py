"""A small model that fills every output table, published once per setting: journeys, edge needs, direct occurrences and runs on one system."""

import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from pipeline.run import run
from pipeline.settings import Settings

HOUR = timedelta(hours=1)
FIRST = datetime(2025, 1, 31, 12, tzinfo=UTC)

TABLES = {
    "servers": """
server_id,name,server_type,carbon_footprint_fabrication,power,idle_power,lifespan,ram,compute,power_usage_effectiveness,average_carbon_intensity,zone,utilization_rate,fixed_nb_of_instances,storage_id
web,Web server,autoscaling,600,300,50,6,128,24,1.2,100,FR,0.9,,disk
api,,serverless,300,200,30,5,64,8,1.1,85,,1,,
db,,on-premise,900,400,100,6,256,32,1.4,200,,0.8,,
cluster,Cluster,on-premise,1200,500,120,6,512,64,1.3,80,FR,1,2,
spare,,on-premise,100,100,20,5,16,4,1,50,,1,1,
""",
    "services": """
service_id,server_id,base_ram_consumption,base_compute_consumption
svc,web,2,1
""",
    "jobs": """
job_id,server_id,service_id,data_transferred,data_stored,request_duration,compute_needed,ram_needed
home,web,,2,1,1800,0.1,0.5
search,,svc,1,0,5400,0.2,0.25
call,api,,0.5,0,60,0.05,0.1
backup,db,,10,5,7200,2,8
never,web,,1,1,60,1,1
""",
    "storages": """
storage_id,storage_capacity,carbon_footprint_fabrication_per_storage_capacity,data_replication_factor,data_storage_duration,base_storage_need,lifespan,fixed_nb_of_instances
disk,1,160,3,12,0.001,6,
archive,2,100,1,24,0,6,1
""",
    "countries": """
country_id,name,average_carbon_intensity,zone,timezone
fr,France,85,FR,Europe/Paris
dk,Denmark,120,,Europe/Copenhagen
""",
    "networks": "network_id,bandwidth_energy_intensity\nnet,0.1\n",
    "devices": """
device_id,name,carbon_footprint_fabrication,power,lifespan,fraction_of_usage_time
laptop,Laptop,156,50,6,7
""",
    "usage_patterns": """
usage_pattern_id,network_id,country_id
in_fr,net,fr
in_dk,net,dk
""",
    "usage_pattern_journeys": "usage_pattern_id,usage_journey_id,times_per_start\nin_fr,visit,1\nin_dk,visit,2\n",
    "usage_pattern_devices": "usage_pattern_id,device_id\nin_fr,laptop\nin_dk,laptop\n",
    "usage_journey_steps": """
usage_journey_id,position,usage_journey_step_id,times_per_journey
visit,1,browse,1
visit,2,buy,2
""",
    "usage_steps": "usage_journey_step_id,name,user_time_spent\nbrowse,Browse,3000\nbuy,Buy,900\n",
    "usage_step_jobs": "usage_journey_step_id,job_id,times_per_step\nbrowse,home,1\nbrowse,search,3\nbuy,call,1\n",
    "edge_usage_patterns": "usage_pattern_id,network_id,country_id,usage_span\nboxes,net,dk,10\n",
    "edge_usage_pattern_journeys": "usage_pattern_id,edge_usage_journey_id,times_per_deployment\nboxes,watch,1\n",
    "edge_usage_pattern_starts": "usage_pattern_id,hour,starts\nboxes,2025-01-31T13:00:00Z,4\nboxes,2025-01-31T14:00:00Z,0\n",
    "edge_usage_journey_needs": "edge_usage_journey_id,server_need_id\nwatch,report\n",
    "server_need_jobs": "server_need_id,job_id\nreport,call\n",
    "occurrences": """
job_id,usage_pattern_id,container_id,hour,occurrences
backup,nightly,cron,2025-01-31T22:00:00Z,1
backup,nightly,cron,2025-02-01T22:00:00Z,3
""",
    "job_runs": """
run_id,source,server_id,application,project,user,submitted_at,started_at,ended_at,cpu_cores,ram,energy
1,slurm,cluster,solver,alpha,ann,2025-01-31T12:00:00Z,2025-01-31T13:30:00Z,2025-01-31T16:15:00Z,32,64,1.5
2,slurm,cluster,solver,alpha,bob,2025-01-31T23:00:00Z,2025-01-31T23:00:00Z,2025-02-01T02:00:00Z,64,128,
3,slurm,cluster,viewer,beta,ann,2025-02-01T01:00:00Z,2025-02-01T01:30:00Z,2025-02-01T02:00:00Z,4,8,0.25
""",
}

EMPTY = {
    "servers": "\n".join(
        line for line in TABLES["servers"].splitlines() if not line.startswith(("web", "cluster", "spare"))
    ),
    "jobs": "job_id,server_id,request_duration,compute_needed,ram_needed\nnoop,api,0,1,1\n",
    "occurrences": "job_id,usage_pattern_id,container_id,hour,occurrences\nnoop,p,c,2025-01-31T12:00:00Z,1\n",
}
"""A model in which nothing takes any time: most tables stay empty."""


def hourly(columns: str, rows: Callable[[int], str], hours: int, first: datetime = FIRST) -> str:
    """CSV text with a row per hour: the hour, then what `rows` says of its number."""
    lines = [f"{first + i * HOUR:%Y-%m-%dT%H:%M:%SZ},{rows(i)}" for i in range(hours)]
    return columns + "\n" + "\n".join(lines) + "\n"


def model_tables() -> dict[str, str]:
    """Every input table of the model as CSV text."""
    starts = hourly("hour,usage_pattern_id,starts", lambda i: f"in_fr,{(i * 7) % 5}", 30).splitlines()
    starts += hourly("", lambda i: f"in_dk,{(i * 3) % 4}", 24).splitlines()[1:]
    early = FIRST - 24 * HOUR
    return TABLES | {
        "usage_pattern_starts": "\n".join(starts) + "\n",
        "carbon_intensity": hourly("hour,zone,carbon_intensity", lambda i: f"FR,{40 + 7 * (i % 24)}", 120, early),
        "server_need_volumes": "server_need_id,hour_of_week,volume\n"
        + "".join(f"report,{i},{i % 3}\n" for i in range(168)),
    }


def publish(folder: Path, model_of: dict[str, str] | None = None, **settings: str) -> Path:
    """Write the model, run it, and return OUT."""
    model, out = folder / "model", folder / "out"
    shutil.rmtree(folder, ignore_errors=True)
    model.mkdir(parents=True)
    for name, text in (model_tables() if model_of is None else model_of).items():
        (model / f"{name}.csv").write_text(text.lstrip())
    run(model, out, Settings(**{"workers": 1, **settings}))  # type: ignore[arg-type]
    return out


def files_of(out: Path, table: str) -> list[Path]:
    """The files of an output table."""
    return sorted((out / "current" / table.replace(".", "/")).glob("*.parquet"))


def rows_of(out: Path, table: str) -> pl.DataFrame:
    """An output table, read without the views."""
    return pl.concat([pl.read_parquet(f, glob=False, hive_partitioning=False) for f in files_of(out, table)])
