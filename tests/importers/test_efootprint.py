"""What an e-footprint system file becomes, what is refused, and what is left out with a warning."""

import base64
import copy
import json
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import zstandard

from pipeline.errors import InputError
from pipeline.importers import efootprint_file
from pipeline.importers.base import ImportReport
from pipeline.importers.efootprint import IMPORTED, WRITTEN, import_efootprint
from pipeline.tables import INPUTS

CASES = Path(__file__).parents[3] / "shared" / "cases"

File = dict[str, Any]
"""A system file as JSON has it."""


# ---------------------------------------------------------------- a small system, in both versions


def q(value: object, unit: str | None = None, **more: object) -> File:
    """A quantity, or a text where it has no unit."""
    return {"value": value, "label": "label", **({} if unit is None else {"unit": unit}), **more}


def compressed(values: list[float], *, with_size: bool = True) -> str:
    """Hourly values as e-footprint writes them; without the content size as a stream would."""
    content = np.array(values, dtype="<f4").tobytes()
    if with_size:
        return base64.b64encode(zstandard.ZstdCompressor().compress(content)).decode()
    stream = zstandard.ZstdCompressor().compressobj()
    return base64.b64encode(stream.compress(content) + stream.flush()).decode()


def hourly(values: list[float], start: str = "2025-01-06 00:00:00", timezone: object = None, **more: object) -> File:
    """An hourly series from a Monday on."""
    series = compressed(values, with_size=False)
    return {"compressed_values": series, "unit": "occurrence", "start_date": start, "timezone": timezone, **more}


def week(values: list[float]) -> File:
    """A typical week."""
    return {"recurring_values": json.dumps(values), "unit": "occurrence", "label": "volume"}


def server(kind: str, storage: str | None, **changed: object) -> File:
    """A server in version 21's names."""
    common = {
        "lifespan": q(6, "year"),
        "fraction_of_usage_time": q(1, "dimensionless"),
        "server_type": q("autoscaling"),
        "power_usage_effectiveness": q(1.2, "dimensionless"),
        "average_carbon_intensity": q(0.1, "kilogram / kilowatt_hour"),
        "utilization_rate": q(0.9, "dimensionless"),
        "base_ram_consumption": q(300, "megabyte_ram"),
        "base_compute_consumption": q(None),
        "fixed_nb_of_instances": q(None),
        "storage": storage,
    }
    hardware = {
        "Server": {
            "carbon_footprint_fabrication": q(600, "kilogram"),
            "power": q(0.3, "kilowatt"),
            "idle_power": q(50, "watt"),
            "ram": q(128, "gigabyte_ram"),
            "compute": q(24, "cpu_core"),
        },
        "GPUServer": {
            "carbon_footprint_fabrication_per_gpu": q(150, "kilogram / gpu"),
            "carbon_footprint_fabrication_without_gpu": q(2500, "kilogram"),
            "gpu_power": q(400, "watt / gpu"),
            "gpu_idle_power": q(50, "watt / gpu"),
            "ram_per_gpu": q(80, "gigabyte_ram / gpu"),
            "compute": q(4, "gpu"),
        },
        "BoaviztaCloudServer": {
            "provider": q("scaleway"),
            "instance_type": q("dev1-s"),
            "idle_power": q(5, "watt"),
        },
    }
    return {"name": kind, **common, **hardware[kind], **changed}


def job(server_id: str, compute: str = "cpu_core", **changed: object) -> File:
    """A job of a server."""
    needs = {
        "data_transferred": q(150, "kilobyte"),
        "data_stored": q(100, "kilobyte_stored"),
        "request_duration": q(10.255, "minute"),
        "compute_needed": q(0.1, compute),
        "ram_needed": q(50, "megabyte_ram"),
    }
    return {"name": "job", "server": server_id, **needs, **changed}


def storage(**changed: object) -> File:
    """A storage in version 21's names."""
    given = {
        "power": q(3, "watt"),
        "fraction_of_usage_time": q(1, "dimensionless"),
        "lifespan": q(6, "year"),
        "carbon_footprint_fabrication_per_storage_capacity": q(160, "kilogram / terabyte_stored"),
        "storage_capacity": q(500, "gigabyte_stored"),
        "data_replication_factor": q(3, "dimensionless"),
        "data_storage_duration": q(2, "year"),
        "base_storage_need": q(0, "terabyte_stored"),
        "fixed_nb_of_instances": q(2.0, "concurrent"),
    }
    return {"name": "disks", **given, **changed}


def country(zone: str, **changed: object) -> File:
    """A country."""
    given = {
        "short_name": "XXX",
        "average_carbon_intensity": q(85, "gram / kilowatt_hour"),
        "timezone": {"zone": zone, "source": "user_data"},
    }
    return {"name": zone, **given, **changed}


def device() -> File:
    """A device in version 21's names."""
    return {
        "name": "laptop",
        "carbon_footprint_fabrication": q(156, "kilogram", source="ademe"),
        "power": q(50, "watt", source="a text of its own"),
        "lifespan": q(6, "year", source={"name": "a dictionary", "link": "https://example.org"}),
        "fraction_of_usage_time": q(7, "hour / day", source="ademe", confidence="High", comment="a comment"),
    }


