"""Published run -> what a reader should doubt: warnings, flags, rejects, and what share rests on averages, defaults and low confidence."""

from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl
from polars import col

from pipeline.report.figures import Figures, attributed
from pipeline.report.published import Published, declared
from pipeline.tables import INPUTS

COLUMN_OF = {
    "servers": "source_id", "gpu_servers": "source_id", "cloud_servers": "source_id", "storages": "source_id",
    "networks": "source_id", "devices": "source_id", "jobs": "job_id", "video_streaming_jobs": "job_id",
    "usage_patterns": "usage_pattern_id", "edge_usage_patterns": "usage_pattern_id",
    "usage_pattern_starts": "usage_pattern_id", "edge_usage_pattern_starts": "usage_pattern_id",
    "usage_steps": "container_id", "server_need_volumes": "container_id",
}  # fmt: skip
"""Column of repartition.footprint that holds the ids of an input table's rows (the first of their key)."""
KIND_OF = {
    "servers": "server", "gpu_servers": "server", "cloud_servers": "server", "storages": "storage",
    "networks": "network", "devices": "device",
}  # fmt: skip
FALLBACK = {"servers": "derived.server", "jobs": "derived.job"}
"""Where an input's values still stand in a run that published no copy of its inputs."""
MOST_LINES = 50


@dataclass(frozen=True)
class Doubt:
    """Input values of one column of one table that one may doubt."""

    table: str
    column: str
    values: int
    ids: frozenset[str]
    """First key of the rows that hold them."""


@dataclass(frozen=True)
class Quality:
    """What the section on data quality says."""

    warnings: list[str]
    average_share: float | None
    """Part of the servers' usage footprint computed with an average grid intensity."""
    defaults: list[Doubt]
    default_kg: float
    low: list[Doubt]
    low_kg: float
    unsourced: int | None
    """Input values given without a confidence; None where the run published no sources."""
    flags: list[tuple[str, int]]
    rejects: list[tuple[str, str, int]]


def default_values(run: Published) -> list[Doubt]:
    """Columns whose value equals the dictionary's default, with the rows where it does; rows whose defaults are 0 mean nothing held."""
    found = []
    for name in COLUMN_OF:
        table = f"input.{name}" if run.files(f"input.{name}") else FALLBACK.get(name)
        if table is None or not run.files(table):
            continue
        rows = run.scan(table)
        if table.startswith("derived."):
            rows = rows.filter(kind=name)
        held = [
            c for c in INPUTS[name].columns.values()
            if c.is_number and isinstance(c.default, int | float) and c.default and c.name in declared(table).columns
        ]  # fmt: skip
        key = INPUTS[name].key[0]
        for column in held:
            ids = rows.filter(col(column.name) == column.default).select(col(key).cast(pl.String)).collect()
            if len(ids):
                found.append(Doubt(name, column.name, len(ids), frozenset(ids[key].to_list())))
    return found


def low_values(run: Published) -> list[Doubt]:
    """Input values whose source is of low confidence."""
    rows = run.scan("input.sources").filter(confidence="low").select("table", "column", "row_id").collect()
    grouped = rows.group_by("table", "column", maintain_order=True).agg("row_id")
    return [Doubt(t, c, len(ids), frozenset(ids)) for t, c, ids in grouped.iter_rows()]


def touched(doubts: Iterable[Doubt]) -> pl.Expr:
    """Whether a row of repartition.footprint rests on one of these values."""
    found = pl.lit(False)
    for doubt in doubts:
        column = COLUMN_OF.get(doubt.table)
        if column is None:
            continue
        here = col(column).is_in(sorted(doubt.ids)).fill_null(False)
        if doubt.table in KIND_OF:
            here &= col.source_kind.cast(pl.String) == KIND_OF[doubt.table]
        found = found | here
    return found


def flags_of(run: Published) -> list[tuple[str, int]]:
    """Codes that importers noted on job runs, with how many runs have them, most first."""
    counts = {str(code): int(runs) for code, runs in run.about.get("flags", {}).items()}
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def rejects_of(run: Published) -> list[tuple[str, str, int]]:
    """Records that importers refused: source, reason, how many."""
    grouped = run.scan("input.rejects").group_by("source", "code").agg(pl.len())
    return grouped.sort("len", "source", "code", descending=[True, False, False]).collect().rows()


def assessed(figures: Figures) -> Quality:
    """All that may be doubted in a run."""
    run = figures.run
    usage, average = (float(figures.servers[c].sum()) for c in ("usage_kg", "average_kg"))
    defaults, low = default_values(run), low_values(run)
    rows = attributed(run) if defaults or low else None
    sums = [0.0, 0.0]
    if rows is not None:
        asked = [col.footprint.filter(touched(d)).sum().alias(n) for d, n in ((defaults, "defaults"), (low, "low"))]
        sums = list(rows.select(asked).collect().row(0))
    unsourced = None
    if run.files("input.sources"):
        unsourced = run.scan("input.sources").filter(col.confidence.is_null()).select(pl.len()).collect().item()
    warnings = [str(w) for w in run.about.get("warnings", [])]
    return Quality(
        warnings, average / usage if usage else None, defaults, sums[0], low, sums[1], unsourced, flags_of(run),
        rejects_of(run),
    )  # fmt: skip
