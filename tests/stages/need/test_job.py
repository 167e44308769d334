"""need.job: what each job has in flight and takes, each hour, in each usage pattern."""

import polars as pl

from pipeline.stages.need import job
from tests.frames import assert_table, frame, given


def jobs(seconds: float) -> pl.LazyFrame:
    return given("derived.job", f"""
        | job_id | server_id | data_transferred | data_stored | request_duration | compute_needed | ram_needed |
        | get    | web       |              150 |          20 |        {seconds} |              2 |        0.5 |
    """)  # fmt: skip


def need(occurrences: str, seconds: float) -> pl.LazyFrame:
    cells = frame(f"""
        | job_id | server_id | usage_pattern_id | container_id | start | occurrences   |
        | get    | web       | fr               | watch        | 00:00 | {occurrences} |
    """)
    return job.rows(job.with_needs(job.build(cells, jobs(seconds))), list(job.TABLE.columns))


def test_a_second_in_flight_is_a_3600th_of_an_hour():
    assert_table(need("[3, 0, 6]", 1), """
        | job_id | server_id | usage_pattern_id | hour  | occurrences | avg_occurrences | data_transferred | data_stored | compute_need  | ram_need        |
        | get    | web       | fr               | 00:00 |           3 |          3/3600 |          3 * 150 |      3 * 20 |    3/3600 * 2 |    3/3600 * 0.5 |
        | get    | web       | fr               | 01:00 |           0 |               0 |                0 |           0 |             0 |               0 |
        | get    | web       | fr               | 02:00 |           6 |          6/3600 |          6 * 150 |      6 * 20 |    6/3600 * 2 |    6/3600 * 0.5 |
    """)  # fmt: skip


def test_two_and_a_half_hours_hold_two_hours_in_full_and_the_third_by_half():
    assert_table(
        need("[4]", 2.5 * 3600),
        """
        | hour  | occurrences | avg_occurrences | data_transferred |
        | 00:00 |           4 |               4 |    4 * 150 / 2.5 |
        | 01:00 |           0 |               4 |    4 * 150 / 2.5 |
        | 02:00 |           0 |           4 / 2 |  4/2 * 150 / 2.5 |
    """,
    )


def test_leading_and_trailing_hours_without_starts_stand_in_the_series():
    assert_table(
        need("[0, 2, 0]", 7200),
        "| hour | avg_occurrences |\n| 00:00 | 0 |\n| 01:00 | 2 |\n| 02:00 | 2 |\n| 03:00 | 0 |",
    )


def test_no_duration_needs_nothing_and_keeps_its_occurrences():
    assert_table(
        need("[3, 1]", 0),
        """
        | hour  | occurrences | avg_occurrences | data_transferred | data_stored | compute_need | ram_need |
        | 00:00 |           3 |               0 |                0 |           0 |            0 |        0 |
        | 01:00 |           1 |               0 |                0 |           0 |            0 |        0 |
    """,
    )


def test_containers_of_one_pattern_are_summed_and_patterns_are_not():
    cells = frame("""
        | job_id | server_id | usage_pattern_id | container_id | start | occurrences |
        | get    | web       | fr               | watch        | 00:00 | [1]         |
        | get    | web       | fr               | search       | 01:00 | [2]         |
        | get    | web       | de               | watch        | 00:00 | [5]         |
    """)
    made = job.rows(job.with_needs(job.build(cells, jobs(3600))), list(job.TABLE.columns))
    assert_table(
        made,
        "| usage_pattern_id | hour | avg_occurrences |\n| fr | 00:00 | 1 |\n| fr | 01:00 | 2 |\n| de | 00:00 | 5 |",
    )