def system_21() -> File:
    """A system with every class that is imported, in version 21's names."""
    return {
        "efootprint_version": "21.0.0",
        "Sources": {
            "ademe": {"id": "ademe", "name": "Base ADEME", "link": "https://data.ademe.fr"},
            "user_data": {"id": "user_data", "name": "user data", "link": None},
        },
        "System": {
            "system": {"name": "system", "id": "system", "usage_patterns": ["paris"], "edge_usage_patterns": ["fleet"]}
        },
        "UsagePattern": {
            "paris": {
                "name": "paris",
                "hourly_usage_journey_starts": hourly([1, 2, 3, 4], source="user_data"),
                "usage_journey": "watch",
                "devices": ["laptop", "phone", "laptop"],
                "network": "net",
                "country": "france",
            },
        },
        "UsageJourney": {"watch": {"name": "watch", "uj_steps": ["open", "read", "open"]}},
        "UsageJourneyStep": {
            "open": {"name": "open", "user_time_spent": q(20, "minute"), "jobs": ["api", "train", "api", "stream"]},
            "read": {"name": "read", "user_time_spent": q(30, "second"), "jobs": []},
        },
        "Server": {"web": server("Server", "disks")},
        "GPUServer": {
            "gpus": server("GPUServer", None, server_type=q("on-premise"), fixed_nb_of_instances=q(3, "concurrent"))
        },
        "BoaviztaCloudServer": {"cloud": server("BoaviztaCloudServer", None)},
        "Storage": {"disks": storage()},
        "VideoStreaming": {
            "video": {
                "name": "video",
                "server": "web",
                "base_ram_consumption": q(2, "gigabyte_ram"),
                "base_compute_consumption": q(None),
                "bits_per_pixel": q(0.1, "bit"),
                "static_delivery_cpu_cost": q(4, "cpu_core * second / gigabyte"),
                "ram_buffer_per_user": q(50, "megabyte_ram"),
            },
        },
        "Job": {"api": job("web"), "sync": job("cloud")},
        "GPUJob": {"train": job("gpus", "gpu")},
        "VideoStreamingJob": {
            "stream": {
                "name": "stream",
                "service": "video",
                "resolution": q("1080p (1920 x 1080)"),
                "video_duration": q(20, "minute"),
                "refresh_rate": q(30, "1 / second"),
                "data_stored": q(0, "megabyte_stored"),
            },
        },
        "Network": {"net": {"name": "net", "bandwidth_energy_intensity": q(0.05, "kilowatt_hour / gigabyte")}},
        "Country": {"france": country("Europe/Paris"), "india": country("Asia/Kolkata")},
        "Device": {"laptop": device(), "phone": device()},
        "EdgeUsagePattern": {
            "fleet": {
                "name": "fleet",
                "hourly_edge_usage_journey_starts": hourly([5, 6, 7]),
                "edge_usage_journey": "sense",
                "network": "net",
                "country": "france",
            },
        },
        "EdgeUsageJourney": {"sense": {"name": "sense", "edge_functions": ["report"], "usage_span": q(1, "year")}},
        "EdgeFunction": {
            "report": {"name": "report", "recurrent_edge_device_needs": ["box"], "recurrent_server_needs": ["upload"]}
        },
        "RecurrentServerNeed": {
            "upload": {
                "name": "upload",
                "edge_device": "box",
                "recurrent_volume_per_edge_device": week(list(range(168))),
                "jobs": ["api", "sync", "api"],
            },
        },
        "EdgeComputer": {"box": {"name": "box", "ram": q(1, "gigabyte_ram")}},
    }


def weights(members: list[str]) -> File:
    """A list with repetition as version 27's dictionary of weights."""
    return {m: q(float(members.count(m)), "dimensionless") for m in dict.fromkeys(members)}


def renamed(value: Any) -> Any:
    """Version 27's word for fabrication."""
    if isinstance(value, dict):
        return {k.replace("fabrication", "manufacturing"): renamed(v) for k, v in value.items()}
    return value


def system_27() -> File:
    """The same system in version 27's names; a step that stood in a journey twice stands there with weight 2."""
    file: File = renamed(system_21())
    file["efootprint_version"] = "27.1.3"
    for pattern in file["UsagePattern"].values():
        pattern["hourly_occurrences"] = pattern.pop("hourly_usage_journey_starts")
        pattern["usage_journeys"] = weights([pattern.pop("usage_journey")])
    for journey in file["UsageJourney"].values():
        journey["uj_steps"] = weights(journey["uj_steps"])
    for holder in (*file["UsageJourneyStep"].values(), *file["RecurrentServerNeed"].values()):
        holder["jobs"] = weights(holder["jobs"])
    for pattern in file["EdgeUsagePattern"].values():
        pattern["hourly_deployment_starts"] = pattern.pop("hourly_edge_usage_journey_starts")
        pattern["edge_usage_journeys"] = [pattern.pop("edge_usage_journey")]
        pattern["usage_span"] = file["EdgeUsageJourney"]["sense"].pop("usage_span")
    return file


def written(tmp_path: Path, file: object, name: str = "system.json") -> Path:
    """The system as a file: JSON, or text and bytes as they are."""
    path = tmp_path / name
    path.write_bytes(
        file if isinstance(file, bytes) else (file if isinstance(file, str) else json.dumps(file)).encode()
    )
    return path


def imported(tmp_path: Path, file: File, **options: bool) -> tuple[Path, ImportReport]:
    """The model folder that an import of the system makes."""
    model = tmp_path / "model"
    return model, import_efootprint(written(tmp_path, file), model, **options)


def table(model: Path, name: str) -> pl.DataFrame:
    """A table as written, headers without their units."""
    if (model / f"{name}.parquet").exists():
        return pl.read_parquet(model / f"{name}.parquet")
    frame = pl.read_csv(model / f"{name}.csv")
    return frame.rename({column: column.split(" [")[0] for column in frame.columns})


def refusal(tmp_path: Path, file: object) -> list[str]:
    """The lines that an import of a broken file is refused with; nothing may have been written."""
    with pytest.raises(InputError) as refused:
        import_efootprint(written(tmp_path, file), tmp_path / "model")
    assert not (tmp_path / "model").exists() or not list((tmp_path / "model").iterdir())
    lines = str(refused.value).split("\n")
    assert all(line.startswith(f"{tmp_path / 'system.json'}: ") for line in lines)
    return [line.removeprefix(f"{tmp_path / 'system.json'}: ") for line in lines]


def broken(change: Callable[[File], object], file: File | None = None) -> File:
    """The small system with something changed in it."""
    changed = copy.deepcopy(system_21() if file is None else file)
    change(changed)
    return changed


VERSIONS = pytest.mark.parametrize("build", [system_21, system_27], ids=["v21", "v27"])


# ---------------------------------------------------------------- what comes out


@VERSIONS
def test_ids_are_kept_and_quantities_are_in_canonical_units(tmp_path: Path, build: Callable[[], File]) -> None:
    model, _ = imported(tmp_path, build())
    web = table(model, "servers").row(0, named=True)
    assert web["server_id"] == "web"
    assert web["storage_id"] == "disks"
    assert web["compute_unit"] == "cpu_core"
    assert (web["power"], web["base_ram_consumption"], web["average_carbon_intensity"]) == (300.0, 0.3, 100.0)
    assert web["carbon_footprint_fabrication"] == 600
    assert web["base_compute_consumption"] is None
    disks = table(model, "storages").row(0, named=True)
    assert (disks["storage_capacity"], disks["data_storage_duration"]) == (0.5, 2 * 365.25 * 24)
    assert disks["fixed_nb_of_instances"] == 2
    assert disks["carbon_footprint_fabrication_per_storage_capacity"] == 160
    api = table(model, "jobs").filter(job_id="api").row(0, named=True)
    assert (api["data_transferred"], api["data_stored"], api["request_duration"]) == (0.15, 0.1, 615.3)
    assert (api["compute_needed"], api["ram_needed"], api["server_id"], api["service_id"]) == (0.1, 0.05, "web", None)
    assert table(model, "gpu_servers").select("compute", "gpu_power", "fixed_nb_of_instances").row(0) == (4.0, 400.0, 3)


