"""repartition.footprint: every gram of every source, phase and hour, passed on to cells exactly once."""

import polars as pl
import pytest

from pipeline.stages.repartition import footprint
from tests.frames import assert_table, computed, frame

KINDS = {"autoscaling", "serverless", "on-premise"}
OCCURRENCES = """
    | job_id | usage_pattern_id | container_id | hour  | occurrences |
    | get    | csv              | tray         | 00:00 |           1 |
    | get    | csv              | basket       | 00:00 |           3 |
    | put    | csv              | tray         | 02:00 |           8 |
"""
JOBS = """
    | job_id | server_id | request_duration | compute_needed | ram_needed |
    | get    | web       |             3600 |              1 |          0 |
    | put    | web       |             3600 |              1 |          0 |
    | never  | web       |             3600 |              1 |          0 |
"""


def servers(server_type: str, fixed: str = "-") -> str:
    """One instance: 4 cores, 0.1 kg of manufacturing an hour, 1 kW idle and 1 kW more for the work, 100 g/kWh."""
    return f"""
    | server_id | server_type   | carbon_footprint_fabrication | power | idle_power | lifespan | ram | compute | average_carbon_intensity | fixed_nb_of_instances |
    | web       | {server_type} |                        876.6 |  2000 |       1000 |        1 |  16 |       4 |                      100 | {fixed}               |
    """


def rows(tmp_path, server_type: str, stream: str, **settings) -> pl.DataFrame:
    found = computed(tmp_path, {"servers": servers(server_type), "jobs": JOBS, "occurrences": OCCURRENCES}, **settings)
    return found["repartition.footprint"].filter(pl.col("stream") == stream)


@pytest.mark.parametrize("server_type", sorted(KINDS))
def test_load_falls_to_who_runs_hour_by_hour(tmp_path, server_type):
    assert_table(
        rows(tmp_path, server_type, "load"),
        """
        | source_kind | source_id | phase | stream | job_id | container_id | usage_pattern_id | hour  | footprint      |
        | server      | web       | usage | load   | get    | tray         | csv              | 00:00 | 4/4 * 0.1 * 1/4 |
        | server      | web       | usage | load   | get    | basket       | csv              | 00:00 | 4/4 * 0.1 * 3/4 |
        | server      | web       | usage | load   | put    | tray         | csv              | 02:00 | 8/4 * 0.1       |
    """,
    )


@pytest.mark.parametrize("stream", ["provisioned", "idle"])
def test_on_premise_everything_else_is_by_demand_over_the_whole_period_idle_hours_too(tmp_path, stream):
    # two instances at every hour, 0.2 kg; get is 4 of 12 in flight, a quarter of it from the tray
    hourly = "".join(
        f"""
        | get    | tray         | 0{h}:00 | 0.2 * 4/12 * 1/4 |
        | get    | basket       | 0{h}:00 | 0.2 * 4/12 * 3/4 |
        | put    | tray         | 0{h}:00 | 0.2 * 8/12       |"""
        for h in range(3)
    )
    assert_table(rows(tmp_path, "on-premise", stream), f"""
        | job_id | container_id | hour  | footprint        |
        {hourly}
    """)  # fmt: skip


def test_with_the_key_binding_who_caused_the_peak_pays_for_it(tmp_path):
    # the first instance is needed by both jobs, 4 and 8 of 12; the second by put alone
    hourly = "".join(
        f"""
        | get    | tray         | 0{h}:00 | 0.2 * 1/2 * 4/12 * 1/4       |
        | get    | basket       | 0{h}:00 | 0.2 * 1/2 * 4/12 * 3/4       |
        | put    | tray         | 0{h}:00 | 0.2 * (1/2 * 8/12 + 1/2)     |"""
        for h in range(3)
    )
    assert_table(rows(tmp_path, "on-premise", "provisioned", attribution_key="binding"), f"""
        | job_id | container_id | hour  | footprint        |
        {hourly}
    """)  # fmt: skip


