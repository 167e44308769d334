"""instances.capacity: what one instance of each server has left for jobs."""

from pipeline.stages.instances import capacity
from tests.frames import assert_table, frame

SERVERS = frame("""
    | server_id | ram | compute | utilization_rate | base_ram_consumption | base_compute_consumption |
    | web       | 128 |      24 |              0.9 |                   10 |                        2 |
    | db        |  64 |       8 |                1 |                    0 |                        0 |
""")


def test_services_and_the_base_consumption_occupy_every_instance():
    services = frame("""
        | service_id | server_id | base_ram_consumption | base_compute_consumption |
        | search     | web       |                    4 |                        1 |
        | cache      | web       |                    6 |                        0 |
    """)
    assert_table(capacity.build(SERVERS, services), """
        | server_id | occupied_ram_per_instance | available_ram_per_instance | occupied_compute_per_instance | available_compute_per_instance |
        | web       |                10 + 4 + 6 |             128 * 0.9 - 20 |                         2 + 1 |                   24 * 0.9 - 3 |
        | db        |                         0 |                         64 |                             0 |                              8 |
    """)  # fmt: skip


def test_every_server_has_a_row_without_any_service():
    none = frame("| service_id | server_id | base_ram_consumption | base_compute_consumption |\n| x | other | 1 | 1 |")
    assert_table(
        capacity.build(SERVERS, none),
        "| server_id | available_compute_per_instance |\n| web | 24 * 0.9 - 2 |\n| db | 8 |",
    )
