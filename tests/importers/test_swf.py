"""What a line of a Standard Workload Format trace becomes: its time, what it held, its verdict, its fields."""

import gzip
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import InputError
from pipeline.importers.base import ImportReport
from pipeline.importers.swf import FIELDS, import_swf
from tests.importers.sacct_of import SHARED, hourly, only, table

START = datetime(2026, 3, 2, 8, tzinfo=UTC)
HEADER = f"""; Version: 2.2
; Computer: Toy 1
; UnixStartTime: {int(START.timestamp())}
; MaxNodes: 4
; MaxProcs: 32
; Note: made up
;       for tests
"""
JOB = {
    "job_number": 1, "submit_time": 600, "wait_time": 300, "run_time": 5400, "allocated_processors": 8,
    "average_cpu_time": 5000.5, "used_memory": 1048576, "requested_processors": 16, "requested_time": 7200,
    "requested_memory": -1, "status": 1, "user_number": 3, "group_number": 2, "executable_number": 7,
    "queue_number": 1, "partition_number": -1, "preceding_job_number": -1, "think_time": -1,
}  # fmt: skip
"""8 of 16 processors asked for, 1 GiB each, from 08:15 to 09:45."""


def line(**fields: object) -> str:
    """A line of a trace."""
    return "  ".join(str(value) for value in {**JOB, **fields}.values())


def take(
    tmp_path: Path, *jobs: str, header: str = HEADER, name: str = "toy.swf", **options: Any
) -> tuple[ImportReport, Path]:
    """Import a trace into a fresh model; the books must balance."""
    source = tmp_path / name
    text = (header + "\n".join(jobs) + "\n").encode()
    source.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    report = import_swf(source, tmp_path / "model", **options)
    assert report.rows_in == report.tables["job_runs"] + report.rejects.total() + report.excluded.total()
    return report, tmp_path / "model"


def test_a_line_becomes_a_run(tmp_path: Path) -> None:
    _, model = take(tmp_path, line())
    run = only(model)
    assert (run["run_id"], run["source"], run["server_id"]) == ("toy:1", "swf", "Toy 1")
    assert (run["application"], run["project"], run["user"], run["state"]) == ("7", "2", "3", "completed")
    assert run["submitted_at"] == START + timedelta(minutes=10)
    assert run["started_at"] == START + timedelta(minutes=15)
    assert run["ended_at"] == START + timedelta(minutes=15 + 90)
    assert (run["cpu_cores"], run["ram"], run["flags"]) == (8, 8 * 1, None)


def test_every_field_has_a_column_and_unknown_ones_are_empty(tmp_path: Path) -> None:
    _, model = take(tmp_path, line())
    row = only(model, "swf_jobs")
    assert [n for n in FIELDS if row[n] is None] == [
        "requested_memory",
        "partition_number",
        "preceding_job_number",
        "think_time",
    ]
    assert (row["average_cpu_time"], row["used_memory"], row["source_row"]) == (5000.5, 1.0, 8)
    headers = pl.read_parquet(model / "swf_headers.parquet" / "swf.parquet")
    assert headers.row(1) == ("toy", 2, "Computer", "Toy 1")
    assert headers.row(6) == ("toy", 7, None, "for tests")


@pytest.mark.parametrize(("status", "state"), [(1, "completed"), (0, "failed"), (5, "cancelled"), (-1, "unknown")])
def test_every_status_has_our_word(tmp_path: Path, status: int, state: str) -> None:
    _, model = take(tmp_path, line(status=status))
    assert only(model)["state"] == state


def test_unknown_numbers_are_no_zeros(tmp_path: Path) -> None:
    _, model = take(
        tmp_path,
        line(
            wait_time=-1, allocated_processors=-1, used_memory=-1, user_number=-1, group_number=-1, executable_number=-1
        ),
    )
    run = only(model)
    assert run["started_at"] == run["submitted_at"]
    assert (run["cpu_cores"], run["ram"], run["flags"]) == (16, 0, "assumed_allocation")
    assert {run["application"], run["project"], run["user"]} == {"unknown"}


def test_a_partition_is_a_server_of_its_own(tmp_path: Path) -> None:
    _, model = take(tmp_path, line(), line(job_number=2, partition_number=3))
    assert table(model, "job_runs")["server_id"].to_list() == ["Toy 1", "Toy 1/3"]


def test_a_job_cancelled_before_it_started_has_no_time(tmp_path: Path) -> None:
    _, model = take(tmp_path, line(status=5, run_time=-1, allocated_processors=-1))
    assert (only(model)["started_at"], only(model)["cpu_cores"]) == (None, 0)


def test_pieces_of_a_job_are_left_out(tmp_path: Path) -> None:
    report, _ = take(tmp_path, line(), line(status=2), line(status=3))
    assert report.excluded == {"partial_execution": 2}


