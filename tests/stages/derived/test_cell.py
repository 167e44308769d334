"""derived.cell: which pattern triggers which job, when and how often."""

from pipeline.stages.derived import cell
from tests.frames import assert_table, frame, given

JOBS = frame("""
    | job_id | server_id |
    | get    | web       |
""")


def cells(steps_drawing: str, journey_drawing: str):
    steps = cell.steps_in_time(given("usage_journey_steps", journey_drawing), given("usage_steps", steps_drawing))
    step_jobs = given(
        "usage_step_jobs",
        """
        | usage_journey_step_id | job_id | times_per_step |
        | watch                 | get    |              2 |
    """,
    )
    journeys = given(
        "usage_pattern_journeys",
        """
        | usage_pattern_id | usage_journey_id | times_per_start |
        | fr               | visit            |               3 |
    """,
    )
    nothing = [given(n) for n in ("edge_usage_pattern_journeys", "edge_usage_journey_needs", "server_need_jobs")]
    return cell.build(journeys, steps, step_jobs, *nothing, JOBS)


def test_the_delay_is_the_whole_hours_of_all_earlier_steps():
    made = cells(
        """
        | usage_journey_step_id | user_time_spent |
        | search                |            2700 |
        | watch                 |            1800 |
        """,
        """
        | usage_journey_id | position | usage_journey_step_id | times_per_journey |
        | visit            |        1 | search                |                 1 |
        | visit            |        2 | watch                 |                 1 |
        | visit            |        3 | search                |                 2 |
        | visit            |        4 | watch                 |                 5 |
        """,
    )
    assert_table(
        made,
        """
        | job_id | usage_pattern_id | container_id | journey_id | position | delay_hours | times     |
        | get    | fr               | watch        | visit      |        2 |           0 | 3 * 1 * 2 |
        | get    | fr               | watch        | visit      |        4 |           2 | 3 * 5 * 2 |
    """,
    )


def test_ten_tenths_of_an_hour_delay_by_one_hour():
    steps = """
        | usage_journey_step_id | user_time_spent |
        | search                |             360 |
        | watch                 |               1 |
    """
    journey = """
        | usage_journey_id | position | usage_journey_step_id | times_per_journey |
        | visit            |        1 | search                |                10 |
        | visit            |        2 | watch                 |                 1 |
    """
    assert_table(cells(steps, journey), "| container_id | delay_hours |\n| watch | 1 |")
    almost = journey.replace("10 |", "9.9999999999999 |")
    assert_table(cells(steps, almost), "| container_id | delay_hours |\n| watch | 1 |")


def test_a_server_need_counts_deployments_places_in_the_journey_and_jobs():
    deployed = given(
        "edge_usage_pattern_journeys",
        """
        | usage_pattern_id | edge_usage_journey_id | times_per_deployment |
        | boxes            | sense                 |                    2 |
    """,
    )
    needs = given(
        "edge_usage_journey_needs",
        """
        | edge_usage_journey_id | server_need_id | times_per_journey |
        | sense                 | report         |                 3 |
    """,
    )
    need_jobs = given(
        "server_need_jobs",
        """
        | server_need_id | job_id | times_per_occurrence |
        | report         | get    |                    5 |
    """,
    )
    steps = cell.steps_in_time(given("usage_journey_steps"), given("usage_steps"))
    made = cell.build(
        given("usage_pattern_journeys"), steps, given("usage_step_jobs"), deployed, needs, need_jobs, JOBS
    )
    assert_table(
        made,
        """
        | job_id | usage_pattern_id | container_id | kind        | position | delay_hours | times     |
        | get    | boxes            | report       | server_need |        0 |           0 | 2 * 3 * 5 |
    """,
    )


def test_every_journey_counts_its_own_time_from_its_start():
    steps = cell.steps_in_time(
        given(
            "usage_journey_steps",
            """
            | usage_journey_id | position | usage_journey_step_id | times_per_journey |
            | visit            |        2 | watch                 |                 3 |
            | visit            |        1 | search                |                 1 |
            | hop              |        2 | search                |                 1 |
            | hop              |        1 | search                |                 2 |
            """,
        ),
        given("usage_steps", "| usage_journey_step_id | user_time_spent |\n| search | 60 |\n| watch | 600 |"),
    )
    assert_table(
        steps,
        """
        | usage_journey_id | position | time_before | time    | time_after |
        | hop              |        1 |           0 |  2 * 60 |        120 |
        | hop              |        2 |         120 |      60 |        180 |
        | visit            |        1 |           0 |      60 |         60 |
        | visit            |        2 |          60 | 3 * 600 |       1860 |
    """,
    )
    assert_table(cell.journey_durations(steps), "| usage_journey_id | duration |\n| hop | 180 |\n| visit | 1860 |")


def test_cells_come_by_job_and_pattern_whatever_the_order_of_what_leads_to_them():
    steps = cell.steps_in_time(
        given("usage_journey_steps", "| usage_journey_id | position | usage_journey_step_id |\n| visit | 0 | step |"),
        given("usage_steps", "| usage_journey_step_id | user_time_spent |\n| step | 60 |"),
    )
    journeys = given(
        "usage_pattern_journeys", "| usage_pattern_id | usage_journey_id |\n| work | visit |\n| home | visit |"
    )
    step_jobs = given("usage_step_jobs", "| usage_journey_step_id | job_id |\n| step | put |\n| step | get |")
    nothing = (given(t) for t in ("edge_usage_pattern_journeys", "edge_usage_journey_needs", "server_need_jobs"))
    jobs = frame("| job_id | server_id |\n| put | web |\n| get | web |")
    made = cell.build(journeys, steps, step_jobs, *nothing, jobs).select("job_id", "usage_pattern_id").collect()
    assert made.rows() == [("get", "home"), ("get", "work"), ("put", "home"), ("put", "work")]
