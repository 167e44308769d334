"""kill -9 of a real `wattrow run` at any moment changes nothing that a reader of OUT/current sees, and the next run works."""

import fnmatch
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

ROOT = Path(__file__).parents[1]
BEFORE = ROOT / "tests/golden/worked_hour"
HOURS = 20_000
POLL_SECONDS = 0.002

Ready = Callable[[Path], bool]


def start(out: Path, model: Path) -> subprocess.Popen[str]:
    """A run in a process of its own."""
    command = [sys.executable, "-m", "pipeline.cli", "run", str(model), "--out", str(out), "--workers", "1"]
    return subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def finish(process: subprocess.Popen[str]) -> str:
    """What a run that must succeed prints."""
    printed, told = process.communicate(timeout=120)
    assert process.returncode == 0, told
    return printed + told


def kill_when(process: subprocess.Popen[str], ready: Callable[[], bool]) -> bool:
    """SIGKILL as soon as `ready`; whether the process was still alive."""
    while process.poll() is None and not ready():
        time.sleep(POLL_SECONDS)
    alive = process.poll() is None
    process.kill()
    process.communicate(timeout=60)
    return alive


def left_over(out: Path) -> list[Path]:
    """Files that no reader needs."""
    return [p for p in out.rglob("*") if p.is_file() and out / "runs" not in p.parents]


def content(run: Path) -> dict[str, int]:
    """Rows by table, counted in the files of a run that must be complete."""
    told = json.loads((run / "run.json").read_text(encoding="utf-8"))["rows"]
    counted = {}
    for table in told:
        rows = pl.scan_parquet(run / table.replace(".", "/") / "*.parquet").select(pl.len()).collect().item()
        counted[table] = int(rows)
    assert counted == told
    return counted


def names_staged(out: Path) -> list[str]:
    """The files in the staging folder; folders may vanish while they are looked through."""
    return [name for _, _, names in os.walk(out / ".staging") for name in names]


def staged(pattern: str) -> Ready:
    """Whether a file of such a name lies in the staging folder."""
    return lambda out: bool(fnmatch.filter(names_staged(out), pattern))


def files_staged(count: int) -> Ready:
    """Whether so many tables are written in the staging folder."""
    return lambda out: len(fnmatch.filter(names_staged(out), "*.parquet")) >= count


