"""One model with everything in it: every table, every kind of server, stream and clock; small enough to run in half a second."""

from datetime import UTC, datetime, timedelta

from tests.models import Row, Tables

BASE = datetime(2025, 3, 29, 20)  # hours before the clocks of Paris go forward
HOUR = timedelta(hours=1)


def _servers() -> list[Row]:
    common = {"lifespan": 6.0, "average_carbon_intensity": 233.0, "carbon_footprint_fabrication": 600.0, "power": 300.0, "idle_power": 50.0,
              "ram": 141.0, "compute": 16.0, "compute_unit": "cpu_core"}  # fmt: skip
    return [
        {**common, "server_id": "web", "server_type": "autoscaling", "storage_id": "disks", "utilization_rate": 0.9, "zone": "fr"},
        {**common, "server_id": "cloudlet", "server_type": "serverless", "storage_id": "bucket", "power_usage_effectiveness": 1.3},
        {**common, "server_id": "metal", "server_type": "on-premise", "storage_id": "tape", "base_ram_consumption": 3.0, "zone": "de"},
        {**common, "server_id": "rack", "server_type": "on-premise", "fixed_nb_of_instances": 4000},
        {**common, "server_id": "spare", "server_type": "on-premise", "fixed_nb_of_instances": 2, "storage_id": "cold"},
    ]  # fmt: skip


def _storages() -> list[Row]:
    common = {
        "storage_capacity": 1.0,
        "carbon_footprint_fabrication_per_storage_capacity": 160.0,
        "data_replication_factor": 3.0,
        "lifespan": 6.0,
    }
    return [
        {**common, "storage_id": "disks", "data_storage_duration": 5.0, "base_storage_need": 0.3},
        {**common, "storage_id": "bucket", "data_storage_duration": 8766.0},
        {**common, "storage_id": "tape", "data_storage_duration": 2.5, "fixed_nb_of_instances": 90000},
        {**common, "storage_id": "cold", "data_storage_duration": 1.0, "fixed_nb_of_instances": 3},
    ]  # fmt: skip


def _job(job_id: str, place: str, seconds: float, compute: float, ram: float, stored: float = 0.0) -> Row:
    where = {"service_id": place.removeprefix("service ")} if place.startswith("service ") else {"server_id": place}
    return {"job_id": job_id, "server_id": None, "service_id": None, **where, "data_transferred": 150.0, "data_stored": stored,
            "request_duration": seconds, "compute_needed": compute, "ram_needed": ram}  # fmt: skip


def _starts(pattern: str, values: list[float], first: int = 0) -> list[Row]:
    return [{"usage_pattern_id": pattern, "hour": BASE + (first + i) * HOUR, "starts": v} for i, v in enumerate(values)]


def _run(run_id: str, server: str, begin: float, end: float, **more: object) -> Row:
    start = BASE.replace(tzinfo=UTC)
    return {"run_id": run_id, "source": "slurm", "server_id": server, "application": "fold", "project": "lab", "user": "ann",
            "submitted_at": start + (begin - 0.5) * HOUR, "started_at": start + begin * HOUR, "ended_at": start + end * HOUR,
            "cpu_cores": 4.0, "gpus": 1.0, "ram": 2.0, "data_transferred": 10.0, "data_stored": 1e5, **more}  # fmt: skip


