"""need.run: what observed runs held and how long they waited, each hour."""

import polars as pl
import pytest

from pipeline.stages.need import run
from tests.frames import assert_table, frame, given

NO_PIECES, NO_HORIZONS = given("job_run_intervals"), given("log_horizons")


def runs(drawing: str, pieces: pl.LazyFrame = NO_PIECES, horizons: pl.LazyFrame = NO_HORIZONS) -> pl.LazyFrame:
    return run.build(run.held_intervals(given("job_runs", drawing), pieces, horizons))


def test_a_run_holds_what_it_holds_for_its_part_of_each_hour():
    made = runs("""
        | run_id | source | server_id | application | project | user | submitted_at | started_at | ended_at | cpu_cores | gpus | ram |
        | a      | slurm  | node      | fold        | lab     | ann  | 00:00        | 00:45      | 02:15    |         8 |    2 |   3 |
    """)  # fmt: skip
    assert_table(made, """
        | server_id | application | project | user | hour  | runs_started | runs_running | runs_ended | run_hours | core_hours | gpu_hours | ram_hours | wait_hours |
        | node      | fold        | lab     | ann  | 00:00 |            1 |            1 |          0 |       1/4 |      8 / 4 |     2 / 4 |     3 / 4 |        3/4 |
        | node      | fold        | lab     | ann  | 01:00 |            0 |            1 |          0 |         1 |          8 |         2 |         3 |          0 |
        | node      | fold        | lab     | ann  | 02:00 |            0 |            1 |          1 |       1/4 |      8 / 4 |     2 / 4 |     3 / 4 |          0 |
    """)  # fmt: skip


def test_a_run_without_end_is_held_until_the_horizon_of_its_log():
    drawing = """
        | run_id | source | server_id | application | project | user | submitted_at | started_at | ended_at | cpu_cores |
        | open   | slurm  | node      | fold        | lab     | ann  | 00:00        | 00:00      | -        |         1 |
        | done   | slurm  | node      | sort        | lab     | ann  | 00:00        | 00:00      | 01:30    |         1 |
    """
    mine = pl.col("application") == "fold"
    assert_table(runs(drawing).filter(mine), "| hour | run_hours |\n| 00:00 | 1 |\n| 01:00 | 1/2 |")
    assert_table(
        runs(drawing),
        """
        | application | hour  | runs_started | runs_running | runs_ended |
        | fold        | 00:00 |            1 |            1 |          0 |
        | fold        | 01:00 |            0 |            1 |          0 |
        | sort        | 00:00 |            1 |            1 |          0 |
        | sort        | 01:00 |            0 |            1 |          1 |
    """,
    )
    horizon = given("log_horizons", "| source | horizon |\n| slurm | 02:15 |")
    assert_table(
        runs(drawing, horizons=horizon).filter(mine),
        "| hour | run_hours |\n| 00:00 | 1 |\n| 01:00 | 1 |\n| 02:00 | 1/4 |",
    )


def test_a_run_in_pieces_holds_nothing_between_them_and_counts_once():
    pieces = given(
        "job_run_intervals",
        """
        | run_id | interval_no | started_at | ended_at |
        | a      |           0 | 00:00      | 00:15    |
        | a      |           1 | 00:30      | 00:45    |
        | a      |           2 | 03:00      | 04:00    |
    """,
    )
    made = runs("""
        | run_id | source | server_id | application | project | user | submitted_at | started_at | ended_at | cpu_cores |
        | a      | slurm  | node      | fold        | lab     | ann  | 00:00        | 00:00      | 04:00    |         4 |
    """, pieces)  # fmt: skip
    assert_table(
        made,
        """
        | hour  | runs_started | runs_running | runs_ended | core_hours |
        | 00:00 |            1 |            1 |          0 |    4 * 1/2 |
        | 03:00 |            0 |            1 |          0 |          4 |
        | 04:00 |            0 |            0 |          1 |          0 |
    """,
    )


def test_a_run_that_never_started_uses_nothing():
    made = runs("""
        | run_id | source | server_id | application | project | user | submitted_at | started_at | ended_at | cpu_cores |
        | a      | slurm  | node      | fold        | lab     | ann  | 00:00        | -          | -        |         4 |
        | b      | slurm  | node      | fold        | lab     | ann  | 01:00        | 02:00      | 03:00    |         4 |
    """)  # fmt: skip
    assert_table(
        made,
        "| hour | core_hours | runs_started | runs_ended |\n| 02:00 | 4 | 1 | 0 |\n| 03:00 | 0 | 0 | 1 |",
    )