@pytest.mark.parametrize("key", ["weight", "binding"])
def test_where_nobody_ever_demands_anything_all_jobs_pay_alike_those_that_never_run_too(tmp_path, key):
    jobs = JOBS.replace("|              1 |          0 |", "|              0 |          0 |")
    drawings = {"servers": servers("on-premise", "3"), "jobs": jobs, "occurrences": OCCURRENCES}
    found = computed(tmp_path, drawings, attribution_key=key)["repartition.footprint"]
    first = (pl.col("hour").dt.hour() == 0) & (pl.col("stream") == "provisioned")
    assert_table(
        found.filter(first),
        """
        | job_id | container_id | usage_pattern_id | footprint       |
        | get    | tray         | csv              | 0.3 * 1/3 * 1/4 |
        | get    | basket       | csv              | 0.3 * 1/3 * 3/4 |
        | put    | tray         | csv              | 0.3 * 1/3       |
        | never  | -            | -                | 0.3 * 1/3       |
    """,
    )


def test_the_binding_resource_alone_counts_and_compute_on_ties(tmp_path):
    jobs = """
        | job_id | server_id | request_duration | compute_needed | ram_needed |
        | cpu    | web       |             3600 |              2 |          0 |
        | ram    | web       |             3600 |              0 |          8 |
    """
    occurrences = """
        | job_id | usage_pattern_id | container_id | hour  | occurrences |
        | cpu    | csv              | tray         | 00:00 |           1 |
        | ram    | csv              | tray         | 00:00 |           1 |
        | cpu    | csv              | tray         | 01:00 |           1 |
        | ram    | csv              | tray         | 01:00 |           2 |
    """
    drawings = {"servers": servers("serverless"), "jobs": jobs, "occurrences": occurrences}
    found = computed(tmp_path, drawings, attribution_key="binding")["repartition.footprint"]
    assert_table(
        found.filter(pl.col("stream") == "load"),
        """
        | job_id | hour  | footprint |
        | cpu    | 00:00 | 0.1 * 1/2 |
        | ram    | 01:00 | 0.1       |
    """,
    )


def test_a_service_s_job_carries_the_base_consumption_with_the_key_binding_too(tmp_path):
    drawings = {
        "servers": servers("autoscaling"),
        "services": "| service_id | server_id | base_compute_consumption |\n| search | web | 2 |",
        "jobs": """
            | job_id | server_id | service_id | request_duration | compute_needed | ram_needed |
            | find   | -         | search     |             3600 |              1 |          0 |
            | own    | web       | -          |             3600 |              1 |          0 |
        """,
        "occurrences": """
            | job_id | usage_pattern_id | container_id | hour  | occurrences |
            | find   | csv              | tray         | 00:00 |           1 |
            | own    | csv              | tray         | 00:00 |           1 |
        """,
    }
    found = computed(tmp_path, drawings, attribution_key="binding")["repartition.footprint"]
    # 4 - 2 cores are left: one instance; find demands 1/2 and 2/2 of the base, own 1/2
    assert_table(
        found.filter(pl.col("stream") == "load"),
        """
        | job_id | footprint          |
        | find   | 0.1 * (3/2) / 2    |
        | own    | 0.1 * (1/2) / 2    |
    """,
    )


def test_fixed_servers_and_storages_that_nobody_uses_have_rows_of_nobody(tmp_path):
    drawings = {
        "servers": servers("on-premise", "2") + servers("autoscaling").splitlines()[2].replace("web  ", "other"),
        "storages": """
            | storage_id | storage_capacity | carbon_footprint_fabrication_per_storage_capacity | data_storage_duration | lifespan | fixed_nb_of_instances |
            | disks      |               10 |                                              87.66 |                     2 |        1 |                     3 |
        """,
        "jobs": JOBS.replace("web  ", "other"),
        "occurrences": OCCURRENCES.rsplit("| put", 1)[0],
    }  # fmt: skip
    found = computed(tmp_path, drawings)["repartition.footprint"]
    assert_table(
        found.filter(pl.col("stream") == "unallocated"),
        """
        | source_kind | source_id | phase         | job_id | container_id | usage_pattern_id | hour  | footprint |
        | server      | web       | manufacturing | -      | -            | -                | 00:00 | 2 * 0.1   |
        | server      | web       | usage         | -      | -            | -                | 00:00 | 2 * 0.1   |
        | storage     | disks     | manufacturing | -      | -            | -                | 00:00 | 3 * 0.1   |
    """,
    )


