"""energy.network: energy and carbon of the data each job sends, in each usage pattern."""

import pytest

from pipeline.stages.energy import network
from tests.frames import assert_table, frame, given

SENT = frame("""
    | job_id | server_id | usage_pattern_id | start | data_transferred |
    | get    | web       | home             | 00:00 | [1500, 0]        |
    | get    | web       | csv              | 00:00 | [9]              |
""")
NETWORKS = given("networks", "| network_id | bandwidth_energy_intensity |\n| wifi | 0.05 |")
GRID = frame(
    "| usage_pattern_id | network_id | country_id | zone | average_carbon_intensity |\n| home | wifi | fr | fr | 60 |"
)


@pytest.mark.parametrize("hourly", [False, True])
def test_data_costs_energy_and_the_country_s_carbon_and_direct_patterns_cross_no_network(hourly):
    crossed = network.crossed(SENT, NETWORKS, GRID, given("carbon_intensity"), hourly=hourly)
    assert_table(
        network.rows(crossed),
        """
        | network_id | job_id | usage_pattern_id | hour  | energy             | energy_footprint               |
        | wifi       | get    | home             | 00:00 | 1500 / 1000 * 0.05 | 1500 / 1000 * 0.05 * 60 / 1000 |
        | wifi       | get    | home             | 01:00 | 0                  | 0                              |
    """,
    )


def test_an_hourly_intensity_replaces_the_country_s_average():
    grid = given(
        "carbon_intensity",
        """
        | zone | hour     | carbon_intensity |
        | fr   | -1 23:00 |              999 |
        | fr   | 00:00    |               20 |
        | fr   | 01:00    |               30 |
    """,
    )
    crossed = network.crossed(SENT, NETWORKS, GRID, grid, hourly=True)
    assert_table(
        network.rows(crossed),
        """
        | hour  | energy_footprint               |
        | 00:00 | 1500 / 1000 * 0.05 * 20 / 1000 |
        | 01:00 | 0                              |
    """,
    )