def test_a_run_of_no_time_is_counted_and_its_data_is_not():
    made = runs("""
        | run_id | source | server_id | application | project | user | submitted_at | started_at | ended_at | cpu_cores | data_transferred | data_stored |
        | a      | slurm  | node      | fold        | lab     | ann  | 00:00        | 00:30      | 00:30    |         4 |               10 |          10 |
    """)  # fmt: skip
    assert_table(
        made,
        "| hour | runs_started | runs_ended | core_hours | data_transferred | data_stored |\n| 00:00 | 1 | 1 | 0 | 0 | 0 |",
    )


def test_data_is_spread_over_the_time_held():
    made = runs("""
        | run_id | source | server_id | application | project | user | submitted_at | started_at | ended_at | data_transferred | data_stored |
        | a      | slurm  | node      | fold        | lab     | ann  | 00:00        | 00:30      | 02:00    |               30 |           0 |
        | b      | slurm  | node      | fold        | lab     | ann  | 00:00        | 03:00      | 03:30    |                0 |           6 |
    """)  # fmt: skip
    assert_table(
        made.filter(pl.col("run_hours") > 0),
        """
        | hour  | data_transferred | data_stored |
        | 00:00 | 30 / 3           |           0 |
        | 01:00 | 30 * 2 / 3       |           0 |
        | 03:00 | 0                |           6 |
    """,
    )


def test_measured_energy_is_spread_over_the_time_held_and_counts_where_there_was_none():
    pieces = given(
        "job_run_intervals",
        """
        | run_id | interval_no | started_at | ended_at |
        | c      |           0 | 03:30      | 03:30    |
        | c      |           1 | 04:15      | 04:15    |
    """,
    )
    made = runs("""
        | run_id | source | server_id | application | project | user | submitted_at | started_at | ended_at | energy |
        | a      | slurm  | node      | fold        | lab     | ann  | 00:00        | 00:30      | 02:00    |      3 |
        | b      | slurm  | node      | fold        | lab     | ann  | 00:00        | 00:00      | 00:30    |      5 |
        | c      | slurm  | node      | fold        | lab     | ann  | 00:00        | 03:30      | 04:15    |      8 |
        | d      | slurm  | node      | fold        | lab     | ann  | 00:00        | 05:00      | 05:00    |      7 |
        | none   | slurm  | node      | fold        | lab     | ann  | 00:00        | 06:00      | 06:30    |      - |
        | zero   | slurm  | node      | fold        | lab     | ann  | 00:00        | 07:00      | 07:30    |      0 |
    """, pieces)  # fmt: skip
    assert_table(
        made,
        """
        | hour  | measured_energy |
        | 00:00 |    3 * 1/3 + 5  |
        | 01:00 |    3 * 2/3      |
        | 02:00 |    -            |
        | 03:00 |    8 / 2        |
        | 04:00 |    8 / 2        |
        | 05:00 |    7            |
        | 06:00 |    -            |
        | 07:00 |    0            |
    """,
    )


def test_nobody_waits_less_than_no_time_and_unknown_times_are_none():
    made = runs("""
        | run_id | source | server_id | application | project | user | submitted_at | started_at | ended_at |
        | early  | slurm  | node      | fold        | lab     | ann  | 02:00        | 01:00      | 01:30    |
        | when   | slurm  | node      | fold        | lab     | ann  | -            | 02:00      | 02:30    |
        | later  | slurm  | node      | fold        | lab     | ann  | 02:15        | 03:00      | 03:30    |
    """)  # fmt: skip
    assert_table(made, "| hour | wait_hours |\n| 01:00 | 0 |\n| 02:00 | 0 |\n| 03:00 | 3/4 |")


def test_runs_of_no_named_source_are_one_source():
    made = runs("""
        | run_id | source | server_id | application | project | user | submitted_at | started_at | ended_at | cpu_cores |
        | a      | -      | node      | fold        | lab     | ann  | 00:00        | 00:00      | -        |         2 |
        | b      | -      | node      | sort        | lab     | ann  | 00:00        | 00:00      | 00:30    |         1 |
    """)  # fmt: skip
    assert_table(
        made.filter(pl.col("run_hours") > 0),
        """
        | application | hour  | core_hours |
        | fold        | 00:00 |    2 * 1/2 |
        | sort        | 00:00 |    1 * 1/2 |
    """,
    )


