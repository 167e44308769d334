"""need.service: the volume of jobs that passes through each service."""

from pipeline.stages.need import service
from tests.frames import assert_table, frame


def test_the_volume_is_all_its_jobs_in_flight_and_no_others():
    jobs = frame("""
        | job_id | service_id | start | avg_occurrences |
        | get    | search     | 00:00 | [1, 2]          |
        | put    | search     | 01:00 | [4]             |
        | own    | -          | 00:00 | [9, 9]          |
    """)
    assert_table(
        service.rows(service.build(jobs)),
        """
        | service_id | hour  | job_volume |
        | search     | 00:00 |          1 |
        | search     | 01:00 |      2 + 4 |
    """,
    )