@VERSIONS
def test_headers_carry_the_unit(tmp_path: Path, build: Callable[[], File]) -> None:
    model, _ = imported(tmp_path, build())
    assert "ram [GB_ram]" in pl.read_csv(model / "servers.csv").columns
    assert "static_delivery_cpu_cost [cpu_core/(GB/s)]" in pl.read_csv(model / "video_streaming_services.csv").columns


@VERSIONS
def test_lists_with_repetition_and_weights_mean_the_same(tmp_path: Path, build: Callable[[], File]) -> None:
    model, _ = imported(tmp_path, build())
    jobs = table(model, "usage_step_jobs").filter(usage_journey_step_id="open")
    assert dict(jobs.select("job_id", "times_per_step").iter_rows()) == {"api": 2, "train": 1, "stream": 1}
    needs = table(model, "server_need_jobs")
    assert dict(needs.select("job_id", "times_per_occurrence").iter_rows()) == {"api": 2, "sync": 1}
    journeys = table(model, "usage_pattern_journeys")
    assert journeys.rows() == [("paris", "watch", 1.0)]
    assert table(model, "edge_usage_pattern_journeys").rows() == [("fleet", "sense", 1.0)]
    assert table(model, "edge_usage_journey_needs").rows() == [("sense", "upload", 1.0)]


def test_a_step_listed_twice_stands_at_two_positions(tmp_path: Path) -> None:
    model, _ = imported(tmp_path, system_21())
    steps = table(model, "usage_journey_steps").sort("position")
    assert steps["usage_journey_step_id"].to_list() == ["open", "read", "open"]
    assert steps["position"].n_unique() == 3
    assert steps["times_per_journey"].to_list() == [1, 1, 1]


def test_weights_of_version_27_are_kept_in_their_order(tmp_path: Path) -> None:
    file = system_27()
    file["UsageJourney"]["watch"]["uj_steps"] = {"read": q(1.5, "dimensionless"), "open": q(None)}
    file["UsagePattern"]["paris"]["usage_journeys"] = {"watch": q(200, "percent")}
    model, _ = imported(tmp_path, file)
    steps = table(model, "usage_journey_steps").sort("position")
    assert steps.select("usage_journey_step_id", "times_per_journey").rows() == [("read", 1.5), ("open", 1.0)]
    assert table(model, "usage_pattern_journeys")["times_per_start"].to_list() == [2.0]


@VERSIONS
def test_a_device_listed_twice_counts_twice(tmp_path: Path, build: Callable[[], File]) -> None:
    model, _ = imported(tmp_path, build())
    assert table(model, "usage_pattern_devices").rows() == [("paris", "laptop", 2.0), ("paris", "phone", 1.0)]


@VERSIONS
def test_the_usage_span_is_the_patterns(tmp_path: Path, build: Callable[[], File]) -> None:
    model, _ = imported(tmp_path, build())
    assert table(model, "edge_usage_patterns")["usage_span"].to_list() == [365.25 * 24]


def test_cloud_servers_ask_for_their_reference_data(tmp_path: Path) -> None:
    model, report = imported(tmp_path, system_21())
    assert table(model, "cloud_servers").select("server_id", "provider", "instance_type").row(0) == (
        "cloud",
        "scaleway",
        "dev1-s",
    )
    needed = "power, ram, compute, carbon_footprint_fabrication"
    assert any("'scaleway'" in w and "'dev1-s'" in w and needed in w for w in report.warnings)


def test_every_column_of_ours_is_written(tmp_path: Path) -> None:
    model, report = imported(tmp_path, system_21())
    assert set(report.tables) == set(WRITTEN)
    for name in report.tables:
        assert set(INPUTS[name].columns) - set(table(model, name).columns) <= {"zone"}, name


def test_the_report_counts_objects_and_rows(tmp_path: Path) -> None:
    model, report = imported(tmp_path, system_21())
    objects = sum(len(held) for kind, held in system_21().items() if kind not in ("efootprint_version", "Sources"))
    assert report.rows_in == objects
    assert report.excluded == {"EdgeComputer": 1}
    assert report.tables["server_need_volumes"] == 168
    assert report.tables["usage_pattern_starts"] == 4
    assert {p.stem for p in model.iterdir() if not p.name.startswith(".")} == set(report.tables)


@pytest.mark.parametrize(
    ("unit", "ours", "factor"),
    [
        ("kilogram", "kg", 1),
        ("metric_ton", "kg", 1000),
        ("gram / kilowatt_hour", "g/kWh", 1),
        ("kilogram / megawatt_hour", "g/kWh", 1),
        ("kilowatt_hour / gigabyte", "kWh/GB", 1),
        ("watt_hour / megabyte", "kWh/GB", 1),
        ("cpu_core * second / gigabyte", "cpu_core/(GB/s)", 1),
        ("kilogram / terabyte_stored", "kg/TB_stored", 1),
        ("gigabyte_ram / gpu", "GB_ram/gpu", 1),
        ("1 / second", "1/s", 1),
        ("hertz", "1/s", 1),
        ("hour / day", "h/day", 1),
        ("minute", "s", 60),
        ("week", "h", 168),
        ("month", "h", 365.25 * 24 / 12),
        ("year", "h", 365.25 * 24),
        ("dimensionless", "1", 1),
        ("gibibyte_ram", "GB_ram", 1.073741824),
    ],
)
def test_units_by_their_long_names(unit: str, ours: str, factor: float) -> None:
    assert efootprint_file.quantity(q(2, unit), ours) == 2 * factor


# ---------------------------------------------------------------- sources


def test_origins_become_sources(tmp_path: Path) -> None:
    model, _ = imported(tmp_path, system_21())
    sources = table(model, "sources")
    laptop = sources.filter(table="devices", row_id="laptop").select(
        "column", "source", "link", "confidence", "comment"
    )
    assert laptop.sort("column").rows() == [
        ("carbon_footprint_fabrication", "Base ADEME", "https://data.ademe.fr", None, "label"),
        ("fraction_of_usage_time", "Base ADEME", "https://data.ademe.fr", "high", "a comment"),
        ("lifespan", "a dictionary", "https://example.org", None, "label"),
        ("power", "a text of its own", None, None, "label"),
    ]
    places = sources.filter(source="user data").select("table", "row_id", "column").sort("table").rows()
    assert places == [
        ("countries", "france", "timezone"),
        ("countries", "india", "timezone"),
        ("usage_pattern_starts", "paris", "starts"),
    ]


