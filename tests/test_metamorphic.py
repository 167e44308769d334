"""What must not change, or change in a known way, when a model is changed: no reference needed."""

import copy
import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import polars as pl
import pytest

from tests import models
from tests.models import Tables
from tests.whole import WHOLE

Found = dict[str, pl.DataFrame]
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Found:
    return models.outputs(WHOLE, tmp_path_factory.mktemp("before"))


def changed(change: Callable[[Tables], Any]) -> Tables:
    tables = copy.deepcopy(WHOLE)
    change(tables)
    return tables


def assert_same(one: Found, other: Found, rel: float = 1e-12) -> None:
    problems = [
        p
        for name in one
        for p in models.differences(
            name, one[name].iter_rows(named=True), other[name].iter_rows(named=True), rel, strict=True
        )
    ]
    assert not problems, "\n".join([f"{len(problems)} differences", *problems[:8]])


def total(found: Found, table: str, column: str, **where: str) -> float:
    rows = found[table]
    for name, value in where.items():
        rows = rows.filter(pl.col(name) == value)
    return float(rows[column].sum())


# ---------------------------------------------------------------- usage


def scaled(tables: Tables, factor: float) -> None:
    for name, column in (
        ("usage_pattern_starts", "starts"),
        ("edge_usage_pattern_starts", "starts"),
        ("occurrences", "occurrences"),
    ):
        for row in tables[name]:
            row[column] *= factor
    tables.pop("job_runs")


def test_twice_the_usage_is_twice_the_need(tmp_path):
    once = models.outputs(changed(lambda t: scaled(t, 1)), tmp_path / "once")
    twice = models.outputs(changed(lambda t: scaled(t, 2)), tmp_path / "twice")
    doubled = {
        name: frame.with_columns(pl.selectors.float() * 2) if name != "need.storage" else frame
        for name, frame in once.items()
        if name.startswith("need.") and name != "need.run"
    }
    base = doubled.pop("need.storage").rename({"full_cumulative_storage_need": "once"})
    assert_same(doubled, {name: twice[name] for name in doubled})
    both = base.join(twice["need.storage"], on=["storage_id", "hour"])
    needs = {r["storage_id"]: r.get("base_storage_need") or 0.0 for r in WHOLE["storages"]}
    for storage, kept, more in both.select("storage_id", "once", "full_cumulative_storage_need").iter_rows():
        assert more - needs[storage] == pytest.approx(2 * (kept - needs[storage]), rel=1e-12)


def shifted(tables: Tables, hours: int) -> None:
    """Every hour of every table later, all clocks being UTC (clocks that change would be another model)."""
    for rows in tables.values():
        for row in rows:
            row.update({c: v + hours * HOUR for c, v in row.items() if c.endswith(("hour", "_at")) and v is not None})
            if "clock" in row:
                row["clock"] = "utc"


def test_everything_four_weeks_later_is_the_same_four_weeks_later(tmp_path):
    hours = 4 * 168
    now = models.outputs(changed(lambda t: shifted(t, 0)), tmp_path / "now")
    later = models.outputs(changed(lambda t: shifted(t, hours)), tmp_path / "later")
    moved = {
        n: f.with_columns(pl.col("hour") + timedelta(hours=hours)) if "hour" in f.columns else f for n, f in now.items()
    }
    assert_same(moved, later)


def test_a_job_in_two_halves_takes_the_same_of_its_server(tmp_path, before):
    def split(tables: Tables) -> None:
        whole = next(r for r in tables["jobs"] if r["job_id"] == "get")
        for column in ("data_transferred", "data_stored", "compute_needed", "ram_needed"):
            whole[column] /= 2
        tables["jobs"].append({**whole, "job_id": "get2"})
        for name in ("usage_step_jobs", "server_need_jobs", "occurrences"):
            tables[name] += [{**r, "job_id": "get2"} for r in tables[name] if r["job_id"] == "get"]

    found = models.outputs(changed(split), tmp_path)
    for name in (
        "need.server",
        "need.storage",
        "instances.server",
        "instances.storage",
        "energy.server",
        "energy.storage",
    ):
        assert_same({name: before[name]}, {name: found[name]})
    for column in ("energy", "energy_footprint"):
        assert total(found, "energy.network", column) == pytest.approx(
            total(before, "energy.network", column), rel=1e-12
        )