def test_work_that_lowers_the_energy_of_a_server_is_passed_on_as_it_is(tmp_path):
    drawings = {
        "servers": servers("autoscaling").replace("|  2000 |", "|   500 |"),
        "jobs": JOBS,
        "occurrences": OCCURRENCES,
    }
    found = computed(tmp_path, drawings)["repartition.footprint"]
    assert_table(
        found.filter(pl.col("stream") == "load"),
        """
        | job_id | container_id | hour  | footprint        |
        | get    | tray         | 00:00 | 4/4 * -0.05 * 1/4 |
        | get    | basket       | 00:00 | 4/4 * -0.05 * 3/4 |
        | put    | tray         | 02:00 | 8/4 * -0.05       |
    """,
    )


def test_network_rows_are_by_cell(tmp_path):
    drawings = {
        "servers": servers("autoscaling"),
        "jobs": "| job_id | server_id | data_transferred | request_duration | compute_needed | ram_needed |\n| get | web | 500 | 3600 | 1 | 0 |",
        "countries": "| country_id | average_carbon_intensity | timezone |\n| fr | 50 | UTC |",
        "networks": "| network_id | bandwidth_energy_intensity |\n| wifi | 0.05 |",
        "usage_patterns": "| usage_pattern_id | network_id | country_id |\n| csv | wifi | fr |",
        "usage_pattern_starts": "| usage_pattern_id | hour | starts |\n| csv | 00:00 | 0 |",
        "occurrences": OCCURRENCES.rsplit("| put", 1)[0],
    }
    found = computed(tmp_path, drawings)["repartition.footprint"]
    assert_table(
        found.filter(pl.col("source_kind") == "network"),
        """
        | source_id | phase | stream   | job_id | container_id | usage_pattern_id | hour  | footprint                           |
        | wifi      | usage | transfer | get    | tray         | csv              | 00:00 | 1 * 500 / 1000 * 0.05 * 50 / 1000   |
        | wifi      | usage | transfer | get    | basket       | csv              | 00:00 | 3 * 500 / 1000 * 0.05 * 50 / 1000   |
    """,
    )


@pytest.mark.parametrize("grain", ["day", "month"])
def test_a_coarser_grain_sums_the_hours_into_the_first_of_the_period(tmp_path, grain):
    day = {"day": ["06", "07"], "month": ["01"]}[grain]
    occurrences = OCCURRENCES + "    | put    | csv              | tray         | +1 01:00 |           4 |"
    drawings = {"servers": servers("serverless"), "jobs": JOBS, "occurrences": occurrences}
    found = computed(tmp_path, drawings, attribution_grain=grain)["repartition.footprint"]
    put = found.filter((pl.col("stream") == "load") & (pl.col("job_id") == "put")).sort("hour")
    assert [f"{h:%d %H}" for h in put["hour"]] == [f"{d} 00" for d in day]
    assert put["footprint"].sum() == pytest.approx((8 / 4 + 4 / 4) * 0.1)


def test_a_user_whose_runs_take_no_time_has_a_part_of_what_is_split_equally(tmp_path):
    storages = """
        | storage_id | storage_capacity | carbon_footprint_fabrication_per_storage_capacity | data_storage_duration | lifespan | base_storage_need |
        | disk       |              100 |                                            87.66  |                     1 |        1 |               0.5 |
    """
    runs = """
        | run_id | source | server_id | application | project | user | started_at | ended_at | cpu_cores |
        | a      | slurm  | web       | fold        | lab     | ann  | 00:00      | 00:30    |         0 |
        | b      | slurm  | web       | fold        | lab     | bob  | 00:10      | 00:10    |         0 |
        | c      | slurm  | web       | sort        | lab     | ann  | 00:20      | 00:20    |         0 |
    """
    web = servers("autoscaling").rstrip().replace("fixed_nb_of_instances |", "storage_id |").replace("| -", "| disk")
    found = computed(tmp_path, {"servers": web, "storages": storages, "job_runs": runs})["repartition.footprint"]
    assert_table(
        found.filter(pl.col("stream") == "baseline"),
        """
        | job_id | container_id | usage_pattern_id | hour  | footprint |
        | fold   | ann          | lab              | 00:00 | 1 / 2 / 2 |
        | fold   | bob          | lab              | 00:00 | 1 / 2 / 2 |
        | sort   | ann          | lab              | 00:00 | 1 / 2     |
    """,
    )