MOMENTS: dict[str, Ready] = {
    "the lock is taken": lambda out: (out / ".lock").exists(),
    "the staging folder appears": lambda out: (out / ".staging").exists(),
    "a first file is half written": staged("*.partial"),
    "one file is written": files_staged(1),
    "five files are written": files_staged(5),
    "twelve files are written": files_staged(12),
    "twenty files are written": files_staged(20),
    "the manifest is half written": staged("run.json*"),
    "the manifest is written": staged("run.json"),
    "the views are written": staged("views.sql"),
    "the run is moved but not current": lambda out: len(list((out / "runs").iterdir())) > 1,
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The worked hour, again and again for two years."""
    folder = tmp_path_factory.mktemp("kill") / "model"
    shutil.copytree(BEFORE, folder)
    hours = pl.datetime_range(pl.datetime(2026, 1, 1), pl.datetime(2026, 1, 1) + pl.duration(hours=HOURS - 1), "1h")
    occurrences = pl.concat(
        pl.select(
            job_id=pl.lit(job),
            usage_pattern_id=pl.lit("web"),
            container_id=pl.lit(container),
            hour=hours,
            occurrences=1.0,
        )
        for job, container in (("search", "browse"), ("search", "checkout"), ("report", "month-end"))
    )
    occurrences.write_csv(folder / "occurrences.csv")
    return folder


@pytest.fixture(scope="module")
def previous(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """OUT with a complete run of another, small model."""
    out = tmp_path_factory.mktemp("kill") / "previous"
    finish(start(out, BEFORE))
    return out


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, model: Path) -> dict[str, int]:
    """What a run that nobody kills publishes."""
    out = tmp_path_factory.mktemp("kill") / "whole"
    finish(start(out, model))
    return content(out / "current")


@pytest.fixture
def out(tmp_path: Path, previous: Path) -> Path:
    shutil.copytree(previous, tmp_path / "out", symlinks=True)
    return tmp_path / "out"


OFTEN = ("the lock is taken", "a first file is half written", "twelve files are written", "the manifest is written")
"""The others only with make test-deep."""


@pytest.mark.parametrize("moment", [pytest.param(m, marks=() if m in OFTEN else pytest.mark.deep) for m in MOMENTS])
def test_a_killed_run_leaves_the_previous_one_and_the_next_works(
    moment: str, out: Path, model: Path, whole: dict[str, int]
) -> None:
    before = (out / "current").resolve()
    rows = content(before)
    killed = kill_when(start(out, model), lambda: MOMENTS[moment](out))

    now = (out / "current").resolve()
    assert content(now) == (rows if now == before else whole), "what readers see is one run, whole"
    if killed and "current" not in moment:
        assert now == before
    assert content(before) == rows, "readers that hold the previous run keep it"

    finish(start(out, model))
    assert content(out / "current") == whole
    assert left_over(out) == [], "nothing of the dead run is left"


@pytest.mark.deep
@pytest.mark.parametrize("seconds", [0.2, 0.9, 1.6, 2.3])
def test_a_run_killed_after_some_time_leaves_a_whole_run(
    seconds: float, out: Path, model: Path, whole: dict[str, int]
) -> None:
    before = (out / "current").resolve()
    rows = content(before)
    end = time.monotonic() + seconds
    kill_when(start(out, model), lambda: time.monotonic() > end)
    now = (out / "current").resolve()
    assert content(now) == (rows if now == before else whole)


def test_a_first_run_that_is_killed_leaves_nothing_to_read(tmp_path: Path, model: Path, whole: dict[str, int]) -> None:
    out = tmp_path / "out"
    assert kill_when(start(out, model), lambda: files_staged(1)(out))
    assert not (out / "current").exists()
    assert list(out.glob("*/**/*.parquet")) == list(out.glob(".staging/**/*.parquet")), "staging is outside every glob"
    finish(start(out, model))
    assert content(out / "current") == whole


def test_a_second_run_on_one_out_refuses_politely(out: Path, model: Path, whole: dict[str, int]) -> None:
    first = start(out, model)
    while first.poll() is None and not (out / ".lock").exists():
        time.sleep(POLL_SECONDS)
    first.send_signal(signal.SIGSTOP)
    try:
        second = start(out, model)
        _, told = second.communicate(timeout=60)
    finally:
        first.send_signal(signal.SIGCONT)
    assert second.returncode == 2
    assert f"another run is at work (process {first.pid} on {socket.gethostname()})" in told
    assert "Traceback" not in told
    finish(first)
    assert content(out / "current") == whole


def lock_of(out: Path, **holder: Any) -> Path:
    lock = out / ".lock"
    lock.write_text(json.dumps(holder), encoding="utf-8")
    return lock


def test_the_lock_of_a_dead_process_is_taken_over(out: Path, model: Path, whole: dict[str, int]) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait(timeout=60)
    lock_of(out, pid=dead.pid, host=socket.gethostname(), started="1")
    finish(start(out, model))
    assert content(out / "current") == whole


def test_the_lock_of_a_number_that_now_is_another_process_is_taken_over(
    out: Path, model: Path, whole: dict[str, int]
) -> None:
    lock_of(out, pid=os.getpid(), host=socket.gethostname(), started="1")
    finish(start(out, model))
    assert content(out / "current") == whole


def test_a_lock_cut_short_by_a_crash_is_taken_over_after_a_minute(
    out: Path, model: Path, whole: dict[str, int]
) -> None:
    lock = out / ".lock"
    lock.write_text("", encoding="utf-8")
    two_minutes_ago = time.time() - 120
    os.utime(lock, (two_minutes_ago, two_minutes_ago))
    finish(start(out, model))
    assert content(out / "current") == whole


def test_the_lock_of_another_machine_is_respected(out: Path, model: Path) -> None:
    lock = lock_of(out, pid=1, host="another-machine.invalid", started="1")
    process = start(out, model)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "another-machine.invalid" in told
    assert str(lock) in told, "it says what to remove if that machine is gone"


def test_a_failing_run_leaves_the_previous_one(out: Path, tmp_path: Path) -> None:
    before = (out / "current").resolve()
    shutil.copytree(BEFORE, tmp_path / "broken")
    (tmp_path / "broken/occurrences.csv").write_text("job_id,hour\nsearch,2026-03-02T10:30Z\n", encoding="utf-8")
    process = start(out, tmp_path / "broken")
    _, told = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "Traceback" not in told
    assert (out / "current").resolve() == before
    assert left_over(out) == []