def test_origins_of_weights_name_the_row(tmp_path: Path) -> None:
    file = system_27()
    file["UsageJourney"]["watch"]["uj_steps"]["read"]["source"] = "counted"
    file["UsageJourneyStep"]["open"]["jobs"]["api"]["source"] = "guessed"
    model, _ = imported(tmp_path, file)
    sources = table(model, "sources").filter(pl.col("source").is_in(["counted", "guessed"])).sort("source")
    assert sources.select("table", "row_id", "column").rows() == [
        ("usage_journey_steps", "watch/2", "times_per_journey"),
        ("usage_step_jobs", "open/api", "times_per_step"),
    ]


def test_an_unknown_confidence_is_left_out_with_a_warning(tmp_path: Path) -> None:
    file = broken(lambda f: f["Device"]["laptop"]["power"].update(confidence="so so"))
    _, report = imported(tmp_path, file)
    assert any("'so so'" in w and "Device 'laptop'" in w for w in report.warnings)


# ---------------------------------------------------------------- hours


def starts_of(model: Path, pattern: str = "paris") -> list[float]:
    """Starts of a pattern, hour by hour."""
    starts = table(model, "usage_pattern_starts").filter(usage_pattern_id=pattern)
    gaps = starts["hour"].diff().drop_nulls().unique().to_list()
    assert gaps in ([], [timedelta(hours=1)])
    return starts["starts"].to_list()


@pytest.mark.parametrize(
    ("zone", "start", "expected"),
    [
        ("Europe/Paris", "2025-01-06 00:00:00", [2, 3, 4, 1]),  # o = 1: utc[t] = local[(t + 1) mod 4]
        ("Europe/Paris", "2025-07-07T00:00:00", [3, 4, 1, 2]),  # o = 2
        ("America/New_York", "2025-01-06 00:00:00", [4, 1, 2, 3]),  # o = -5
        ("Asia/Kolkata", "2025-01-06 00:00:00", [3, 4, 1, 2]),  # 5.5 to even: 6
        ("Asia/Kabul", "2025-01-06 00:00:00", [1, 2, 3, 4]),  # 4.5 to even: 4
        ("America/St_Johns", "2025-01-06 00:00:00", [1, 2, 3, 4]),  # -3.5 to even: -4
    ],
)
def test_local_hours_are_turned_as_e_footprint_turns_them(
    tmp_path: Path, zone: str, start: str, expected: list[float]
) -> None:
    file = system_21()
    file["Country"]["france"] = country(zone)
    file["UsagePattern"]["paris"]["hourly_usage_journey_starts"] = hourly([1, 2, 3, 4], start)
    model, _ = imported(tmp_path, file)
    assert starts_of(model) == expected
    assert table(model, "usage_pattern_starts")["hour"][0] == datetime.fromisoformat(start)
    assert table(model, "usage_patterns")["clock"].to_list() == ["utc"]


def test_weekly_volumes_turn_with_the_deployments(tmp_path: Path) -> None:
    model, _ = imported(tmp_path, system_21())
    volumes = table(model, "server_need_volumes").sort("hour_of_week")
    assert volumes["volume"].to_list() == [(w + 1) % 168 for w in range(168)]
    assert table(model, "edge_usage_pattern_starts")["starts"].to_list() == [6, 7, 5]


def with_second_fleet(file: File, journey: str) -> None:
    """Add an edge pattern in India (o = 6)."""
    fleet = copy.deepcopy(file["EdgeUsagePattern"]["fleet"])
    file["EdgeUsagePattern"]["delhi"] = {**fleet, "country": "india", "edge_usage_journey": journey}
    file["System"]["system"]["edge_usage_patterns"].append("delhi")


def test_a_need_used_under_two_offsets_is_written_once_for_each(tmp_path: Path) -> None:
    file = broken(lambda f: with_second_fleet(f, "sense"))
    model, _ = imported(tmp_path, file)
    volumes = table(model, "server_need_volumes").filter(pl.col("hour_of_week") == 0)
    assert volumes.select("server_need_id", "volume").rows() == [("upload@+1", 1.0), ("upload@+6", 6.0)]
    assert table(model, "edge_usage_pattern_journeys").select("usage_pattern_id", "edge_usage_journey_id").rows() == [
        ("fleet", "sense@+1"),
        ("delhi", "sense@+6"),
    ]
    assert table(model, "edge_usage_journey_needs").rows() == [
        ("sense@+1", "upload@+1", 1.0),
        ("sense@+6", "upload@+6", 1.0),
    ]
    assert table(model, "server_need_jobs")["server_need_id"].unique(maintain_order=True).to_list() == [
        "upload@+1",
        "upload@+6",
    ]


def test_journeys_keep_their_id_where_only_the_need_is_shared(tmp_path: Path) -> None:
    file = system_21()
    file["EdgeUsageJourney"]["other"] = copy.deepcopy(file["EdgeUsageJourney"]["sense"])
    with_second_fleet(file, "other")
    model, _ = imported(tmp_path, file)
    needs = table(model, "edge_usage_journey_needs").select("edge_usage_journey_id", "server_need_id").rows()
    assert needs == [("sense", "upload@+1"), ("other", "upload@+6")]


def test_civil_time_writes_local_hours_as_they_are(tmp_path: Path) -> None:
    file = broken(lambda f: with_second_fleet(f, "sense"))
    model, _ = imported(tmp_path, file, civil_time=True)
    assert starts_of(model) == [1, 2, 3, 4]
    assert table(model, "usage_patterns")["clock"].to_list() == ["local"]
    assert table(model, "edge_usage_patterns")["clock"].to_list() == ["local", "local"]
    volumes = table(model, "server_need_volumes").sort("hour_of_week")
    assert volumes["server_need_id"].unique().to_list() == ["upload"]
    assert volumes["volume"].to_list() == list(range(168))


