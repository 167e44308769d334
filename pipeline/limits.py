"""The memory that this process is allowed: what goes beyond it ends the process, and no error of ours can be told any more."""

import resource
from pathlib import Path

from pipeline.errors import InputError
from pipeline.settings import memory_bytes

CGROUPS = Path("/sys/fs/cgroup")
ADDRESSES_BESIDE = 2e9
"""Bytes of addresses (not of memory) that libraries and threads take beside the data."""
NO_LIMIT = 2**60


def refuse_too_little(memory: str) -> str | None:
    """InputError where the addresses that the process may use do not do for the setting `memory`; a warning where its memory may not.

    With too few addresses a thread of Polars ends the process by force, or leaves it waiting for ever.
    """
    asked = memory_bytes(memory)
    addresses, _ = resource.getrlimit(resource.RLIMIT_AS)
    if addresses != resource.RLIM_INFINITY and addresses < asked + ADDRESSES_BESIDE:
        raise InputError(
            f"this process may use {addresses / 1e9:.1f} GB of addresses (ulimit -v), and memory = {memory} takes "
            f"{(asked + ADDRESSES_BESIDE) / 1e9:.1f} GB of them; raise the limit, or ask for less with --memory"
        )
    allowed = of_cgroup()
    if allowed is not None and allowed < asked:
        return (
            f"this process may take {allowed / 1e9:.1f} GB of memory (its cgroup), less than memory = {memory}: it may be "
            "killed; raise the limit, or ask for less with --memory"
        )
    return None


def of_cgroup(own: Path = Path("/proc/self/cgroup"), root: Path = CGROUPS) -> int | None:
    """The smallest limit of the process's control groups in bytes; None where there is none."""
    found = []
    try:
        lines = own.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    for line in lines:
        _, kinds, path = line.split(":", 2)
        if kinds and "memory" not in kinds.split(","):
            continue
        base, name = (root / "memory", "memory.limit_in_bytes") if kinds else (root, "memory.max")
        group = base / path.strip("/")
        found += [_number(folder / name) for folder in (group, *group.parents) if folder.is_relative_to(base)]
    return min((f for f in found if f is not None and f < NO_LIMIT), default=None)


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
