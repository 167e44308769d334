"""repartition.job: by what each job is passed on to its containers."""

import polars as pl

from pipeline.stages.repartition import job
from tests.frames import assert_table, computed, frame
from tests.stages.repartition.test_server import JOBS, SERVERS

WORLD = {
    "servers": SERVERS,
    "jobs": JOBS,
    "countries": "| country_id | average_carbon_intensity | timezone |\n| fr | 50 | UTC |\n| de | 400 | UTC |",
    "networks": "| network_id | bandwidth_energy_intensity |\n| wifi | 0.05 |",
}
STEPS = {
    "usage_steps": "| usage_journey_step_id | user_time_spent |\n| search | 3600 |\n| watch | 3600 |",
    "usage_journey_steps": """
        | usage_journey_id | position | usage_journey_step_id | times_per_journey |
        | visit            |        0 | search                |                 1 |
        | visit            |        1 | watch                 |                 2 |
    """,
    "usage_step_jobs": "| usage_journey_step_id | job_id | times_per_step |\n| search | get | 1 |\n| watch | get | 3 |",
    "usage_patterns": """
        | usage_pattern_id | network_id | country_id | clock |
        | home             | wifi       | fr         | utc   |
        | away             | wifi       | de         | utc   |
    """,
    "usage_pattern_journeys": """
        | usage_pattern_id | usage_journey_id | times_per_start |
        | home             | visit            |               1 |
        | away             | visit            |               2 |
    """,
    "usage_pattern_starts": "| usage_pattern_id | hour | starts |\n| home | 00:00 | 4 |\n| away | 00:00 | 1 |",
}


def test_a_step_weighs_its_journeys_under_way_and_in_use_their_country_s_carbon(tmp_path):
    found = computed(tmp_path, WORLD | STEPS)["repartition.job"]
    # each journey lasts three hours: 4 at home and 2 * 1 away are under way in each
    rows = "".join(
        f"""
        | get    | search       | 0{h}:00 |            (4 + 2) | 6 + 6 * 6              | (4 * 50 + 2 * 400)         | 1000 + 6 * 1000  | 1/7               |
        | get    | watch        | 0{h}:00 |    (4 + 2) * 2 * 3 | 6 + 6 * 6              | (4 * 50 + 2 * 400) * 2 * 3 | 1000 + 6 * 1000  | 6/7               |"""
        for h in range(3)
    )
    assert_table(found, f"""
        | job_id | container_id | hour  | fabrication_weight | fabrication_weight_sum | usage_weight               | usage_weight_sum | fabrication_share |
        {rows}
    """)  # fmt: skip


hour_is_first = pl.col("hour").dt.hour() == 0
OCCURRENCES = """
    | job_id | usage_pattern_id | container_id | hour  | occurrences |
    | get    | csv              | tray         | 00:00 |           1 |
    | get    | csv              | basket       | 00:00 |           3 |
    | get    | xls              | basket       | 02:00 |           5 |
"""


def test_direct_containers_weigh_what_they_have_in_flight(tmp_path):
    found = computed(tmp_path, {"servers": SERVERS, "jobs": JOBS, "occurrences": OCCURRENCES})["repartition.job"]
    assert_table(
        found,
        """
        | container_id | hour  | fabrication_weight | fabrication_weight_sum | fabrication_share | usage_weight | usage_share |
        | tray         | 00:00 |                  1 |                  1 + 3 | 1/4               |            1 | 1/4         |
        | basket       | 00:00 |                  3 |                  1 + 3 | 3/4               |            3 | 3/4         |
        | tray         | 01:00 |                  0 |                      0 | 1                 |            0 | 1           |
        | basket       | 01:00 |                  0 |                      0 | 1                 |            0 | 1           |
        | tray         | 02:00 |                  0 |                      5 | 0                 |            0 | 0           |
        | basket       | 02:00 |                  5 |                      5 | 1                 |            5 | 1           |
    """,
    )


