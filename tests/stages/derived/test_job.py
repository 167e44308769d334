"""derived.job: every kind of job as a plain one, with the server that runs it."""

import polars as pl
import pytest

from pipeline.stages.derived import job, service
from tests.frames import assert_table, given

STREAMING = given(
    "video_streaming_services",
    """
    | service_id | server_id | base_ram_consumption | bits_per_pixel | static_delivery_cpu_cost | ram_buffer_per_user |
    | tv         | edge      |                    2 |            0.1 |                        4 |                  50 |
""",
)


def test_a_streaming_job_follows_from_its_pixels():
    videos = given(
        "video_streaming_jobs",
        """
        | job_id | service_id | resolution          | video_duration | refresh_rate | data_stored |
        | film   | tv         | 1080p (1920 x 1080) |           3600 |           30 |           0 |
    """,
    )
    services = service.build(given("services"), STREAMING)
    made = job.build(given("jobs"), videos, services, STREAMING)
    assert_table(made, """
        | job_id | server_id | service_id | bitrate                         | data_transferred                       | request_duration | compute_needed                             | ram_needed |
        | film   | edge      | tv         | 1920 * 1080 * 0.1 * 30 / 8000000 | 1920 * 1080 * 0.1 * 30 / 8000000 * 3600 |             3600 | 4 * 1920 * 1080 * 0.1 * 30 / 8000000 / 1000 |    50/1000 |
    """)  # fmt: skip


@pytest.mark.parametrize("text", ["(1920 x 1080)", "1080p (1920 x 1080)", "4:3 screen (1920 x 1080) tall"])
def test_pixels_are_the_two_counts_in_brackets(text):
    assert pl.select(resolution=pl.lit(text)).select(job.pixels()).item() == 1920 * 1080


def test_a_job_of_a_service_runs_on_the_service_s_server_and_no_duration_means_never_in_flight():
    jobs = given(
        "jobs",
        """
        | job_id | server_id | service_id | request_duration | compute_needed | ram_needed |
        | own    | web       | -          |                1 |              1 |          1 |
        | served | -         | tv         |                0 |              1 |          1 |
    """,
    )
    services = service.build(given("services"), STREAMING)
    assert_table(
        job.build(jobs, given("video_streaming_jobs"), services, STREAMING),
        """
        | job_id | server_id | service_id | data_transferred | never_in_flight |
        | own    | web       | -          |                0 | false           |
        | served | edge      | tv         |                0 | true            |
    """,
    )
