"""What is written as Parquet is what every reader reads: text ids, exact numbers, hours in UTC, units; and it appears whole or not at all."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from pipeline import parquet
from pipeline.tables import OUTPUTS

TABLE = OUTPUTS["repartition.footprint"]
NAMES = list(TABLE.columns)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

IDS = st.sampled_from(["a", "b", "", "ä/..'; DROP", "=cmd", "x" * 300])
NUMBERS = st.one_of(
    st.sampled_from([0.0, -0.0, 1.0, 0.1, 1 / 3, 5e-324, 1e308, 2.0**53]),
    st.floats(allow_nan=False, allow_infinity=False),
)
ROWS = st.lists(
    st.tuples(IDS, IDS | st.none(), IDS | st.none(), st.integers(-600_000, 2_900_000), NUMBERS), max_size=40
)


def frame(rows: list[tuple[str, str | None, str | None, int, float]]) -> pl.DataFrame:
    columns = {
        "source_kind": ["server"] * len(rows),
        "source_id": [r[0] for r in rows],
        "phase": ["usage"] * len(rows),
        "stream": ["load"] * len(rows),
        "job_id": [r[1] for r in rows],
        "container_id": [r[2] for r in rows],
        "usage_pattern_id": [r[2] for r in rows],
        "hour": [EPOCH + timedelta(hours=r[3]) for r in rows],
        "footprint": [r[4] for r in rows],
    }
    return pl.DataFrame(columns, schema={n: TABLE.columns[n].dtype for n in columns}).select(NAMES)


def held_as(part: pl.DataFrame, how: str) -> pl.DataFrame:
    """The same rows, their ids as text, as categories or as enumerations."""
    if how == "enumerations":
        return parquet.enumerated(part)
    return part.with_columns(pl.col(pl.String).cast(pl.Categorical())) if how == "categories" else part


@settings(max_examples=100, deadline=None)
@given(parts=st.lists(st.tuples(ROWS, st.sampled_from(["text", "categories", "enumerations"])), max_size=4))
def test_any_rows_are_read_again_as_they_were(
    parts: list[tuple[list[tuple[str, str | None, str | None, int, float]], str]],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    file = tmp_path_factory.mktemp("any") / "rows.parquet"
    whole = frame([row for rows, _ in parts for row in rows])
    assert parquet.write(file, TABLE, NAMES, [held_as(frame(rows), how) for rows, how in parts]) == len(whole)
    assert_frame_equal(pl.read_parquet(file, glob=False), whole, check_exact=True)
    by_arrow = pl.DataFrame(pl.from_arrow(pq.read_table(file)))
    assert_frame_equal(by_arrow, whole, check_exact=True)
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        by_duckdb = con.sql(f"FROM read_parquet('{file}')").pl()
    assert_frame_equal(by_duckdb.cast({"hour": TABLE.columns["hour"].dtype}), whole, check_exact=True)


@pytest.mark.parametrize("counts", [(3, 700, 5), (300, 3), (300, 70_000), (2, 256), (255, 255), (0, 3)])
def test_later_rows_may_have_more_ids_than_the_first_ones(counts: tuple[int, ...], tmp_path: Path) -> None:
    parts = [frame([(f"s{i % 2}", f"j{i}", None, i, 0.5) for i in range(n)]) for n in counts]
    assert parquet.write(tmp_path / "x.parquet", TABLE, NAMES, parts) == sum(counts)
    assert_frame_equal(pl.read_parquet(tmp_path / "x.parquet"), pl.concat(parts), check_exact=True)


def test_fields_carry_units_and_ids_are_text(tmp_path: Path) -> None:
    parquet.write(tmp_path / "x.parquet", TABLE, NAMES, [parquet.enumerated(frame([("s", "j", None, 0, 1.5)]))])
    schema = pq.read_schema(tmp_path / "x.parquet")
    assert schema.field("footprint").metadata[b"unit"] == b"kg"
    assert schema.field("job_id").type == pa.large_string()
    assert json.loads(pq.read_metadata(tmp_path / "x.parquet").metadata[b"units"])["footprint"] == "kg"
    assert [f.name for f in schema if f.nullable] == ["job_id", "container_id", "usage_pattern_id"]


def test_hours_and_jobs_have_statistics_for_each_group_of_rows(tmp_path: Path) -> None:
    parts = [frame([("s", job, "c", h, 1.0) for h in (first, first + 1)]) for job, first in (("a", 0), ("b", 5))]
    parquet.write(tmp_path / "x.parquet", TABLE, NAMES, parts)
    meta = pq.read_metadata(tmp_path / "x.parquet")
    of = {c: [meta.row_group(g).column(NAMES.index(c)).statistics for g in (0, 1)] for c in NAMES}
    assert [(s.min, s.max) for s in of["job_id"]] == [("a", "a"), ("b", "b")]
    assert [s.min for s in of["hour"]] == [EPOCH, EPOCH + timedelta(hours=5)]
    assert {c for c, found in of.items() if any(s is not None and s.has_min_max for s in found)} == {"job_id", "hour"}


def test_tables_without_jobs_have_statistics_of_their_whole_key(tmp_path: Path) -> None:
    servers = OUTPUTS["need.server"]
    row = pl.DataFrame({"server_id": ["s"], "hour": [EPOCH], "ram_need": [1.0], "compute_need": [2.0]})
    parquet.write(tmp_path / "x.parquet", servers, row.columns, [row.cast({"hour": servers.columns["hour"].dtype})])
    group = pq.read_metadata(tmp_path / "x.parquet").row_group(0)
    assert [group.column(i).statistics is not None for i in range(4)] == [True, True, False, False]


@pytest.mark.parametrize(
    ("numbers", "encoding"),
    [
        ([3.0, 1.0, 2.0] * 100, "BYTE_STREAM_SPLIT"),  # whole numbers: most of their bytes are zero
        ([0.1, 0.2, 0.3] * 100, "RLE_DICTIONARY"),  # a few long ones, again and again
        ([1 / n for n in range(1, 301)], "BYTE_STREAM_SPLIT"),  # long ones, each another
    ],
)
def test_numbers_are_encoded_by_what_they_are(tmp_path: Path, numbers: list[float], encoding: str) -> None:
    parquet.write(tmp_path / "x.parquet", TABLE, NAMES, [frame([("s", "j", "c", h, v) for h, v in enumerate(numbers)])])
    column = pq.read_metadata(tmp_path / "x.parquet").row_group(0).column(NAMES.index("footprint"))
    assert encoding in column.encodings
    assert pl.read_parquet(tmp_path / "x.parquet")["footprint"].to_list() == numbers


def test_hours_of_a_series_take_next_to_no_room(tmp_path: Path) -> None:
    parquet.write(tmp_path / "x.parquet", TABLE, NAMES, [frame([("s", "j", "c", h, 1.0) for h in range(10_000)])])
    hours = pq.read_metadata(tmp_path / "x.parquet").row_group(0).column(NAMES.index("hour"))
    assert hours.total_compressed_size < 10_000 / 8


def test_an_empty_cell_where_the_dictionary_allows_none_is_an_error_and_leaves_no_file(tmp_path: Path) -> None:
    broken = frame([("s", "j", "c", 0, 1.0)]).with_columns(footprint=pl.lit(None, pl.Float64))
    with pytest.raises(pa.ArrowInvalid, match="footprint"):
        parquet.write(tmp_path / "x.parquet", TABLE, NAMES, [broken])
    assert not (tmp_path / "x.parquet").exists()


def test_the_same_rows_make_the_same_bytes(tmp_path: Path) -> None:
    rows = [(s, j, None, h, h / 3) for s in "ab" for j in ("x", "y", None) for h in range(50)]
    for name in ("one", "two"):
        parquet.write(tmp_path / name, TABLE, NAMES, [parquet.enumerated(frame(rows))])
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
