"""Every view and macro of sql/ answers on real runs, with the numbers of the tables."""

from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from polars import col

from pipeline import catalog, views
from pipeline.errors import PipelineError
from pipeline.tables import OUTPUTS
from tests.sql.published import publish, rows_of

CALLS = {
    "sci": "sci('jobs')",
    "sci_monthly": "sci_monthly('jobs')",
    "right_sizing": "right_sizing()",
    "carbon_shift": "carbon_shift(-2, 2)",
    "carbon_shift_of_users": "carbon_shift_of_users(-2, 2)",
}
LIBRARY = {v.view: v for v in views.library()}


def called(view: str) -> str:
    return CALLS.get(view, view)


@cache
def connected(out: Path) -> duckdb.DuckDBPyConnection:
    return catalog.connect(catalog.run_directory(out))


def ask(out: Path, sql: str) -> pl.DataFrame:
    return pl.DataFrame(pl.from_arrow(catalog.run_sql(connected(out), sql)))


def one(out: Path, sql: str) -> Any:
    return ask(out, sql).item()


@pytest.mark.parametrize("view", LIBRARY)
def test_answers_with_rows(out: Path, view: str) -> None:
    assert len(ask(out, f"FROM {called(view)}")) > 0


@pytest.mark.parametrize("view", LIBRARY)
@pytest.mark.parametrize("settings", ["base", "by_month", "empty"])
def test_answers_whatever_the_settings_and_however_little_there_is(
    view: str, settings: str, request: pytest.FixtureRequest
) -> None:
    ask(request.getfixturevalue(settings), f"FROM {called(view)}")


@pytest.mark.parametrize("view", LIBRARY)
def test_every_column_says_what_it_means(out: Path, view: str) -> None:
    frame = ask(out, f"FROM {called(view)}")
    assert [c for c in frame.columns if not views.meaning(LIBRARY[view], c)] == []
    assert set(LIBRARY[view].columns) <= set(frame.columns), "a column is explained that is not there"
    assert LIBRARY[view].answers.rstrip().endswith(("?", ")")), "the first line is a question"


@pytest.mark.parametrize("view", [v.view for v in LIBRARY.values() if not v.is_macro])
def test_a_file_names_the_columns_that_its_view_has(out: Path, view: str) -> None:
    assert LIBRARY[view].names == tuple(ask(out, f"FROM {view} LIMIT 0").columns)


@pytest.mark.parametrize(
    "text", ["-- What is one?\nSELECT 1 AS one", "-- What is one?\n-- one: One. [1]\nSELECT 1 AS one"]
)
def test_a_view_without_its_columns_is_said_so(tmp_path: Path, text: str) -> None:
    file = tmp_path / "one.sql"
    file.write_text(text)
    with pytest.raises(PipelineError, match=r"one\.sql: the second line should be `-- columns: `"):
        views.read_view(file)


@pytest.mark.parametrize("view", LIBRARY)
def test_every_number_has_a_unit(out: Path, view: str) -> None:
    frame = ask(out, f"FROM {called(view)}")
    bare = [
        c for c, t in frame.schema.items() if t.is_numeric() and not (views.meaning(LIBRARY[view], c) or ("", None))[1]
    ]
    assert set(bare) <= {"place"}


def assert_same_answers(whole: pl.DataFrame, computed: pl.DataFrame, *, rel: float, least: float) -> None:
    """The same rows in the same order; numbers may differ by `rel` of them, or by the `least` difference."""
    numbers = [c for c, t in whole.schema.items() if t.is_float()]
    assert whole.drop(numbers).equals(computed.drop(numbers), null_equal=True)
    for name in numbers:
        for one, other in zip(whole[name], computed[name], strict=True):
            assert (one is None) == (other is None)
            assert one is None or other == pytest.approx(one, rel=rel, abs=least, nan_ok=True)


@pytest.mark.parametrize("view", LIBRARY)
def test_columns_of_base_runs_answer_the_same(out: Path, base: Path, view: str) -> None:
    whole, computed = (ask(o, f"FROM {called(view)} ORDER BY ALL") for o in (out, base))
    assert_same_answers(whole, computed, rel=1e-9, least=1e-12)


