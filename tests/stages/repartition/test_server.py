"""repartition.server: the reference pages' weights and shares of a server's jobs."""

from tests.frames import assert_table, computed

SERVERS = """
    | server_id | server_type | carbon_footprint_fabrication | power | idle_power | lifespan | ram | compute | average_carbon_intensity |
    | web       | autoscaling |                          600 |   300 |         50 |        6 |  16 |       4 |                      100 |
"""
JOBS = """
    | job_id | server_id | service_id | request_duration | compute_needed | ram_needed |
    | get    | web       | -          |             3600 |              1 |          2 |
    | put    | web       | -          |             3600 |              2 |          0 |
    | never  | web       | -          |             3600 |              9 |          9 |
"""
OCCURRENCES = """
    | job_id | usage_pattern_id | container_id | hour  | occurrences |
    | get    | csv              | tray         | 00:00 |           1 |
    | put    | csv              | tray         | 00:00 |           3 |
    | put    | csv              | tray         | 02:00 |           1 |
"""


def test_a_weight_is_the_part_of_an_instance_s_compute_plus_the_part_of_its_ram(tmp_path):
    found = computed(tmp_path, {"servers": SERVERS, "jobs": JOBS, "occurrences": OCCURRENCES})
    assert_table(
        found["repartition.server"],
        """
        | server_id | job_id | hour  | weight      | weight_sum | share             |
        | web       | get    | 00:00 | 1/4 + 2/16  | 3/8 + 3/2  | (3/8) / (15/8)    |
        | web       | put    | 00:00 | 3 * 2/4     | 3/8 + 3/2  | (3/2) / (15/8)    |
        | web       | never  | 00:00 | 0           | 3/8 + 3/2  | 0                 |
        | web       | get    | 01:00 | 0           | 0          | 1                 |
        | web       | put    | 01:00 | 0           | 0          | 1                 |
        | web       | never  | 01:00 | 0           | 0          | 1                 |
        | web       | get    | 02:00 | 0           | 1/2        | 0                 |
        | web       | put    | 02:00 | 2/4         | 1/2        | 1                 |
        | web       | never  | 02:00 | 0           | 1/2        | 0                 |
    """,
    )


SERVICES = """
    | service_id | server_id | base_ram_consumption | base_compute_consumption |
    | search     | web       |                    4 |                        1 |
    | unused     | web       |                    1 |                        0 |
"""


def test_a_service_s_jobs_carry_its_base_consumption_and_none_where_it_has_no_volume(tmp_path):
    jobs = """
        | job_id | server_id | service_id | request_duration | compute_needed | ram_needed |
        | find   | -          | search    |             3600 |            0.5 |          0 |
        | list   | -          | search    |             3600 |              0 |          1 |
        | own    | web        | -         |             3600 |              1 |          0 |
    """
    occurrences = """
        | job_id | usage_pattern_id | container_id | hour  | occurrences |
        | find   | csv              | tray         | 00:00 |           3 |
        | list   | csv              | tray         | 00:00 |           1 |
        | own    | csv              | tray         | 01:00 |           4 |
    """
    found = computed(tmp_path, {"servers": SERVERS, "services": SERVICES, "jobs": jobs, "occurrences": occurrences})
    # of an instance 16 - 5 GB and 4 - 1 cores are left: 1.5/3 at 00:00, 4/3 at 01:00
    assert_table(found["instances.server"], "| hour | nb_of_instances |\n| 00:00 | 1 |\n| 01:00 | 2 |")
    assert_table(
        found["repartition.server"],
        """
        | job_id | hour  | weight                                 | weight_sum              |
        | find   | 00:00 | (1/4 + 4/16) * 1 * 3/4 + 3 * 0.5/4     | 3/8 + 3/8 + 1/8 + 1/16  |
        | list   | 00:00 | (1/4 + 4/16) * 1 * 1/4 + 1/16          | 3/8 + 3/8 + 1/8 + 1/16  |
        | own    | 00:00 | 0                                      | 3/8 + 3/8 + 1/8 + 1/16  |
        | find   | 01:00 | 0                                      | 4 * 1/4                 |
        | list   | 01:00 | 0                                      | 4 * 1/4                 |
        | own    | 01:00 | 4 * 1/4                                | 4 * 1/4                 |
    """,
    )


def test_the_share_is_empty_where_nobody_ever_weighs_anything(tmp_path):
    light = JOBS.replace("|              1 |          2 |", "|              0 |          0 |")
    occurrences = OCCURRENCES.splitlines()[1] + "\n| get | csv | tray | 00:00 | 1 |"
    found = computed(tmp_path, {"servers": SERVERS, "jobs": light, "occurrences": occurrences})
    assert_table(
        found["repartition.server"],
        """
        | job_id | hour  | weight | weight_sum | share |
        | get    | 00:00 |      0 |          0 | -     |
        | put    | 00:00 |      0 |          0 | -     |
        | never  | 00:00 |      0 |          0 | -     |
    """,
    )
