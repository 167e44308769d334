"""Small whole models drawn by hypothesis, written as a model folder, computed, and held against the naive reference.

A model is a dict of table name to rows (dicts), as tests/reference.py takes it: hours are aware UTC datetimes, hours of starts are naive
(UTC or civil time, as the pattern's clock says). `outputs` runs the pipeline over it, `differences` lists where two sets of outputs differ.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from pathlib import Path
from typing import Any
from unittest import mock

import polars as pl
from hypothesis import strategies as st

from pipeline import catalog, run, script, settings, storage
from pipeline.tables import INPUTS, OUTPUTS

Row = dict[str, Any]


class Tables(dict[str, list[Row]]):
    """Table name to rows, printed so that a failing example stays readable."""

    def __repr__(self) -> str:
        def shown(name: str, rows: list[Row]) -> str:
            if name in ("carbon_intensity", "server_need_volumes"):
                return f"{name}: {len(rows)} rows from {rows[:3]}"
            return f"{name}:\n" + "\n".join(f"  { ({c: v for c, v in r.items() if v is not None}) }" for r in rows)

        return "\n".join(shown(name, rows) for name, rows in self.items())


HOUR = timedelta(hours=1)
BASES = [
    datetime(2025, 1, 6),  # a Monday
    datetime(2025, 3, 29, 12),  # Paris: 23 hours on the 30th
    datetime(2025, 10, 25, 18),  # Paris: 25 hours on the 26th
    datetime(2025, 4, 5, 2),  # Lord Howe goes back half an hour, Sydney a whole one
    datetime(2024, 2, 28, 20),  # leap day
]
ZONES = [
    "UTC",
    "Europe/Paris",
    "Asia/Kolkata",
    "Asia/Kabul",
    "Australia/Lord_Howe",
    "America/Santiago",
    "Asia/Kathmandu",
]
SECONDS = [0.0, 1.0, 100.0, 900.0, 1800.0, 3599.9999999999995, 3600.0, 5400.0, 7200.0, 9000.5, 25200.0, 100000.0]
AMOUNTS = st.sampled_from([0.0, 0.125, 0.5, 1.0, 2.0, 3.0])
TIMES = st.sampled_from([1.0, 1.0, 1.0, 2.0, 0.5, 3.0])
COUNTS = st.one_of(st.integers(0, 6).map(float), st.sampled_from([0.0, 0.0, 0.1, 1000.0]))

KEYS = {name: table.key for name, table in OUTPUTS.items()} | {
    "repartition.footprint": [
        "source_kind",
        "source_id",
        "phase",
        "stream",
        "job_id",
        "container_id",
        "usage_pattern_id",
        "hour",
    ],
    "need.job": ["server_id", "job_id", "usage_pattern_id", "hour"],
}
SUMMED = {"repartition.footprint", "energy.network"}
"""An observed application may run on several servers: then one key stands in several rows, to be summed."""


# ---------------------------------------------------------------- drawing


def _subset(draw: st.DrawFn, values: list[str], least: int = 0, most: int = 3) -> list[str]:
    if not values:
        return []
    return draw(st.lists(st.sampled_from(values), min_size=min(least, len(values)), max_size=most, unique=True))


def _ids(draw: st.DrawFn, prefix: str, least: int, most: int) -> list[str]:
    return [f"{prefix}{i}" for i in range(draw(st.integers(least, most)))]


def _seldom(draw: st.DrawFn, value: Any, otherwise: Any = None) -> Any:
    return draw(st.sampled_from([otherwise, otherwise, otherwise, value]))


def _series(draw: st.DrawFn, base: datetime) -> list[tuple[datetime, float]]:
    """A few hours, some of them missing in between."""
    first = base + draw(st.integers(0, 30)) * HOUR
    values = draw(st.lists(st.one_of(COUNTS, COUNTS, COUNTS, st.none()), min_size=1, max_size=8))
    return [(first + i * HOUR, v) for i, v in enumerate(values) if v is not None]


def _servers(draw: st.DrawFn, tables: Tables) -> list[str]:
    names = _ids(draw, "server", 1, 4)
    storages = _ids(draw, "storage", 0, 3)
    free = list(storages)
    for name in names:
        kind = draw(st.sampled_from(["servers", "servers", "servers", "gpu_servers", "cloud_servers"]))
        server_type = draw(st.sampled_from(["autoscaling", "serverless", "on-premise", "on-premise"]))
        zone = _seldom(draw, "grid")
        row: Row = {
            "server_id": name, "server_type": server_type, "lifespan": draw(st.sampled_from([1.0, 6.0])),
            "power_usage_effectiveness": draw(st.sampled_from([None, 1.25])),
            "average_carbon_intensity": _seldom(draw, None, 85.0) if zone else 300.0, "zone": zone,
            "utilization_rate": draw(st.sampled_from([None, 0.5, 0.9])), "base_ram_consumption": _seldom(draw, 0.25),
            "base_compute_consumption": _seldom(draw, 0.125),
            "fixed_nb_of_instances": _seldom(draw, draw(st.sampled_from([1, 4, 2000]))) if server_type == "on-premise" else None,
            "storage_id": free.pop() if free and draw(st.booleans()) else None,
        }  # fmt: skip
        compute = draw(st.sampled_from([1.0, 4.0, 16.0]))
        ram = draw(
            st.sampled_from([2.2, 8.8, 141.0])
        )  # never in a simple proportion to compute: noise must not decide which one binds
        if kind == "servers":
            unit = _seldom(draw, "gpu", "cpu_core")
            row |= {"compute_unit": unit, "carbon_footprint_fabrication": 600.0, "power": 300.0,
                    "idle_power": draw(st.sampled_from([0.0, 50.0, 400.0])), "ram": ram, "compute": compute}  # fmt: skip
        elif kind == "gpu_servers":
            row |= {"gpu_power": 400.0, "gpu_idle_power": 50.0, "ram_per_gpu": ram, "carbon_footprint_fabrication_per_gpu": 150.0,
                    "carbon_footprint_fabrication_without_gpu": 2500.0, "compute": compute}  # fmt: skip
        else:
            tables["cloud_instances"] = [{"provider": "cloud", "instance_type": "small", "power": 120.0, "ram": 4.4, "compute": 2.0,
                                          "carbon_footprint_fabrication": 900.0}]  # fmt: skip
            row |= {"provider": "cloud", "instance_type": "small", "idle_power": draw(st.sampled_from([None, 20.0]))}
        tables.setdefault(kind, []).append(row)
    for name in storages:
        tables.setdefault("storages", []).append({
            "storage_id": name, "storage_capacity": draw(st.sampled_from([0.5, 1.0, 100.0])),
            "carbon_footprint_fabrication_per_storage_capacity": 160.0, "data_replication_factor": draw(st.sampled_from([1.0, 3.0])),
            "data_storage_duration": draw(st.sampled_from([0.0, 0.5, 1.0, 3.0, 5.000000000001, 24.0, 8766.0])), "lifespan": 6.0,
            "base_storage_need": draw(st.sampled_from([None, 0.0, 0.3])), "fixed_nb_of_instances": _seldom(draw, draw(st.sampled_from([1, 5, 900]))),
        })  # fmt: skip
    return names


def _jobs(draw: st.DrawFn, tables: Tables, servers: list[str]) -> list[str]:
    services = _ids(draw, "service", 0, 3)
    streaming = []
    with_gpus = {
        r["server_id"]
        for n in ("servers", "gpu_servers")
        for r in tables.get(n, [])
        if r.get("compute_unit") != "cpu_core"
    }
    with_cores = [s for s in servers if s not in with_gpus]  # streams are delivered by cores
    for name in services:
        if with_cores and _seldom(draw, True):
            streaming.append(name)
            tables.setdefault("video_streaming_services", []).append({
                "service_id": name, "server_id": draw(st.sampled_from(with_cores)), "base_ram_consumption": draw(AMOUNTS) / 16,
                "bits_per_pixel": 0.1, "static_delivery_cpu_cost": 4.0, "ram_buffer_per_user": 50.0,
            })  # fmt: skip
            continue
        tables.setdefault("services", []).append({
            "service_id": name, "server_id": draw(st.sampled_from(servers)), "base_ram_consumption": draw(AMOUNTS) / 16,
            "base_compute_consumption": draw(AMOUNTS) / 32,
        })  # fmt: skip
    plain = [s for s in services if s not in streaming]
    names = _ids(draw, "job", 1, 5)
    for name in names:
        if streaming and _seldom(draw, True):
            tables.setdefault("video_streaming_jobs", []).append({
                "job_id": name, "service_id": draw(st.sampled_from(streaming)), "resolution": "1080p (1920 x 1080)",
                "video_duration": draw(st.sampled_from(SECONDS)), "refresh_rate": 30.0, "data_stored": draw(AMOUNTS) * 1e5,
            })  # fmt: skip
            continue
        service = draw(st.sampled_from([None, None, *plain])) if plain else None
        tables.setdefault("jobs", []).append({
            "job_id": name, "server_id": None if service else draw(st.sampled_from(servers)), "service_id": service,
            "data_transferred": draw(AMOUNTS) * 100, "data_stored": draw(AMOUNTS) * 1e5, "request_duration": draw(st.sampled_from(SECONDS)),
            "compute_needed": draw(AMOUNTS), "ram_needed": draw(AMOUNTS),
        })  # fmt: skip
    return names


def _countries(draw: st.DrawFn, tables: Tables) -> tuple[list[str], list[str], list[str]]:
    countries, networks, devices = _ids(draw, "country", 1, 3), _ids(draw, "network", 1, 2), _ids(draw, "device", 0, 2)
    for name in countries:
        zone = _seldom(draw, "grid")
        average = _seldom(draw, None, 60.0) if zone else draw(st.sampled_from([0.0, 60.0, 500.0]))
        tables.setdefault("countries", []).append(
            {
                "country_id": name,
                "average_carbon_intensity": average,
                "zone": zone,
                "timezone": draw(st.sampled_from(ZONES)),
            }
        )
    for name in networks:
        tables.setdefault("networks", []).append(
            {"network_id": name, "bandwidth_energy_intensity": draw(st.sampled_from([0.0, 0.05]))}
        )
    for name in devices:
        tables.setdefault("devices", []).append({
            "device_id": name, "carbon_footprint_fabrication": 156.0, "power": draw(st.sampled_from([0.0, 50.0])), "lifespan": 6.0,
            "fraction_of_usage_time": draw(st.sampled_from([7.0, 24.0])),
        })  # fmt: skip
    return countries, networks, devices


def _journeys(draw: st.DrawFn, tables: Tables, jobs: list[str]) -> list[str]:
    steps, journeys = _ids(draw, "step", 1, 4), _ids(draw, "journey", 1, 3)
    for name in steps:
        tables.setdefault("usage_steps", []).append(
            {"usage_journey_step_id": name, "user_time_spent": draw(st.sampled_from(SECONDS))}
        )
        for job in _subset(draw, jobs):
            tables.setdefault("usage_step_jobs", []).append(
                {"usage_journey_step_id": name, "job_id": job, "times_per_step": draw(TIMES)}
            )
    for name in journeys:
        stands = draw(st.lists(st.sampled_from(steps), min_size=1, max_size=4))
        for position, step in enumerate(stands):
            tables.setdefault("usage_journey_steps", []).append(
                {
                    "usage_journey_id": name,
                    "position": position * 10,
                    "usage_journey_step_id": step,
                    "times_per_journey": draw(TIMES),
                }
            )
    return journeys


def _patterns(draw: st.DrawFn, tables: Tables, jobs: list[str], base: datetime) -> list[str]:
    countries, networks, devices = _countries(draw, tables)
    patterns, edge_patterns = _ids(draw, "pattern", 0, 3), _ids(draw, "edge", 0, 2)
    journeys = _journeys(draw, tables, jobs) if patterns else []

    def clocked(name: str) -> Row:
        return {"usage_pattern_id": name, "network_id": draw(st.sampled_from(networks)), "country_id": draw(st.sampled_from(countries)),
                "clock": draw(st.sampled_from([None, "utc", "local", "local"]))}  # fmt: skip

    for name in patterns:
        tables.setdefault("usage_patterns", []).append(clocked(name))
        for journey in _subset(draw, journeys):
            tables.setdefault("usage_pattern_journeys", []).append(
                {"usage_pattern_id": name, "usage_journey_id": journey, "times_per_start": draw(TIMES)}
            )
        for device in _subset(draw, devices):
            tables.setdefault("usage_pattern_devices", []).append(
                {"usage_pattern_id": name, "device_id": device, "count": draw(TIMES)}
            )
        starts = _series(draw, base)
        tables.setdefault("usage_pattern_starts", []).extend(
            {"usage_pattern_id": name, "hour": h, "starts": v} for h, v in starts
        )
    edge_journeys = _edge_journeys(draw, tables, jobs) if edge_patterns else []
    for name in edge_patterns:
        span = draw(st.sampled_from([0.0, 0.5, 1.0, 5.0, 24.25]))
        tables.setdefault("edge_usage_patterns", []).append({**clocked(name), "usage_span": span})
        for journey in _subset(draw, edge_journeys):
            tables.setdefault("edge_usage_pattern_journeys", []).append(
                {"usage_pattern_id": name, "edge_usage_journey_id": journey, "times_per_deployment": draw(TIMES)}
            )
        starts = _series(draw, base)
        tables.setdefault("edge_usage_pattern_starts", []).extend(
            {"usage_pattern_id": name, "hour": h, "starts": v} for h, v in starts
        )
    return patterns + edge_patterns


def _edge_journeys(draw: st.DrawFn, tables: Tables, jobs: list[str]) -> list[str]:
    needs, journeys = _ids(draw, "need", 1, 2), _ids(draw, "edgejourney", 1, 2)
    for name in needs:
        typical = draw(st.lists(COUNTS, min_size=1, max_size=5))
        tables.setdefault("server_need_volumes", []).extend(
            {"server_need_id": name, "hour_of_week": h, "volume": typical[h % len(typical)]} for h in range(168)
        )
        for job in _subset(draw, jobs):
            tables.setdefault("server_need_jobs", []).append(
                {"server_need_id": name, "job_id": job, "times_per_occurrence": draw(TIMES)}
            )
    for name in journeys:
        for need in _subset(draw, needs, least=1):
            tables.setdefault("edge_usage_journey_needs", []).append(
                {"edge_usage_journey_id": name, "server_need_id": need, "times_per_journey": draw(TIMES)}
            )
    return journeys


def _direct(draw: st.DrawFn, tables: Tables, jobs: list[str], patterns: list[str], base: datetime) -> None:
    pairs = [("direct", "tray"), ("direct", "basket")] + [(p, "tray") for p in patterns]
    for job in _subset(draw, jobs):
        for pattern, container in draw(st.lists(st.sampled_from(pairs), max_size=2, unique=True)):
            tables.setdefault("occurrences", []).extend(
                {
                    "job_id": job,
                    "usage_pattern_id": pattern,
                    "container_id": container,
                    "hour": h.replace(tzinfo=UTC),
                    "occurrences": v,
                }
                for h, v in _series(draw, base)
            )
    if draw(st.booleans()):
        tables["container_weights"] = [
            {"container_id": "tray", "hour": h.replace(tzinfo=UTC), "fabrication_weight": v, "usage_weight": 80 * v}
            for h, v in _series(draw, base)
        ]


def _runs(draw: st.DrawFn, tables: Tables, servers: list[str], patterns: list[str], base: datetime) -> None:
    instants = st.integers(0, 40 * 3600_000).map(lambda ms: base.replace(tzinfo=UTC) + timedelta(milliseconds=ms))
    minutes = st.integers(0, 40 * 4).map(lambda quarters: base.replace(tzinfo=UTC) + timedelta(minutes=15 * quarters))
    for i in range(draw(st.integers(0, 6))):
        moments = sorted(draw(st.tuples(*[st.one_of(instants, minutes)] * 3)))
        how = draw(st.sampled_from(["done", "done", "done", "open", "queued", "pieces"]))
        row: Row = {
            "run_id": f"run{i}", "source": "slurm", "server_id": draw(st.sampled_from(servers)),
            "application": draw(st.sampled_from(["app1", "app2"])), "project": draw(st.sampled_from(["physics", *patterns])),
            "user": draw(st.sampled_from(["ann", "bob"])), "submitted_at": moments[0], "started_at": moments[1], "ended_at": moments[2],
            "cpu_cores": draw(st.sampled_from([0.0, 0.5, 1.0, 1 / 3])), "gpus": draw(st.sampled_from([0.0, 1.0])),
            "ram": draw(st.sampled_from([0.0, 1.0, 2.1])), "data_transferred": draw(AMOUNTS), "data_stored": draw(AMOUNTS) * 1e5,
        }  # fmt: skip
        if how in ("open", "queued"):
            row["ended_at"] = None
        if how == "queued":
            row["started_at"] = None
        if how == "pieces":
            cut = sorted(draw(st.lists(instants, min_size=4, max_size=4)))
            tables.setdefault("job_run_intervals", []).extend(
                {"run_id": f"run{i}", "interval_no": n, "started_at": cut[2 * n], "ended_at": cut[2 * n + 1]}
                for n in range(2)
            )
            row |= {"submitted_at": min(cut[0], moments[0]), "started_at": cut[0], "ended_at": cut[3]}
        tables.setdefault("job_runs", []).append(row)


@st.composite
def models(draw: st.DrawFn) -> Tables:
    """A whole small model: anything MODEL.md speaks of, or only some of it."""
    tables = Tables()
    base = draw(st.sampled_from(BASES))
    servers = _servers(draw, tables)
    jobs = _jobs(draw, tables, servers)
    patterns = _patterns(draw, tables, jobs, base) if draw(st.booleans()) or draw(st.booleans()) else []
    if draw(st.booleans()):
        _direct(draw, tables, jobs, patterns, base)
    if draw(st.booleans()):
        _runs(draw, tables, servers, patterns, base)
    if not any(
        tables.get(name) for name in ("occurrences", "usage_pattern_starts", "edge_usage_pattern_starts", "job_runs")
    ):
        hour = base.replace(tzinfo=UTC)
        names = {"job_id": jobs[0], "usage_pattern_id": "direct", "container_id": "tray"}
        tables["occurrences"] = [{**names, "hour": hour, "occurrences": draw(COUNTS)}]
    if any(
        r.get("zone") for name in ("servers", "gpu_servers", "cloud_servers", "countries") for r in tables.get(name, [])
    ):
        cycle = draw(st.lists(st.sampled_from([0.0, 20.0, 85.5, 700.0]), min_size=1, max_size=3))
        start = base.replace(tzinfo=UTC) - 48 * HOUR
        tables["carbon_intensity"] = [
            {"zone": "grid", "hour": start + i * HOUR, "carbon_intensity": cycle[i % len(cycle)]} for i in range(600)
        ]
    return Tables({name: rows for name, rows in tables.items() if rows})


# ---------------------------------------------------------------- computing


def frame(name: str, rows: list[Row]) -> pl.DataFrame:
    """The rows as a frame in the dictionary's types, with the columns that occur in them."""
    schema = INPUTS[name].polars_schema()
    present = [c for c in schema if any(c in r for r in rows)]
    return pl.DataFrame([{c: r.get(c) for c in present} for r in rows], schema={c: schema[c] for c in present})