def test_by_day_a_container_weighs_what_its_hours_do_and_stands_in_every_day_of_its_job(tmp_path):
    later = "    | get    | xls              | basket       | +2 05:00 |           5 |\n"
    given = OCCURRENCES.replace("    | get    | xls              | basket       | 02:00 |           5 |\n", later)
    drawings = {"servers": SERVERS, "jobs": JOBS, "occurrences": given}
    assert_table(computed(tmp_path, drawings, attribution_grain="day")["repartition.job"], """
        | container_id | hour     | fabrication_weight | fabrication_weight_sum | fabrication_share | usage_weight | usage_share |
        | tray         | 00:00    |                  1 |                  1 + 3 | 1/4               |            1 | 1/4         |
        | basket       | 00:00    |                  3 |                  1 + 3 | 3/4               |            3 | 3/4         |
        | tray         | +1 00:00 |                  0 |                      0 | 1                 |            0 | 1           |
        | basket       | +1 00:00 |                  0 |                      0 | 1                 |            0 | 1           |
        | tray         | +2 00:00 |                  0 |                      5 | 0                 |            0 | 0           |
        | basket       | +2 00:00 |                  5 |                      5 | 1                 |            5 | 1           |
    """)  # fmt: skip


def test_by_day_a_user_who_pauses_has_a_part_of_the_whole_day(tmp_path):
    runs = """
        | run_id | source | server_id | application | project | user | started_at | ended_at | cpu_cores |
        | a      | slurm  | web       | fold        | lab     | ann  | 00:00      | 01:00    |         1 |
        | b      | slurm  | web       | fold        | lab     | bob  | 01:00      | 02:00    |         1 |
        | c      | slurm  | web       | fold        | lab     | ann  | 05:00      | 07:00    |         1 |
        | d      | slurm  | web       | fold        | lab     | bob  | +1 00:00   | +1 01:00 |         1 |
    """
    found = computed(tmp_path, {"servers": SERVERS, "job_runs": runs}, attribution_grain="day")["repartition.job"]
    assert_table(
        found,
        """
        | job_id | container_id | hour     | fabrication_share | usage_share |
        | fold   | ann          | 00:00    | 3/4               | 3/4         |
        | fold   | bob          | 00:00    | 1/4               | 1/4         |
        | fold   | bob          | +1 00:00 | 1                 | 1           |
    """,
    )


def test_given_container_weights_replace_what_is_in_flight(tmp_path):
    weights = "| container_id | hour | fabrication_weight | usage_weight |\n| tray | 00:00 | 6 | 300 |"
    drawings = {"servers": SERVERS, "jobs": JOBS, "occurrences": OCCURRENCES, "container_weights": weights}
    assert_table(computed(tmp_path, drawings)["repartition.job"].head(100).filter(hour_is_first), """
        | container_id | fabrication_weight | fabrication_share | usage_weight | usage_share |
        | tray         |                  6 | 6/9               |          300 | 300/303     |
        | basket       |                  3 | 3/9               |            3 | 3/303       |
    """)  # fmt: skip


def test_a_container_that_nobody_is_ever_in_stands_beside_the_others_with_zeros(tmp_path):
    edge = {
        "edge_usage_patterns": "| usage_pattern_id | network_id | country_id | usage_span |\n| boxes | wifi | fr | 0 |",
        "edge_usage_pattern_starts": "| usage_pattern_id | hour | starts |\n| boxes | 00:00 | 5 |",
        "edge_usage_pattern_journeys": "| usage_pattern_id | edge_usage_journey_id |\n| boxes | sense |",
        "edge_usage_journey_needs": "| edge_usage_journey_id | server_need_id |\n| sense | report |",
        "server_need_jobs": "| server_need_id | job_id |\n| report | get |",
        "server_need_volumes": "| server_need_id | hour_of_week | volume |\n"
        + "\n".join(f"| report | {h} | 1 |" for h in range(168)),
    }
    found = computed(tmp_path, WORLD | STEPS | edge)["repartition.job"]
    assert_table(
        found.filter(hour_is_first),
        """
        | container_id | fabrication_weight | fabrication_share |
        | search       |                  6 | 1/7               |
        | watch        |                 36 | 6/7               |
        | report       |                  0 | 0                 |
    """,
    )


