"""The series algebra: box filter, sums and cuts of hourly series, exact where MODEL.md asks for exactness."""

import math
from fractions import Fraction

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from pipeline import series
from tests.frames import assert_table, frame

WHOLE_NUMBERS = st.lists(st.integers(0, 10**6).map(float), min_size=1, max_size=60)
ANY_NUMBERS = st.lists(st.one_of(st.just(0.0), st.floats(1e-12, 1e12)), min_size=1, max_size=60)


def naive_box(values: list[float], whole: int, rest: Fraction) -> list[float]:
    def at(h: int) -> Fraction:
        return Fraction(values[h]) if 0 <= h < len(values) else Fraction(0)

    hours = len(values) + (whole if rest else whole - 1)
    return [float(sum((at(h - k) for k in range(whole)), Fraction(0)) + rest * at(h - whole)) for h in range(hours)]


@settings(max_examples=150, deadline=None)
@given(values=WHOLE_NUMBERS, whole=st.integers(1, 80))
def test_whole_starts_over_whole_hours_are_whole_numbers_exactly(values: list[float], whole: int):
    assert list(series.box_values(np.array(values), whole, 0.0)) == naive_box(values, whole, Fraction(0))


@settings(max_examples=150, deadline=None)
@given(values=ANY_NUMBERS, whole=st.integers(0, 80), rest=st.sampled_from([0.25, 0.1, 1 / 3600, 0.999]))
def test_a_box_is_the_sum_it_says_and_a_zero_hour_is_zero(values: list[float], whole: int, rest: float):
    found, expected = series.box_values(np.array(values), whole, rest), naive_box(values, whole, Fraction(rest))
    assert found == pytest.approx(expected, rel=1e-12, abs=0)
    assert all(f == 0.0 for f, e in zip(found, expected, strict=True) if e == 0.0)


@settings(max_examples=150, deadline=None)
@given(values=WHOLE_NUMBERS, hours=st.integers(1, 80))
def test_a_window_never_leaves_residue(values: list[float], hours: int):
    padded = np.array([*values, *[0.0] * (hours + 2), 1e15])
    window = series.window_sum(padded, hours)
    assert window[len(values) + hours - 1] == 0.0
    assert list(window) == naive_box(list(padded), hours, Fraction(0))


@pytest.mark.parametrize(
    ("seconds", "whole", "rest"),
    [
        (0.0, 0, 0.0),
        (1.0, 0, 1 / 3600),
        (3600.0, 1, 0.0),
        (3600 * (1 - 1e-13), 1, 0.0),
        (3600 * (1 + 1e-13), 1, 0.0),
        (7199.9999999999, 2, 0.0),
        (5400.0, 1, 0.5),
        (1e-6, 0, 1e-6 / 3600),
        (0.1 * 3 * 36000, 3, 0.0),
        (3600.0 * 8766 * 200, 8766 * 200, 0.0),
    ],
)
def test_durations_are_whole_hours_and_a_rest_free_of_noise(seconds, whole, rest):
    found = pl.select(s=pl.lit(seconds)).select(
        w=series.whole_and_rest(pl.col("s"))[0], r=series.whole_and_rest(pl.col("s"))[1]
    )
    assert found.row(0) == (whole, pytest.approx(rest, rel=1e-9, abs=0))


def test_sums_cover_the_union_of_hours_and_an_empty_series_adds_none():
    parts = frame("""
        | job_id | start | x      |
        | a      | 03:00 | [1, 2] |
        | a      | 06:00 | [4]    |
        | a      | 00:00 | []     |
        | b      | 01:00 | [8]    |
    """)
    assert_table(
        series.added(parts, ["job_id"], ["x"]),
        """
        | job_id | start | x            |
        | a      | 03:00 | [1, 2, 0, 4] |
        | b      | 01:00 | [8]          |
    """,
    )


def test_long_and_short_series_are_added_alike():
    long, short = [float(i % 7) for i in range(1200)], [3.0, 4.0]
    parts = pl.LazyFrame({"job_id": ["a", "a"], "start": [10, 0], "x": [long, short]})
    made = series.added(parts, ["job_id"], ["x"]).collect()
    assert made["x"].to_list() == [[*short, *[0.0] * 8, *long]]
    assert made["start"].to_list() == [0]


