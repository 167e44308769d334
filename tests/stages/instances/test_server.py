"""instances.server: how many instances of each server are on, each hour."""

import polars as pl
import pytest

from pipeline.stages.instances import server
from tests.frames import assert_table, frame

CAPACITY = frame("""
    | server_id | available_ram_per_instance | available_compute_per_instance |
    | web       |                         12 |                              4 |
""")
NEED = frame("""
    | server_id | hour  | ram_need | compute_need |
    | web       | 00:00 |        3 |            0 |
    | web       | 01:00 |        6 |            6 |
    | web       | 02:00 |        0 |            0 |
""")


def instances(server_type: str, need: pl.LazyFrame, fixed: float | None = None) -> pl.LazyFrame:
    servers = pl.LazyFrame(
        {
            "server_id": ["web"],
            "server_type": [server_type],
            "fixed_nb_of_instances": pl.Series([fixed], dtype=pl.Float64),
        }
    )
    return server.build(need, CAPACITY, servers)


def test_autoscaling_rounds_up_every_hour():
    assert_table(
        instances("autoscaling", NEED),
        """
        | server_id | hour  | raw_nb_of_instances | nb_of_instances |
        | web       | 00:00 |                3/12 |               1 |
        | web       | 01:00 |                 6/4 |               2 |
        | web       | 02:00 |                   0 |               0 |
    """,
    )


def test_serverless_has_what_is_asked_for():
    assert_table(
        instances("serverless", NEED),
        """
        | server_id | hour  | raw_nb_of_instances | nb_of_instances |
        | web       | 00:00 |                3/12 |            3/12 |
        | web       | 01:00 |                 6/4 |             6/4 |
        | web       | 02:00 |                   0 |               0 |
    """,
    )


def test_on_premise_keeps_the_peak_at_every_hour():
    assert_table(
        instances("on-premise", NEED),
        """
        | server_id | hour  | raw_nb_of_instances | nb_of_instances |
        | web       | 00:00 |                3/12 |               2 |
        | web       | 01:00 |                 6/4 |               2 |
        | web       | 02:00 |                   0 |               2 |
    """,
    )


def test_on_premise_keeps_the_fixed_number():
    assert_table(
        instances("on-premise", NEED, fixed=5),
        """
        | hour  | nb_of_instances |
        | 00:00 |               5 |
        | 01:00 |               5 |
        | 02:00 |               5 |
    """,
    )


@pytest.mark.parametrize("server_type", ["autoscaling", "on-premise"])
@pytest.mark.parametrize(
    ("compute_need", "expected"),
    [
        (12 * (1 + 1e-12), 3),  # noise never buys an instance
        (12 * (1 + 0.999e-9), 3),
        (12 * (1 + 1.001e-9), 4),
        (12 * (1 - 1e-12), 3),
        (4e-300, 1),  # any need takes at least one
        (4 * 1e-10, 1),
        (4 * (1 + 1e-10), 1),
        (4e6 * (1 + 0.9e-9), 1_000_000),
        (4e6 * (1 + 1.1e-9), 1_000_001),
        (0.0, 0),
    ],
)  # fmt: skip
def test_the_guard_of_ceil_is_one_in_a_billion_of_the_whole_number_below(server_type, compute_need, expected):
    need = NEED.with_columns(ram_need=pl.lit(0.0), compute_need=pl.lit(compute_need))
    assert set(instances(server_type, need).collect()["nb_of_instances"]) == {expected}


def test_a_fixed_number_at_the_peak_is_enough_and_one_below_is_refused_with_the_hour():
    servers = frame("| server_id | server_type | fixed_nb_of_instances |\n| web | on-premise | 2 |")
    assert_table(server.too_small(instances("on-premise", NEED, fixed=2), servers).select(pl.len()), "| len |\n| 0 |")
    one = servers.with_columns(fixed_nb_of_instances=pl.lit(1.0))
    assert_table(
        server.too_small(instances("on-premise", NEED, fixed=1), one),
        """
        | server_id | peak | hour  | fixed_nb_of_instances |
        | web       |  6/4 | 01:00 |                     1 |
    """,
    )


def test_of_hours_with_the_same_peak_the_first_is_named():
    again = pl.concat([NEED, NEED.with_columns(pl.col("hour") + pl.duration(hours=5))]).reverse()
    servers = frame("| server_id | server_type | fixed_nb_of_instances |\n| web | on-premise | 1 |")
    found = server.too_small(instances("on-premise", again, fixed=1), servers)
    assert_table(found, "| server_id | hour |\n| web | 01:00 |")


def test_the_check_of_a_fixed_number_uses_the_same_guard():
    need = NEED.with_columns(compute_need=pl.lit(12 * (1 + 1e-12)))
    servers = frame("| server_id | server_type | fixed_nb_of_instances |\n| web | on-premise | 3 |")
    assert server.too_small(instances("on-premise", need, fixed=3), servers).collect().is_empty()