@pytest.mark.parametrize(
    ("table", "tables"), [(t, asked) for t in ("need.job", "repartition.server") for asked in ("all", "core", t)]
)
def test_left_out_columns_are_computed_whatever_tables_are_asked_for(
    out: Path, tmp_path: Path, table: str, tables: str
) -> None:
    columns = ", ".join(OUTPUTS[table].columns)
    stored, computed = (
        ask(o, f"SELECT {columns} FROM {table} ORDER BY ALL")
        for o in (out, publish(tmp_path, columns="base", tables=tables))
    )
    assert len(stored) > 0
    assert_same_answers(stored, computed, rel=1e-12, least=1e-300)


SAME_SUMS = [
    ("need.job_across_usage_patterns", "hourly_occurrences_across_usage_patterns", "need.job", "occurrences"),
    ("need.job_across_usage_patterns", "hourly_avg_occurrences_across_usage_patterns", "need.job", "avg_occurrences"),
    ("need.job_across_usage_patterns", "hourly_data_transferred_across_usage_patterns", "need.job", "data_transferred"),
    ("need.job_across_usage_patterns", "hourly_data_stored_across_usage_patterns", "need.job", "data_stored"),
    ("need.job_monthly", "occurrences", "need.job", "occurrences"),
    ("need.job_monthly", "busy_hours", "need.job", "avg_occurrences"),
    ("need.job_monthly", "data_transferred", "need.job", "data_transferred"),
    ("need.job_monthly", "data_stored", "need.job", "data_stored"),
    ("instances.server_peaks", "instance_hours", "instances.server", "nb_of_instances"),
    ("instances.server_peaks", "used_instance_hours", "instances.server", "raw_nb_of_instances"),
    ("instances.unallocated", "instance_hours", "instances.server", "nb_of_instances"),
    *(
        (f"energy.server_{grain}", column, "energy.server", column)
        for grain in ("daily", "monthly", "yearly")
        for column in (
            "idle_energy",
            "load_energy",
            "instances_energy",
            "energy_footprint",
            "instances_fabrication_footprint",
        )
    ),
    ("energy.carbon_intensity_coverage", "energy", "energy.server", "instances_energy"),
    ("energy.carbon_intensity_coverage", "footprint", "energy.server", "energy_footprint"),
    *(
        (f"footprint.{view}", "footprint", "repartition.footprint", "footprint")
        for view in (
            "by_source",
            "by_job",
            "top_jobs",
            "by_usage_pattern",
            "by_container",
            "by_country",
            "by_job_monthly",
        )
    ),
    *(
        (f"observed.{view}", column, "need.run", column)
        for view in ("cells", "user_monthly", "project_monthly", "partition_monthly", "application_monthly", "hourly")
        for column in ("core_hours", "gpu_hours", "ram_hours", "wait_hours")
    ),
    *(
        (f"observed.{view}", "runs", "need.run", "runs_started")
        for view in ("cells", "user_monthly", "project_monthly", "partition_monthly", "application_monthly")
    ),
    ("observed.measured_energy", "measured_energy", "need.run", "measured_energy"),
]


@pytest.mark.parametrize(("view", "column", "table", "summed"), SAME_SUMS)
def test_sums_are_those_of_the_table(out: Path, view: str, column: str, table: str, summed: str) -> None:
    assert one(out, f"SELECT sum({column}) FROM {view}") == pytest.approx(rows_of(out, table)[summed].sum(), rel=1e-12)


@pytest.mark.parametrize("settings", ["out", "by_month"])
@pytest.mark.parametrize("view", ["by_source", "by_job", "by_usage_pattern", "by_container", "by_country"])
def test_phases_add_up_to_what_was_emitted(view: str, settings: str, request: pytest.FixtureRequest) -> None:
    out = request.getfixturevalue(settings)
    got = ask(
        out,
        f"SELECT sum(manufacturing_footprint) AS m, sum(usage_footprint) AS u, sum(footprint) AS f FROM footprint.{view}",
    )
    made = sum(
        rows_of(out, f"energy.{t}")["instances_fabrication_footprint"].sum() for t in ("server", "storage", "device")
    )
    used = sum(rows_of(out, f"energy.{t}")["energy_footprint"].sum() for t in ("server", "network", "device"))
    assert got.row(0) == pytest.approx((made, used, made + used), rel=1e-9)


