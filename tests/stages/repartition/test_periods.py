"""Days and months: the sums of their hours."""

import polars as pl

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


def test_rows_of_a_day_are_added_up():
    rows = frame(
        "| server_id | hour | idle |\n| web | 00:00 | 1 |\n| web | 05:00 | 2 |\n| web | +1 00:00 | 4 |\n| api | 01:00 | 8 |"
    )
    assert_table(
        periods.rows_by_grain(rows, ["idle"], "day"),
        "| server_id | hour | idle |\n| web | 00:00 | 1 + 2 |\n| web | +1 00:00 | 4 |\n| api | 00:00 | 8 |",
    )


def test_periods_come_in_the_order_of_cells_and_days_however_many_there_are():
    cells = [f"job-{n * 7919 % 1000:03}" for n in range(1000)]
    start = pl.Series([480_000 + n % 3 for n in range(1000)])
    series = pl.DataFrame({"job_id": cells, "start": start, "load": [[1.0] * 240] * 1000})
    found = periods.by_grain(series.lazy(), ["load"], "day").collect()
    of_start = sorted(range(1000), key=lambda n: n % 3)
    assert found["job_id"].unique(maintain_order=True).to_list() == [cells[n] for n in of_start]
    assert (
        found.select((pl.col("hour").diff() > pl.duration()) | (pl.col("job_id") != pl.col("job_id").shift()))
        .to_series()[1:]
        .all()
    )
    assert found["load"].sum() == 240_000
    hourly = series.select("job_id", hour=pl.datetime(2025, 1, 1, time_zone="UTC").repeat_by(2)).explode("hour")
    by_day = periods.rows_by_grain(hourly.with_columns(load=1.0).lazy(), ["load"], "day").collect()
    assert by_day["job_id"].to_list() == cells
