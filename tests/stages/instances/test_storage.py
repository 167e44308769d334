"""instances.storage: how many instances of each storage are deployed, each hour."""

import polars as pl

from pipeline.stages.instances import storage
from tests.frames import assert_table, frame

NEED = frame("""
    | storage_id | hour  | full_cumulative_storage_need |
    | disks      | 00:00 |                            1 |
    | disks      | 01:00 |                            5 |
    | disks      | 02:00 |                            0 |
""")


def backing(server_type: str, fixed: int | None = None) -> pl.LazyFrame:
    return pl.LazyFrame({
        "storage_id": ["disks"], "server_id": ["web"], "server_type": [server_type], "storage_capacity": [2.0],
        "fixed_nb_of_instances": pl.Series([fixed], dtype=pl.Int64),
    })  # fmt: skip


def test_storage_is_rounded_up_hour_by_hour_on_premise_too():
    for server_type in ("autoscaling", "on-premise"):
        assert_table(
            storage.build(NEED, backing(server_type)),
            """
            | storage_id | hour  | raw_nb_of_instances | nb_of_instances |
            | disks      | 00:00 |                 1/2 |               1 |
            | disks      | 01:00 |                 5/2 |               3 |
            | disks      | 02:00 |                   0 |               0 |
        """,
        )


def test_storage_of_a_serverless_server_is_what_is_asked_for_even_with_a_fixed_number():
    assert_table(
        storage.build(NEED, backing("serverless", fixed=9)),
        "| hour | nb_of_instances |\n| 00:00 | 1/2 |\n| 01:00 | 5/2 |\n| 02:00 | 0 |",
    )


def test_a_fixed_number_holds_at_every_hour_and_is_checked():
    assert_table(
        storage.build(NEED, backing("on-premise", fixed=3)),
        "| hour | nb_of_instances |\n| 00:00 | 3 |\n| 01:00 | 3 |\n| 02:00 | 3 |",
    )
    for number in (3, 9):
        enough = backing("on-premise", fixed=number)
        assert storage.too_small(storage.build(NEED, enough), enough).collect().is_empty()
    small = backing("on-premise", fixed=2)
    assert_table(
        storage.too_small(storage.build(NEED, small), small),
        "| storage_id | peak | hour | fixed_nb_of_instances |\n| disks | 5/2 | 01:00 | 2 |",
    )


def test_of_hours_with_the_same_peak_the_first_is_named():
    again = pl.concat([NEED, NEED.with_columns(pl.col("hour") + pl.duration(hours=5))]).reverse()
    small = backing("on-premise", fixed=2)
    assert_table(storage.too_small(storage.build(again, small), small), "| storage_id | hour |\n| disks | 01:00 |")
    serverless = backing("serverless", fixed=2)
    assert storage.too_small(storage.build(again, serverless), serverless).collect().is_empty()
