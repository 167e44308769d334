"""The command `wattrow` with small partitions, which says on a pipe what phase it is in and dies at a given step of one, if told to.

    FAULTS='{"pipe": 5, "chunk": 3000, "pool": true, "phase": "publishing", "step": 3, "tree": false}' python -m tests.faults.victim run ...

A step is something done to the file system: a file made or opened to be written, linked, moved or removed. The process dies before it.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

from pipeline import plan, run, storage

PHASES = ("locking", "reading", "computing", "writing", "checking", "publishing", "cleaning", "ending")
STEPS = ("os.rename", "os.link", "os.symlink", "os.remove", "os.rmdir", "os.mkdir")
WRITING = os.O_WRONLY | os.O_RDWR


class Told:
    """What the process is told to be, and where it is."""

    def __init__(self, pipe: int = -1, phase: str = "", step: int = 0, *, tree: bool = False) -> None:
        self.pipe, self.phase, self.step, self.tree = pipe, phase, step, tree
        self.now, self.steps = "", 0

    def enter(self, phase: str) -> None:
        """Say that a phase begins, and how many steps the one before had."""
        if phase != self.now and self.pipe >= 0:
            os.write(self.pipe, f"{phase} {self.steps}\n".encode())
        if phase != self.now:
            self.now, self.steps = phase, 0

    def happened(self, event: str, arguments: tuple[Any, ...]) -> None:
        """An audit event; the last one, where it is the step to die at."""
        opened = event == "open" and isinstance(arguments[2], int) and bool(arguments[2] & WRITING)
        if not self.now or not (opened or event in STEPS):
            return
        self.steps += 1
        if self.now == self.phase and self.steps == self.step:
            if self.tree:
                os.killpg(0, signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)


def announced(told: Told, phase: str, do: Callable[..., Any], then: str = "") -> Callable[..., Any]:
    """The function, which says that its phase begins, and which one follows."""

    def wrapped(*args: Any, **named: Any) -> Any:
        told.enter(phase)
        made = do(*args, **named)
        if then:
            told.enter(then)
        return made

    return wrapped


def follow(told: Told) -> None:
    """Have the pipeline say its phases."""
    hold = run.locked

    @contextmanager
    def locked(out: Any) -> Any:
        told.enter("locking")
        with hold(out):
            yield

    run.locked = locked
    run.prepared = announced(told, "reading", run.prepared)
    run.compute = announced(told, "computing", run.compute)
    run.compute_rest = announced(told, "writing", run.compute_rest)
    run.failing_checks = announced(told, "checking", run.failing_checks, "writing")
    storage.publish = announced(told, "publishing", storage.publish)
    storage.clean = announced(told, "cleaning", storage.clean, "ending")
    sys.addaudithook(told.happened)


def main() -> None:
    """Be the command."""
    given = json.loads(os.environ.pop("FAULTS"))
    plan.LARGEST_CHUNK = plan.SMALLEST_CHUNK = given.pop("chunk")
    run.SMALL_ROWS = 0 if given.pop("pool") else 10**9
    follow(Told(**given))
    from pipeline.cli import main as command

    sys.argv[0] = "wattrow"
    command()


if __name__ == "__main__":
    main()
