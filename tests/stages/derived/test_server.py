"""derived.server: every kind of server as a plain one."""

from pipeline.stages.derived import server
from tests.frames import assert_table, given

NONE = [given(name) for name in ("servers", "gpu_servers", "cloud_servers", "cloud_instances")]


def test_gpu_servers_are_their_gpus_and_a_chassis():
    gpus = given("gpu_servers", """
        | server_id | server_type | lifespan | average_carbon_intensity | gpu_power | gpu_idle_power | ram_per_gpu | carbon_footprint_fabrication_per_gpu | carbon_footprint_fabrication_without_gpu | compute |
        | gpus      | serverless  |        6 |                      233 |       400 |             50 |          80 |                                  150 |                                     2500 |       4 |
    """)  # fmt: skip
    assert_table(server.build(NONE[0], gpus, NONE[2], NONE[3]), """
        | server_id | kind        | compute_unit | power   | idle_power | ram    | carbon_footprint_fabrication | compute |
        | gpus      | gpu_servers | gpu          | 4 * 400 |     4 * 50 | 4 * 80 |               2500 + 4 * 150 |       4 |
    """)  # fmt: skip


def test_cloud_servers_have_the_hardware_of_their_instance_type():
    cloud = given(
        "cloud_servers",
        """
        | server_id | server_type | lifespan | provider | instance_type |
        | a         | autoscaling |        6 | aws      | m5.large      |
        | b         | autoscaling |        6 | gcp      | m5.large      |
    """,
    )
    hardware = given(
        "cloud_instances",
        """
        | provider | instance_type | power | ram | compute | carbon_footprint_fabrication |
        | aws      | m5.large      |    50 |   8 |       2 |                          900 |
        | gcp      | m5.large      |    60 |  16 |       4 |                         1000 |
    """,
    )
    assert_table(
        server.build(NONE[0], NONE[1], cloud, hardware),
        """
        | server_id | kind          | power | idle_power | ram | compute | carbon_footprint_fabrication |
        | a         | cloud_servers |    50 |          0 |   8 |       2 |                          900 |
        | b         | cloud_servers |    60 |          0 |  16 |       4 |                         1000 |
    """,
    )


def test_what_is_not_given_has_the_default_of_the_contract():
    plain = given(
        "servers",
        """
        | server_id | server_type | carbon_footprint_fabrication | power | idle_power | lifespan | ram | compute |
        | web       | autoscaling |                          600 |   300 |         50 |        6 | 128 |      24 |
    """,
    )
    assert_table(server.build(plain, *NONE[1:]), """
        | server_id | compute_unit | power_usage_effectiveness | utilization_rate | base_ram_consumption | base_compute_consumption | fixed_nb_of_instances | storage_id |
        | web       | cpu_core     |                         1 |                1 |                    0 |                        0 |                     - | -          |
    """)  # fmt: skip
