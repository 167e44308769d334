"""A disk that is full in any phase: one clear line, the run before stays, the next one works."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline import catalog, crew, model, plan, run, script, storage, worker
from pipeline.settings import Settings
from tests.faults.conftest import FEW, Published
from tests.faults.places import attempt, before, fill, mounted, told_in_one_line
from tests.splits import finished, started

DISK = 6_000


@pytest.fixture
def small(tmp_path: Path, models: tuple[Path, Path], wholes: tuple[Path, Path]) -> Iterator[Published]:
    """An OUT on a disk of a few megabytes."""
    with mounted(tmp_path / "disk", DISK) as disk:
        yield Published(disk / "out", models, wholes)


PHASES = {
    "locking": (run, "locked"),
    "spilling inputs": (run, "prepared"),
    "computing": (run, "compute"),
    "the tables of no partition": (run, "compute_rest"),
    "checking": (catalog, "failing_checks"),
    "describing the run": (run, "described"),
    "writing the views": (script, "write"),
    "publishing": (storage, "publish"),
    "cleaning": (storage, "clean"),
}


OFTEN = ("locking", "spilling inputs", "computing", "describing the run", "publishing")
"""The others only with make test-deep."""


@pytest.mark.parametrize("phase", [pytest.param(p, marks=() if p in OFTEN else pytest.mark.deep) for p in PHASES])
def test_a_disk_that_is_full(
    phase: str, small: Published, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(model, "IN_MEMORY_ROWS", 10)
        before(patch, *PHASES[phase], lambda: fill(small.out.parent))
        code, told = attempt(small.models[1], small.out, capsys, FEW)
    if phase in ("publishing", "cleaning"):  # what these need is there already
        assert code == 0
    else:
        assert code == 1
        told_in_one_line(
            told, "no space is left; free some", "No space left on device", "what was published is as it was"
        )
        small.assert_intact()
    (small.out.parent / "filler").unlink()
    small.assert_next_run_works()


def test_a_worker_process_that_finds_the_disk_full(
    small: Published, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answered = threading.Event()

    class Asked(crew.Worker):
        def ask(self, staged: Path, number: int) -> dict[str, Any]:
            fill(small.out.parent)
            try:
                return super().ask(staged, number)
            finally:
                answered.set()

    compute = worker.compute

    def after_the_worker(*args: Any) -> Any:
        answered.wait(120)
        return compute(*args)

    with monkeypatch.context() as patch:
        patch.setattr(run, "SMALL_ROWS", 0)
        patch.setattr(plan, "LARGEST_CHUNK", 60)
        patch.setattr(plan, "SMALLEST_CHUNK", 60)
        patch.setattr(crew, "Worker", Asked)
        patch.setattr(worker, "compute", after_the_worker)
        code, told = attempt(small.models[1], small.out, capsys, Settings(tables="core", workers=2), fresh=True)
    assert code == 1
    told_in_one_line(told, "partition", "server-0", "No space left on device")
    small.assert_intact()
    (small.out.parent / "filler").unlink()
    small.assert_next_run_works()


def test_a_limit_on_the_size_of_files(published: Published, tmp_path: Path) -> None:
    limit = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))"
    args = ("run", published.models[1], "--out", published.out, "--tables", "core", "--quiet")
    _, told = finished(started(tmp_path / "script", *args, more=limit), code=1)
    told_in_one_line(told, "a file may not become so large here; raise the limit (ulimit -f)")
    published.assert_intact()
    published.assert_next_run_works()