@pytest.mark.parametrize("civil_time", [False, True])
@pytest.mark.parametrize(
    ("start", "timezone"),
    [
        ("2025-01-06 00:00:00", "UTC"),
        ("2025-01-06 01:00:00", {"zone": "Europe/Paris"}),
        ("2025-01-06T02:00:00+02:00", None),
    ],
)
def test_a_series_with_a_zone_is_utc_whatever_the_country(
    tmp_path: Path, start: str, timezone: object, civil_time: bool
) -> None:
    file = system_21()
    file["UsagePattern"]["paris"]["hourly_usage_journey_starts"] = hourly([1, 2, 3, 4], start, timezone)
    model, _ = imported(tmp_path, file, civil_time=civil_time)
    assert starts_of(model) == [1, 2, 3, 4]
    assert table(model, "usage_pattern_starts")["hour"][0] == datetime(2025, 1, 6)
    assert table(model, "usage_patterns")["clock"].to_list() == ["utc"]


def test_zero_hours_at_the_ends_are_written(tmp_path: Path) -> None:
    file = broken(lambda f: f["UsagePattern"]["paris"].update(hourly_usage_journey_starts=hourly([0, 5, 0, 0])))
    model, _ = imported(tmp_path, file, civil_time=True)
    assert starts_of(model) == [0, 5, 0, 0]


def test_a_frame_with_content_size_is_read_too(tmp_path: Path) -> None:
    series = {**hourly([]), "compressed_values": compressed([1, 2, 3, 4], with_size=True)}
    file = broken(lambda f: f["UsagePattern"]["paris"].update(hourly_usage_journey_starts=series))
    model, _ = imported(tmp_path, file)
    assert starts_of(model) == [2, 3, 4, 1]


# ---------------------------------------------------------------- what is left out


def test_a_class_without_a_table_is_named_with_its_ids(tmp_path: Path) -> None:
    file = system_21()
    file["EdgeComputer"]["second"] = {"name": "second"}
    file["interface_config"] = "anything"
    _, report = imported(tmp_path, file)
    assert "EdgeComputer: no table for this class yet, left out: 'box', 'second'" in report.warnings
    assert any(w.startswith("interface_config: ") for w in report.warnings)


def test_jobs_of_external_servers_are_left_out_with_all_that_refers_to_them(tmp_path: Path) -> None:
    file = system_21()
    file["EcoLogitsGenAIExternalAPIServer"] = {"llm": {"name": "llm"}}
    file["EcoLogitsGenAIExternalAPIJob"] = {"ask": {"name": "ask"}}
    file["Job"]["prompt"] = job("llm")
    file["UsageJourneyStep"]["read"]["jobs"] = ["ask", "prompt", "api"]
    model, report = imported(tmp_path, file)
    assert table(model, "jobs")["job_id"].to_list() == ["api", "sync", "train"]
    assert table(model, "usage_step_jobs").filter(usage_journey_step_id="read")["job_id"].to_list() == ["api"]
    said = "\n".join(report.warnings)
    assert "Job 'prompt' is left out: EcoLogitsGenAIExternalAPIServer 'llm' is left out" in said
    assert (
        "UsageJourneyStep 'read' goes without one of its jobs: EcoLogitsGenAIExternalAPIJob 'ask' is left out" in said
    )
    assert "UsageJourneyStep 'read' goes without one of its jobs: Job 'prompt' is left out" in said


def test_a_service_on_a_left_out_server_takes_its_jobs_along(tmp_path: Path) -> None:
    file = system_21()
    file["FutureServer"] = {"future": {}}
    file["VideoStreaming"]["video"]["server"] = "future"
    model, report = imported(tmp_path, file)
    assert not (model / "video_streaming_jobs.csv").exists()
    assert not (model / "video_streaming_services.csv").exists()
    assert report.excluded == {"EdgeComputer": 1, "FutureServer": 1, "VideoStreaming": 1, "VideoStreamingJob": 1}


def test_only_patterns_that_the_system_lists_count(tmp_path: Path) -> None:
    file = system_21()
    file["UsagePattern"]["draft"] = {**file["UsagePattern"]["paris"], "country": "nowhere"}
    model, report = imported(tmp_path, file)
    assert table(model, "usage_patterns")["usage_pattern_id"].to_list() == ["paris"]
    assert "UsagePattern 'draft' is left out: the System does not list it" in report.warnings


def test_jobs_services_and_storages_on_no_journey_stay(tmp_path: Path) -> None:
    file = system_21()
    file["Job"]["idle"] = job("web")
    file["Storage"]["spare"] = storage()
    file["UsageJourneyStep"]["open"]["jobs"] = ["idle"]
    file["UsageJourneyStep"]["open"]["jobs"].clear()
    model, _ = imported(tmp_path, file)
    assert "idle" in table(model, "jobs")["job_id"]
    assert "spare" in table(model, "storages")["storage_id"]
    assert table(model, "video_streaming_services")["service_id"].to_list() == ["video"]


@VERSIONS
def test_a_journey_without_steps_is_left_out_and_its_pattern_stays(tmp_path: Path, build: Callable[[], File]) -> None:
    file = build()
    file["UsageJourney"]["watch"]["uj_steps"] = type(file["UsageJourney"]["watch"]["uj_steps"])()
    model, report = imported(tmp_path, file)
    assert not (model / "usage_pattern_journeys.csv").exists()
    assert starts_of(model) == [2, 3, 4, 1]
    assert "UsageJourney 'watch' is left out: it has no steps" in report.warnings


def test_an_edge_journey_without_server_needs_is_left_out_and_its_pattern_stays(tmp_path: Path) -> None:
    file = broken(lambda f: f["EdgeFunction"]["report"].update(recurrent_server_needs=[]))
    model, report = imported(tmp_path, file)
    assert not (model / "edge_usage_pattern_journeys.csv").exists()
    assert table(model, "edge_usage_patterns")["usage_pattern_id"].to_list() == ["fleet"]
    assert "EdgeUsageJourney 'sense' is left out: it has no server needs" in report.warnings
    assert "RecurrentServerNeed 'upload' is left out: no edge usage pattern that counts uses it" in report.warnings


def test_empty_series_leave_out_what_they_drive(tmp_path: Path) -> None:
    file = system_21()
    file["UsagePattern"]["paris"]["hourly_usage_journey_starts"] = q(None)
    file["RecurrentServerNeed"]["upload"]["recurrent_volume_per_edge_device"] = q(None)
    model, report = imported(tmp_path, file)
    assert not (model / "usage_patterns.csv").exists()
    assert not (model / "server_need_volumes.csv").exists()
    assert "UsagePattern 'paris' is left out: its hourly_usage_journey_starts is empty" in report.warnings
    assert "RecurrentServerNeed 'upload' is left out: its recurrent_volume_per_edge_device is empty" in report.warnings


