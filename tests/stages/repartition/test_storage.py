"""repartition.storage: weights and shares of a storage's embodied carbon, and how it is passed on."""

from pipeline.stages.repartition import storage
from tests.frames import assert_table, computed, frame, given
from tests.stages.repartition.test_server import SERVERS

DRAWINGS = {
    "servers": SERVERS.replace("compute |", "compute | storage_id |").replace("|       4 |", "|       4 | disks |"),
    "storages": """
        | storage_id | storage_capacity | carbon_footprint_fabrication_per_storage_capacity | data_storage_duration | base_storage_need | lifespan |
        | disks      |               10 |                                              87.66 |                     2 |                 1 |        1 |
    """,
    "jobs": """
        | job_id | server_id | data_stored | request_duration | compute_needed | ram_needed |
        | put    | web       |     3000000 |             3600 |              1 |          0 |
        | get    | web       |           0 |             3600 |              1 |          0 |
        | never  | web       |     9000000 |             3600 |              1 |          0 |
    """,
    "occurrences": """
        | job_id | usage_pattern_id | container_id | hour  | occurrences |
        | put    | csv              | tray         | 00:00 |           1 |
        | put    | csv              | basket       | 00:00 |           1 |
        | get    | csv              | tray         | 02:00 |           2 |
    """,
}  # fmt: skip


def test_unused_capacity_and_base_need_are_shared_by_all_jobs_alike(tmp_path):
    found = computed(tmp_path, DRAWINGS)
    assert_table(
        found["need.storage"],
        "| hour | full_cumulative_storage_need |\n| 00:00 | 6 + 1 |\n| 01:00 | 6 + 1 |\n| 02:00 | 0 + 1 |",
    )
    assert_table(
        found["repartition.storage"],
        """
        | storage_id | job_id | hour  | weight            | weight_sum | share              |
        | disks      | put    | 00:00 | 6 + (10-7+1) / 3  |         10 | (6 + 4/3) / 10     |
        | disks      | get    | 00:00 | (10-7+1) / 3      |         10 | 4/3 / 10           |
        | disks      | never  | 00:00 | (10-7+1) / 3      |         10 | 4/3 / 10           |
        | disks      | put    | 01:00 | 6 + (10-7+1) / 3  |         10 | (6 + 4/3) / 10     |
        | disks      | get    | 01:00 | (10-7+1) / 3      |         10 | 4/3 / 10           |
        | disks      | never  | 01:00 | (10-7+1) / 3      |         10 | 4/3 / 10           |
        | disks      | put    | 02:00 | (10-1+1) / 3      |         10 | 1/3                |
        | disks      | get    | 02:00 | (10-1+1) / 3      |         10 | 1/3                |
        | disks      | never  | 02:00 | (10-1+1) / 3      |         10 | 1/3                |
    """,
    )


def test_what_is_held_is_passed_to_those_who_stored_it_and_the_rest_by_use_over_the_period(tmp_path):
    rows = computed(tmp_path, DRAWINGS)["repartition.footprint"]
    # 10 TB * 87.66 kg / 8766 h = 0.1 kg an hour; 3 of 10 TB are held for each cell of put; both jobs are 2 in flight over the period
    assert_table(rows.filter(rows["source_kind"] == "storage"), """
        | source_id | phase         | stream    | job_id | container_id | usage_pattern_id | hour  | footprint                 |
        | disks     | manufacturing | retention | put    | tray         | csv              | 00:00 | 0.1 * 3/10                |
        | disks     | manufacturing | retention | put    | basket       | csv              | 00:00 | 0.1 * 3/10                |
        | disks     | manufacturing | baseline  | put    | tray         | csv              | 00:00 | 0.1 * 4/10 * 2/4 * 1/2    |
        | disks     | manufacturing | baseline  | put    | basket       | csv              | 00:00 | 0.1 * 4/10 * 2/4 * 1/2    |
        | disks     | manufacturing | baseline  | get    | tray         | csv              | 00:00 | 0.1 * 4/10 * 2/4          |
        | disks     | manufacturing | retention | put    | tray         | csv              | 01:00 | 0.1 * 3/10                |
        | disks     | manufacturing | retention | put    | basket       | csv              | 01:00 | 0.1 * 3/10                |
        | disks     | manufacturing | baseline  | put    | tray         | csv              | 01:00 | 0.1 * 4/10 * 2/4 * 1/2    |
        | disks     | manufacturing | baseline  | put    | basket       | csv              | 01:00 | 0.1 * 4/10 * 2/4 * 1/2    |
        | disks     | manufacturing | baseline  | get    | tray         | csv              | 01:00 | 0.1 * 4/10 * 2/4          |
        | disks     | manufacturing | baseline  | put    | tray         | csv              | 02:00 | 0.1 * 2/4 * 1/2           |
        | disks     | manufacturing | baseline  | put    | basket       | csv              | 02:00 | 0.1 * 2/4 * 1/2           |
        | disks     | manufacturing | baseline  | get    | tray         | csv              | 02:00 | 0.1 * 2/4                 |
    """)  # fmt: skip


def test_a_need_above_the_capacity_by_rounding_noise_leaves_nothing_to_share():
    full = frame("""
        | nb_of_instances | storage_capacity | full_cumulative_storage_need | base_storage_need | held         | instances_fabrication_footprint |
        |               1 |                2 |                 2.0000000001 |                 0 | 2.0000000001 |                               1 |
    """)  # fmt: skip
    assert_table(full.select(shared=storage.shared(), baseline=storage.baseline()), "| shared | baseline |\n| 0 | 0 |")


def test_a_storage_that_is_not_deployed_passes_nothing_on_and_hours_are_in_their_order():
    need = given(
        "need.storage",
        "| storage_id | hour | full_cumulative_storage_need |\n| disk | 01:00 | 2 |\n| disk | 00:00 | 0 |",
    )
    instances = given(
        "instances.storage",
        """
        | storage_id | hour  | nb_of_instances |
        | disk       | 01:00 |               1 |
        | disk       | 00:00 |               0 |
    """,
    )
    energy = given(
        "energy.storage",
        """
        | storage_id | hour  | instances_fabrication_footprint |
        | disk       | 01:00 |                               8 |
        | disk       | 00:00 |                               8 |
    """,
    )
    backing = frame("| server_id | storage_id | storage_capacity | base_storage_need |\n| web | disk | 4 | 0 |")
    held = need.with_columns(held="full_cumulative_storage_need")
    assert_table(
        storage.of_storages(held, instances, energy, backing),
        "| storage_id | start | retention_per_tb | baseline | weight_sum |\n| disk | 00:00 | [0, 8/4] | [0, 8 * 2/4] | [0, 4] |",
    )