@pytest.mark.parametrize("view", ["hourly", "daily", "monthly", "yearly", "by_category"])
def test_totals_hold_every_category_once(out: Path, view: str) -> None:
    got = ask(
        out,
        f"SELECT category, phase, sum(energy) AS energy, sum(footprint) AS footprint FROM totals.{view} GROUP BY ALL",
    )
    server, storage, network, device = (rows_of(out, f"energy.{t}") for t in ("server", "storage", "network", "device"))
    expected = {
        ("server", "manufacturing"): (0, server["instances_fabrication_footprint"].sum()),
        ("server", "usage"): (server["instances_energy"].sum(), server["energy_footprint"].sum()),
        ("storage", "manufacturing"): (0, storage["instances_fabrication_footprint"].sum()),
        ("network", "usage"): (network["energy"].sum(), network["energy_footprint"].sum()),
        ("device", "manufacturing"): (0, device["instances_fabrication_footprint"].sum()),
        ("device", "usage"): (device["energy"].sum(), device["energy_footprint"].sum()),
    }
    found = {(c, p): (e, f) for c, p, e, f in got.iter_rows()}
    assert found.keys() == expected.keys()
    for key, values in expected.items():
        assert found[key] == pytest.approx(values, rel=1e-12)


def test_days_and_months_are_those_of_utc(out: Path) -> None:
    days = ask(out, "SELECT DISTINCT day FROM energy.server_daily ORDER BY day")["day"].to_list()
    months = ask(out, "SELECT DISTINCT month FROM totals.monthly ORDER BY month")["month"].to_list()
    assert days == [date(2025, 1, 31), date(2025, 2, 1)]
    assert months == [date(2025, 1, 1), date(2025, 2, 1)]
    january = rows_of(out, "energy.server").filter(col.hour.dt.month() == 1)["instances_energy"].sum()
    assert one(
        out, "SELECT sum(instances_energy) FROM energy.server_monthly WHERE month = '2025-01-01'"
    ) == pytest.approx(january)


def test_peaks_name_the_first_busiest_hour(out: Path) -> None:
    got = ask(out, "FROM instances.server_peaks ORDER BY server_id")
    for server, rows in rows_of(out, "instances.server").sort("hour").group_by("server_id"):
        row = got.row(by_predicate=col.server_id == server[0], named=True)
        peak = rows["raw_nb_of_instances"].max()
        assert row["peak_raw_nb_of_instances"] == peak
        assert row["peak_hour"] == rows.filter(col.raw_nb_of_instances == peak)["hour"][0]
        assert row["idle_hours"] == len(rows.filter(col.raw_nb_of_instances == 0))
        assert row["idle_instance_hours"] == rows.filter(col.raw_nb_of_instances == 0)["nb_of_instances"].sum()
        assert row["used_share"] == pytest.approx(rows["raw_nb_of_instances"].sum() / rows["nb_of_instances"].sum())


def test_ten_busiest_hours_in_order(out: Path) -> None:
    got = ask(out, "FROM instances.peak_hours WHERE server_id = 'cluster' ORDER BY place")
    rows = rows_of(out, "instances.server").filter(col.server_id == "cluster")
    assert got["raw_nb_of_instances"].to_list() == rows["raw_nb_of_instances"].sort(descending=True).head(10).to_list()


def test_a_fixed_server_that_nobody_uses_is_all_unallocated(out: Path) -> None:
    spare = ask(out, "FROM footprint.unallocated WHERE server_id = 'spare'").row(0, named=True)
    assert spare["unallocated_share"] == pytest.approx(1)
    assert one(out, "SELECT sum(unallocated_share) FROM footprint.unallocated WHERE server_id = 'api'") == 0


def test_half_used_fixed_servers_are_half_unallocated(out: Path) -> None:
    got = ask(out, "FROM instances.unallocated WHERE server_id = 'cluster' ORDER BY month")
    rows = rows_of(out, "instances.server").filter(col.server_id == "cluster")
    assert got["unallocated_instance_hours"].sum() == pytest.approx(2 * len(rows) - rows["raw_nb_of_instances"].sum())
    idle = rows_of(out, "energy.server").filter(col.server_id == "cluster")["idle_energy"]
    unused = (1 - rows.sort("hour")["raw_nb_of_instances"] / 2) * idle
    assert got["unallocated_energy"].sum() == pytest.approx(unused.sum())


