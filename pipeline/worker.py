"""A worker process: `python -m pipeline.worker STAGED` reads task numbers, one a line, and answers each with one line of JSON."""

import io
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import polars as pl

from pipeline import allocator
from pipeline.errors import VIOLATION_SCHEMA, InputError, PipelineError
from pipeline.settings import Settings
from pipeline.tasks import Done, OnDone, Task, compute, compute_saved
from pipeline.upstream import Upstream

Answer = dict[str, Any]


def answer(staged: str, number: int) -> Answer:
    """Do one task; an error is an answer too."""
    try:
        return {"done": compute_saved(staged, number)}
    except InputError as error:
        return {"input_error": str(error), "violations": error.violations.write_json()}
    except PipelineError as error:
        return {"error": str(error)}
    except Exception as error:  # noqa: BLE001 - the process that asked must learn of any
        return {"error": f"partition {number}: {type(error).__name__}: {error}"}


def serve(staged: str) -> None:
    """Answer until the input ends, then end at once: who asked is gone. Anything else that prints goes to standard error."""
    allocator.keep_memory()
    answers, sys.stdout = sys.stdout, sys.stderr
    asked: queue.SimpleQueue[int] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(asked.put,), daemon=True).start()
    while True:
        answers.write(json.dumps(answer(staged, asked.get())) + "\n")
        answers.flush()


def _listen(give: Callable[[int], None]) -> None:
    for line in sys.stdin:
        give(int(line))
    os._exit(0)


class Worker:
    """The other end: a process of one Polars thread, and how to ask it."""

    def __init__(self, staged: Path) -> None:
        package = str(Path(__file__).parents[1])
        path = os.pathsep.join(p for p in (package, os.environ.get("PYTHONPATH")) if p)
        environment = {**allocator.PROCESS, **os.environ, "POLARS_MAX_THREADS": "1", "PYTHONPATH": path}
        command = [sys.executable, "-m", "pipeline.worker", str(staged)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def ask(self, number: int) -> Done:
        """Have one task done; raises what the worker raised, and PipelineError where the worker died."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(f"{number}\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except OSError:
            line = ""
        if not line:
            code = self.process.wait()
            reason = f"signal {-code}" if code < 0 else f"exit code {code}"
            raise PipelineError(
                f"the worker at partition {number} died ({reason}; out of memory?); complete partitions are kept"
            )
        return done_or_error(json.loads(line))

    def stop(self) -> None:
        """End the process, at once."""
        self.process.kill()
        self.process.wait()


def done_or_error(given: Answer) -> Done:
    """What a worker answered; raises where that is an error."""
    if "input_error" in given:
        rows = pl.read_json(io.StringIO(given["violations"]), schema=VIOLATION_SCHEMA)
        raise InputError(given["input_error"], rows)
    if "error" in given:
        raise PipelineError(given["error"])
    done: Done = given["done"]
    return done


class Crew:
    """The workers of a run: started as soon as it is known that they are needed, so that they load while the run prepares."""

    def __init__(self, staged: Path) -> None:
        self.staged = staged
        self.workers: list[Worker] = []

    def hire(self, count: int) -> list[Worker]:
        """So many workers; those that are missing are started."""
        while len(self.workers) < count:
            self.workers.append(Worker(self.staged))
        return self.workers[:count]


@contextmanager
def crew_of(staged: Path) -> Iterator[Crew]:
    """A crew without workers; those that were hired are stopped at the end, whatever happens."""
    crew = Crew(staged)
    try:
        yield crew
    finally:
        for worker in crew.workers:
            worker.stop()


def in_workers(
    up: Upstream,
    tasks: list[Task],
    settings: Settings,
    crew: Crew,
    workers: int,
    on_done: OnDone,
    meanwhile: Callable[[], object],
) -> None:
    """Do the tasks in this process and `workers - 1` of the crew, the largest first; the first error stops the rest.

    `meanwhile` is called whenever no task is left for this process and it would wait for the others, so it should do its work once.
    """
    ordered = sorted(tasks, key=lambda t: -t.part.rows)
    by_number = {task.part.number: task for task in tasks}
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    for task in ordered:
        waiting.put(task.part.number)
    results: queue.SimpleQueue[Done | BaseException] = queue.SimpleQueue()
    for worker in crew.hire(workers - 1):
        threading.Thread(target=_feed, args=(worker, waiting, results.put), daemon=True).start()
    missing = len(tasks)
    while missing:
        try:
            number = waiting.get_nowait()
        except queue.Empty:
            meanwhile()
        else:
            with on_one_core():
                results.put(compute(crew.staged, up, by_number[number], settings))
        result = results.get()
        while True:
            if isinstance(result, BaseException):
                raise result
            on_done(result)
            missing -= 1
            try:
                result = results.get_nowait()
            except queue.Empty:
                break


@contextmanager
def on_one_core() -> Iterator[None]:
    """All threads of this process on one core, as a worker is: two threads of Polars here would take the others' time. Linux only."""
    if not sys.platform.startswith("linux"):
        yield
        return
    allowed = os.sched_getaffinity(0)
    _keep_to({min(allowed)})
    try:
        yield
    finally:
        _keep_to(allowed)


def _keep_to(cores: set[int]) -> None:
    for thread in Path("/proc/self/task").iterdir():
        with suppress(OSError):  # it has ended
            os.sched_setaffinity(int(thread.name), cores)


def _feed(worker: Worker, waiting: "queue.SimpleQueue[int]", give: Callable[[Done | BaseException], None]) -> None:
    try:
        while True:
            give(worker.ask(waiting.get_nowait()))
    except queue.Empty:
        return
    except BaseException as error:  # noqa: BLE001 - handed to the thread that waits
        give(error)


if __name__ == "__main__":
    serve(sys.argv[1])
