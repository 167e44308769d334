"""energy.device: energy and carbon of the devices in users' hands."""

from pipeline.stages.energy import device
from tests.frames import assert_table, frame, given

USAGE = frame("""
    | usage_pattern_id | hour  | starts | journeys_in_parallel |
    | home             | 00:00 |      4 |                  1.5 |
    | home             | 01:00 |      0 |                    0 |
""")
HELD = given("usage_pattern_devices", "| usage_pattern_id | device_id | count |\n| home | phone | 2 |")
DEVICES = given(
    "devices",
    """
    | device_id | carbon_footprint_fabrication | power | lifespan | fraction_of_usage_time |
    | phone     |                           30 |     2 |        3 |                      6 |
""",
)
GRID = frame("| usage_pattern_id | network_id | zone | average_carbon_intensity |\n| home | wifi | fr | 60 |")


def test_a_device_s_carbon_is_spread_over_the_hours_it_is_used_in_its_life():
    assert_table(device.build(USAGE, HELD, DEVICES, GRID, given("carbon_intensity")), """
        | device_id | usage_pattern_id | hour  | energy             | energy_footprint             | instances_fabrication_footprint         |
        | phone     | home             | 00:00 | 2 * 1.5 * 2 / 1000 | 2 * 1.5 * 2 / 1000 * 60/1000 | 2 * 1.5 * 30 / (3 * 365.25 * 24 * 6/24) |
        | phone     | home             | 01:00 | 0                  | 0                            | 0                                       |
    """)  # fmt: skip


def test_an_hourly_intensity_replaces_the_country_s_average():
    grid = given("carbon_intensity", "| zone | hour | carbon_intensity |\n| fr | 00:00 | 10 |\n| fr | 01:00 | 20 |")
    assert_table(
        device.build(USAGE, HELD, DEVICES, GRID, grid),
        "| hour | energy_footprint |\n| 00:00 | 2 * 1.5 * 2 / 1000 * 10/1000 |\n| 01:00 | 0 |",
    )
