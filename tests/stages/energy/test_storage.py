"""energy.storage: embodied carbon of the storage instances, each hour."""

from pipeline.stages.energy import storage
from tests.frames import assert_table, frame, given


def test_one_instance_s_carbon_over_its_life():
    instances = frame("| storage_id | hour | nb_of_instances |\n| disks | 00:00 | 3 |\n| disks | 01:00 | 0 |")
    storages = given(
        "storages",
        """
        | storage_id | storage_capacity | carbon_footprint_fabrication_per_storage_capacity | lifespan |
        | disks      |                2 |                                               160 |        6 |
    """,
    )
    assert_table(
        storage.build(instances, storages),
        """
        | storage_id | hour  | instances_fabrication_footprint   |
        | disks      | 00:00 | 3 * 160 * 2 / (6 * 365.25 * 24)   |
        | disks      | 01:00 | 0                                 |
    """,
    )