def test_the_largest_amounts_do_not_overflow():
    made = runs("""
        | run_id | source | server_id | application | project | user | submitted_at | started_at | ended_at | cpu_cores |    gpus |     ram |
        | a      | slurm  | node      | fold        | lab     | ann  | 00:00        | 00:00      | 02:00    |   1200000 |       0 |       0 |
        | b      | slurm  | node      | fold        | lab     | ann  | 00:00        | 00:00      | 02:00    |   1200000 |       0 |       0 |
        | c      | slurm  | node      | fold        | lab     | ann  | 00:00        | 00:00      | 02:00    |   1200000 |       0 |       0 |
        | d      | slurm  | node      | fold        | lab     | eve  | 00:00        | 00:00      | 01:00    |   1200000 | 1200000 | 1200000 |
        | e      | slurm  | node      | fold        | lab     | eve  | 00:00        | 00:00      | 01:00    |   1200000 | 1200000 | 1200000 |
        | f      | slurm  | node      | fold        | lab     | eve  | 00:00        | 00:00      | 01:00    |   1200000 | 1200000 | 1200000 |
    """)  # fmt: skip
    assert_table(
        made.filter(pl.col("run_hours") > 0),
        """
        | user | hour  | core_hours | gpu_hours | ram_hours |
        | ann  | 00:00 |    3600000 |         0 |         0 |
        | ann  | 01:00 |    3600000 |         0 |         0 |
        | eve  | 00:00 |    3600000 |   3600000 |   3600000 |
    """,
    )


def test_rows_come_by_who_and_hour():
    made = runs("""
        | run_id | source | server_id | application | project | user | submitted_at | started_at | ended_at |
        | a      | slurm  | node      | sort        | lab     | bob  | 00:00        | 03:00      | 03:30    |
        | b      | slurm  | node      | sort        | lab     | ann  | 00:00        | 02:00      | 02:30    |
        | c      | slurm  | node      | fold        | lab     | eve  | 00:00        | 05:00      | 05:30    |
        | d      | slurm  | node      | fold        | lab     | eve  | 00:00        | 01:00      | 01:30    |
    """)  # fmt: skip
    found = made.select("application", "user", pl.col("hour").dt.hour()).collect().rows()
    assert found == [("fold", "eve", 1), ("fold", "eve", 5), ("sort", "ann", 2), ("sort", "bob", 3)]


def test_amounts_that_are_no_whole_thousandths_are_summed_all_the_same():
    made = runs("""
        | run_id | source | server_id | application | project | user | submitted_at | started_at | ended_at | cpu_cores | gpus | ram |
        | a      | slurm  | node      | fold        | lab     | ann  | 00:00        | 00:00      | 02:00    |       1/3 |    0 |   0 |
        | b      | slurm  | node      | fold        | lab     | ann  | 00:00        | 00:30      | 01:00    |         1 |    0 |   0 |
        | c      | slurm  | node      | fold        | lab     | ann  | 00:00        | 00:45      | 01:30    |         0 |  2/3 | 7/3 |
        | d      | slurm  | node      | fold        | lab     | ann  | 00:00        | 01:15      | 01:15    |       1/3 |    1 |   1 |
        | e      | slurm  | node      | fold        | lab     | ann  | 00:00        | 01:30      | 02:00    |       1/7 |  1/7 | 1/7 |
        | f      | slurm  | node      | fold        | lab     | ann  | 00:00        | 05:00      | 06:00    | 1/10000000 |   0 |   0 |
    """)  # fmt: skip
    assert_table(made.filter(pl.col("run_hours") > 0), """
        | hour  | runs_running | run_hours       | core_hours      | gpu_hours             | ram_hours             |
        | 00:00 |            3 | 1 + 1/2 + 1/4   | 1/3 + 1/2       | 2/3 * 1/4             | 7/3 * 1/4             |
        | 01:00 |            3 | 1 + 1/2 + 1/2   | 1/3 + 1/7 * 1/2 | 2/3 * 1/2 + 1/7 * 1/2 | 7/3 * 1/2 + 1/7 * 1/2 |
        | 05:00 |            1 | 1               | 1/10000000      | 0                     | 0                     |
    """)  # fmt: skip


