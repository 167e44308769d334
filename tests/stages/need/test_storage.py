"""need.storage: all data a storage keeps."""

from pipeline.stages.need import storage
from tests.frames import assert_table, frame


def test_all_jobs_and_the_base_need():
    kept = frame("""
        | storage_id | job_id | start | cumulative_storage_need |
        | disks      | get    | 00:00 | [1, 2]                  |
        | disks      | put    | 00:00 | [0, 4]                  |
    """)
    backing = frame("| storage_id | base_storage_need |\n| disks | 0.5 |")
    assert_table(
        storage.build(storage.partial(kept), backing),
        """
        | storage_id | hour  | full_cumulative_storage_need | held  |
        | disks      | 00:00 |                      1 + 0.5 |     1 |
        | disks      | 01:00 |                  2 + 4 + 0.5 | 2 + 4 |
    """,
    )