def test_another_job_never_lowers_an_on_premise_count(tmp_path, before):
    def add(tables: Tables) -> None:
        for server in ("metal", "rack"):
            tables["jobs"].append(
                {**tables["jobs"][0], "job_id": f"more_{server}", "server_id": server, "service_id": None}
            )
            tables["occurrences"] += [{**r, "job_id": f"more_{server}"} for r in tables["occurrences"][:3]]

    found = models.outputs(changed(add), tmp_path)
    counts = [
        dict(f["instances.server"].group_by("server_id").agg(pl.col("nb_of_instances").max()).iter_rows())
        for f in (before, found)
    ]
    on_premise = [r["server_id"] for r in WHOLE["servers"] if r["server_type"] == "on-premise"]
    assert on_premise
    assert all(counts[1][s] >= counts[0][s] for s in on_premise)


# ---------------------------------------------------------------- spelling

RENAMED = {"server_id", "service_id", "job_id", "storage_id", "country_id", "network_id", "device_id", "usage_pattern_id",
           "usage_journey_id", "usage_journey_step_id", "edge_usage_journey_id", "server_need_id", "container_id", "zone",
           "application", "project", "user", "run_id"}  # fmt: skip
SHOWN_IDS = [*RENAMED, "source_id", "journey_id"]


def test_other_ids_change_nothing_but_the_ids(tmp_path, before):
    def new(name: str) -> str:
        return f"{name[::-1]}/=%'\" \u202e\u00e9\u0301 ../{name}"

    def rename(tables: Tables) -> None:
        for rows in tables.values():
            for row in rows:
                row.update({c: new(v) for c, v in row.items() if c in RENAMED and v is not None})

    found = models.outputs(changed(rename), tmp_path)
    renamed = {
        name: frame.with_columns(
            pl.col(c).map_elements(new, return_dtype=pl.String) for c in SHOWN_IDS if c in frame.columns
        )
        for name, frame in before.items()
    }
    assert_same(renamed, found)


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_the_order_of_rows_and_the_format_of_files_change_nothing(tmp_path, before, file_format):
    def shuffle(tables: Tables) -> None:
        for rows in tables.values():
            random.Random(5).shuffle(rows)

    assert_same(before, models.outputs(changed(shuffle), tmp_path, file_format))


SPELLINGS = {
    ("servers", "power"): ("power [kW]", 1 / 1000), ("servers", "ram"): ("ram [MB_ram]", 1000), ("servers", "lifespan"): ("lifespan [day]", 365.25),
    ("servers", "carbon_footprint_fabrication"): ("carbon_footprint_fabrication [tCO2e]", 1 / 1000),
    ("servers", "utilization_rate"): ("utilization_rate [%]", 100),
    ("servers", "average_carbon_intensity"): ("average_carbon_intensity [kg/kWh]", 1 / 1000),
    ("jobs", "data_transferred"): ("data_transferred [GB]", 1 / 1000), ("jobs", "data_stored"): ("data_stored [kB_stored]", 1000),
    ("jobs", "request_duration"): ("request_duration [ms]", 1000), ("jobs", "ram_needed"): ("ram_needed [MB_ram]", 1000),
    ("storages", "data_storage_duration"): ("data_storage_duration [min]", 60), ("storages", "storage_capacity"): ("storage_capacity [GB_stored]", 1000),
    ("usage_steps", "user_time_spent"): ("user_time_spent [min]", 1 / 60), ("edge_usage_patterns", "usage_span"): ("usage_span [d]", 1 / 24),
    ("devices", "fraction_of_usage_time"): ("fraction_of_usage_time [min/day]", 60), ("networks", "bandwidth_energy_intensity"): ("bandwidth_energy_intensity [Wh/MB]", 1),
}  # fmt: skip