def write(tables: Tables, folder: Path, file_format: str = "csv") -> Path:
    """A model folder of the tables."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in tables.items():
        if file_format == "csv":
            frame(name, rows).write_csv(folder / f"{name}.csv")
        else:
            frame(name, rows).write_parquet(folder / f"{name}.parquet")
    return folder


def outputs(tables: Tables, folder: Path, file_format: str = "csv", **flags: Any) -> dict[str, pl.DataFrame]:
    """All output tables of a run over the tables."""
    return run_folder(write(tables, folder / "model", file_format), folder / "out", **flags)


def run_folder(model: Path, out: Path, **flags: Any) -> dict[str, pl.DataFrame]:
    """All output tables of a run, read back from Parquet; without the views and checks that the run would make and do."""
    with (
        mock.patch.object(catalog, "failing_checks", return_value={}),
        mock.patch.object(script, "write"),
    ):
        run.run(model, out, settings.load(None, flags))
    return {name: read(out / "current", name) for name in OUTPUTS}


def read(root: Path, name: str) -> pl.DataFrame:
    """One output table as published."""
    return pl.concat([pl.read_parquet(f) for f in sorted(storage.table_folder(root, name).glob("*.parquet"))])


# ---------------------------------------------------------------- comparing

Keyed = dict[tuple[Any, ...], Row]


def keyed(name: str, rows: Iterable[Row]) -> Keyed:
    """Rows by their key; a repeated key is an error, except where rows are to be summed."""
    found: Keyed = {}
    for row in rows:
        key = tuple(row[k] for k in KEYS[name])
        if key not in found:
            found[key] = dict(row)
        elif name in SUMMED:
            for column, value in row.items():
                if isinstance(value, float):
                    found[key][column] += value
        else:
            raise AssertionError(f"{name}: {key} stands in two rows")
    return found


def values_of(row: Row) -> Row:
    """The numbers of a row."""
    return {c: v for c, v in row.items() if isinstance(v, (int, float)) and not isinstance(v, bool)}


def scales(*sides: Keyed) -> dict[str, float]:
    """The largest size of every column: what rounding noise is small against."""
    largest: dict[str, float] = defaultdict(float)
    for side in sides:
        for row in side.values():
            for column, value in values_of(row).items():
                largest[column] = max(largest[column], abs(value))
    return largest


def same(left: Any, right: Any, scale: Callable[[], float], rel: float) -> bool:
    """Whether two values agree; None only with None."""
    if left == right:
        return True
    if isinstance(left, (int, float)) and isinstance(right, (int, float)):
        return math.isclose(left, right, rel_tol=rel) or math.isclose(
            left, right, rel_tol=rel, abs_tol=rel * 1e-4 * scale()
        )
    return False


def by_job(rows: Iterable[Row]) -> Iterable[Row]:
    """repartition.footprint with the cells of observed applications put together.

    With attribution_key = binding the pipeline splits an application among its users by the binding resource, the reference by weight.
    """
    cells = {"container_id": "all", "usage_pattern_id": "all"}
    return [row | cells if row["job_id"] in OBSERVED and row["source_kind"] == "server" else row for row in rows]


def differences(
    name: str, expected: Iterable[Row], found: Iterable[Row], rel: float = 1e-9, *, strict: bool = False
) -> list[str]:
    """Where two versions of a table differ: rows that only one side has (unless `may_be_absent`; never if strict), and values."""
    left, right = keyed(name, expected), keyed(name, found)
    scale = cache(lambda: scales(left, right))  # seldom asked for, and slow

    def size(column: str) -> float:
        return scale()[column]

    problems = []
    for key in {**left, **right}:
        a, b = left.get(key), right.get(key)
        if a is None or b is None:
            only, side = (a, "expected") if b is None else (b, "found")
            assert only is not None
            if strict or not may_be_absent(name, only, scale, rel, expected=b is None):
                problems.append(f"{name} {key}: only {side}: {values_of(only)}")
            continue
        for column in a.keys() & b.keys():
            if not same(a[column], b[column], partial(size, column), rel):
                problems.append(f"{name} {key} {column}: expected {a[column]!r}, found {b[column]!r}")
    return problems


OBSERVED = {"app1", "app2"}


def may_be_absent(name: str, row: Row, scale: Callable[[], dict[str, float]], rel: float, *, expected: bool) -> bool:
    """Rows of nothing that the contract lets one side leave out.

    repartition.footprint: rows of 0 kg. Observed runs: tables by job list the hours in which something runs, the reference all hours.
    Found only: hours between the first and last of a series, which are zeros (MODEL.md 2) and which the reference does not list.
    """
    if name == "repartition.footprint":
        return abs(row["footprint"]) <= rel * 1e-4 * scale()["footprint"]
    own = ["weight", "fabrication_weight", "usage_weight"] if name.startswith("repartition.") else list(values_of(row))
    nothing = all(not row.get(c) for c in own)
    if expected:
        return nothing and row.get("job_id") in OBSERVED
    return nothing and name in ("need.occurrence", "need.service", "repartition.job", "energy.device")
