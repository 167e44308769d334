"""The grid intensity of a usage pattern's country, beside its series."""

from pipeline.stages.energy import grid
from tests.frames import assert_table, frame, given

PATTERNS = given(
    "usage_patterns",
    """
    | usage_pattern_id | network_id | country_id |
    | home             | wifi       | fr         |
    | away             | wifi       | de         |
""",
)
COUNTRIES = given(
    "countries",
    """
    | country_id | average_carbon_intensity | zone | timezone |
    | fr         |                       60 | fr   | UTC      |
    | de         |                      400 | -    | UTC      |
""",
)
SERIES = frame("""
    | usage_pattern_id | start | starts |
    | home             | 01:00 | [1, 2] |
    | away             | 00:00 | [3]    |
""")


def test_a_pattern_has_the_intensity_of_its_country():
    assert_table(
        grid.of_patterns(PATTERNS, COUNTRIES),
        """
        | usage_pattern_id | network_id | zone | average_carbon_intensity |
        | home             | wifi       | fr   |                       60 |
        | away             | wifi       | -    |                      400 |
    """,
    )


def test_zones_with_hours_get_them_and_the_others_their_average():
    hours = given(
        "carbon_intensity",
        "| zone | hour | carbon_intensity |\n| fr | 00:00 | 10 |\n| fr | 01:00 | 20 |\n| fr | 02:00 | 30 |",
    )
    lit_up = grid.with_intensity(SERIES, "starts", grid.of_patterns(PATTERNS, COUNTRIES), hours, hourly=True)
    assert_table(
        lit_up,
        """
        | usage_pattern_id | start | carbon_intensity |
        | home             | 01:00 | [20, 30]         |
        | away             | 00:00 | [400]            |
    """,
    )
