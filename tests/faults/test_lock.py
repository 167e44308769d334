"""The lock: dead holders in every form, file systems that know no links, answers that are lost, and many who want it at once."""

import errno
import fcntl
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import InputError
from pipeline.lock import LOCK, locked

OURS = {"pid": os.getpid(), "host": socket.gethostname()}


def written(out: Path, text: str, seconds_ago: float = 0) -> Path:
    """A lock that says this."""
    lock = out / LOCK
    lock.write_text(text, encoding="utf-8")
    moment = time.time() - seconds_ago
    os.utime(lock, (moment, moment))
    return lock


def assert_free(out: Path) -> None:
    """A run can hold OUT, and leaves nothing."""
    with locked(out):
        assert json.loads((out / LOCK).read_text(encoding="utf-8"))["pid"] == os.getpid()
        assert [p.name for p in out.iterdir()] == [LOCK]
    assert list(out.iterdir()) == []


def assert_held(out: Path, words: str = "another run is at work") -> None:
    """A run is refused, and leaves what it found."""
    before = [(p.name, p.read_bytes()) for p in out.iterdir()]
    with pytest.raises(InputError, match=words), locked(out):
        pass
    assert [(p.name, p.read_bytes()) for p in out.iterdir()] == before


def test_a_lock_is_never_seen_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed at any step between, a run leaves no lock or a whole one."""
    seen = []
    link = os.link
    monkeypatch.setattr(os, "link", lambda made, lock: (seen.append(Path(made).read_text()), link(made, lock)))
    with locked(tmp_path):
        assert (tmp_path / LOCK).read_text() == seen[0] != ""


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "5", "null", '{"host": "x"}', '{"pid": "many"}', '{"pid": null}', "\0\0"]
)
def test_a_lock_that_says_nothing_is_held_for_a_minute(text: str, tmp_path: Path) -> None:
    written(tmp_path, text)
    assert_held(tmp_path, "process unknown on unknown")
    written(tmp_path, text, seconds_ago=90)
    assert_free(tmp_path)


def test_a_lock_from_before_the_clock_was_set_back_does_not_hold_until_then(tmp_path: Path) -> None:
    written(tmp_path, "", seconds_ago=-3600)
    assert_free(tmp_path)


def test_a_process_that_ended_and_nobody_waited_for_is_dead(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    stat = Path(f"/proc/{process.pid}/stat")
    holder = {**OURS, "pid": process.pid, "started": stat.read_text().rsplit(")", 1)[1].split()[19]}
    written(tmp_path, json.dumps(holder))
    assert_held(tmp_path, rf"process {process.pid} on ")
    process.kill()
    while stat.read_text().rsplit(")", 1)[1].split()[0] != "Z":
        time.sleep(0.01)
    assert_free(tmp_path)
    process.communicate()


def test_what_a_run_left_that_was_killed_while_it_took_the_lock_is_removed(tmp_path: Path) -> None:
    (tmp_path / f"{LOCK}.4194304-0badbeef").write_text(json.dumps({**OURS, "pid": 4194304, "started": "1"}))
    assert_free(tmp_path)


def test_a_run_whose_lock_was_removed_by_hand_leaves_that_of_the_next_one(tmp_path: Path) -> None:
    other = json.dumps({"pid": 1, "host": "another-machine.invalid", "started": "1"})
    with locked(tmp_path):
        written(tmp_path, other)
    assert (tmp_path / LOCK).read_text() == other


# ---------------------------------------------------------------- network shares


def failing(number: int, *, after: Callable[..., Any] | None = None, times: int = 1000) -> Callable[..., Any]:
    """A call that fails with this error so many times, before or after it is done."""
    left = [times]

    def call(*args: Any, **named: Any) -> Any:
        if after is not None:
            after(*args, **named)
        if left[0]:
            left[0] -= 1
            raise OSError(number, os.strerror(number), str(args[0]))

    return call


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK])
def test_a_file_system_without_links(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", failing(number))
    assert_free(tmp_path)
    written(tmp_path, json.dumps({**OURS, "pid": 4194304, "started": "1"}))
    assert_free(tmp_path)
    with locked(tmp_path):
        assert_held(tmp_path, rf"process {os.getpid()} on ")


def test_a_link_whose_answer_was_lost_was_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", failing(errno.EEXIST, after=os.link))
    assert_free(tmp_path)


def test_a_file_system_without_locks_of_the_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "flock", failing(errno.ENOLCK))
    written(tmp_path, json.dumps({**OURS, "pid": 4194304, "started": "1"}))
    assert_free(tmp_path)


def test_a_file_handle_that_is_stale_is_an_error_once_and_hinders_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path, json.dumps({**OURS, "pid": 4194304, "started": "1"}))
    rename = Path.rename
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", failing(errno.ESTALE))
        with pytest.raises(OSError, match="Stale file handle"), locked(tmp_path):
            pass
    assert Path.rename is rename
    assert_free(tmp_path)


def test_a_disk_that_is_full_leaves_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", failing(errno.ENOSPC))
        with pytest.raises(OSError, match="No space left"), locked(tmp_path):
            pass
    assert list(tmp_path.iterdir()) == []
    assert_free(tmp_path)


# ---------------------------------------------------------------- many at once


def outcomes_of(out: Path, many: int) -> list[str]:
    """What becomes of so many who want the lock at the same moment, each holding it until all know."""
    together, decided = threading.Barrier(many), threading.Barrier(many)
    found: list[str] = []

    def take() -> None:
        together.wait(60)
        try:
            with locked(out):
                found.append("held")
                decided.wait(60)
        except InputError:
            found.append("refused")
            decided.wait(60)

    crew = [threading.Thread(target=take) for _ in range(many)]
    for one in crew:
        one.start()
    for one in crew:
        one.join(120)
    return sorted(found)


@pytest.mark.parametrize("links", [True, False])
def test_of_many_that_find_a_stale_lock_one_gets_it(
    links: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not links:
        monkeypatch.setattr(os, "link", failing(errno.EPERM))
    for turn in range(20):
        out = tmp_path / str(turn)
        out.mkdir()
        written(out, json.dumps({**OURS, "pid": 4194304, "started": "1"}))
        assert outcomes_of(out, 6) == ["held"] + ["refused"] * 5
        assert list(out.iterdir()) == []