def test_typical_week_counts_from_monday(out: Path) -> None:
    got = ask(out, "FROM need.server_week WHERE server_id = 'cluster' ORDER BY hour_of_week")
    assert got["hour_of_week"][0] == 4 * 24 + 13  # the first run starts on a Friday, 13:30 UTC
    assert (
        got["peak_raw_nb_of_instances"].max()
        == rows_of(out, "instances.server").filter(col.server_id == "cluster")["raw_nb_of_instances"].max()
    )


def test_storage_is_counted_at_the_end_of_the_month(out: Path) -> None:
    kept = (
        rows_of(out, "need.storage").sort("hour").filter(col.hour.dt.month() == 1)["full_cumulative_storage_need"][-1]
    )
    assert one(out, "SELECT kept FROM need.storage_growth WHERE storage_id = 'disk' AND month = '2025-01-01'") == kept
    peaks = ask(out, "FROM instances.storage_peaks WHERE storage_id = 'disk'").row(0, named=True)
    assert peaks["peak_need"] == pytest.approx(rows_of(out, "need.storage")["full_cumulative_storage_need"].max())


def test_coverage_tells_hourly_from_average(out: Path) -> None:
    got = dict(ask(out, "SELECT server_id, source FROM energy.carbon_intensity_coverage").iter_rows())
    assert got == {"web": "hourly", "cluster": "hourly", "api": "average", "db": "average", "spare": "average"}
    assert ask(out, "SELECT energy_share FROM energy.carbon_intensity_coverage")[
        "energy_share"
    ].to_list() == pytest.approx([1.0] * 5)


def test_cleanest_hours_of_the_day(out: Path) -> None:
    by_hour = dict(
        ask(out, "SELECT hour_of_day, mean_carbon_intensity FROM energy.carbon_intensity_by_hour_of_day").iter_rows()
    )
    assert by_hour == {(12 + i) % 24: 40 + 7 * i for i in range(24)}


def test_top_jobs_are_in_order(out: Path) -> None:
    got = ask(out, "FROM footprint.top_jobs ORDER BY place")
    assert got["footprint"].to_list() == sorted(got["footprint"].to_list(), reverse=True)
    assert got["footprint_share"].sum() == pytest.approx(1)
    assert got["place"].to_list() == list(range(1, len(got) + 1))


def test_countries_have_the_patterns_whose_users_are_there(out: Path) -> None:
    rows = rows_of(out, "repartition.footprint")
    patterns = {"fr": ["in_fr"], "dk": ["in_dk", "boxes"]}
    got = dict(ask(out, "SELECT country_id, footprint FROM footprint.by_country").iter_rows())
    for country, names in patterns.items():
        assert got[country] == pytest.approx(rows.filter(col.usage_pattern_id.is_in(names))["footprint"].sum())


def test_projects_and_users_are_those_of_observed_runs(out: Path) -> None:
    rows = rows_of(out, "repartition.footprint").filter(col.source_id == "cluster")
    for view, name, column in (("by_project", "project", "usage_pattern_id"), ("by_user", '"user"', "container_id")):
        got = dict(ask(out, f"SELECT {name}, sum(footprint) FROM footprint.{view} GROUP BY ALL").iter_rows())
        assert got == pytest.approx(dict(rows.group_by(column).agg(col.footprint.sum()).iter_rows()))


def test_a_call_costs_what_its_job_answers_for(out: Path) -> None:
    rows, jobs = rows_of(out, "repartition.footprint"), rows_of(out, "need.job")
    got = ask(out, "FROM footprint.job_intensity WHERE job_id = 'home'").row(0, named=True)
    calls, grams = (
        jobs.filter(col.job_id == "home")["occurrences"].sum(),
        1000 * rows.filter(col.job_id == "home")["footprint"].sum(),
    )
    moving = rows.filter(col.job_id == "home", col.stream.is_in(["load", "retention", "transfer"]))["footprint"].sum()
    assert got["average_intensity"] == pytest.approx(grams / calls)
    assert got["marginal_intensity"] == pytest.approx(1000 * moving / calls)
    assert ask(out, "FROM footprint.job_intensity WHERE job_id = 'never'")["average_intensity"].to_list() in (
        [],
        [None],
    )