def test_a_gpu_server_counts_gpus():
    hourly = frame("""
        | server_id | application | project | user | hour  | runs_started | run_hours | core_hours | gpu_hours | ram_hours | data_transferred | data_stored |
        | gpus      | fold        | lab     | ann  | 00:00 |            1 |         1 |         16 |         2 |        64 |                0 |           0 |
        | cpus      | fold        | lab     | ann  | 00:00 |            1 |         1 |         16 |         2 |        64 |                0 |           0 |
    """)  # fmt: skip
    servers = frame(
        "| server_id | compute_unit | compute | ram |\n| gpus | gpu | 4 | 256 |\n| cpus | cpu_core | 32 | 128 |"
    )
    assert_table(
        run.as_cells(hourly, servers),
        """
        | server_id | job_id | usage_pattern_id | container_id | compute_need | ram_need | demand         |
        | gpus      | fold   | lab              | ann          |            2 |       64 | 2/4 + 64/256   |
        | cpus      | fold   | lab              | ann          |           16 |       64 | 16/32 + 64/128 |
    """,
    )


def test_a_run_that_ends_on_the_hour_is_not_under_way_in_the_next_where_another_is():
    made = runs("""
        | run_id | source | server_id | application | project | user | submitted_at | started_at | ended_at | cpu_cores |
        | late   | slurm  | node      | fold        | lab     | ann  | 00:00        | 05:00      | 06:00    |         4 |
        | early  | slurm  | node      | fold        | lab     | ann  | 00:00        | 00:30      | 01:00    |         4 |
        | next   | slurm  | node      | fold        | lab     | ann  | 01:00        | 01:00      | 01:30    |         4 |
    """)  # fmt: skip
    assert_table(
        made,
        """
        | hour  | runs_started | runs_running | runs_ended | core_hours | wait_hours |
        | 00:00 |            1 |            1 |          0 |    4 * 1/2 |        1/2 |
        | 01:00 |            1 |            1 |          2 |    4 * 1/2 |          0 |
        | 05:00 |            1 |            1 |          0 |          4 |          5 |
        | 06:00 |            0 |            0 |          1 |          0 |          0 |
    """,
    )


@pytest.mark.parametrize("day", ["", "+1826 "])  # in 2030 hours times 1/3,600,000 ms come out whole, in 2025 just below
def test_pieces_that_end_on_the_hour_or_take_no_time_count_no_run_off(day: str):
    pieces = given(
        "job_run_intervals",
        f"""
        | run_id | interval_no | started_at | ended_at   |
        | a      |           0 | {day}00:30 | {day}01:00 |
        | a      |           1 | {day}01:15 | {day}01:30 |
        | a      |           2 | {day}02:00 | {day}02:00 |
        | a      |           3 | {day}02:15 | {day}02:45 |
    """,
    )
    made = runs(f"""
        | run_id | source | server_id | application | project | user | submitted_at | started_at | ended_at   | cpu_cores |
        | a      | slurm  | node      | fold        | lab     | ann  | {day}00:00   | {day}00:30 | {day}02:45 |         4 |
    """, pieces)  # fmt: skip
    assert_table(
        made,
        f"""
        | hour       | runs_started | runs_running | runs_ended | core_hours | wait_hours |
        | {day}00:00 |            1 |            1 |          0 |    4 * 1/2 |        1/2 |
        | {day}01:00 |            0 |            1 |          0 |    4 * 1/4 |          0 |
        | {day}02:00 |            0 |            1 |          1 |    4 * 1/2 |          0 |
    """,
    )


def test_runs_of_one_user_in_one_hour_add_up():
    made = runs("""
        | run_id | source | server_id | application | project | user | submitted_at | started_at | ended_at | cpu_cores | data_transferred | data_stored | energy |
        | a      | slurm  | node      | fold        | lab     | ann  | 00:00        | 00:15      | 00:45    |         1 |                4 |         0.5 |      1 |
        | b      | slurm  | node      | fold        | lab     | ann  | 00:00        | 00:30      | 01:00    |         1 |              0.5 |           6 |      - |
        | c      | slurm  | node      | fold        | lab     | ann  | 00:30        | 00:30      | 01:00    |         1 |                0 |           0 |      2 |
        | still  | slurm  | node      | fold        | lab     | ann  | 00:20        | 00:20      | 00:20    |         1 |                0 |           0 |      - |
        | d      | slurm  | node      | fold        | lab     | ann  | 00:00        | 00:00      | 00:30    |         1 |                0 |        0.25 |      - |
    """)  # fmt: skip
    assert_table(made.filter(pl.col("run_hours") > 0), """
        | hour  | runs_started | runs_running | wait_hours | core_hours | data_transferred | data_stored | measured_energy |
        | 00:00 |            5 |            4 |  1/4 + 1/2 |          2 |              4.5 |        6.75 |               3 |
    """)  # fmt: skip