@pytest.mark.parametrize("hours", [3, 1200])
def test_series_times_their_numbers_are_added_as_their_products_are(hours: int):
    drawn = np.random.default_rng(7)
    parts = pl.DataFrame(
        {
            "job_id": ["a", "b", "a", "a", "c"],
            "start": [4, 0, 0, 2, 1],
            "x": [drawn.random(hours).tolist() for _ in range(4)] + [[]],
            "one": [2.0, 0.5, 3.0, 0.0, 7.0],
        }
    )
    products = parts.with_columns(y=pl.col("x") * pl.col("one"), z=pl.col("x") * 1.0).lazy()
    expected = series.added(products, ["job_id"], ["y", "z"])
    made = series.added(parts.with_columns(all=1.0).lazy(), ["job_id"], {"y": ("x", "one"), "z": ("x", "all")})
    assert made.collect_schema() == expected.collect_schema()
    assert_frame_equal(made.collect(), expected.collect(), rel_tol=1e-15)
    alone = parts.unique("job_id", maintain_order=True).lazy()
    assert series.added(alone, ["job_id"], {"y": ("x", "one")}).collect()["y"].to_list() == [
        [v * one for v in x] for x, one in alone.select("x", "one").collect().iter_rows()
    ]


def test_a_series_is_cut_or_filled_with_zeros_to_the_hours_asked_for():
    parts = frame("""
        | job_id | start | x         | to    | hours |
        | a      | 03:00 | [1, 2, 3] | 04:00 |     3 |
        | b      | 03:00 | [1, 2, 3] | 01:00 |     3 |
        | c      | 03:00 | [1, 2, 3] | 09:00 |     2 |
    """)
    assert_table(
        series.aligned(parts, ["x"], "to", "hours"),
        """
        | job_id | start | x         |
        | a      | 04:00 | [2, 3, 0] |
        | b      | 01:00 | [0, 0, 1] |
        | c      | 09:00 | [0, 0]    |
    """,
    )


def test_a_source_is_read_at_the_hours_of_each_series():
    parts = frame("| job_id | server_id | start | x |\n| a | web | 01:00 | [1, 1] |\n| b | none | 00:00 | [1] |")
    sources = frame("| server_id | start | rate |\n| web | 00:00 | [5, 6, 7] |")
    assert_table(
        series.beside(parts, "x", sources, ["server_id"], ["rate"]),
        """
        | job_id | start | x      | rate   |
        | a      | 01:00 | [1, 1] | [6, 7] |
        | b      | 00:00 | [1]    | [0]    |
    """,
    )


def test_rows_become_one_series_from_the_first_to_the_last():
    rows = frame("| job_id | hour | x |\n| a | 05:00 | 2 |\n| a | 03:00 | 1 |\n| b | 00:00 | 7 |")
    assert_table(
        series.from_rows(rows, ["job_id"], ["x"]),
        "| job_id | start | x |\n| a | 03:00 | [1, 0, 2] |\n| b | 00:00 | [7] |",
    )
    assert_table(
        series.rows_of(series.from_rows(rows, ["job_id"], ["x"]), ["x"]),
        """
        | job_id | hour  | x |
        | a      | 03:00 | 1 |
        | a      | 04:00 | 0 |
        | a      | 05:00 | 2 |
        | b      | 00:00 | 7 |
    """,
    )


def test_rows_that_lie_as_series_are_taken_as_they_lie():
    rows = frame("| job_id | hour | x |\n| b | 00:00 | 7 |\n| b | 01:00 | 8 |\n| a | 01:00 | 1 |\n| a | 02:00 | 0 |")
    assert_table(
        series.from_rows(rows, ["job_id"], ["x"]),
        "| job_id | start | x |\n| a | 01:00 | [1, 0] |\n| b | 00:00 | [7, 8] |",
    )


@settings(max_examples=100, deadline=None)
@given(
    keys=st.lists(st.tuples(st.sampled_from(["a", "b", None]), st.integers(0, 5)), unique=True, max_size=12),
    ordered=st.booleans(),
)
def test_rows_become_the_same_series_in_whatever_order_they_come(
    keys: list[tuple[str | None, int]], ordered: bool
) -> None:
    keys = sorted(keys, key=lambda k: (k[0] or "", k[1])) if ordered else keys
    rows = pl.LazyFrame(
        [(job, hour, float(n)) for n, (job, hour) in enumerate(keys, 1)],
        schema={"job_id": pl.String, "hour": pl.Int64, "x": pl.Float64},
        orient="row",
    ).with_columns(series.hour_of(pl.col("hour")))
    value = {key: float(n) for n, key in enumerate(keys, 1)}
    made = series.from_rows(rows, ["job_id"], ["x"]).collect()
    of = {job: [h for j, h in keys if j == job] for job, _ in keys}
    wanted = [(j, min(of[j]), [value.get((j, h), 0.0) for h in range(min(of[j]), max(of[j]) + 1)]) for j in of]
    assert made.rows() == sorted(wanted, key=lambda row: row[0] or "")