def test_focus_has_one_row_per_resource_and_month(out: Path) -> None:
    got = ask(out, "FROM footprint.focus")
    assert not got.select("ResourceType", "ResourceId", "BillingPeriodStart").is_duplicated().any()
    assert got["ConsumedQuantity"].sum() == pytest.approx(one(out, "SELECT sum(energy) FROM totals.hourly"))
    assert got["x_Footprint"].sum() == pytest.approx(one(out, "SELECT sum(footprint) FROM totals.hourly"))
    web = got.filter(col.ResourceId == "web").sort("BillingPeriodStart").row(0, named=True)
    assert (web["ResourceName"], web["ServiceCategory"], web["ResourceType"]) == ("Web server", "Compute", "server")
    assert (web["BillingPeriodStart"].isoformat(), web["BillingPeriodEnd"].isoformat()) == (
        "2025-01-01T00:00:00+00:00",
        "2025-02-01T00:00:00+00:00",
    )


# ---------------------------------------------------------------- observed runs


def test_users_hold_what_their_runs_held(out: Path) -> None:
    got = ask(out, 'FROM observed.user_monthly ORDER BY "user", month')
    held = {
        (u, m.month): (runs, cores)
        for u, m, runs, cores in got.select("user", "month", "runs", "core_hours").iter_rows()
    }
    assert held == {
        ("ann", 1): (1, pytest.approx(32 * 2.75)),
        ("ann", 2): (1, pytest.approx(4 * 0.5)),
        ("bob", 1): (1, pytest.approx(64 * 1)),
        ("bob", 2): (0, pytest.approx(64 * 2)),
    }
    waits = dict(got.group_by("user").agg(col.wait_hours.sum()).iter_rows())
    assert waits == pytest.approx({"ann": 1.5 + 0.5, "bob": 0})


@pytest.mark.parametrize("settings", ["out", "by_month"])
def test_all_energy_of_a_cluster_is_attributed(settings: str, request: pytest.FixtureRequest) -> None:
    out = request.getfixturevalue(settings)
    energy = rows_of(out, "energy.server").filter(col.server_id == "cluster")
    got = ask(out, "SELECT sum(attributed_energy) AS e, sum(footprint) AS f FROM observed.cells").row(0)
    made = energy["instances_fabrication_footprint"].sum() + energy["energy_footprint"].sum()
    assert got == pytest.approx((energy["instances_energy"].sum(), made), rel=1e-9)


def test_measured_energy_stands_beside_the_modelled(out: Path) -> None:
    got = ask(out, "FROM observed.measured_energy ORDER BY month")
    assert got["measured_energy"].to_list() == pytest.approx([1.5, 0.25])
    energy = rows_of(out, "energy.server").filter(col.server_id == "cluster")
    assert got["modelled_energy"].sum() == pytest.approx(energy["instances_energy"].sum())
    assert not any("measured" in v.sql and "modelled_energy +" in v.sql for v in views.library())


# ---------------------------------------------------------------- macros


@pytest.mark.parametrize(("unit", "number"), [("journeys", "58"), ("jobs", "839"), ("runs", "3")])
def test_sci_divides_by_the_unit_of_the_caller(out: Path, unit: str, number: str) -> None:
    got = ask(out, f"FROM sci('{unit}')").row(0, named=True)
    starts = rows_of(out, "need.usage_pattern")
    journeys = {"in_fr": 1, "in_dk": 2}
    counted = {
        "journeys": sum(starts.filter(col.usage_pattern_id == p)["starts"].sum() * n for p, n in journeys.items()),
        "jobs": rows_of(out, "need.job")["occurrences"].sum(),
        "runs": rows_of(out, "need.run")["runs_started"].sum(),
    }[unit]
    grams = 1000 * rows_of(out, "repartition.footprint")["footprint"].sum()
    assert got["functional_units"] == counted
    assert got["operational"] + got["embodied"] == pytest.approx(grams)
    assert got["sci"] == pytest.approx(grams / counted)
    months = ask(out, f"FROM sci_monthly('{unit}')")
    assert months["functional_units"].sum() == counted
    assert (months["operational"] + months["embodied"]).sum() == pytest.approx(grams)


