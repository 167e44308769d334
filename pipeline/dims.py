"""Small input tables of a model -> OUT/current/input/TABLE: countries, patterns, devices and the like, for joins in SQL."""

from pathlib import Path

import polars as pl

from pipeline import blank, storage
from pipeline.model import Model
from pipeline.tables import INPUTS

LARGE = (
    "occurrences",
    "usage_pattern_starts",
    "edge_usage_pattern_starts",
    "container_weights",
    "job_runs",
    "job_run_intervals",
)
"""Input tables with a row per hour or per run: not copied, their content stands in need.*."""
COPIED = tuple(name for name in INPUTS if name not in LARGE)


def write_input_copies(model: Model, staged: Path) -> None:
    """Write every small input table in canonical units, those without rows too, so that each view finds its file."""
    for name in COPIED:
        if model.has(name):
            storage.write_whole(staged, "input", INPUTS[name], model[name])
    blank.write(staged, absent(model))


def absent(model: Model) -> list[str]:
    """The small input tables that a model has no rows of."""
    return [f"{blank.INPUT}{name}" for name in COPIED if not model.has(name)]


def flag_counts(model: Model) -> dict[str, int]:
    """How many job runs carry each flag, for run.json: job_runs itself is not copied."""
    flags = model["job_runs"].select(flag=pl.col("flags").cast(pl.String).str.split(";")).drop_nulls().explode("flag")
    named = flags.select(pl.col("flag").str.strip_chars()).filter(pl.col("flag") != "")
    return dict(named.group_by("flag").agg(pl.len()).sort("flag").collect().iter_rows())