def test_stale_results_are_not_read_and_named(tmp_path: Path) -> None:
    file = system_21()
    file["Server"]["web"]["hour_by_hour_ram_need"] = {"compressed_values": "old"}
    _, report = imported(tmp_path, file)
    assert "Server: not read, being results or inputs without a column: 'hour_by_hour_ram_need'" in report.warnings


def test_an_empty_value_that_a_run_needs_is_warned_of(tmp_path: Path) -> None:
    file = broken(lambda f: f["Server"]["web"].update(power=q(None)))
    model, report = imported(tmp_path, file)
    assert table(model, "servers")["power"].to_list() == [None]
    assert "Server 'web' has no value for power: fill in servers.power before a run" in report.warnings


def test_the_base_compute_of_a_service_is_never_lost_in_silence(tmp_path: Path) -> None:
    file = broken(lambda f: f["VideoStreaming"]["video"].update(base_compute_consumption=q(2, "cpu_core")))
    model, report = imported(tmp_path, file)
    services = table(model, "video_streaming_services")
    if "base_compute_consumption" in INPUTS["video_streaming_services"].columns:
        assert services["base_compute_consumption"].to_list() == [2.0]
    else:
        assert any("base_compute_consumption" in w and "2.0 cpu_core" in w for w in report.warnings)


# ---------------------------------------------------------------- versions


def test_another_version_with_the_same_names_is_read_with_a_warning(tmp_path: Path) -> None:
    file = {**system_27(), "efootprint_version": "26.4.0"}
    _, report = imported(tmp_path, file)
    assert any("26.4.0" in w for w in report.warnings)


def test_another_version_with_other_names_is_refused_by_name(tmp_path: Path) -> None:
    file: File = {**system_21(), "efootprint_version": "9.1.4"}
    file["Server"]["web"]["cpu_cores"] = file["Server"]["web"].pop("compute")
    (line,) = refusal(tmp_path, file)
    assert line.startswith("e-footprint version 9.1.4 is not read")
    assert line.endswith("it lacks Server.compute")


def test_a_version_27_file_may_keep_a_stale_older_name(tmp_path: Path) -> None:
    file = system_27()
    file["Server"]["web"]["carbon_footprint_fabrication"] = q(1, "kilogram")
    model, _ = imported(tmp_path, file)
    assert table(model, "servers")["carbon_footprint_fabrication"].to_list() == [600.0]


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        ("[]", "no efootprint_version"),
        ("{}", "no efootprint_version"),
        ('{"efootprint_version": 27}', "efootprint_version 27"),
        ('{"efootprint_version": "latest"}', "efootprint_version 'latest'"),
        (b"\xff\xfe{}", "not UTF-8"),
        ('{"efootprint_version": "27.0", "Job": {"\\ud800": {}}}', "not UTF-8"),
        ('{"efootprint_version": "27.0", "Job": {"j": {}, "j": {}}}', "the id 'j' stands twice"),
        ('{"efootprint_version": "27.0", "Job": {"\\u0000": {}}}', "NUL"),
        ('{"efootprint_version": "27.0", "System": []}', "objects by id are expected"),
        ('{"efootprint_version": "27.0", "Sources": []}', "Sources: objects by id"),
        ('{"efootprint_version": "27.0"}', "no System"),
        (f'{{"efootprint_version": "27.0", "x": 1{"0" * 5000}}}', "not JSON"),
    ],
)
def test_what_is_no_system_file_gets_one_clear_line(tmp_path: Path, content: object, expected: str) -> None:
    lines = refusal(tmp_path, content)
    assert expected in lines[0]
    assert len(lines[0]) < 300


def test_a_file_that_is_not_there_gets_one_clear_line(tmp_path: Path) -> None:
    for source in (tmp_path / "none.json", tmp_path):
        with pytest.raises(InputError, match="cannot be read"):
            import_efootprint(source, tmp_path / "model")


def starts(**changed: object) -> Callable[[File], object]:
    """Change the hourly starts of the usage pattern."""
    return lambda f: f["UsagePattern"]["paris"]["hourly_usage_journey_starts"].update(changed)


