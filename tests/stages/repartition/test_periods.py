"""Days and months: the sums of their hours."""

from pipeline.stages.repartition import periods
from tests.frames import assert_table, frame


def test_stretches_of_one_cell_in_a_day_are_added_up():
    stretches = frame("""
        | job_id | start    | load   | idle   |
        | fold   | 01:00    | [1, 2] | [8, 0] |
        | fold   | 05:00    | [4]    | [1]    |
        | fold   | +1 00:00 | [3]    | [2]    |
        | none   | 03:00    | []     | []     |
    """)
    assert_table(
        periods.by_grain(stretches, ["load", "idle"], "day"),
        """
        | job_id | hour     | load      | idle  |
        | fold   | 00:00    | 1 + 2 + 4 | 8 + 1 |
        | fold   | +1 00:00 | 3         | 2     |
    """,
    )


def test_a_day_has_the_sum_of_its_hours_for_every_cell():
    series = frame("""
        | job_id | start    | load         |
        | get    | 22:00    | [1, 2, 4, 8] |
        | put    | 22:00    | [1, 0, 0, 3] |
        | now    | +1 00:00 | [5]          |
    """)
    assert_table(periods.by_grain(series, ["load"], "day"), """
        | job_id | hour     | load  |
        | get    | 00:00    | 1 + 2 |
        | get    | +1 00:00 | 4 + 8 |
        | put    | 00:00    | 1 + 0 |
        | put    | +1 00:00 | 0 + 3 |
        | now    | +1 00:00 | 5     |
    """)  # fmt: skip
