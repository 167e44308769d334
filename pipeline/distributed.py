"""The same tasks on a Dask cluster (extra `wattrow[dask]`): an existing scheduler, or one started here.

Workers and this process need the same OUT folder (a shared file system) and the same wattrow; a worker that lacks either says so. A task
may run twice when a worker dies: its files appear in one step each under the same names, so the second run replaces them by their likes.
"""

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pipeline import identity, remote
from pipeline.errors import InputError, PipelineError
from pipeline.tasks import Done, OnDone, Task, missing
from pipeline.worker import done_or_error

log = logging.getLogger("wattrow")

SECONDS_TO_CONNECT = 30
SECONDS_FOR_A_WORKER = 600
"""A cluster may still be waiting in a queue for its first worker."""
SECONDS_TO_SEE_FILES = 90.0
"""A shared file system may show files written elsewhere only after a while (NFS: 60 s)."""


def _dask() -> Any:
    try:
        return import_module("distributed")
    except ImportError as error:
        raise InputError("--cluster needs Dask: install wattrow[dask]") from error


def _silence() -> None:
    """What goes wrong is told in our own words: Dask logs tracebacks beside the exceptions it raises."""
    for name in ("distributed", "tornado", "asyncio", *logging.root.manager.loggerDict):
        if name.split(".")[0] in ("distributed", "tornado", "asyncio"):
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)


@contextmanager
def _client(address: str, workers: int) -> Iterator[Any]:
    dask = _dask()
    _silence()
    if address == "local":
        with _local(dask, workers) as cluster, dask.Client(cluster) as client:
            yield client
        return
    try:
        client = dask.Client(address, timeout=SECONDS_TO_CONNECT)
    except (OSError, ValueError, TypeError) as error:
        raise InputError(
            f"--cluster {address}: no scheduler answers there; expected local, or an address such as tcp://host:8786 ({error})"
        ) from error
    with client:
        yield client


@contextmanager
def _local(dask: Any, workers: int) -> Iterator[Any]:
    """A cluster of processes of one thread each, also of one Polars thread."""
    before = os.environ.get("POLARS_MAX_THREADS")
    os.environ["POLARS_MAX_THREADS"] = "1"
    try:
        with dask.LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.ERROR,
        ) as cluster:
            yield cluster
    finally:
        if before is None:
            os.environ.pop("POLARS_MAX_THREADS", None)
        else:
            os.environ["POLARS_MAX_THREADS"] = before


def in_cluster(staged: Path, tasks: list[Task], address: str, workers: int, on_done: OnDone) -> None:
    """Do the tasks on the cluster at `address`, or on one of `workers` processes started here where it is `local`."""
    with _client(address, workers) as client:
        _first_worker(client, address)
        _refuse_strangers(client)
        folder, code = str(staged.resolve()), identity.of_code()
        ordered = sorted(tasks, key=lambda t: -t.part.rows)
        run = f"{time.time_ns():x}"
        futures = [
            client.submit(
                remote.do, folder, t.part.number, code,
                key=f"wattrow-{run}-{t.part.number:05}", pure=False, priority=-place,
            )
            for place, t in enumerate(ordered)
        ]  # fmt: skip
        try:
            for future in _dask().as_completed(futures):
                done = _result(future)
                _seen(staged, done)
                on_done(done)
        finally:
            client.cancel(futures, force=True)


def _first_worker(client: Any, address: str) -> None:
    """Wait until there is a worker at all."""
    if client.scheduler_info(n_workers=-1)["workers"]:
        return
    log.info("cluster=%s workers=0 waiting_seconds=%d", address, SECONDS_FOR_A_WORKER)
    try:
        client.wait_for_workers(1, timeout=SECONDS_FOR_A_WORKER)
    except TimeoutError as error:
        raise PipelineError(f"--cluster {address}: it has no worker after {SECONDS_FOR_A_WORKER} s") from error


def _refuse_strangers(client: Any) -> None:
    """PipelineError where a worker has no wattrow: Dask would wait forever for a task that a worker cannot even read."""
    for worker, found in client.run(find_spec, remote.__name__, on_error="return").items():
        if found is None or isinstance(found, BaseException):
            raise PipelineError(f"--cluster: the worker at {worker} cannot import wattrow; install the same as here")


def _result(future: Any) -> Done:
    """What the task answered; errors of ours as they are, those of the cluster in words."""
    dask = _dask()
    try:
        return done_or_error(future.result())
    except dask.scheduler.KilledWorker as error:
        raise PipelineError(
            f"a partition was lost with its worker again and again, out of memory? Complete partitions are kept ({error})"
        ) from error
    except (OSError, dask.client.FutureCancelledError) as error:
        why = " ".join(str(error).split())
        raise PipelineError(f"the cluster was lost; complete partitions are kept ({why})") from error


def _seen(staged: Path, done: Done, sleep: Callable[[float], None] = time.sleep) -> None:
    """Wait until the files that a worker wrote are seen here."""
    deadline = time.monotonic() + SECONDS_TO_SEE_FILES
    while absent := missing(staged, done):
        if time.monotonic() > deadline:
            raise PipelineError(
                f"{absent[0]} was written by a worker but is not seen here: OUT must lie on a file system that the workers "
                "and this process share, under the same path"
            )
        sleep(0.5)
