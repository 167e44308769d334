"""need.server: what all jobs of a server take together, from its first hour to its last."""

import polars as pl

from pipeline.stages.need import server
from tests.frames import assert_table, frame


def test_jobs_are_summed_and_hours_in_between_are_zeros():
    jobs = frame("""
        | server_id | start | avg_occurrences | ram_needed | compute_needed |
        | web       | 00:00 | [1, 2]          |          1 |              2 |
        | web       | 01:00 | [0.5]           |          6 |              1 |
        | web       | 05:00 | [1]             |          1 |              0 |
    """)
    spans = frame("| server_id | first_hour | hours |\n| web | 00:00 | 6 |")
    assert_table(
        server.build(server.partial(jobs), spans),
        """
        | server_id | hour  | ram_need | compute_need |
        | web       | 00:00 |        1 |            2 |
        | web       | 01:00 |    2 + 3 |      4 + 0.5 |
        | web       | 02:00 |        0 |            0 |
        | web       | 03:00 |        0 |            0 |
        | web       | 04:00 |        0 |            0 |
        | web       | 05:00 |        1 |            0 |
    """,
    )


def test_ranges_of_jobs_add_up_to_the_same():
    jobs = frame("""
        | server_id | start | avg_occurrences | ram_needed | compute_needed |
        | web       | 00:00 | [1, 2]          |          1 |              2 |
        | web       | 01:00 | [0.5]           |          6 |              1 |
    """)
    spans = frame("| server_id | first_hour | hours |\n| web | 00:00 | 2 |")
    parts = pl.concat([server.partial(jobs.head(1)).collect(), server.partial(jobs.tail(1)).collect()])
    assert_table(
        server.build(parts.lazy(), spans), "| hour | ram_need | compute_need |\n| 00:00 | 1 | 2 |\n| 01:00 | 5 | 4.5 |"
    )


def test_servers_stand_in_the_order_of_their_ids_whatever_that_of_their_spans():
    jobs = frame("""
        | server_id | start | avg_occurrences | ram_needed | compute_needed |
        | web       | 00:00 | [1]             |          1 |              1 |
    """)
    spans = frame("| server_id | first_hour | hours |\n| web | 00:00 | 1 |\n| idle | 00:00 | 1 |")
    made = server.build(server.partial(jobs), spans).collect()
    assert made.select("server_id", "ram_need").rows() == [("idle", 0.0), ("web", 1.0)]
