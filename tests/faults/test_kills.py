"""Runs killed at a step of a phase while a reader reads: it sees whole runs only, and the next run works and leaves nothing."""

import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.faults.kills import (
    Tally,
    World,
    ended,
    finish,
    long_run,
    readers,
    rests,
    small_world,
    whole_or_finding,
    world,
)
from tests.faults.models import model_of


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> World:
    return small_world(tmp_path_factory.mktemp("faults") / "world")


@pytest.fixture
def where(made: World, tmp_path: Path) -> World:
    """A copy of it, to break."""
    return replace(made, folder=Path(shutil.copytree(made.folder, tmp_path / "world", symlinks=True)))


def killed_at(where: World, steps: list[tuple[str, int]]) -> Tally:
    """Kill a run at each of these steps, then have one finish, while a reader reads."""
    tally = Tally()
    with readers(where, tally):
        for phase, step in steps:
            other = next(m for m in where.models if m.name != model_of((where.out / "current").resolve()))
            victim = {"phase": phase, "step": step, "tree": True}
            done = ended(where, other, where.out, pool=False, keep=2, victim=victim)
            assert (done.killed, done.phase) == (True, phase)
            tally.findings += whole_or_finding(where, f"killed while {phase}")
        finish(where, where.models[0], tally, pool=False, keep=2)
    return tally


PUBLISHING = [("publishing", 2), ("publishing", 5), ("cleaning", 9)]
"""Between the moves of a publication, before its last, within the removal of an old run."""
AROUND = [("locking", 2), ("locking", 3), ("publishing", 3), ("publishing", 4), ("cleaning", 1), ("ending", 1)]
"""While the lock appears, between the other moves, before an old run is moved away, before the lock goes."""


@pytest.mark.parametrize("steps", [PUBLISHING, pytest.param(AROUND, marks=pytest.mark.deep)])
def test_readers_see_whole_runs_whatever_is_killed(steps: list[tuple[str, int]], where: World) -> None:
    tally = killed_at(where, steps)
    assert tally.findings == []
    assert tally.queries > 0


@pytest.mark.deep
def test_the_harness_finds_what_it_is_there_for(where: World) -> None:
    """A run of parts of two, a run cut short and what is left over are findings."""
    tally, notes = Tally(), where.folder / "reader-0.jsonl"
    current, whole = (where.out / "current").resolve(), where.whole(where.models[0].name)
    (mixed,) = (current / "energy/server").glob("*.parquet")
    mixed.write_bytes(next((whole / "energy/server").glob("*.parquet")).read_bytes())
    assert "energy.server" in whole_or_finding(where, "mixed")[0]
    with readers(where, tally):
        deadline = time.monotonic() + 120
        while not (notes.exists() and "finding" in notes.read_text()) and time.monotonic() < deadline:
            time.sleep(0.05)
    assert any("energy.server are of another run" in f for f in tally.findings)
    (where.out / ".lock.1-x").touch()
    (current / "views.sql").unlink()
    (where.out / ".staging/removed-x").mkdir(parents=True)
    assert len(rests(where.out, keep=1)) == 4


@pytest.mark.deep
@pytest.mark.timeout(1800)
def test_random_kills(tmp_path: Path) -> None:
    tally = long_run(world(tmp_path), kills=30, seed=11, say=lambda _: None)
    assert tally.findings == []
