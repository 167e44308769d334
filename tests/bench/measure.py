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


def _memory_kb(pid: int) -> int:
    """Memory of one process, pages it shares counted in parts (PSS)."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    except OSError:
        pass
    return 0


PAGE_KB = resource.getpagesize() // 1024


def _resident_kb(pid: int) -> int:
    """Pages of one process in memory, shared ones counted in full: at once to be had."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_KB
    except (OSError, IndexError):
        return 0


def run(command: list[str], env: dict[str, str] | None = None) -> Cost:
    """Run the command to its end."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    process = subprocess.Popen(command, env={**os.environ, **(env or {})}, stdout=subprocess.DEVNULL)
    peak = 0
    stop = threading.Event()

    def watch() -> None:
        # PSS takes the system milliseconds in which the process cannot get memory: it is asked only where there is more than ever before
        nonlocal peak
        most = 0.0
        while not stop.wait(0.1):
            family = _family(process.pid)
            if (resident := sum(map(_resident_kb, family))) > most * 1.005:
                most = resident
                peak = max(peak, sum(map(_memory_kb, family)))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    code = process.wait()
    wall = time.monotonic() - began
    stop.set()
    watcher.join()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(round(wall, 2), round(cpu, 2), round(peak / 1000, 1), code)
