"""energy.server: energy and carbon of the instances, each hour."""

import polars as pl

from pipeline.stages.energy import server
from tests.frames import assert_table, frame, given

INSTANCES = frame("""
    | server_id | hour  | raw_nb_of_instances | nb_of_instances |
    | web       | 00:00 |                 1.5 |               2 |
    | web       | 01:00 |                   0 |               2 |
""")
SERVERS = given("derived.server", """
    | server_id | power | idle_power | power_usage_effectiveness | average_carbon_intensity | zone | carbon_footprint_fabrication | lifespan |
    | web       |   300 |         50 |                       1.2 |                      100 | fr   |                          600 |        6 |
""")  # fmt: skip
NO_GRID = given("carbon_intensity")


def test_idle_power_for_every_instance_and_the_rest_for_the_work():
    assert_table(server.build(INSTANCES, SERVERS, NO_GRID), """
        | hour  | idle_energy           | load_energy               | instances_energy                        | energy_footprint                                    | instances_fabrication_footprint |
        | 00:00 | 2 * 50 * 1.2 / 1000   | 1.5 * 250 * 1.2 / 1000    | (2 * 50 + 1.5 * 250) * 1.2 / 1000       | (2 * 50 + 1.5 * 250) * 1.2 / 1000 * 100 / 1000      | 2 * 600 / (6 * 365.25 * 24)     |
        | 01:00 | 2 * 50 * 1.2 / 1000   | 0                         | 2 * 50 * 1.2 / 1000                     | 2 * 50 * 1.2 / 1000 * 100 / 1000                    | 2 * 600 / (6 * 365.25 * 24)     |
    """)  # fmt: skip


def test_the_hour_s_own_intensity_replaces_the_average_in_its_zone():
    grid = given(
        "carbon_intensity",
        """
        | zone | hour  | carbon_intensity |
        | fr   | 00:00 |               40 |
        | fr   | 01:00 |               80 |
        | de   | 00:00 |              900 |
    """,
    )
    assert_table(
        server.build(INSTANCES, SERVERS, grid),
        """
        | hour  | carbon_intensity | carbon_intensity_source | energy_footprint                               |
        | 00:00 |               40 | hourly                  | (2 * 50 + 1.5 * 250) * 1.2 / 1000 * 40 / 1000  |
        | 01:00 |               80 | hourly                  | 2 * 50 * 1.2 / 1000 * 80 / 1000                |
    """,
    )


def test_a_constant_series_gives_bit_for_bit_what_the_average_gives():
    average = SERVERS.with_columns(average_carbon_intensity=pl.lit(85.3))
    grid = given("carbon_intensity", "| zone | hour | carbon_intensity |\n| fr | 00:00 | 85.3 |\n| fr | 01:00 | 85.3 |")
    numbers = [c for c in server.TABLE.columns if c != "carbon_intensity_source"]
    with_average = server.build(INSTANCES, average, NO_GRID).select(numbers).sort("hour").collect()
    with_series = server.build(INSTANCES, SERVERS, grid).select(numbers).sort("hour").collect()
    assert with_average.rows() == with_series.rows()


def test_more_idle_power_than_power_is_computed_as_it_stands():
    odd = SERVERS.with_columns(idle_power=pl.lit(400.0))
    assert_table(
        server.build(INSTANCES, odd, NO_GRID),
        "| hour | load_energy |\n| 00:00 | 1.5 * -100 * 1.2 / 1000 |\n| 01:00 | 0 |",
    )