def test_periods_of_a_job_reach_from_its_first_hour_to_its_last():
    weights = frame("""
        | job_id | server_id | container_id | start    | fabrication_weight | usage_weight |
        | put    | web       | shelf        | +1 00:00 | [2]                | [0]          |
        | get    | web       | tray         | 22:00    | [1, 2]             | [5, 0]       |
        | get    | web       | basket       | +2 23:00 | [3]                | [15]         |
        | get    | web       | never        | -9 00:00 | []                 | []           |
        | idle   | web       | never        | -9 00:00 | []                 | []           |
    """)
    users = frame("""
        | job_id | server_id | container_id | start    | fabrication_weight | usage_weight |
        | fold   | web       | eve          | 01:00    | [1]                | [1]          |
        | fold   | web       | bob          | 04:00    | [1]                | [1]          |
        | fold   | web       | bob          | 01:00    | [2]                | [2]          |
        | fold   | web       | bob          | +1 02:00 | [1, 1]             | [1, 1]       |
    """)
    found = job.rows_by_period(weights, users, "day").collect()
    assert_table(
        found.lazy(),
        """
        | job_id | container_id | hour     | fabrication_weight | fabrication_weight_sum | fabrication_share | usage_weight | usage_weight_sum | usage_share |
        | fold   | bob          | 00:00    |                  3 |                      4 | 3/4               |            3 |                4 | 3/4         |
        | fold   | bob          | +1 00:00 |                  2 |                      2 | 1                 |            2 |                2 | 1           |
        | fold   | eve          | 00:00    |                  1 |                      4 | 1/4               |            1 |                4 | 1/4         |
        | get    | basket       | 00:00    |                  0 |                      3 | 0                 |            0 |                5 | 0           |
        | get    | basket       | +1 00:00 |                  0 |                      0 | 1                 |            0 |                0 | 1           |
        | get    | basket       | +2 00:00 |                  3 |                      3 | 1                 |           15 |               15 | 1           |
        | get    | never        | 00:00    |                  0 |                      3 | 0                 |            0 |                5 | 0           |
        | get    | never        | +1 00:00 |                  0 |                      0 | 1                 |            0 |                0 | 1           |
        | get    | never        | +2 00:00 |                  0 |                      3 | 0                 |            0 |               15 | 0           |
        | get    | tray         | 00:00    |                  3 |                      3 | 1                 |            5 |                5 | 1           |
        | get    | tray         | +1 00:00 |                  0 |                      0 | 1                 |            0 |                0 | 1           |
        | get    | tray         | +2 00:00 |                  0 |                      3 | 0                 |            0 |               15 | 0           |
        | put    | shelf        | +1 00:00 |                  2 |                      2 | 1                 |            0 |                0 | -           |
    """,
    )
    assert found.equals(found.sort("job_id", "server_id", "container_id", "hour"))


def test_a_container_that_two_patterns_reach_has_the_weight_that_is_given_once(tmp_path):
    weights = "| container_id | hour | fabrication_weight | usage_weight |\n| basket | 00:00 | 6 | 300 |\n| basket | 01:00 | 1 | 2 |"
    drawings = {"servers": SERVERS, "jobs": JOBS, "occurrences": OCCURRENCES, "container_weights": weights}
    found = computed(tmp_path, drawings)["repartition.job"].filter(pl.col("container_id") == "basket")
    assert_table(
        found,
        """
        | hour  | fabrication_weight | usage_weight |
        | 00:00 |                  6 |          300 |
        | 01:00 |                  1 |            2 |
    """,
    )


def test_a_job_of_no_duration_has_nothing_in_flight_and_no_rows(tmp_path):
    jobs = JOBS.replace("| get    | web       | -          |             3600 |", "| get | web | - | 0 |")
    found = computed(tmp_path, {"servers": SERVERS, "jobs": jobs, "occurrences": OCCURRENCES})["repartition.job"]
    assert found.is_empty()


def test_users_of_a_job_come_one_after_the_other_whatever_the_order_of_their_runs():
    users = frame("""
        | job_id | server_id | container_id | start | fabrication_weight | usage_weight |
        | sort   | web       | eve          | 01:00 | [1]                | [1]          |
        | fold   | web       | eve          | 04:00 | [1]                | [1]          |
        | fold   | web       | bob          | 04:00 | [2]                | [2]          |
        | fold   | web       | eve          | 01:00 | [2]                | [2]          |
    """)
    found = job.build_observed(users).select("job_id", "container_id", "start").collect()
    assert found.equals(found.sort(pl.all()))
    assert len(found) == 4
