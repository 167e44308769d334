"""Places that cannot be written to, a full temporary folder, a clock that is set back, too little memory."""

import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pipeline import catalog, limits, run
from pipeline.errors import InputError, refused
from pipeline.settings import Settings
from tests.faults.conftest import FEW, Published
from tests.faults.places import NOBODY, as_nobody, attempt, control_group, fill, mounted, told_in_one_line
from tests.splits import assert_same


@pytest.fixture
def open_to_all(tmp_path: Path, models: tuple[Path, Path]) -> Iterator[None]:
    """Folders of pytest that any user may pass through."""
    passed = [
        p for f in (tmp_path, *models) for p in (f, *f.parents) if p.stat().st_uid == os.geteuid() and p != Path("/")
    ]
    modes = {p: p.stat().st_mode for p in passed if p.is_relative_to(tempfile.gettempdir())}
    for path, mode in modes.items():
        path.chmod(mode | 0o055)
    yield
    for path, mode in modes.items():
        path.chmod(mode)


def test_an_out_that_is_mounted_read_only(
    tmp_path: Path, models: tuple[Path, Path], wholes: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    with mounted(tmp_path / "disk", 6_000) as disk:
        published = Published(disk / "out", models, wholes)
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        code, told = attempt(models[1], published.out, capsys, FEW)
        assert code == 2, "no retry helps"
        told_in_one_line(told, f"{published.out}: cannot be written", "Read-only file system", "give another --out")
        published.assert_intact()
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
        published.assert_next_run_works()


@pytest.mark.usefixtures("open_to_all")
def test_an_out_of_another_user(published: Published, capsys: pytest.CaptureFixture[str]) -> None:
    with as_nobody():
        code, told = attempt(published.models[1], published.out, capsys, FEW)
    assert code == 2
    told_in_one_line(told, f"{published.out}: cannot be written", "Permission denied", "give another --out")
    published.assert_intact()


@pytest.mark.usefixtures("open_to_all")
@pytest.mark.parametrize("folder", [".staging", "runs"])
def test_a_folder_in_out_of_another_user(folder: str, published: Published, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (published.out, published.out / ".staging", published.out / "runs"):
        path.mkdir(exist_ok=True)
        os.chown(path, *((0, 0) if path.name == folder else (NOBODY, NOBODY)))
    with as_nobody():
        code, told = attempt(published.models[1], published.out, capsys, FEW)
    assert code == (2 if folder == ".staging" else 1)
    told_in_one_line(told, folder, "Permission denied")
    published.assert_intact()
    published.assert_next_run_works()


def test_a_temporary_folder_that_is_full(
    published: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with mounted(tmp_path / "disk", 100) as disk:
        fill(disk)
        monkeypatch.setattr(tempfile, "tempdir", str(disk))
        configure = catalog._configure
        monkeypatch.setattr(catalog, "_configure", lambda con, _: configure(con, Settings(memory="1MB")))
        code, told = attempt(published.models[1], published.out, capsys, FEW)
    assert code == 1
    told_in_one_line(told, "out of memory", "--memory")
    published.assert_intact()
    monkeypatch.undo()
    published.assert_next_run_works()


def test_a_clock_that_is_set_back(
    published: Published, tmp_path: Path, models: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Clock(datetime):
        now_is = datetime(2031, 1, 1, tzinfo=UTC)

        @classmethod
        def now(cls, tz: Any = None) -> "Clock":
            return cls.fromtimestamp(cls.now_is.timestamp(), tz)

    monkeypatch.setattr(run, "datetime", Clock)
    replaced = published.before
    for turn in range(3):
        report = run.run(models[(turn + 1) % 2], published.out, Settings(tables="core", keep_runs=2))
        current = (published.out / "current").resolve()
        assert current.name == report.run_id
        assert {p.name for p in (published.out / "runs").iterdir()} == {current.name, replaced.name}, (
            "the run that was replaced just now is kept for those who read it"
        )
        replaced = current
        Clock.now_is -= timedelta(days=400)
    assert_same(published.out / "current", published.wholes[1] / "current")


def test_a_run_that_never_became_current_takes_no_place(
    published: Published, models: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    two = Settings(tables="core", keep_runs=2)
    for name in ("20990101T000000.000000Z-aaaaaa", "20990101T000000.000000Z-bbbbbb"):
        (published.out / "runs" / name).mkdir()
    run.run(models[1], published.out, two)
    kept = {p.name for p in (published.out / "runs").iterdir()}
    assert kept == {published.before.name, (published.out / "current").resolve().name}


def test_too_few_addresses_for_the_memory_asked_for(
    published: Published, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(resource, "getrlimit", lambda _: (3_000_000_000, resource.RLIM_INFINITY))
        code, told = attempt(published.models[1], published.out, capsys, FEW)
        assert code == 2
        told_in_one_line(told, "3.0 GB of addresses (ulimit -v)", "memory = 2GB", "ask for less with --memory")
        published.assert_intact()
        assert attempt(published.models[1], published.out, capsys, Settings(tables="core", memory="800MB"))[0] == 0


@pytest.mark.deep
def test_a_control_group_whose_memory_ends(published: Published) -> None:
    """Whenever the kernel kills the run, readers keep what they have, and the run can be made again."""
    model, out = str(published.models[1]), str(published.out)
    command = [sys.executable, "-m", "pipeline.cli", "run", model, "--out", out, "--tables", "core", "--quiet"]
    with control_group(f"wattrow-{os.getpid()}") as group:

        def attempted(*more: str) -> int:
            enter = partial((group / "cgroup.procs").write_text, "0")
            return subprocess.run([*command, *more], check=False, capture_output=True, preexec_fn=enter).returncode

        (group / "memory.max_usage_in_bytes").write_text("0")
        assert attempted("--out", f"{out}-elsewhere") == 0
        peak = int((group / "memory.max_usage_in_bytes").read_text())
        began = False
        for part in (0.35, 0.5, 0.6, 0.7, 0.8):
            (group / "memory.limit_in_bytes").write_text(str(int(peak * part)))
            code = attempted()
            if code == 0:  # what files take of memory can be given back
                break
            assert code in (-signal.SIGKILL, 1)
            began = began or any((published.out / ".staging").glob("*"))
            published.assert_intact()
        assert began, "no limit ended a run that had begun"
    published.assert_next_run_works()


@pytest.mark.parametrize(
    ("lines", "files", "expected"),
    [
        ("0::/a/b\n", {"a/memory.max": "1000", "a/b/memory.max": "max"}, 1000),
        ("0::/a\n", {"a/memory.max": "max"}, None),
        ("3:cpu:/x\n2:memory:/x\n", {"memory/x/memory.limit_in_bytes": "5000", "memory/memory.limit_in_bytes": "9223372036854771712"}, 5000),
        ("", {}, None),
    ],
)  # fmt: skip
def test_the_memory_of_a_control_group(lines: str, files: dict[str, str], expected: int | None, tmp_path: Path) -> None:
    (tmp_path / "own").write_text(lines)
    for name, content in files.items():
        (tmp_path / "groups" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "groups" / name).write_text(content)
    assert limits.of_cgroup(tmp_path / "own", tmp_path / "groups") == expected


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(28, "No space left on device", "/out/x"), "/out/x: no space is left; free some"),
        (ValueError('IO Error: Could not write file "/tmp/a": No space left on device'), "/tmp/a: no space is left"),
        (RuntimeError("parquet: IO error: Disk quota exceeded (os error 122)"), "quota"),
        (MemoryError(), "out of memory; ask for less"),
        (ImportError("libx.so: failed to map segment from shared object"), "out of memory"),
        (OSError(116, "Stale file handle", "/share/x"), "/share/x: the network share was mounted anew"),
        (RuntimeError("can't start new thread: Resource temporarily unavailable (os error 11)"), "--workers"),
    ],
)
def test_what_a_machine_refuses_is_told_in_words(error: Exception, words: str) -> None:
    assert words in (refused(error) or "")


def test_other_errors_are_not_the_machine_s() -> None:
    assert refused(ValueError("no column of the name power")) is None
    assert refused(InputError("servers: no such table")) is None