PACKED = base64.b64decode(compressed([1.0] * 100))
BOMB = base64.b64encode(zstandard.ZstdCompressor().compress(bytes(4 * efootprint_file.LONGEST_SERIES + 4))).decode()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            lambda f: f["Server"]["web"].update(ram=q(1, "gigabyte_stored")),
            "Server 'web': ram: 'gigabyte_stored' does not measure the same as 'GB_ram'",
        ),
        (lambda f: f["Server"]["web"].update(ram=q(1, "gigabyte")), "Server 'web': ram: 'gigabyte' does not measure"),
        (lambda f: f["Server"]["web"].update(ram=q(1, "parsec_ram")), "Server 'web': ram: 'parsec_ram' is not a unit"),
        (lambda f: f["Server"]["web"].update(ram=q(1)), "Server 'web': ram: no unit"),
        (
            lambda f: f["Server"]["web"].update(ram=q(float("nan"), "gigabyte_ram")),
            "Server 'web': ram: a finite number is expected",
        ),
        (
            lambda f: f["Server"]["web"].update(ram=q(10**400, "gigabyte_ram")),
            "Server 'web': ram: a finite number is expected",
        ),
        (
            lambda f: f["Server"]["web"].update(ram=q(1e308, "terabyte_ram")),
            "Server 'web': ram: 1e+308 terabyte_ram is out of range",
        ),
        (
            lambda f: f["Server"]["web"].update(ram=q("128", "gigabyte_ram")),
            "Server 'web': ram: a number is expected, found '128'",
        ),
        (lambda f: f["Server"]["web"].update(ram=q(True, "gigabyte_ram")), "Server 'web': ram: a number is expected"),
        (
            lambda f: f["Server"]["web"].update(ram="128 GB"),
            "Server 'web': ram: an object with value is expected, found '128 GB'",
        ),
        (lambda f: f["Server"]["web"].update(server_type=q("magic")), "Server 'web': server_type: one of autoscaling"),
        (
            lambda f: f["Server"]["web"].update(fixed_nb_of_instances=q(1.5, "concurrent")),
            "Server 'web': fixed_nb_of_instances: a whole number is expected",
        ),
        (lambda f: f["Server"]["web"].pop("power"), "Server has no power: 'web'"),
        (lambda f: f["Server"].update(web="a text"), "Server 'web': an object is expected, found 'a text'"),
        (lambda f: f["Server"]["web"].update(id="other"), "Server 'web': its id is 'other'"),
        (lambda f: f["Server"]["web"].update(name=7), "Server 'web': name: a text is expected"),
        (
            lambda f: f["Server"]["web"].update(storage="nowhere"),
            "Server 'web': storage: no Storage has the id 'nowhere'",
        ),
        (
            lambda f: f["Server"]["web"].update(compute=q(1, "kilogram")),
            "Server 'web': compute: 'kilogram' does not measure",
        ),
        (lambda f: f["GPUServer"].update(web=server("GPUServer", None)), "GPUServer 'web': a Server has the same id"),
        (
            lambda f: f["Job"]["api"].update(server="nowhere"),
            "Job 'api': server: no Server or GPUServer or BoaviztaCloudServer has the id 'nowhere'",
        ),
        (
            lambda f: f["Job"]["api"].update(server="disks"),
            "Job 'api': server: no Server or GPUServer or BoaviztaCloudServer has the id 'disks' (it is a Storage)",
        ),
        (lambda f: f["Job"]["api"].update(server=None), "Job 'api': server: no id is given"),
        (lambda f: f["Job"]["api"].update(server=["web"]), "Job 'api': server: an id is expected"),
        (
            lambda f: f["Job"]["api"].update(compute_needed=q(1, "gpu")),
            "Job 'api': compute_needed: 'gpu' does not measure",
        ),
        (
            lambda f: f["GPUJob"]["train"].update(compute_needed=q(1, "cpu_core")),
            "GPUJob 'train': compute_needed: 'cpu_core' does not",
        ),
        (
            lambda f: f["UsageJourneyStep"]["open"].update(jobs=["gone"]),
            "UsageJourneyStep 'open': jobs: no Job or GPUJob or VideoStreamingJob has the id 'gone'",
        ),
        (
            lambda f: f["UsageJourneyStep"]["open"].update(jobs="api"),
            "UsageJourneyStep 'open': jobs: ids are expected, found 'api'",
        ),
        (
            lambda f: f["UsageJourneyStep"]["open"].update(jobs={"api": 2}),
            "UsageJourneyStep 'open': jobs: an object with value is expected, found 2",
        ),
        (
            lambda f: f["UsageJourneyStep"]["open"].update(jobs=[["api"]]),
            "UsageJourneyStep 'open': jobs: an id is expected",
        ),
        (
            lambda f: f["System"]["system"].update(usage_patterns=["gone"]),
            "System 'system': usage_patterns: no UsagePattern has the id 'gone'",
        ),
        (
            lambda f: f["Country"]["france"].update(timezone={"zone": "Europe/Lutetia"}),
            "Country 'france': timezone: no time zone is called 'Europe/Lutetia'",
        ),
        (
            lambda f: f["Country"]["france"].update(timezone={"zone": "../../etc/passwd"}),
            "Country 'france': timezone: no time zone",
        ),
        (
            lambda f: f["Country"]["france"].update(timezone={"zone": "Europe"}),
            "Country 'france': timezone: no time zone",
        ),
        (
            lambda f: f["Country"]["france"].update(timezone={"zone": None}),
            "Country 'france': timezone: a text is expected",
        ),
        (lambda f: f["EdgeUsageJourney"]["sense"].pop("usage_span"), "EdgeUsageJourney has no usage_span: 'sense'"),
        (
            lambda f: f["RecurrentServerNeed"]["upload"].update(recurrent_volume_per_edge_device=week([1.0] * 167)),
            "RecurrentServerNeed 'upload': recurrent_volume_per_edge_device: 168 values are expected, found 167 values",
        ),
        (
            lambda f: f["RecurrentServerNeed"]["upload"].update(
                recurrent_volume_per_edge_device=week([float("nan")] * 168)
            ),
            "RecurrentServerNeed 'upload': recurrent_volume_per_edge_device: a finite number",
        ),
        (
            lambda f: f["RecurrentServerNeed"]["upload"]["recurrent_volume_per_edge_device"].update(
                recurring_values="[" * 99999
            ),
            "RecurrentServerNeed 'upload': recurrent_volume_per_edge_device: a JSON text",
        ),
        (
            lambda f: f["Device"]["laptop"]["power"].update(source=["a"]),
            "Device 'laptop': power: source: an id, a text or an object",
        ),
        (starts(compressed_values="!!!"), "no complete base64 text"),
        (starts(compressed_values=compressed([1.0] * 100)[:-3]), "no complete base64 text"),
        (starts(compressed_values=base64.b64encode(b"plain").decode()), "no zstd frame"),
        (starts(compressed_values=base64.b64encode(PACKED[:-5]).decode()), "is cut off"),
        (starts(compressed_values=base64.b64encode(PACKED + b"more").decode()), "goes on after the end"),
        (
            starts(compressed_values=base64.b64encode(zstandard.compress(b"12345")).decode()),
            "no whole number of float32",
        ),
        (starts(compressed_values=compressed([1.0, float("nan")])), "hour 1 of the series is not finite"),
        (starts(compressed_values=compressed([float("inf")])), "hour 0 of the series is not finite"),
        (starts(compressed_values=BOMB), f"more than {efootprint_file.LONGEST_SERIES} values"),
        (starts(compressed_values=[1, 2]), "a base64 text is expected"),
        (starts(unit="kilogram"), "'kilogram' does not measure the same as 'occurrence'"),
        (starts(start_date="yesterday"), "start_date: a date and hour is expected, found 'yesterday'"),
        (starts(start_date=None), "start_date: a date and hour is expected"),
        (starts(start_date="2025-01-06 00:30:00"), "start_date: a full hour is expected"),
        (
            starts(start_date="0001-01-01 00:00:00", timezone="Asia/Tokyo"),
            "start_date: '0001-01-01 00:00:00' is out of range",
        ),
        (starts(start_date="1066-01-01 00:00:00"), "not within the years 1900 to 2300"),
        (starts(timezone="Mars/Olympus"), "no time zone is called 'Mars/Olympus'"),
    ],
)
def test_a_broken_value_gets_one_clear_line(tmp_path: Path, change: Callable[[File], object], expected: str) -> None:
    lines = refusal(tmp_path, broken(change))
    assert len(lines) == 1, lines
    assert expected in lines[0]
    assert len(lines[0]) < 300


JUNK: list[object] = [
    *(None, True, 0, -1, 1.5, 10**30, 1e400, "", "x", "web", "a\nb", [], ["web"], [1], [None], [[]], {}),
    *({"value": 1}, {"value": None}, {"value": "x", "unit": "kilogram"}, {"value": 1, "unit": 7}, {"zone": 5}),
    *({"web": 1}, {"recurring_values": [None] * 168, "unit": "occurrence"}, {"source": {"id": {}}, "value": 1}),
]


