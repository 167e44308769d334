"""The same tasks on a Dask cluster (extra `wattrow[dask]`): an existing scheduler, or one started here.

Scheduler, workers and this process need the same OUT folder (a shared file system) and the same wattrow. A task may run twice when a
worker dies: its files appear in one step each under the same names, so the second run replaces them by their likes.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from pipeline.errors import InputError, PipelineError
from pipeline.tasks import OnDone, Task, compute_saved

RETRIES = 3
"""How often a task is tried again after its worker was lost."""


def _dask() -> Any:
    try:
        return import_module("distributed")
    except ImportError as error:
        raise InputError("--cluster needs Dask: install wattrow[dask]") from error


@contextmanager
def _client(address: str, workers: int) -> Iterator[Any]:
    dask = _dask()
    if address != "local":
        try:
            with dask.Client(address, timeout=30) as client:
                yield client
        except OSError as error:
            raise InputError(f"--cluster {address}: no scheduler answers there ({error})") from error
        return
    before = os.environ.get("POLARS_MAX_THREADS")
    os.environ["POLARS_MAX_THREADS"] = "1"
    try:
        with (
            dask.LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None) as cluster,
            dask.Client(cluster) as client,
        ):
            yield client
    finally:
        if before is None:
            os.environ.pop("POLARS_MAX_THREADS", None)
        else:
            os.environ["POLARS_MAX_THREADS"] = before


def in_cluster(staged: Path, tasks: list[Task], address: str, workers: int, on_done: OnDone) -> None:
    """Do the tasks on the cluster at `address`, or on one of `workers` processes started here where it is `local`."""
    dask = _dask()
    folder = str(staged.resolve())
    with _client(address, workers) as client:
        ordered = sorted(tasks, key=lambda t: -t.part.rows)
        futures = [
            client.submit(
                compute_saved,
                folder,
                t.part.number,
                key=f"wattrow-{t.identity[:16]}-{t.part.number}",
                pure=False,
                retries=RETRIES,
            )
            for t in ordered
        ]
        try:
            for future in dask.as_completed(futures):
                on_done(future.result())
        except dask.scheduler.KilledWorker as error:
            raise PipelineError(
                f"a partition killed {RETRIES + 1} workers one after the other, out of memory? ({error})"
            ) from error
        finally:
            client.cancel(futures, force=True)
