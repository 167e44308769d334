"""Disks of a few kilobytes, users without rights, and what a run that meets them tells."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from pipeline import cli, run
from pipeline.run import How
from pipeline.settings import Settings

NOBODY = 65534


@contextmanager
def mounted(folder: Path, kilobytes: int) -> Iterator[Path]:
    """A file system of its own in memory; skips where this user may not mount."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "none", str(folder)]
    done = subprocess.run(command, check=False, capture_output=True)
    if done.returncode:
        pytest.skip("mounting is not permitted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@contextmanager
def control_group(name: str) -> Iterator[Path]:
    """A control group of its own (of the first version) for memory; skips where this user may not make one."""
    kinds = dict(line.split(":")[1:] for line in Path("/proc/self/cgroup").read_text().splitlines())
    group = Path("/sys/fs/cgroup/memory") / kinds.get("memory", "/").strip("/") / name
    try:
        group.mkdir()
    except OSError:
        pytest.skip("control groups are not permitted here")
    try:
        yield group
    finally:
        group.rmdir()


def fill(folder: Path) -> Path:
    """Take up all that is free on the disk of the folder; the file that does."""
    filler = folder / "filler"
    with suppress(OSError), filler.open("ab", buffering=0) as opened:
        while opened.write(b"\0" * 4096):
            pass
    return filler


@contextmanager
def as_nobody() -> Iterator[None]:
    """Be a user without rights for a while; skips where this process may not."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def before(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, do: Callable[[], object]) -> None:
    """Have something happen just before a function of the pipeline is called."""
    original = getattr(module, name)

    def wrapped(*args: Any, **named: Any) -> Any:
        do()
        return original(*args, **named)

    monkeypatch.setattr(module, name, wrapped)


def attempt(
    model: Path, out: Path, capsys: pytest.CaptureFixture[str], settings: Settings, **how: Any
) -> tuple[int, str]:
    """The exit code of a run, and what it tells."""
    capsys.readouterr()
    try:
        run.run(model, out, settings, None, How(**how))
    except Exception as error:  # noqa: BLE001 - as the command line does
        return cli.exit_code(error), capsys.readouterr().err
    return 0, ""


def told_in_one_line(told: str, *words: str) -> None:
    """One line, with these words, and no traceback."""
    assert len(told.splitlines()) == 1, told
    assert "Traceback" not in told
    assert "bug of wattrow" not in told
    for word in words:
        assert word in told, told
