"""need.storage_job: the data of each job that its server's storage keeps."""

import polars as pl
import pytest

from pipeline.stages.need import storage_job
from tests.frames import assert_table, frame, given

HOURS = frame("| server_id | first_hour | hours |\n| web | 00:00 | 5 |")
STORING = frame("""
    | server_id | job_id | start | data_stored        |
    | web       | get    | 00:00 | [1000000, 3000000] |
""")
JOBS = frame("""
    | server_id | job_id |
    | web       | get    |
    | web       | never  |
""")


def kept(hours: float, copies: int = 1) -> pl.LazyFrame:
    servers = given("derived.server", "| server_id | server_type | storage_id |\n| web | autoscaling | disks |")
    storages = given(
        "storages",
        f"""
        | storage_id | storage_capacity | data_storage_duration | data_replication_factor | lifespan |
        | disks      |                1 |              {hours}  |                {copies} |        6 |
    """,
    )
    return storage_job.rows(storage_job.build(STORING, JOBS, storage_job.backed(servers, storages), HOURS))


def test_data_stays_until_its_retention_ends_whatever_the_job_does():
    assert_table(
        kept(3),
        """
        | storage_id | job_id | hour  | cumulative_storage_need |
        | disks      | get    | 00:00 |                       1 |
        | disks      | get    | 01:00 |                   1 + 3 |
        | disks      | get    | 02:00 |                   1 + 3 |
        | disks      | get    | 03:00 |                       3 |
        | disks      | get    | 04:00 |                       0 |
        | disks      | never  | 00:00 |                       0 |
        | disks      | never  | 01:00 |                       0 |
        | disks      | never  | 02:00 |                       0 |
        | disks      | never  | 03:00 |                       0 |
        | disks      | never  | 04:00 |                       0 |
    """,
    )


@pytest.mark.parametrize(
    ("hours", "expected"),
    [
        (0, [0, 0, 0]),
        (0.1, [1, 3, 0]),
        (1.0, [1, 3, 0]),
        (1.0000000000001, [1, 3, 0]),
        (1.1, [1, 4, 3]),
        (1e9, [1, 4, 4]),
    ],
)
def test_retention_counts_up_to_whole_hours_but_not_for_rounding_noise(hours, expected):
    rows = kept(hours).filter(pl.col("job_id") == "get").collect()["cumulative_storage_need"].to_list()
    assert rows[:3] == expected


def test_copies_are_kept_too():
    rows = kept(1, copies=3).filter(pl.col("job_id") == "get").collect()["cumulative_storage_need"].to_list()
    assert rows[:2] == [3 * 1, 3 * 3]