LAID = ["x", "y", "z"]


@settings(max_examples=60, deadline=None)
@given(
    keys=st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 6)), unique=True, max_size=12),
    orders=st.tuples(*[st.randoms(use_true_random=False)] * 2),
    missing=st.integers(0, 3),
    shuffled=st.booleans(),
)
def test_tables_of_the_same_hours_are_laid_beside_each_other_whatever_their_order(keys, orders, missing, shuffled):
    value = {(i, hour): float(n) for n, (i, hour) in enumerate(keys)}
    rows = [sorted(keys), sorted(keys)[: len(keys) - missing if shuffled else None], sorted(keys)]
    if shuffled:
        for order, of in zip(orders, rows[:2], strict=True):
            order.shuffle(of)
    schema = {"server_id": pl.String(), "hour": pl.Int64()}
    frames = [
        pl.LazyFrame(of, schema=schema, orient="row").with_columns(
            pl.Series(name, [value[k] + n for k in of], dtype=pl.Float64)
        )
        for n, (name, of) in enumerate(zip(LAID, rows, strict=True))
    ]
    laid = series.joined_by_hour(frames, "server_id").collect()
    kept = sorted(set(rows[1]))
    assert laid.rows() == [(*k, value[k], value[k] + 1, value[k] + 2) for k in kept]


def test_a_key_that_stands_twice_is_not_laid_beside_itself():
    twice = frame("| server_id | hour | x |\n| a | 01:00 | 1 |\n| a | 01:00 | 2 |")
    with pytest.raises(pl.exceptions.ComputeError, match="1:1"):
        series.joined_by_hour([twice, twice.rename({"x": "y"})], "server_id").collect()


@settings(max_examples=60, deadline=None)
@given(ids=st.lists(st.sampled_from("abc"), max_size=8), among=st.sets(st.sampled_from("abcd")))
def test_only_rows_of_these_ids_stay_in_their_order(ids, among):
    rows = pl.LazyFrame({"server_id": ids, "x": range(len(ids))}, schema={"server_id": pl.String, "x": pl.Int64})
    known = pl.LazyFrame({"server_id": sorted(among)}, schema={"server_id": pl.String})
    kept = series.only(rows, known, "server_id").collect()
    assert kept.rows() == [(i, n) for n, i in enumerate(ids) if i in among]


def held_at(lists: pl.Series) -> int:
    """Where the values of a list column begin in memory."""
    return int(lists.explode(empty_as_null=False).to_numpy().__array_interface__["data"][0])


def test_a_row_is_laid_beside_each_series_and_lists_stay_where_they_lie():
    lists = frame("| job_id | server_id | x |\n| a | s | [1, 2] |\n| b | t | [3] |\n| c | s | [] |").collect()
    rows = frame("| server_id | power |\n| t | 7 |\n| s | 5 |")
    laid = series.with_row(lists.lazy(), rows, "server_id").collect()
    assert laid.rows() == [("a", "s", [1, 2], 5), ("b", "t", [3], 7), ("c", "s", [], 5)]
    assert held_at(laid["x"]) == held_at(lists["x"])
    kept = series.only(lists.lazy(), rows, "server_id").collect()
    assert held_at(kept["x"]) == held_at(lists["x"])


def test_no_two_rows_are_laid_beside_a_series():
    lists, rows = frame("| server_id | x |\n| s | [1] |"), frame("| server_id | power |\n| s | 5 |\n| s | 6 |")
    with pytest.raises(pl.exceptions.ComputeError, match="m:1"):
        series.with_row(lists, rows, "server_id").collect()


def test_stretches_break_where_hours_are_missing():
    rows = frame(
        "| job_id | hour | x |\n| a | 05:00 | 2 |\n| a | 03:00 | 1 |\n| a | 04:00 | 9 |\n| a | 08:00 | 4 |\n| b | 09:00 | 7 |"
    )
    assert_table(
        series.stretches(rows, ["job_id"], ["x"]),
        """
        | job_id | start | x         |
        | a      | 03:00 | [1, 9, 2] |
        | a      | 08:00 | [4]       |
        | b      | 09:00 | [7]       |
    """,
    )


def test_millions_of_tiny_amounts_are_summed_to_the_last_digit():
    values = np.full(100_000, 0.1)
    window = series.window_sum(values, 50_000)
    assert window[70_000] == pytest.approx(math.fsum([0.1] * 50_000), rel=1e-12)