@pytest.mark.parametrize("macro", ["sci", "sci_monthly"])
def test_sci_knows_no_other_unit(out: Path, macro: str) -> None:
    with pytest.raises(catalog.InputError, match="journeys, jobs or runs"):
        ask(out, f"FROM {macro}('cats')")


def test_right_sizing_as_it_is_changes_nothing(out: Path) -> None:
    got = ask(out, "FROM right_sizing()").filter(~col.server_id.is_in(["cluster", "spare"]))
    for was, new in (
        ("instance_hours", "new_instance_hours"),
        ("energy", "new_energy"),
        ("footprint", "new_footprint"),
    ):
        assert got[new].to_list() == pytest.approx(got[was].to_list(), rel=1e-9)
    assert got["peak_nb_of_instances"].to_list() == pytest.approx(got["new_peak_nb_of_instances"].to_list())


def test_right_sizing_forgets_fixed_numbers(out: Path) -> None:
    got = ask(out, "FROM right_sizing() WHERE server_id IN ('cluster', 'spare') ORDER BY server_id")
    assert got["peak_nb_of_instances"].to_list() == [2, 1]
    assert got["new_peak_nb_of_instances"].to_list() == [2, 0]  # 64 + 2 of 64 cores in one hour


def test_half_the_utilization_asks_for_twice_the_instances(out: Path) -> None:
    got = ask(out, "FROM right_sizing(utilization := 0.5) WHERE server_id = 'api'").row(0, named=True)
    assert got["new_instance_hours"] == pytest.approx(2 * got["instance_hours"])


def test_hardware_of_another_server(out: Path) -> None:
    got = ask(out, "FROM right_sizing(hardware := 'db', provisioning := 'serverless') WHERE server_id = 'api'").row(
        0, named=True
    )
    need = rows_of(out, "need.server").filter(col.server_id == "api")
    raw = need.select(
        pl.max_horizontal(col.ram_need / (256 * 0.8), col.compute_need / (32 * 0.8))
    )  # what db offers at its rate
    assert got["hardware_of"] == "db"
    assert got["new_instance_hours"] == pytest.approx(raw.sum().item())


def test_no_room_on_an_instance_gives_no_answer(out: Path) -> None:
    got = ask(out, "FROM right_sizing(utilization := 0.01) WHERE server_id = 'web'").row(0, named=True)
    assert got["new_energy"] is None


def test_work_that_is_not_moved_costs_the_same(out: Path) -> None:
    got = ask(out, "FROM carbon_shift(0, 0)")
    assert sorted(got["server_id"]) == ["cluster", "web"]
    assert got["saved_share"].to_list() == pytest.approx([0, 0])
    energy = rows_of(out, "energy.server").filter(col.server_id.is_in(["cluster", "web"]))
    assert got["covered_energy"].sum() == pytest.approx(energy["load_energy"].sum())
    assert got["footprint"].sum() == pytest.approx((energy["load_energy"] * energy["carbon_intensity"] / 1000).sum())


def test_work_moved_meets_the_intensity_of_the_other_hour(out: Path) -> None:
    got = ask(out, "FROM carbon_shift(3, 3) WHERE server_id = 'cluster'").row(0, named=True)
    energy = rows_of(out, "energy.server").filter(col.server_id == "cluster").sort("hour")
    later = [40 + 7 * ((h.hour - 12 + 3) % 24) for h in energy["hour"]]
    assert got["shifted_footprint"] == pytest.approx(
        sum(e * c / 1000 for e, c in zip(energy["load_energy"], later, strict=True))
    )
    assert got["saved_share"] == pytest.approx(1 - got["shifted_footprint"] / got["footprint"])
    users = ask(out, "FROM carbon_shift_of_users(3, 3) WHERE usage_pattern_id IN ('alpha', 'beta')")
    assert users["shifted_footprint"].sum() == pytest.approx(got["shifted_footprint"])


def test_hours_without_known_intensity_are_not_guessed(out: Path) -> None:
    got = ask(out, "FROM carbon_shift(1000, 1000)")
    assert got["covered_energy"].to_list() == [0, 0]
    assert (got["energy"] > 0).all()
