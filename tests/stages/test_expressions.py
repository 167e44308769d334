"""Expressions that several stages share."""

import polars as pl
import pytest
from polars import col

from pipeline.stages import expressions
from tests.frames import assert_table, frame


@pytest.mark.parametrize(
    ("asked", "instances"),
    [
        (0.0, 0),
        (1e-12, 1),  # anything above zero needs at least one
        (0.5, 1),
        (1.0, 1),
        (1 + 0.9e-9, 1),
        (1 + 1.1e-9, 2),
        (3 * (1 + 0.9e-9), 3),
        (1000 * (1 + 0.9e-9), 1000),  # the guard is relative: 0.9e-6 too many
        (1000 * (1 + 1.1e-9), 1001),
        (5e8 + 0.5, 5e8),  # exactly at the guard
        (2.5, 3),
    ],
)
def test_rounding_noise_buys_no_instance_and_anything_more_does(asked: float, instances: int):
    assert pl.select(expressions.ceil_guarded(pl.lit(asked))).item() == instances


def test_shares_are_parts_of_the_sum_one_each_in_hours_without_and_empty_where_there_never_is_any():
    rows = frame("""
        | weight | weight_sum | period_sum |
        |      1 |          4 |         10 |
        |      0 |          4 |         10 |
        |      0 |          0 |         10 |
        |      0 |          0 |          0 |
        |    0.1 |        0.4 |        0.5 |
    """)
    found = rows.select("weight", share=expressions.share(col.weight, col.weight_sum, col.period_sum))
    assert_table(found, "| weight | share |\n| 1 | 1/4 |\n| 0 | 0 |\n| 0 | 1 |\n| 0 | - |\n| 0.1 | 1/4 |")
