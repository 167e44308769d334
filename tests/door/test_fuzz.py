"""Any bytes at all at the door: a model or an InputError, and never anything else; CSV read as Python's csv module reads it."""

import contextlib
import csv
import io

import polars as pl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pipeline import model
from pipeline.errors import InputError
from pipeline.folder import TableFile
from pipeline.parsing import parse_instant, parse_number
from pipeline.reading import read_batches
from pipeline.tables import INPUTS
from pipeline.units import UnitError, conversion
from pipeline.violations import lines, stacked
from tests.door.models import small, write

FOLDERS = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
PURE = settings(deadline=None, max_examples=100)

HEADER = "job_id,usage_pattern_id,container_id,hour,occurrences"
TOKENS = [",", '"', "\n", "\r\n", "\r", ";", "\t", " ", "\x00", "\ufeff", "a", "\u00e9", "\u202e", "1", "-1", "1e308", "nan", "inf", "0.1 kB", "1,5", "2026-01-01T00:00:00Z", "2026-01-01 00:30", "[kW]", HEADER, "job_id", "hour", "read"]  # fmt: skip
TEXTS = st.lists(st.sampled_from(TOKENS) | st.characters(codec="utf-8"), max_size=60).map("".join)


def loads(folder):
    """Load a folder: the violations printed, or nothing."""
    try:
        model.load(folder)
    except InputError as refusal:
        printed = lines(refusal.violations)
        assert printed
        assert all(line.isprintable() for line in printed)
        return printed
    return []


@FOLDERS
@given(data=st.binary(max_size=400) | TEXTS.map(str.encode))
@example(data=b"")
@example(data=b'"')
@example(data=b"\xff\xfe")
@example(data=b"job_id,hour\n\n\n")
@example(data=HEADER.encode() + b"\n\n\nread,a,b,2026-01-01,1\n")
@example(data=HEADER.encode() + b"\n,,,,\n")
@example(data=HEADER.encode() + b'\n"","","","",""\n')
@example(data=HEADER.encode() + b"\r\n\r\n\r\n")
@example(data=b"\xef\xbb\xbf" * 2 + HEADER.encode())
def test_any_bytes_as_csv_are_read_or_refused(data, tmp_path):
    write(small(), tmp_path)
    (tmp_path / "occurrences.csv").write_bytes(data)
    loads(tmp_path)


@FOLDERS
@given(text=TEXTS)
def test_any_rows_below_a_header_are_read_or_refused(text, tmp_path):
    write(small(), tmp_path)
    (tmp_path / "occurrences.csv").write_bytes(f"{HEADER}\n{text}".encode())
    loads(tmp_path)


@FOLDERS
@given(where=st.floats(0, 1), old=st.integers(0, 40), new=st.binary(max_size=40))
def test_any_damage_to_parquet_is_read_or_refused(where, old, new, tmp_path):
    write(small(), tmp_path)
    (tmp_path / "jobs.csv").unlink()
    whole = tmp_path / "whole.md"
    if not whole.exists():
        pl.DataFrame(small()["jobs"]).write_parquet(whole)
    data = whole.read_bytes()
    start = int(len(data) * where)
    (tmp_path / "jobs.parquet").write_bytes(data[:start] + new + data[start + old :])
    loads(tmp_path)


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8) | st.sampled_from(TOKENS[:12])


