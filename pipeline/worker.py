"""A worker process: `python -m pipeline.worker` reads tasks, one line of JSON each (staging folder, number), and answers with one line each.

What asks it is `crew`; `in_workers` shares tasks out between a crew and the process itself.
"""

import io
import json
import os
import queue
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import polars as pl

from pipeline import allocator
from pipeline.crew import WARM, Answer, Crew, Worker
from pipeline.errors import VIOLATION_SCHEMA, InputError, PipelineError
from pipeline.settings import Settings
from pipeline.tasks import Done, OnDone, Task, compute, compute_saved
from pipeline.upstream import Upstream


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


def serve(*, warm: bool = False) -> None:
    """Answer until the input ends, then end at once: who asked is gone. Anything else that prints goes to standard error."""
    allocator.keep_memory()
    answers, sys.stdout = sys.stdout, sys.stderr
    asked: queue.SimpleQueue[tuple[str, int]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(asked.put,), daemon=True).start()
    if warm:
        allocator.warm_up()
    while True:
        answers.write(json.dumps(answer(*asked.get())) + "\n")
        answers.flush()


def _listen(give: Callable[[tuple[str, int]], None]) -> None:
    for line in sys.stdin:
        staged, number = json.loads(line)
        give((staged, number))
    os._exit(0)


def done_or_error(given: Answer) -> Done:
    """What a worker answered; raises where that is an error."""
    if "input_error" in given:
        rows = pl.read_json(io.StringIO(given["violations"]), schema=VIOLATION_SCHEMA)
        raise InputError(given["input_error"], rows)
    if "error" in given:
        raise PipelineError(given["error"])
    done: Done = given["done"]
    return done


def in_workers(
    staged: Path,
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
        threading.Thread(target=_feed, args=(worker, staged, waiting, results.put), daemon=True).start()
    missing = len(tasks)
    while missing:
        try:
            number = waiting.get_nowait()
        except queue.Empty:
            meanwhile()
        else:
            with on_one_core():
                results.put(compute(staged, up, by_number[number], settings))
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


def _feed(
    worker: Worker, staged: Path, waiting: "queue.SimpleQueue[int]", give: Callable[[Done | BaseException], None]
) -> None:
    try:
        while True:
            give(done_or_error(worker.ask(staged, waiting.get_nowait())))
    except queue.Empty:
        return
    except BaseException as error:  # noqa: BLE001 - handed to the thread that waits
        give(error)


if __name__ == "__main__":
    serve(warm=WARM in sys.argv)