def test_by_weight_compute_and_ram_count_together(tmp_path):
    jobs = """
        | job_id | server_id | request_duration | compute_needed | ram_needed |
        | get    | web       |             3600 |              1 |          4 |
        | put    | web       |             3600 |              2 |          0 |
    """
    drawings = {"servers": servers("serverless"), "jobs": jobs, "occurrences": OCCURRENCES.replace("02:00", "00:00")}
    found = computed(tmp_path, drawings)["repartition.footprint"]
    # raw = 20 of 4 cores; each get is 1/4 + 4/16, each put 2/4
    assert_table(
        found.filter(pl.col("stream") == "load"),
        """
        | job_id | container_id | footprint               |
        | get    | tray         | 20/4 * 0.1 * 1 * 0.5 / 6 |
        | get    | basket       | 20/4 * 0.1 * 3 * 0.5 / 6 |
        | put    | tray         | 20/4 * 0.1 * 8 * 0.5 / 6 |
    """,
    )


@pytest.mark.parametrize("stream", ["provisioned", "idle"])
def test_what_an_autoscaling_server_has_on_in_an_hour_falls_to_who_runs_in_it(tmp_path, stream):
    assert_table(
        rows(tmp_path, "autoscaling", stream),
        """
        | job_id | container_id | hour  | footprint |
        | get    | tray         | 00:00 | 0.1 * 1/4 |
        | get    | basket       | 00:00 | 0.1 * 3/4 |
        | put    | tray         | 02:00 | 0.2       |
    """,
    )


def test_a_storage_s_baseline_is_by_use_and_by_heads_where_nobody_ever_runs():
    jobs = frame("| job_size | total | number_of_jobs |\n| 6 | 12 | 4 |\n| 0 | 0 | 4 |")
    assert_table(
        jobs.select("total", share=footprint.baseline_job_share()), "| total | share |\n| 12 | 6/12 |\n| 0 | 1/4 |"
    )


def test_a_cell_that_pauses_has_its_share_for_all_its_stretches():
    demanding = frame("""
        | job_id | server_id | container_id | usage_pattern_id | server_type | start | size | demand |
        | fold   | node      | ann          | lab              | on-premise  | 00:00 |    1 | [1]    |
        | fold   | node      | ann          | lab              | on-premise  | 02:00 |    3 | [3]    |
        | sort   | node      | bob          | lab              | on-premise  | 00:00 |   12 | [12]   |
    """)
    series = frame("""
        | server_id | start | provision_rate     | any_demand |
        | node      | 00:00 | [1/16, 1/16, 1/16] | true       |
    """)
    jobs = frame("| server_id | number_of_jobs |\n| node | 2 |")
    assert_table(footprint.constant_shares(demanding, series, jobs), """
        | job_id | container_id | constant_share |
        | fold   | ann          | (1 + 3) / 16   |
        | sort   | bob          | 12 / 16        |
    """)  # fmt: skip


def test_a_cell_s_part_of_its_job_is_by_all_its_stretches_however_small_they_are():
    demanding = frame("""
        | job_id | server_id | container_id | usage_pattern_id | server_type | start | size | demand |
        | fold   | node      | ann          | lab              | on-premise  | 00:00 |  0.1 | [1]    |
        | fold   | node      | ann          | lab              | on-premise  | 02:00 |  0.3 | [3]    |
        | fold   | node      | bob          | lab              | on-premise  | 00:00 |  0.1 | [4]    |
    """)
    series = frame("| server_id | start | provision_rate | any_demand |\n| node | 00:00 | [1/8, 1/8, 1/8] | true |")
    jobs = frame("| server_id | number_of_jobs |\n| node | 3 |")
    expected = "| job_id | container_id | constant_share |\n| fold | ann | 4/5 |\n| fold | bob | 1/5 |"
    assert_table(footprint.constant_shares(demanding, series, jobs), expected)
    sizes = demanding.select(*footprint.CELL, "size")
    totals = frame("| server_id | total |\n| node | 0.5 |")
    assert_table(footprint.storage_shares(sizes, totals, jobs), expected)