@pytest.mark.parametrize(
    ("bad", "code", "field"),
    [
        (line(status=9), "unknown_state", "status"),
        (line(submit_time=-1), "bad_timestamp", "submit_time"),
        (line(submit_time=1e12), "bad_timestamp", "submit_time"),
        (line(run_time=-1), "bad_timestamp", "run_time"),
        (line(allocated_processors=0, requested_processors=-1), "zero_cores", "allocated_processors"),
        (line() + " 1", "wrong_field_count", "line"),
        (line(run_time="soon"), "not_a_number", "line"),
        (line(run_time="nan"), "not_a_number", "line"),
    ],
)
def test_a_line_that_breaks_a_rule_is_refused(tmp_path: Path, bad: str, code: str, field: str) -> None:
    report, model = take(tmp_path, bad, line(job_number=2))
    refused = table(model, "rejects").row(0, named=True)
    assert (refused["row"], refused["record_id"], refused["code"], refused["field"]) == (8, "toy:1", code, field)
    assert report.rejects == {code: 1}
    with pytest.raises(InputError, match="1 of 2 records refused"):
        take(tmp_path, bad, line(job_number=2), strict=True)


def test_repeated_and_contradicting_lines_are_refused(tmp_path: Path) -> None:
    report, model = take(tmp_path, line(), line(), line(job_number=2), line(job_number=2, run_time=1))
    assert report.rejects == {"duplicate_line": 1, "duplicate_id_conflict": 2}
    assert only(model)["run_id"] == "toy:1"


def test_the_header_tells_the_size_of_a_node(tmp_path: Path) -> None:
    report, model = take(tmp_path, line())
    server = pl.read_csv(model / "servers.csv").row(0, named=True)
    assert (server["server_id"], server["compute"], server["power [W]"]) == ("Toy 1", 32 / 4, None)
    assert any("4 nodes" in warning for warning in report.warnings)


def test_gzipped_traces_and_folders_of_traces_are_read(tmp_path: Path) -> None:
    _, model = take(tmp_path, line(), name="one.swf.gz")
    assert only(model)["run_id"] == "one:1"
    take(tmp_path, line(), name="two.swf")
    report = import_swf(_folder_of(tmp_path), tmp_path / "model")
    assert report.tables["job_runs"] == 2


def _folder_of(tmp_path: Path) -> Path:
    folder = tmp_path / "traces"
    folder.mkdir()
    for name in ("one.swf.gz", "two.swf"):
        (tmp_path / name).rename(folder / name)
    return folder


@pytest.mark.parametrize(
    ("header", "jobs", "message"),
    [
        ("; Computer: Toy\n", [line()], "UnixStartTime"),
        ("; UnixStartTime: when?\n", [line()], "UnixStartTime"),
        (HEADER, [], "holds no job"),
        ("\0", [line()], "zero bytes"),
    ],
)
def test_a_broken_trace_is_named(tmp_path: Path, header: str, jobs: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        take(tmp_path, *jobs, header=header)


number = st.one_of(st.integers(-1, 10**6), st.floats(), st.sampled_from([-1, 0, 1, 10**20, -5]), st.text(max_size=4))


@given(st.lists(st.dictionaries(st.sampled_from(list(JOB)), number, max_size=6), min_size=1, max_size=5))
@settings(max_examples=60, deadline=None)
def test_any_numbers_are_a_run_or_refused(fields: list[dict[str, Any]]) -> None:
    with TemporaryDirectory() as folder, suppress(InputError):
        take(Path(folder), *(line(**f) for f in fields))


# ---------------------------------------------------------------- the shared trace


@pytest.mark.skipif(not SHARED.exists(), reason="the shared traces are not here")
def test_nasa_gives_the_expected_seconds_of_every_hour(tmp_path: Path) -> None:
    report = import_swf(SHARED / "traces" / "NASA-iPSC-1993-3.1-cln.swf", tmp_path / "model")
    runs = table(tmp_path / "model", "job_runs")
    expected = pl.read_csv(SHARED / "traces" / "expected_hourly_nasa.csv", try_parse_dates=True)
    got = hourly(runs)
    assert (report.rows_in, runs.height) == (18239, 18239)
    assert got["hour"].to_list() == expected["hour"].dt.replace_time_zone(None).to_list()
    assert got["core_seconds"].to_list() == expected["core_seconds"].to_list()
    assert got["core_seconds"].sum() / 3600 == pytest.approx(131_732.78, abs=0.005)
    peak = got.filter(pl.col("hour") == datetime(1993, 11, 5, 3))
    assert peak["core_seconds"].item() / 3600 == pytest.approx(130.9, abs=0.05)