@pytest.mark.parametrize("per_cell", [False, True])
def test_the_spelling_of_units_changes_nothing_but_the_last_digits(tmp_path, before, per_cell):
    folder = models.write(WHOLE, tmp_path / "model")
    for name in {table for table, _ in SPELLINGS}:
        frame = models.frame(name, WHOLE[name])
        for (table, column), (spelled, factor) in SPELLINGS.items():
            if table != name:
                continue
            scaled = pl.col(column) * factor
            if per_cell:
                unit = spelled.partition("[")[2].rstrip("]")
                text = pl.when(pl.col(column).is_not_null()).then(scaled.cast(pl.String) + pl.lit(f" {unit}"))
                frame = frame.with_columns(text.alias(column))
            else:
                frame = frame.with_columns(scaled).rename({column: spelled})
        frame.write_csv(folder / f"{name}.csv")
    assert_same(before, models.run_folder(folder, tmp_path / "out"), rel=1e-9)


# ---------------------------------------------------------------- settings


def test_a_constant_hourly_intensity_is_bit_for_bit_the_average(tmp_path):
    grey = {"fr": 85.3, "de": 417.7}

    def average(tables: Tables) -> None:
        tables.pop("carbon_intensity")
        for name in ("servers", "gpu_servers", "countries"):
            for row in tables[name]:
                row.update({"average_carbon_intensity": grey[row.get("zone") or "fr"], "zone": row.get("zone") or "fr"})

    def hourly(tables: Tables) -> None:
        first = min(r["hour"] for r in tables["carbon_intensity"])
        average(tables)
        for name in ("servers", "gpu_servers", "countries"):
            for row in tables[name]:
                row["average_carbon_intensity"] = None
        tables["carbon_intensity"] = [
            {"zone": zone, "hour": first + i * HOUR, "carbon_intensity": value}
            for zone, value in grey.items()
            for i in range(800)
        ]

    one = models.outputs(changed(average), tmp_path / "average")
    other = models.outputs(changed(hourly), tmp_path / "hourly")
    assert one["repartition.footprint"].height > 100
    for name, frame in one.items():
        kept = [c for c in frame.columns if c not in ("carbon_intensity_source", "average_carbon_intensity")]
        if name == "repartition.footprint" or name.startswith("energy."):
            key = models.KEYS[name]
            assert_same({name: frame.select(kept)}, {name: other[name].select(kept)}, rel=1e-15)
            assert frame.select(key).height == other[name].select(key).height


@pytest.mark.parametrize("key", ["weight", "binding"])
def test_all_that_is_attributed_is_all_that_is_emitted(tmp_path, key):
    found = models.outputs(WHOLE, tmp_path, attribution_key=key)
    emitted = sum(
        total(found, table, column)
        for table, column in [
            ("energy.server", "energy_footprint"), ("energy.server", "instances_fabrication_footprint"),
            ("energy.storage", "instances_fabrication_footprint"), ("energy.network", "energy_footprint"),
            ("energy.device", "energy_footprint"), ("energy.device", "instances_fabrication_footprint"),
        ]
    )  # fmt: skip
    assert total(found, "repartition.footprint", "footprint") == pytest.approx(emitted, rel=1e-11)


@pytest.mark.parametrize(("grain", "every"), [("day", "1d"), ("month", "1mo")])
def test_a_coarser_grain_holds_the_sums_of_the_hours(tmp_path, before, grain, every):
    found = models.outputs(WHOLE, tmp_path, attribution_grain=grain)
    for table, values in {"repartition.footprint": ["footprint"], "repartition.job": SUMMED}.items():
        key = models.KEYS[table]
        hourly = before[table].with_columns(pl.col("hour").dt.truncate(every))
        summed = hourly.group_by(key).agg(pl.col(v).sum() for v in values)
        coarse = found[table].select(*key, *values)
        assert coarse.select(key).is_duplicated().sum() == 0
        assert_same({table: summed}, {table: coarse}, rel=1e-11)


SUMMED = ["fabrication_weight", "usage_weight"]


def test_base_columns_are_the_same_without_the_others(tmp_path, before):
    base = models.outputs(WHOLE, tmp_path, columns="base")
    left_out = {
        "need.job": ["data_transferred", "data_stored", "compute_need", "ram_need"],
        "repartition.server": ["weight", "weight_sum"],
    }
    for name, columns in left_out.items():
        assert base[name].columns == [c for c in before[name].columns if c not in columns]
    assert_same({n: f.drop(left_out.get(n, [])) for n, f in before.items()}, base)
