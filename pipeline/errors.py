"""What can go wrong, whose move it is, and the exit code that says so."""

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
