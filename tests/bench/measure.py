"""Run a command as a user would, and say what it took: wall time, CPU time of all its processes, peak of their memory together."""

import os
import resource
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Cost:
    """What a command took."""

    wall: float
    cpu: float
    peak_mb: float
    code: int


def _family(pid: int) -> list[int]:
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            for child in task.read_text().split():
                found += _family(int(child))
        except OSError:
            continue
    return found


PAGE_KB = resource.getpagesize() // 1024


def _memory_kb(pids: list[int]) -> int:
    """Memory of the processes together; pages of files, which they share, as often as the one with most of them has them.

    These are counters that the system keeps. To have shared pages counted exactly (PSS) it walks all pages, which took 4 % of a run of
    2.6 seconds, for a peak that differs by less than a hundredth.
    """
    own, of_files = 0, 0
    for pid in pids:
        try:
            resident, shared = map(int, Path(f"/proc/{pid}/statm").read_text().split()[1:3])
        except (OSError, ValueError):
            continue  # it has ended
        own += resident - shared
        of_files = max(of_files, shared)
    return (own + of_files) * PAGE_KB


def run(command: list[str], env: dict[str, str] | None = None) -> Cost:
    """Run the command to its end."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    process = subprocess.Popen(command, env={**os.environ, **(env or {})}, stdout=subprocess.DEVNULL)
    peak = 0
    stop = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not stop.wait(0.05):
            peak = max(peak, _memory_kb(_family(process.pid)))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    code = process.wait()
    wall = time.monotonic() - began
    stop.set()
    watcher.join()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(round(wall, 2), round(cpu, 2), round(peak / 1000, 1), code)