@FOLDERS
@given(rows=st.lists(st.lists(CELLS, min_size=2, max_size=2), max_size=12), end=st.sampled_from(["\n", "\r\n"]), always=st.booleans())  # fmt: skip
@example(rows=[["", ""], ["", ""], ["a", "b"]], end="\n", always=False)
@example(rows=[["a\r\n\r\nb", '"'], ['"",""', ","]], end="\r\n", always=False)
def test_csv_is_read_as_the_csv_module_reads_it(rows, end, always, tmp_path):
    always |= any(
        "\r" in cell for row in rows for cell in row
    )  # the csv module leaves a CR bare, which would end the line
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator=end, quoting=csv.QUOTE_ALL if always else csv.QUOTE_MINIMAL)
    writer.writerow(["server_need_id", "job_id"])
    writer.writerows(rows)
    path = tmp_path / "server_need_jobs.csv"
    path.write_bytes(text.getvalue().encode())
    table = INPUTS["server_need_jobs"]
    batches = list(read_batches(TableFile(table, path, "csv", path.name)))
    frame = pl.concat([b.frame for b in batches])
    expected = [[a or None, b or None] for a, b in rows]
    broken = {(v["row"], v["column"]) for v in stacked([v for b in batches for v in b.violations]).iter_rows(named=True)}  # fmt: skip
    given_rows = [e for e, r in zip(expected, rows, strict=True) if always or any(r)]
    assert [list(r) for r in frame.select("server_need_id", "job_id").iter_rows()] == given_rows
    assert {b for b in broken if b[0] is None} == set()


@PURE
@given(st.lists(st.text(max_size=30) | st.from_regex(r"[+-]?[0-9.]{1,5}([eE][+-]?[0-9]{1,3})? ?[A-Za-z%_/()* 0-9]{0,12}", fullmatch=True), min_size=1, max_size=20))  # fmt: skip
@example(["1e999 kW", "0 W", "\u0661 kW", "1 W/0", "5 W(", "1 %", "1 1 W"])
def test_any_text_as_a_number_is_a_number_or_an_expectation(cells):
    column = INPUTS["servers"].columns["power"]
    parsed = parse_number(column, pl.Series(cells), "kW")
    for cell, value, expected in zip(cells, parsed.values, parsed.expected, strict=True):
        blank = not cell.strip()
        assert (value is None) == (blank or expected is not None)
        try:
            plain = float(cell)
        except ValueError:
            continue
        if cell.isascii() and "_" not in cell and expected is None and value is not None:
            assert value == pytest.approx(plain * 1000, nan_ok=True)


@PURE
@given(st.text(max_size=40) | st.from_regex(r"[A-Za-z_%/*() 1]{1,20}", fullmatch=True))
@example("m" * 79)
@example("((((((((((((((((((((")
@example("1/1/1/1/1")
@example("%" * 40)
@example("kilo" * 19)
def test_any_text_as_a_unit_is_a_unit_or_an_error(unit):
    with contextlib.suppress(UnitError):
        assert conversion(unit, "W").factor > 0


@PURE
@given(st.lists(st.text(max_size=30) | st.datetimes().map(lambda d: d.isoformat()) | st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.,][0-9]{1,9})?)?(Z|[+-][0-9]{2}:?[0-9]{2})?", fullmatch=True), min_size=1, max_size=20))  # fmt: skip
@example(["0000-00-00", "9999-12-31T23:59:59-18:00", "0001-01-01T00:00+18:00"])
def test_any_text_as_an_instant_is_an_instant_or_an_expectation(cells):
    column = INPUTS["job_runs"].columns["submitted_at"]
    parsed = parse_instant(column, pl.Series(cells), None)
    for cell, value, expected in zip(cells, parsed.values, parsed.expected, strict=True):
        assert (value is None) == (not cell.strip() or expected is not None)


@PURE
@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1), st.sampled_from(["ms", "us", "ns"]), st.sampled_from([None, "UTC", "Asia/Kolkata"]))  # fmt: skip
def test_any_ticks_as_timestamps_are_instants_or_expectations(ticks, unit, zone):
    column = INPUTS["job_runs"].columns["submitted_at"]
    parsed = parse_instant(column, pl.Series(ticks).cast(pl.Datetime(unit, zone)), None)
    assert (parsed.values.is_null() == parsed.failed).all()


@PURE
@given(st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1))
def test_any_ticks_as_dates_are_instants_or_expectations(ticks):
    column = INPUTS["job_runs"].columns["submitted_at"]
    parsed = parse_instant(column, pl.Series(ticks, dtype=pl.Int32).cast(pl.Date), None)
    assert (parsed.values.is_null() == parsed.failed).all()
