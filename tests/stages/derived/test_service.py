"""derived.service: every kind of service as a plain one."""

from pipeline.stages.derived import service
from tests.frames import assert_table, given


def test_a_streaming_service_holds_ram_and_no_compute_of_its_own():
    services = given(
        "services",
        """
        | service_id | server_id | base_ram_consumption | base_compute_consumption |
        | db         | web       |                    2 |                        1 |
    """,
    )
    streaming = given(
        "video_streaming_services",
        """
        | service_id | server_id | base_ram_consumption | bits_per_pixel | static_delivery_cpu_cost | ram_buffer_per_user |
        | tv         | web       |                    3 |            0.1 |                        4 |                  50 |
    """,
    )
    assert_table(
        service.build(services, streaming),
        """
        | service_id | kind                     | server_id | base_ram_consumption | base_compute_consumption |
        | db         | services                 | web       |                    2 |                        1 |
        | tv         | video_streaming_services | web       |                    3 |                        0 |
    """,
    )
