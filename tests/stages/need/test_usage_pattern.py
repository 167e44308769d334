"""need.usage_pattern: how much each pattern starts and has under way, in UTC."""

import polars as pl

from pipeline.stages.need import usage_pattern
from tests.frames import assert_table, frame, given, table

COUNTRIES = given(
    "countries",
    """
    | country_id | timezone  |
    | fr         | Etc/GMT-1 |
""",
)


def starts(drawing: str) -> pl.LazyFrame:
    return table(drawing).with_columns(pl.col("hour").dt.replace_time_zone(None)).lazy()


def test_journeys_are_under_way_as_long_as_they_last_and_patterns_sum_their_journeys():
    patterns = given("usage_patterns", "| usage_pattern_id | network_id | country_id |\n| p | n | fr |")
    utc = usage_pattern.utc_starts(patterns, COUNTRIES, starts("""
        | usage_pattern_id | hour  | starts |
        | p                | 10:00 |      4 |
        | p                | 12:00 |      2 |
    """))  # fmt: skip
    journeys = given(
        "usage_pattern_journeys",
        """
        | usage_pattern_id | usage_journey_id | times_per_start |
        | p                | short            |               1 |
        | p                | long             |               3 |
    """,
    )
    durations = frame("| usage_journey_id | duration |\n| short | 1800 |\n| long | 5400 |")
    under_way = usage_pattern.journeys_under_way(utc, journeys, durations)
    none = frame("| usage_pattern_id | start | fleet |\n| x | 10:00 | [0] |").filter(pl.lit(False))
    assert_table(
        usage_pattern.build(utc, under_way, none),
        """
        | usage_pattern_id | hour  | starts | journeys_in_parallel  |
        | p                | 10:00 |      4 | 4 / 2 + 3 * 4         |
        | p                | 11:00 |      0 | 3 * 4 / 2             |
        | p                | 12:00 |      2 | 2 / 2 + 3 * 2         |
        | p                | 13:00 |      0 | 3 * 2 / 2             |
    """,
    )


def test_starts_of_a_local_clock_are_moved_to_utc_and_of_a_utc_clock_are_not():
    patterns = given(
        "usage_patterns",
        """
        | usage_pattern_id | network_id | country_id | clock |
        | here             | n          | fr         | local |
        | there            | n          | fr         | utc   |
    """,
    )
    utc = usage_pattern.utc_starts(patterns, COUNTRIES, starts("""
        | usage_pattern_id | hour  | starts |
        | here             | 10:00 |      4 |
        | there            | 10:00 |      4 |
    """))  # fmt: skip
    assert_table(utc, "| usage_pattern_id | start | starts |\n| here | 09:00 | [4] |\n| there | 10:00 | [4] |")


def test_a_fleet_is_what_was_deployed_within_the_usage_span():
    deployed = frame("| usage_pattern_id | start | starts |\n| boxes | 00:00 | [2, 0, 1] |")
    edge = given(
        "edge_usage_patterns", "| usage_pattern_id | network_id | country_id | usage_span |\n| boxes | n | fr | 2.5 |"
    )
    assert_table(
        usage_pattern.fleets(deployed, edge),
        """
        | usage_pattern_id | start | fleet                            |
        | boxes            | 00:00 | [2, 2, 2 / 2 + 1, 1, 1 / 2]      |
    """,
    )


def test_a_journey_or_span_of_no_time_leaves_nobody_under_way():
    deployed = frame("| usage_pattern_id | start | starts |\n| boxes | 00:00 | [2] |")
    edge = given(
        "edge_usage_patterns", "| usage_pattern_id | network_id | country_id | usage_span |\n| boxes | n | fr | 0 |"
    )
    assert usage_pattern.fleets(deployed, edge).collect().is_empty()
    journeys = given("usage_pattern_journeys", "| usage_pattern_id | usage_journey_id |\n| boxes | visit |")
    none = usage_pattern.journeys_under_way(deployed, journeys, frame("| usage_journey_id | duration |\n| visit | 0 |"))
    assert none.collect().is_empty()


def test_a_journey_of_half_a_second_and_a_span_of_half_an_hour_count():
    deployed = frame("| usage_pattern_id | start | starts |\n| boxes | 00:00 | [2] |")
    edge = given(
        "edge_usage_patterns", "| usage_pattern_id | network_id | country_id | usage_span |\n| boxes | n | fr | 0.5 |"
    )
    assert_table(usage_pattern.fleets(deployed, edge), "| usage_pattern_id | start | fleet |\n| boxes | 00:00 | [1] |")
    journeys = given("usage_pattern_journeys", "| usage_pattern_id | usage_journey_id |\n| boxes | visit |")
    brief = frame("| usage_journey_id | duration |\n| visit | 0.5 |")
    assert_table(
        usage_pattern.journeys_under_way(deployed, journeys, brief), "| start | under_way |\n| 00:00 | [2 / 7200] |"
    )
