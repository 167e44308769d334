"""need.occurrence: when each job is triggered, by whom."""

import polars as pl
import pytest

from pipeline.stages.need import occurrence
from tests.frames import assert_table, frame, given

CELLS = """
    | job_id | server_id | usage_pattern_id | container_id | kind | delay_hours | times |
    | get    | web       | fr               | watch        | step |           0 |     2 |
    | get    | web       | fr               | watch        | step |           3 |     5 |
"""
STARTS = frame("""
    | usage_pattern_id | container_id | start | triggers |
    | fr               | -            | 10:00 | [1, 4]   |
""")


def test_starts_are_shifted_by_whole_hours_and_summed_over_the_positions_of_a_step():
    assert_table(
        occurrence.rows(occurrence.modelled(frame(CELLS), STARTS)),
        """
        | job_id | usage_pattern_id | container_id | hour  | occurrences |
        | get    | fr               | watch        | 10:00 |       2 * 1 |
        | get    | fr               | watch        | 11:00 |       2 * 4 |
        | get    | fr               | watch        | 12:00 |           0 |
        | get    | fr               | watch        | 13:00 |       5 * 1 |
        | get    | fr               | watch        | 14:00 |       5 * 4 |
    """,
    )


def test_direct_occurrences_are_as_they_are_and_join_the_cell_of_the_same_name():
    direct = occurrence.direct(
        frame("""
            | job_id | usage_pattern_id | container_id | hour  | occurrences |
            | get    | fr               | watch        | 11:00 |         0.5 |
            | get    | csv              | tray         | 23:00 |           7 |
            | get    | csv              | tray         | 21:00 |           1 |
        """),
        frame("| job_id | server_id |\n| get | web |"),
    )
    made = occurrence.build(occurrence.modelled(frame(CELLS).head(1), STARTS), direct)
    assert_table(
        occurrence.rows(made),
        """
        | usage_pattern_id | container_id | hour  | occurrences |
        | fr               | watch        | 10:00 |       2 * 1 |
        | fr               | watch        | 11:00 | 2 * 4 + 0.5 |
        | csv              | tray         | 21:00 |           1 |
        | csv              | tray         | 22:00 |           0 |
        | csv              | tray         | 23:00 |           7 |
    """,
    )


WEEK = pl.concat(  # the other needs' weeks are not read
    pl.LazyFrame(
        {"server_need_id": [need] * 168, "hour_of_week": range(168), "volume": [first + h for h in range(168)]}
    )
    for need, first in (("alarm", 1000.0), ("report", 0.0), ("survey", 2000.0))
)


def triggers(clock: str, timezone: str) -> pl.LazyFrame:
    edge = given(
        "edge_usage_patterns",
        f"""
        | usage_pattern_id | network_id | country_id | clock   | usage_span |
        | boxes            | n          | here       | {clock} |          3 |
    """,
    )
    countries = given("countries", f"| country_id | timezone |\n| here | {timezone} |")
    fleets = frame("| usage_pattern_id | start | fleet |\n| boxes | 00:00 | [2, 0, 1] |")
    pairs = frame("| usage_pattern_id | container_id |\n| boxes | report |")
    return occurrence.weekly_triggers(fleets, edge, countries, WEEK, pairs)


@pytest.mark.parametrize(
    ("clock", "timezone", "expected"),
    [
        ("utc", "Asia/Tokyo", "[2 * 0, 0, 1 * 2]"),  # Monday 00:00 UTC
        ("local", "Asia/Tokyo", "[2 * 9, 0, 1 * 11]"),
        ("local", "America/Bogota", "[2 * 163, 0, 1 * 165]"),  # Sunday 19:00
        ("local", "Asia/Kolkata", "[2 * 5.5, 0, 1 * 7.5]"),  # half of 5 and half of 6
        ("local", "Asia/Kathmandu", "[2 * 5.75, 0, 1 * 7.75]"),  # a quarter of 5 and three quarters of 6
    ],
)
def test_the_typical_week_is_read_by_the_pattern_s_clock(clock, timezone, expected):
    assert_table(
        triggers(clock, timezone),
        f"| usage_pattern_id | container_id | start | triggers |\n| boxes | report | 00:00 | {expected} |",
    )
