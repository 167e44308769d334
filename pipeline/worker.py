"""A worker process: it reads requests, one line of JSON each, and answers with one line each.

What asks it is `crew`; `in_workers` shares tasks out between a crew and the process itself, and `failing_checks` leaves the checks to it.
"""

import io
import json
import logging
import os
import queue
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl

from pipeline import allocator, blank
from pipeline.checks import Failure
from pipeline.crew import Answer, Crew, Worker
from pipeline.errors import VIOLATION_SCHEMA, InputError, PipelineError
from pipeline.settings import Settings
from pipeline.tasks import Done, OnDone, Task, compute, compute_saved
from pipeline.upstream import Upstream

log = logging.getLogger("wattrow")

Request = dict[str, Any]
"""A task (`staged`, `number`), the checks of a run (`staged`, `settings`), or, not answered: to get `ready` for these, files to write (`empty`)."""


def answer(request: Request) -> Answer:
    """Do one task, or the checks of a run; an error is an answer too."""
    try:
        return {"done": _done(request)}
    except InputError as error:
        return {"input_error": str(error), "violations": error.violations.write_json()}
    except PipelineError as error:
        return {"error": str(error)}
    except Exception as error:  # noqa: BLE001 - the process that asked must learn of any
        what = f"partition {request['number']}" if "number" in request else "checks"
        return {"error": f"{what}: {type(error).__name__}: {error}"}


def _done(request: Request) -> Done:
    if "number" in request:
        return compute_saved(request["staged"], request["number"])
    from pipeline import catalog

    found = catalog.failing_checks(Path(request["staged"]), Settings(**request["settings"]))
    return {name: asdict(failure) for name, failure in found.items()}


def serve(*, warm: bool = False) -> None:
    """Answer until the input ends, then end at once: who asked is gone. Anything else that prints goes to standard error."""
    allocator.keep_memory()
    answers, sys.stdout = sys.stdout, sys.stderr
    asked: queue.SimpleQueue[Request] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(asked.put,), daemon=True).start()
    if warm:
        with allocator.warming_up():
            pass
    while True:
        request = asked.get()
        if "ready" in request:
            _get_ready()
            continue
        if "empty" in request:
            with suppress(Exception):  # what it does not write is written by who needs it, and fails there
                blank.write(Path(request["staged"]), request["empty"])
            continue
        answers.write(json.dumps(answer(request), default=str) + "\n")
        answers.flush()


def _listen(give: Callable[[Request], None]) -> None:
    for line in sys.stdin:
        give(json.loads(line))
    os._exit(0)


def _get_ready() -> None:
    """Load DuckDB and what it loads with its first connection."""
    from pipeline import catalog

    catalog.warm_up()


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
        at_last = worker.get_ready if worker is crew.workers[0] else None
        threading.Thread(target=_feed, args=(worker, staged, waiting, results.put, at_last), daemon=True).start()
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
    worker: Worker,
    staged: Path,
    waiting: "queue.SimpleQueue[int]",
    give: Callable[[Done | BaseException], None],
    at_last: Callable[[], None] | None,
) -> None:
    """Have a worker do tasks until none is waiting."""
    try:
        while True:
            give(done_or_error(worker.ask(staged, waiting.get_nowait())))
    except queue.Empty:
        if at_last is not None:
            at_last()
    except BaseException as error:  # noqa: BLE001 - handed to the thread that waits
        give(error)


def failing_checks(staged: Path, settings: Settings, crew: Crew, meanwhile: Callable[[], object]) -> dict[str, Failure]:
    """The checks of a run that do not hold, by name: found by a worker of the crew, if there is one, while this process does something else.

    A worker has loaded what they take when it had nothing else to do. Where it fails at them, this process does them again, and tells.
    """
    if crew.workers:
        with ThreadPoolExecutor(1) as pool:
            try:
                asked = pool.submit(crew.workers[0].check, staged, settings.as_dict())
                meanwhile()
                found = done_or_error(asked.result())
                return {name: Failure(**failure) for name, failure in found.items()}
            except PipelineError as error:
                log.warning("%s; done again", error)
            finally:
                crew.keep(0)
    else:
        meanwhile()
    from pipeline import catalog  # DuckDB is loaded last, when it is needed

    return catalog.failing_checks(staged, settings)