WHOLE = Tables(
    servers=_servers(),
    gpu_servers=[{
        "server_id": "gpus", "server_type": "on-premise", "lifespan": 6.0, "average_carbon_intensity": 100.0, "gpu_power": 400.0,
        "gpu_idle_power": 50.0, "ram_per_gpu": 81.0, "carbon_footprint_fabrication_per_gpu": 150.0,
        "carbon_footprint_fabrication_without_gpu": 2500.0, "compute": 4.0, "zone": None,
    }],
    storages=_storages(),
    services=[
        {"service_id": "search", "server_id": "web", "base_ram_consumption": 4.0, "base_compute_consumption": 1.0},
        {"service_id": "index", "server_id": "metal", "base_ram_consumption": 1.0, "base_compute_consumption": 2.0},
    ],
    video_streaming_services=[{
        "service_id": "tv", "server_id": "web", "base_ram_consumption": 2.0, "bits_per_pixel": 0.1, "static_delivery_cpu_cost": 4.0,
        "ram_buffer_per_user": 50.0,
    }],
    video_streaming_jobs=[{
        "job_id": "film", "service_id": "tv", "resolution": "1080p (1920 x 1080)", "video_duration": 5400.0, "refresh_rate": 30.0,
        "data_stored": 10.0,
    }],
    jobs=[
        _job("get", "web", 90.0, 2.0, 0.5, 2e5),
        _job("find", "service search", 7200.0, 1.0, 3.0, 1e4),
        _job("sort", "service index", 4500.0, 3.0, 1.0, 3e5),
        _job("put", "metal", 1.0, 1.0, 7.0, 1e5),
        _job("lambda", "cloudlet", 10.0, 1.0, 0.1, 4e5),
        _job("train", "gpus", 100000.0, 0.5, 20.0),
        _job("backup", "rack", 3600.0, 1.0, 1.0),
        _job("never", "web", 3600.0, 1.0, 1.0, 1e6),
        _job("ping", "web", 0.0, 1.0, 1.0),
    ],
    countries=[
        {"country_id": "france", "average_carbon_intensity": 85.0, "zone": "fr", "timezone": "Europe/Paris"},
        {"country_id": "india", "average_carbon_intensity": 700.0, "zone": None, "timezone": "Asia/Kolkata"},
    ],
    carbon_intensity=[
        {"zone": zone, "hour": BASE.replace(tzinfo=UTC) + (i - 200) * HOUR, "carbon_intensity": 40.0 + 7 * (i % 24)}
        for zone in ("fr", "de")
        for i in range(1500)
    ],
    networks=[{"network_id": "wifi", "bandwidth_energy_intensity": 0.05}, {"network_id": "4g", "bandwidth_energy_intensity": 0.12}],
    devices=[
        {"device_id": "phone", "carbon_footprint_fabrication": 30.0, "power": 1.0, "lifespan": 3.0, "fraction_of_usage_time": 3.6},
        {"device_id": "laptop", "carbon_footprint_fabrication": 156.0, "power": 50.0, "lifespan": 6.0, "fraction_of_usage_time": 7.0},
    ],
    usage_steps=[
        {"usage_journey_step_id": "look", "user_time_spent": 1500.0},
        {"usage_journey_step_id": "watch", "user_time_spent": 5400.0},
        {"usage_journey_step_id": "leave", "user_time_spent": 60.0},
    ],
    usage_journey_steps=[
        {"usage_journey_id": "visit", "position": 0, "usage_journey_step_id": "look", "times_per_journey": 2.0},
        {"usage_journey_id": "visit", "position": 1, "usage_journey_step_id": "watch", "times_per_journey": 1.5},
        {"usage_journey_id": "visit", "position": 2, "usage_journey_step_id": "look", "times_per_journey": 1.0},
        {"usage_journey_id": "hop", "position": 0, "usage_journey_step_id": "leave", "times_per_journey": 1.0},
    ],
    usage_step_jobs=[
        {"usage_journey_step_id": "look", "job_id": "get", "times_per_step": 2.0},
        {"usage_journey_step_id": "look", "job_id": "find", "times_per_step": 1.0},
        {"usage_journey_step_id": "watch", "job_id": "film", "times_per_step": 1.0},
        {"usage_journey_step_id": "watch", "job_id": "lambda", "times_per_step": 5.0},
        {"usage_journey_step_id": "leave", "job_id": "ping", "times_per_step": 1.0},
        {"usage_journey_step_id": "leave", "job_id": "put", "times_per_step": 1.0},
    ],
    usage_patterns=[
        {"usage_pattern_id": "paris", "network_id": "wifi", "country_id": "france", "clock": "local"},
        {"usage_pattern_id": "pune", "network_id": "4g", "country_id": "india", "clock": "local"},
        {"usage_pattern_id": "quiet", "network_id": "4g", "country_id": "india", "clock": "utc"},
    ],
    usage_pattern_journeys=[
        {"usage_pattern_id": "paris", "usage_journey_id": "visit", "times_per_start": 1.0},
        {"usage_pattern_id": "paris", "usage_journey_id": "hop", "times_per_start": 2.0},
        {"usage_pattern_id": "pune", "usage_journey_id": "visit", "times_per_start": 0.5},
    ],
    usage_pattern_devices=[
        {"usage_pattern_id": "paris", "device_id": "laptop", "count": 1.0},
        {"usage_pattern_id": "paris", "device_id": "phone", "count": 0.5},
        {"usage_pattern_id": "pune", "device_id": "phone", "count": 1.0},
    ],
    usage_pattern_starts=_starts("paris", [5, 0, 3, 8, 0, 1000, 2]) + _starts("pune", [1, 0.5, 7], 3) + _starts("quiet", [4, 4]),
    edge_usage_patterns=[{"usage_pattern_id": "boxes", "network_id": "4g", "country_id": "france", "clock": "local", "usage_span": 20.5}],
    edge_usage_pattern_starts=_starts("boxes", [10, 0, 5], 2),
    edge_usage_pattern_journeys=[{"usage_pattern_id": "boxes", "edge_usage_journey_id": "sense", "times_per_deployment": 2.0}],
    edge_usage_journey_needs=[{"edge_usage_journey_id": "sense", "server_need_id": "report", "times_per_journey": 3.0}],
    server_need_volumes=[{"server_need_id": "report", "hour_of_week": h, "volume": float(h % 5)} for h in range(168)],
    server_need_jobs=[
        {"server_need_id": "report", "job_id": "sort", "times_per_occurrence": 1.0},
        {"server_need_id": "report", "job_id": "get", "times_per_occurrence": 2.0},
    ],
    occurrences=[
        {"job_id": job, "usage_pattern_id": pattern, "container_id": tray, "hour": BASE.replace(tzinfo=UTC) + i * HOUR, "occurrences": v}
        for job, pattern, tray, i, v in [
            ("get", "csv", "tray", 0, 4.0), ("get", "csv", "tray", 3, 1.0), ("get", "csv", "basket", 1, 6.0), ("put", "paris", "tray", 2, 9.0),
            ("train", "csv", "tray", 0, 3.0), ("backup", "csv", "tray", 30, 2.0),
        ]
    ],
    container_weights=[
        {"container_id": "basket", "hour": BASE.replace(tzinfo=UTC) + i * HOUR, "fabrication_weight": 1.0 + i, "usage_weight": 50.0}
        for i in range(3)
    ],
    job_runs=[
        _run("r1", "metal", 0.25, 7.5),
        _run("r2", "metal", 3.0, 5.125, user="bob", cpu_cores=1 / 3),
        _run("r3", "gpus", 1.0, 30.0, application="train2", gpus=2.0),
        _run("r4", "cloudlet", 2.0, 2.75, project="paris"),
        _run("r5", "metal", 6.0, 9.0, application="blast"),
    ],
)  # fmt: skip