def test_each_run_in_pieces_counts_once_and_its_data_goes_by_the_time_of_each():
    pieces = given(
        "job_run_intervals",
        """
        | run_id | interval_no | started_at | ended_at |
        | a      |           0 | 00:00      | 00:15    |
        | a      |           1 | 00:30      | 01:15    |
        | b      |           0 | 00:10      | 00:20    |
        | b      |           1 | 00:40      | 00:50    |
        | c      |           0 | 02:30      | 02:30    |
        | c      |           1 | 03:30      | 03:30    |
    """,
    )
    made = runs("""
        | run_id | source | server_id | application | project | user | submitted_at | started_at | ended_at | cpu_cores | data_transferred | energy |
        | a      | slurm  | node      | fold        | lab     | ann  | 00:00        | 00:00      | 01:15    |         1 |                8 |      - |
        | b      | slurm  | node      | fold        | lab     | ann  | 00:00        | 00:10      | 00:50    |         1 |                0 |      - |
        | c      | slurm  | node      | fold        | lab     | ann  | 02:30        | 02:30      | 03:30    |         1 |                0 |      4 |
    """, pieces)  # fmt: skip
    assert_table(
        made,
        """
        | hour  | runs_started | runs_running | runs_ended | core_hours      | data_transferred | measured_energy |
        | 00:00 |            2 |            2 |          1 | 3/4 + 1/3       | 8 * 3/4          |               - |
        | 01:00 |            0 |            1 |          1 | 1/4             | 8 * 1/4          |               - |
        | 02:00 |            1 |            0 |          0 | 0               | 0                |           4 / 2 |
        | 03:00 |            0 |            0 |          1 | 0               | 0                |           4 / 2 |
    """,
    )


def test_a_run_over_many_hours_holds_all_of_them_and_one_of_a_millisecond_its_own():
    made = runs("""
        | run_id | source | server_id | application | project | user | submitted_at | started_at | ended_at     | cpu_cores | data_transferred |
        | long   | slurm  | node      | fold        | lab     | ann  | 00:00        | 00:30      | 05:00        |     1.001 |                0 |
        | blink  | slurm  | node      | sort        | lab     | ann  | 00:00        | 00:00      | 00:00:00.001 |         1 |                0 |
        | over   | slurm  | node      | sort        | lab     | bob  | 02:00        | 02:00      | 03:00:00.001 |         0 |          3600001 |
    """)  # fmt: skip
    assert_table(made.filter(pl.col("run_hours") > 0), """
        | application | user | hour  | run_hours   | core_hours  | data_transferred |
        | fold        | ann  | 00:00 |         1/2 |   1.001 / 2 |                0 |
        | fold        | ann  | 01:00 |           1 |       1.001 |                0 |
        | fold        | ann  | 02:00 |           1 |       1.001 |                0 |
        | fold        | ann  | 03:00 |           1 |       1.001 |                0 |
        | fold        | ann  | 04:00 |           1 |       1.001 |                0 |
        | sort        | ann  | 00:00 |   1/3600000 |   1/3600000 |                0 |
        | sort        | bob  | 02:00 |           1 |           0 |          3600000 |
        | sort        | bob  | 03:00 |   1/3600000 |           0 |                1 |
    """)  # fmt: skip


def test_energy_of_a_run_shorter_than_an_hour_goes_by_its_time_in_each():
    made = runs("""
        | run_id | source | server_id | application | project | user | submitted_at | started_at | ended_at | energy |
        | a      | slurm  | node      | fold        | lab     | ann  | 00:00        | 00:45      | 01:05    |      4 |
    """)  # fmt: skip
    assert_table(
        made.filter(pl.col("run_hours") > 0), "| hour | measured_energy |\n| 00:00 | 4 * 3/4 |\n| 01:00 | 4 * 1/4 |"
    )


def test_runs_of_other_centuries_stay_with_who_ran_them():
    ages = given("job_runs", """
        | run_id | source | server_id | application | project | user | submitted_at | started_at | ended_at | cpu_cores |
        | a      | slurm  | node      | fold        | lab     | ann  | 00:00        | 00:00      | 00:30    |         1 |
        | b      | slurm  | node      | fold        | lab     | bob  | 00:00        | 00:00      | 00:30    |         1 |
    """)  # fmt: skip
    moments = ["submitted_at", "started_at", "ended_at"]
    early = ages.with_columns(pl.col(m).dt.offset_by("-400y") for m in moments)
    found = run.build(run.held_intervals(early, NO_PIECES, NO_HORIZONS)).collect()
    assert found.select("user", pl.col("hour").dt.year(), "core_hours").rows() == [
        ("ann", 2025 - 400, 0.5),
        ("bob", 2025 - 400, 0.5),
    ]
