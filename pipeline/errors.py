"""What can go wrong, whose move it is, and the exit code that says so."""

import errno
import os
import re

import polars as pl

EXIT_OK, EXIT_FAILURE, EXIT_INPUT = 0, 1, 2

VIOLATION_SCHEMA = pl.Schema(
    {
        "table": pl.String,
        "rule": pl.String,
        "file": pl.String,
        "row": pl.Int64,
        "column": pl.String,
        "value": pl.String,
        "expected": pl.String,
    }
)
"""One row per broken rule: `row` counts data rows of the file from 1, empty where the whole table or column is meant."""


class InputError(Exception):
    """The user's data or command is wrong: exit code 2, and nothing is published. `violations` lists every broken rule."""

    def __init__(self, message: str, violations: pl.DataFrame | None = None) -> None:
        super().__init__(message)
        self.violations = pl.DataFrame(schema=VIOLATION_SCHEMA) if violations is None else violations

    def __reduce__(self) -> tuple[type["InputError"], tuple[str, pl.DataFrame]]:
        """Survive the way back from a worker process with all violations."""
        return type(self), (str(self), self.violations)


class PipelineError(Exception):
    """The run could not be completed for a reason that is not the input: exit code 1."""


class CheckFailed(PipelineError):
    """An invariant of sql/checks does not hold: our bug; nothing is published."""


_REFUSED = {
    errno.ENOSPC: "no space is left; free some",
    errno.EDQUOT: "the quota of this user is used up; free some space",
    errno.EFBIG: "a file may not become so large here; raise the limit (ulimit -f)",
    errno.EROFS: "the place cannot be written to; mount it for writing, or give another one",
    errno.EACCES: "this user may not write or read there; have it allowed, or give another place",
    errno.EMFILE: "too many files are open; raise the limit (ulimit -n)",
    errno.EIO: "the disk or the network share fails; see the system's log",
    errno.ESTALE: "the network share was mounted anew or the file removed from another machine",
    errno.ENOMEM: "out of memory; ask for less with --memory and --workers, or raise the limit",
    errno.EAGAIN: "no more threads or processes are allowed; ask for fewer with --workers, or raise the limit (ulimit -u, -v)",
}
"""What a machine refuses, and what to do about it, by the number of the error."""
_NO_MEMORY = ("Out of Memory Error", "failed to map segment")
"""How DuckDB and the loader of libraries say that there is no memory."""


def refused(error: BaseException) -> str | None:
    """What the machine refused, in words with what to do next; None where the error is of another kind.

    Polars, DuckDB and Arrow hand on the system's own words in errors of theirs.
    """
    text = str(error).strip().split("\n")[0]
    number = error.errno if isinstance(error, OSError) else None
    if (said := re.search(r"\(os error (\d+)\)|\[Errno (\d+)\]", text)) is not None:
        number = int(said[1] or said[2])
    elif isinstance(error, MemoryError) or any(words in text for words in _NO_MEMORY):
        number, text = errno.ENOMEM, f"{type(error).__name__}: {text}".removesuffix(": ")
    number = number or next((n for n in _REFUSED if os.strerror(n) in text), None)
    if number not in _REFUSED:
        return None
    place = re.search(r"[\"'](/[^\"']+)[\"']", text)
    named = [place[1]] if place else []
    if isinstance(error, OSError):
        named = [str(n) for n in (error.filename, error.filename2) if n is not None]
    why = text if number == errno.ENOMEM else os.strerror(number)
    where = f"{' -> '.join(named)}: " if named else ""
    return f"{where}{_REFUSED[number]} ({why}). Then run again: what was published is as it was"
