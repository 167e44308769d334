"""The worker processes of a run, and how to ask one. Light to load: a run that is going to need workers starts them before anything else."""

import json
import os
import resource
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from pipeline import allocator

Answer = dict[str, Any]

WARM = "--warm"
MANY_JOBS_BYTES, EARLY_WORKERS = 64 << 10, 3
"""Models with more bytes of jobs than this (some hundreds) mostly need workers: so many are started before the model is read, and stopped
where it turns out otherwise."""


class Worker:
    """A process of one Polars thread; a `warm` one has memory for its first partition ready."""

    def __init__(self, *, warm: bool = False) -> None:
        package = str(Path(__file__).parents[1])
        path = os.pathsep.join(p for p in (package, os.environ.get("PYTHONPATH")) if p)
        environment = {**allocator.PROCESS, **os.environ, "POLARS_MAX_THREADS": "1", "PYTHONPATH": path}
        command = [sys.executable, "-m", "pipeline.hand", *([WARM] if warm else [])]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def ask(self, staged: Path, number: int) -> Answer:
        """What it answers to a task, errors included; PipelineError where it died."""
        return self._answer({"staged": str(staged), "number": number}, f"partition {number}")

    def check(self, staged: Path, settings: dict[str, Any]) -> Answer:
        """What it finds when it does the checks of a run; PipelineError where it died."""
        return self._answer({"staged": str(staged), "settings": settings}, "the checks")

    def get_ready(self) -> None:
        """Have it load what checks take; it does not answer to that."""
        with suppress(OSError):  # it died: who asks it next is told
            self._tell({"ready": True})

    def write_empty(self, staged: Path, views: list[str]) -> None:
        """Have it write the files of tables without rows; it does not answer to that, and who needs them looks for them."""
        with suppress(OSError):
            self._tell({"staged": str(staged), "empty": views})

    def _tell(self, request: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()

    def _answer(self, request: dict[str, Any], what: str) -> Answer:
        assert self.process.stdout is not None
        try:
            self._tell(request)
            line = self.process.stdout.readline()
        except OSError:
            line = ""
        if line:
            answer: Answer = json.loads(line)
            return answer
        from pipeline.errors import PipelineError

        code = self.process.wait()
        reason = f"signal {-code}" if code < 0 else f"exit code {code}"
        raise PipelineError(f"the worker at {what} died ({reason}; out of memory?); complete partitions are kept")

    def stop(self) -> None:
        """End the process, at once; that the system takes its memory back, some 15 ms, is waited for in a thread."""
        self.process.kill()
        threading.Thread(target=self.process.wait).start()


class Crew:
    """The workers of a run: started as soon as it is known that they are needed, so that they load while the run prepares.

    Within `with`: all of them are stopped at its end, whatever happens.
    """

    def __init__(self) -> None:
        self.workers: list[Worker] = []
        self.warm = False
        """Whether memory is had ready for first partitions."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.keep(0)

    def hire(self, count: int, *, warm: bool = False) -> list[Worker]:
        """So many workers; those that are missing are started."""
        self.warm = self.warm or warm
        while len(self.workers) < count:
            self.workers.append(Worker(warm=warm))
        return self.workers[:count]

    def end(self) -> None:
        """Stop all workers, and wait until they are gone."""
        stopped = list(self.workers)
        self.keep(0)
        for worker in stopped:
            worker.process.wait()

    def keep(self, count: int) -> None:
        """Stop all workers but the first so many."""
        while len(self.workers) > count:
            self.workers.pop().stop()


def likely_workers(model: Path, out: Path, processes: int) -> int:
    """How many workers a run in so many processes is going to need, as far as sizes of files tell.

    None where anything was published before, which mostly stays, nor where the process may not use all addresses: to be told first.
    """
    limited = resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY
    try:
        before = (out / "current").exists() or (out / ".staging").exists()
        few = _bytes_of_jobs(model) <= MANY_JOBS_BYTES
    except OSError:  # which the run reports
        return 0
    return 0 if limited or before or few else max(min(processes - 1, EARLY_WORKERS), 0)


def _bytes_of_jobs(model: Path) -> int:
    """Bytes of the tables that say which jobs there are and which step each belongs to."""
    return sum(f.stat().st_size for f in model.glob("*jobs.*") if f.suffix in (".csv", ".parquet"))
