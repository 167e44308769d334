"""What is noted of rows while they are written is what reading them again would say; and the checks do read the notes."""

from datetime import UTC, datetime, timedelta
from math import isclose, isfinite
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from pipeline import catalog, checks, storage, tally, views
from pipeline.settings import Settings
from pipeline.tables import OUTPUTS
from tests.sql.published import publish

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module", params=["hour", "month"])
def noted_run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Settings]:
    """A published run whose notes were not tidied away."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storage, "tidy", lambda staged: None)
        out = publish(tmp_path_factory.mktemp("noted") / "m", attribution_grain=request.param)
    return out / "current", Settings(attribution_grain=request.param)


def tallies(run: Path, notes: Path, settings: Settings) -> dict[str, pl.DataFrame]:
    """All that the checks would add up, with the notes that lie in this folder."""
    con = catalog.connect(run, allow_files=True, library=False, settings=settings)

    def number(sql: str) -> int:
        return int(con.sql(sql).to_arrow_table().column(0)[0].as_py())

    tables = views.stored_in(run)
    found = {
        name: pl.DataFrame(pl.from_arrow(con.sql(rows(number)).to_arrow_table()))
        for check in checks.applying(tables, settings)
        for name, rows in checks.tallied(notes, tables, check).items()
    }
    con.close()
    return found


def test_notes_say_what_the_files_say(noted_run: tuple[Path, Settings], tmp_path: Path) -> None:
    run, settings = noted_run
    from_notes, read = tallies(run, run, settings), tallies(run, tmp_path, settings)
    assert from_notes.keys() == read.keys()
    assert {n for n in read if n.startswith("hours.")} == {
        n.replace("totals", "hours") for n in map(_hours, tally.HOUR_SUMS)
    }
    for name, expected in read.items():
        columns = sorted(set(expected.columns) & set(from_notes[name].columns))
        keys = [c for c in columns if expected.schema[c] in (pl.String, pl.Datetime("us", "UTC"))]
        both = [
            f.select(columns).with_columns(pl.selectors.numeric().cast(pl.Float64)).sort(keys)
            for f in (from_notes[name], expected)
        ]
        assert_frame_equal(*both, rel_tol=1e-9, abs_tol=1e-12)


def _hours(table: str) -> str:
    return f"hours.{table.replace('.', '_')}"


def test_files_without_notes_are_read(noted_run: tuple[Path, Settings], tmp_path: Path) -> None:
    run, settings = noted_run
    some = tmp_path / "some"
    for note in list((run / tally.FOLDER).rglob("*.parquet"))[::2]:
        target = some / note.relative_to(run)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(note.read_bytes())
    partly, read = tallies(run, some, settings), tallies(run, tmp_path, settings)
    for name, expected in read.items():
        assert partly[name].height == expected.height
        for column in set(expected.columns) & set(partly[name].columns) & {"rows", "hours", "ram_need", "occurrences"}:
            assert isclose(float(partly[name][column].sum()), float(expected[column].sum()), rel_tol=1e-9)


@pytest.mark.parametrize(
    ("kind", "table", "change", "check"),
    [
        (tally.HOURS, "need.job", pl.col("ram_need") * 1.001, "server_need_is_the_sum_of_its_jobs"),
        (tally.HOURS, "repartition.server", pl.col("weight") + 1, "server_shares_sum_to_one"),
        (tally.SERIES, "need.job", pl.col("avg_occurrences") * 1.001, "occurrences_last_their_duration"),
        (tally.SERIES, "need.job", pl.col("empty avg_occurrences") + 1, "whole_rows.need.job"),
        (tally.SERIES, "energy.server", pl.col("not finite idle_energy") + 1, "whole_rows.energy.server"),
    ],
)
def test_a_wrong_note_is_found(
    noted_run: tuple[Path, Settings], kind: str, table: str, change: pl.Expr, check: str
) -> None:
    run, settings = noted_run
    note = next((run / tally.FOLDER / kind / table).glob("*.parquet"))
    kept = note.read_bytes()
    try:
        pl.read_parquet(note, glob=False).with_columns(change).write_parquet(note)
        assert check in catalog.failing_checks(run, settings)
    finally:
        note.write_bytes(kept)


def test_a_stretch_noted_twice_sends_the_checks_to_the_files(noted_run: tuple[Path, Settings]) -> None:
    run, settings = noted_run
    note = next((run / tally.FOLDER / tally.SERIES / "need.job").glob("*.parquet"))
    kept = note.read_bytes()
    try:
        twice = pl.read_parquet(note, glob=False)
        pl.concat([twice, twice]).write_parquet(note)
        assert catalog.failing_checks(run, settings) == {}
    finally:
        note.write_bytes(kept)


ROWS = st.lists(
    st.tuples(
        st.sampled_from("ab"),
        st.sampled_from(["s1", "s2"]),
        st.integers(480_000, 480_030),
        st.sampled_from([0.0, 1.5, 2.25, 1e12, float("nan"), float("inf")]),
        st.sampled_from([0.0, 0.5, 3.0]),
    ),
    min_size=1,
    max_size=60,
)


@settings(max_examples=150, deadline=None)
@given(rows=ROWS, ordered=st.booleans())
def test_notes_of_any_rows(rows: list[tuple[str, str, int, float, float]], ordered: bool) -> None:
    if ordered:
        rows = sorted(rows, key=lambda r: r[:3])
    frame = pl.DataFrame(
        {
            "job_id": pl.Series([r[0] for r in rows], dtype=pl.Categorical()),
            "server_id": pl.Series([r[1] for r in rows], dtype=pl.Categorical()),
            "usage_pattern_id": pl.Series([None if r[2] % 2 else "p" for r in rows], dtype=pl.Categorical()),
            "hour": pl.Series([EPOCH + timedelta(hours=r[2]) for r in rows], dtype=pl.Datetime("us", "UTC")),
            "occurrences": [r[3] for r in rows],
            "avg_occurrences": [r[4] for r in rows],
            "ram_need": [r[4] for r in rows],
            "compute_need": [2 * r[4] for r in rows],
        }
    )
    made = tally.noted(frame, OUTPUTS["need.job"], ["job_id", "hour", "occurrences", "avg_occurrences"])
    assert made.hours is not None
    hours = tally.by_hour([made.hours], OUTPUTS["need.job"])
    assert made.stretches["rows"].sum() == len(rows)
    assert made.stretches["not finite occurrences"].sum() == sum(not isfinite(r[3]) for r in rows)
    assert (made.stretches["last_hour"] >= made.stretches["first_hour"]).all()
    for job in "ab":
        mine = [r for r in rows if r[0] == job]
        noted = made.stretches.filter(pl.col("job_id") == job)
        assert noted["avg_occurrences"].sum() == pytest.approx(sum(r[4] for r in mine))
        if all(isfinite(r[3]) for r in rows):
            moment = sum(r[3] * (r[2] % tally.MOMENT_HOURS) for r in mine)
            assert noted["moment_occurrences"].sum() == pytest.approx(moment)
    for server, hour in {(r[1], r[2]) for r in rows}:
        mine = [r for r in rows if r[1:3] == (server, hour)]
        sums = hours.filter(pl.col("server_id") == server, pl.col("hour") == EPOCH + timedelta(hours=hour))
        assert sums["rows"].sum() == len(mine)
        assert sums["compute_need"].sum() == pytest.approx(sum(2 * r[4] for r in mine))
    assert hours["rows"].sum() == len(rows)
