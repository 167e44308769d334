"""Partitions as tasks that any process can do, once or twice with the same result: here, in worker processes, or on a cluster.

A task is a folder of prepared inputs and a number. Its files appear in one step each; a small file `done/NUMBER.json`, written last, says
that the partition is complete, what it was made of, and which files hold it.
"""

import json
import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from pipeline import attribution, engine, storage
from pipeline.errors import InputError, PipelineError, refused
from pipeline.partition import Work, Write, columns_of, needs_to_energy
from pipeline.plan import Partition
from pipeline.settings import Settings
from pipeline.tables import OUTPUTS
from pipeline.upstream import Upstream

PREPARED, DONE, PLAN = "prepared", "done", "plan.json"
Done = dict[str, Any]
OnDone = Callable[[Done], None]


@dataclass(frozen=True)
class Task:
    """A partition and what it is made of (identity.of_partition)."""

    part: Partition
    identity: str


def writer(staged: Path, settings: Settings, prefix: str, files: list[dict[str, Any]]) -> Write:
    """A function that writes the rows of wanted tables into files of this prefix, and notes them in `files`."""

    def write(table: str, rows: storage.Rows, name: str) -> None:
        if table not in settings.wanted:
            return
        file = f"part-{prefix}-{name}" if name else f"part-{prefix}"
        written = storage.write_rows(staged, OUTPUTS[table], rows, file, columns_of(table, settings))
        files.append({"table": table, "file": f"{file}.parquet", "rows": written})

    return write


WAITING_WRITES = 2
"""Tables that may wait to be written while the next ones are computed: what they are made of stays in memory."""


@contextmanager
def beside(write: Write) -> Iterator[Write]:
    """The same, in a thread of its own: one core encodes while another computes. All is written at the end; the first error is raised."""
    with ThreadPoolExecutor(1) as pool:
        waiting: deque[Future[None]] = deque()

        def write_later(table: str, rows: storage.Rows, name: str) -> None:
            while len(waiting) >= WAITING_WRITES:
                waiting.popleft().result()
            waiting.append(pool.submit(write, table, rows, name))

        yield write_later
        while waiting:
            waiting.popleft().result()


def compute(staged: Path, up: Upstream, task: Task, settings: Settings, *, cores: int = 1) -> Done:
    """Compute one partition and mark it complete, writing beside computing where there are more cores; errors name its servers."""
    began = time.monotonic()
    files: list[dict[str, Any]] = []
    part = task.part
    write = writer(staged, settings, f"{part.number:05}-{task.identity[:8]}", files)
    work = Work(up, part, settings, write)
    try:
        with (
            storage.told_when_full(staged),
            nullcontext() if work.any_runs else engine.in_memory(),
            beside(write) if cores > 1 else nullcontext(write) as work.write,
        ):
            attribution.attribute(work, needs_to_energy(work))
    except InputError:
        raise
    except Exception as error:
        named = ", ".join(part.servers[:5]) + (f" and {len(part.servers) - 5} more" if len(part.servers) > 5 else "")
        why = refused(error) or f"{type(error).__name__}: {error}"
        raise PipelineError(f"partition {part.number} (servers {named}) failed: {why}") from error
    finally:
        work.forget()
    seconds = round(time.monotonic() - began, 3)
    done = {
        "number": part.number,
        "identity": task.identity,
        "files": files,
        "seconds": seconds,
        "servers": len(part.servers),
        "first": part.servers[0],
        "rows": part.rows,
    }
    (staged / DONE).mkdir(exist_ok=True)
    storage.write_json(staged / DONE / f"{part.number:05}.json", done)
    return done


def save(staged: Path, up: Upstream, tasks: list[Task], settings: Settings) -> None:
    """Write what other processes need to do the tasks."""
    up.save(staged / PREPARED)
    plan = [{**asdict(t.part), "identity": t.identity} for t in tasks]
    storage.write_json(staged / PLAN, {"settings": settings.as_dict(), "tasks": plan})


@lru_cache(maxsize=2)
def _prepared(staged: str, written: tuple[int, int]) -> tuple[Upstream, dict[int, Task], Settings]:
    """What `save` wrote; `written` tells one plan from the next one in the same folder."""
    del written
    folder = Path(staged)
    plan = json.loads((folder / PLAN).read_text(encoding="utf-8"))
    tasks = {}
    for row in plan["tasks"]:
        chunks = tuple(tuple(c) for c in row["chunks"])
        tasks[row["number"]] = Task(
            Partition(row["number"], tuple(row["servers"]), chunks, row["rows"]), row["identity"]
        )
    return Upstream.load(folder / PREPARED), tasks, Settings(**plan["settings"])


def compute_saved(staged: str, number: int) -> Done:
    """Do one task from the folder alone, if it is not complete: what a worker process or a cluster calls."""
    plan = (Path(staged) / PLAN).stat()
    up, tasks, settings = _prepared(staged, (plan.st_mtime_ns, plan.st_ino))
    return finished(Path(staged), tasks[number]) or compute(Path(staged), up, tasks[number], settings)


def finished(staged: Path, task: Task) -> Done | None:
    """What is noted of a task that was completed before, here or by a process that was killed since; None where it has to be done."""
    try:
        done: Done = json.loads((staged / DONE / f"{task.part.number:05}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return done if done["identity"] == task.identity and not missing(staged, done) else None


def missing(staged: Path, done: Done) -> list[Path]:
    """Files of a complete task that are not there, or not whole (power may fail before the disk has them); those without rows are not needed."""
    noted = {storage.table_folder(staged, f["table"]) / f["file"]: f["rows"] for f in done["files"] if f["rows"]}
    return [f for f, rows in noted.items() if storage.rows_in(f) != rows]


def in_process(staged: Path, up: Upstream, tasks: list[Task], settings: Settings, on_done: OnDone) -> None:
    """Do the tasks one after the other, here."""
    for task in tasks:
        on_done(compute(staged, up, task, settings, cores=os.cpu_count() or 1))
