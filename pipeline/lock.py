"""One run at a time in an OUT: a lock file that names its holder; that of a dead process is taken over.

The file appears whole, by a hard link, and is looked at and replaced under a lock of the kernel, which no death leaves behind. Where the file
system knows neither (some network shares), the file is created exclusively and checked once more after it was moved aside.
"""

import fcntl
import json
import os
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pipeline.errors import InputError, PipelineError
from pipeline.storage import writing_to

LOCK = ".lock"
SECONDS_TO_FILL = 60
"""A lock that says nothing may still be written by its holder, where links are not known; after so long nobody will."""
SECONDS_FOR_THE_OTHER = 1.0
"""How long to wait for another process that looks at the lock just now."""
ENDED = "ZX"
"""States of a process that has ended and was not waited for by its parent."""


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """Hold OUT for one run; a lock whose process is dead is taken over. InputError names who holds it, or why OUT cannot be written."""
    with writing_to(out):
        out.mkdir(parents=True, exist_ok=True)
        with _looking(out):
            mine = _take(out)
            for rest in out.glob(f"{LOCK}.*"):
                if _holder_lives(rest) is None:
                    rest.unlink(missing_ok=True)
    try:
        yield
    finally:
        if _read(out / LOCK) == mine:
            (out / LOCK).unlink(missing_ok=True)


def _take(out: Path) -> dict[str, Any]:
    """Put the lock there; what it says."""
    lock = out / LOCK
    mine = {"pid": os.getpid(), "host": socket.gethostname(), "started": _process_started(os.getpid())}
    made = lock.with_name(f"{LOCK}.{os.getpid()}-{secrets.token_hex(4)}")
    try:
        made.write_text(json.dumps(mine), encoding="utf-8")
        for _ in range(3):
            with suppress(FileExistsError):
                _put(made, lock)
                return mine
            holder = _holder_lives(lock)
            if holder is not None:
                raise InputError(
                    f"{out}: another run is at work (process {holder.get('pid')} on {holder.get('host')}); wait for it, "
                    f"or remove {lock} if that machine is gone"
                )
            _move_aside(lock, made.with_name(f"{made.name}.stale"))
    finally:
        made.unlink(missing_ok=True)
    raise PipelineError(f"{out}: could not take the lock {lock}")


def _put(made: Path, lock: Path) -> None:
    """Make the lock appear with what `made` says; FileExistsError where there is one."""
    try:
        os.link(made, lock)
    except OSError as error:
        if made.stat().st_nlink > 1:  # it was done: over a network only the answer was lost
            return
        if isinstance(error, FileExistsError):
            raise
        _create(lock, made.read_text(encoding="utf-8"))


def _create(lock: Path, text: str) -> None:
    """The same where the file system has no links."""
    with lock.open("x", encoding="utf-8") as opened:
        try:
            opened.write(text)
            opened.flush()
        except OSError:
            lock.unlink()
            raise


def _move_aside(lock: Path, stale: Path) -> None:
    """Remove the lock of a dead process."""
    with suppress(FileNotFoundError):
        lock.rename(stale)
        if _holder_lives(stale) is not None:  # another process took it over between the two looks: give it back
            with suppress(FileExistsError):
                _put(stale, lock)
        stale.unlink(missing_ok=True)


@contextmanager
def _looking(out: Path) -> Iterator[None]:
    """Be the only process that looks at the lock, where the file system can hold others off; never wait for long."""
    opened = os.open(out, os.O_RDONLY)
    try:
        deadline = time.monotonic() + SECONDS_FOR_THE_OTHER
        while time.monotonic() < deadline:
            try:
                fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(0.02)
            except OSError:
                break
        yield
    finally:
        os.close(opened)


def _process_started(pid: int) -> str | None:
    """When a process that still runs started, in the kernel's ticks: tells it from a later one with the same number."""
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (OSError, IndexError, ValueError):
        return None
    return None if state in ENDED else rest[18]


def _read(lock: Path) -> dict[str, Any] | None:
    """What a lock says; None where it says nothing of use."""
    try:
        said = json.loads(lock.read_text(encoding="utf-8"))
        return dict(said, pid=int(said["pid"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _holder_lives(lock: Path) -> dict[str, Any] | None:
    """The lock's holder, if it may still be at work."""
    holder = _read(lock)
    if holder is None:
        try:
            young = abs(time.time() - lock.stat().st_mtime) < SECONDS_TO_FILL  # either way: clocks differ, and are set
        except OSError:
            return None
        return {"pid": "unknown", "host": "unknown"} if young else None
    if holder.get("host") != socket.gethostname():
        return holder
    return holder if _process_started(holder["pid"]) == holder.get("started") else None