def places(value: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of everything inside a JSON value."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(p for key, held in inside for p in places(held, (*path, key)))]


@pytest.mark.parametrize("seed", range(120))
def test_a_file_with_junk_in_it_is_imported_or_refused_in_lines(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    file = draw.choice([system_21, system_27])()
    *path, last = draw.choice(places(file)[1:])
    holder: Any = file
    for key in path:
        holder = holder[key]
    holder[last] = draw.choice(JUNK)
    try:
        imported(tmp_path, file)
    except InputError as refused:
        assert all(line.startswith(str(tmp_path)) and len(line) < 500 for line in str(refused).split("\n"))


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    def change(f: File) -> None:
        f["Server"]["web"]["ram"] = "x"
        f["Job"]["api"]["server"] = "y"
        f["Country"]["france"]["timezone"] = {"zone": "z"}

    assert len(refusal(tmp_path, broken(change))) == 3


def test_very_many_problems_are_counted(tmp_path: Path) -> None:
    file = broken(lambda f: f["Job"].update({f"j{i}": job("nowhere") for i in range(200)}))
    lines = refusal(tmp_path, file)
    assert len(lines) == 51
    assert lines[-1] == "and 150 more problems"


def test_a_variant_id_that_is_taken_is_refused(tmp_path: Path) -> None:
    file = broken(lambda f: with_second_fleet(f, "sense"))
    file["RecurrentServerNeed"]["upload@+6"] = copy.deepcopy(file["RecurrentServerNeed"]["upload"])
    (line,) = refusal(tmp_path, file)
    assert "'upload@+6'" in line


def test_ids_with_any_characters_survive(tmp_path: Path) -> None:
    odd = 'a, "quoted"\n../é'
    file = system_21()
    file["Job"][odd] = job("web")
    model, _ = imported(tmp_path, file)
    assert odd in table(model, "jobs")["job_id"].to_list()


# ---------------------------------------------------------------- the model folder


def test_importing_again_replaces_what_the_last_import_left(tmp_path: Path) -> None:
    model, _ = imported(tmp_path, system_21())
    smaller = broken(lambda f: f["System"]["system"].update(edge_usage_patterns=[]))
    _, report = imported(tmp_path, smaller)
    assert not (model / "edge_usage_patterns.csv").exists()
    assert "edge_usage_patterns" not in report.tables
    assert not (model / "edge_usage_pattern_starts.parquet").exists()


def test_a_table_that_was_edited_is_not_replaced_unasked(tmp_path: Path) -> None:
    model, _ = imported(tmp_path, system_21())
    edited = (model / "servers.csv").read_text().replace("300.0", "250.0")
    (model / "servers.csv").write_text(edited)
    with pytest.raises(InputError, match=r"holds servers\.csv already"):
        imported(tmp_path, system_21())
    assert (model / "servers.csv").read_text() == edited
    imported(tmp_path, system_21(), overwrite=True)
    assert table(model, "servers")["power"].to_list() == [300.0]


def test_a_table_in_the_other_format_is_replaced_on_request(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    pl.DataFrame({"server_id": ["old"]}).write_parquet(model / "servers.parquet")
    with pytest.raises(InputError, match=r"servers\.parquet"):
        imported(tmp_path, system_21())
    imported(tmp_path, system_21(), overwrite=True)
    assert not (model / "servers.parquet").exists()
    assert (model / "servers.csv").exists()


def test_other_tables_stay_with_a_warning_and_reference_data_without(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "cloud_instances.csv").write_text("provider,instance_type\n")
    _, report = imported(tmp_path, system_21())
    assert not any("also holds" in w for w in report.warnings)
    (model / "occurrences.csv").write_text("job_id\n")
    _, report = imported(tmp_path, system_21())
    assert any("also holds occurrences" in w for w in report.warnings)
    assert (model / "occurrences.csv").exists()
    assert (model / "cloud_instances.csv").exists()


def test_a_model_folder_that_is_a_file_gets_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "model").write_text("")
    with pytest.raises(InputError, match="no folder to write a model into"):
        import_efootprint(written(tmp_path, system_21()), tmp_path / "model")


# ---------------------------------------------------------------- reference cases


def cases() -> list[Path]:
    """The reference cases, where this checkout has them beside it."""
    return sorted(CASES.glob("*/system.json"))


@pytest.mark.skipif(not cases(), reason="the reference cases are not here")
@pytest.mark.parametrize("source", cases(), ids=lambda p: p.parent.name)
def test_reference_cases_give_the_references_hours(tmp_path: Path, source: Path) -> None:
    model = tmp_path / "model"
    import_efootprint(source, model)
    arrays = np.load(source.parent / "expected.npz")
    compared = 0
    for row in json.loads((source.parent / "expected.json").read_text()):
        names = {"UsagePattern": "usage_pattern_starts", "EdgeUsagePattern": "edge_usage_pattern_starts"}
        if row["attr"].startswith("utc_hourly") and row["kind"] == "hourly" and row["class"] in names:
            ours = table(model, names[row["class"]]).filter(usage_pattern_id=row["id"])
            assert ours["hour"][0] == datetime.fromisoformat(row["start"])
            assert ours["starts"].to_list() == arrays[row["arr"]].tolist()
            compared += 1
        if row["attr"] == "unitary_hourly_volume_per_usage_pattern":
            volumes = (
                table(model, "server_need_volumes").filter(server_need_id=row["id"]).sort("hour_of_week")["volume"]
            )
            first = datetime.fromisoformat(row["start"])
            at = [(first.weekday() * 24 + first.hour + i) % 168 for i in range(len(arrays[row["arr"]]))]
            assert [volumes[w] for w in at] == pytest.approx(arrays[row["arr"]].tolist(), rel=1e-6)
    assert compared


@pytest.mark.skipif(not cases(), reason="the reference cases are not here")
@pytest.mark.parametrize("source", cases(), ids=lambda p: p.parent.name)
def test_reference_cases_keep_every_object(tmp_path: Path, source: Path) -> None:
    report = import_efootprint(source, tmp_path / "model")
    file = json.loads(source.read_text())
    said = "\n".join(report.warnings)
    for kind, held in file.items():
        if kind in ("efootprint_version", "Sources", "System", "EdgeFunction", *IMPORTED):
            continue
        assert all(repr(i) in said for i in held), kind
    assert "not read" not in said
    assert "not in the file" not in said
