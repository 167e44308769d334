"""One task on a worker of a Dask cluster. Nothing heavy is imported before it is known how many threads Polars may take there."""

import os
import socket
import sys
import time
from pathlib import Path
from typing import Any

SECONDS_TO_APPEAR = 20.0
"""A shared file system may show a new folder to other machines only after a while."""


def do(staged: str, number: int, code: str) -> dict[str, Any]:
    """Answer as a worker process does (`worker.answer`); an error where the worker does not see `staged` or runs another program than `code`."""
    if "polars" not in sys.modules:
        os.environ.setdefault("POLARS_MAX_THREADS", str(threads_here()))
    here = f"--cluster: the worker on {socket.gethostname()} (process {os.getpid()})"
    try:
        from pipeline import identity, tasks, worker
    except ImportError as error:
        return {"error": f"{here} cannot import wattrow ({error}); install the same as here"}
    if identity.of_code() != code:
        place = Path(identity.__file__).parent
        return {"error": f"{here} has another version of wattrow or Polars, in {place}; install the same as here"}
    if not appeared(Path(staged) / tasks.PLAN):
        return {
            "error": f"{here} does not see {staged}: OUT must lie on a shared file system, under the same path for the workers "
            "and this process"
        }
    return worker.answer({"staged": staged, "number": number})


def threads_here() -> int:
    """Threads of this Dask worker, each of which does a task at a time; 1 outside of Dask."""
    from distributed import get_worker  # type: ignore[attr-defined, unused-ignore]

    try:
        return int(get_worker().state.nthreads)
    except ValueError:
        return 1


def appeared(plan: Path) -> bool:
    """Whether the run's plan is there, at once or soon."""
    deadline = time.monotonic() + SECONDS_TO_APPEAR
    while not plan.exists():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.5)
    return True
