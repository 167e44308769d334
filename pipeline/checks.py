"""What must hold of a run before it is published: sql/checks/*.sql, and what the dictionary promises of keys, nulls and numbers."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pyarrow.parquet as pq

from pipeline import views
from pipeline.errors import PipelineError
from pipeline.settings import Settings
from pipeline.tables import Table

EXACT_ROWS = 1_000_000
"""Up to so many rows a key is looked for twice by grouping rows; beyond, by one bit per hour and group."""


@dataclass(frozen=True)
class Check:
    """An invariant: its SQL returns the culprits, none expected."""

    name: str
    promise: str
    tables: frozenset[str]
    sql: str


def read_check(path: Path) -> Check:
    """A file of sql/checks: first line the promise, second line `-- tables:` it needs, then one SELECT of the culprits."""
    lines = path.read_text(encoding="utf-8").splitlines()
    needs = re.match(r"-- tables: (.+)", lines[1]) if len(lines) > 1 else None
    if not lines[0].startswith("-- ") or needs is None:
        raise PipelineError(
            f"{path}: starts with a comment that says what must hold, then `-- tables: ` and what it reads"
        )
    sql = "\n".join(line for line in lines if not line.startswith("--"))
    return Check(path.stem, lines[0].removeprefix("-- "), frozenset(needs[1].split(", ")), sql.strip().rstrip(";"))


@cache
def written() -> tuple[Check, ...]:
    """The checks of sql/checks."""
    return tuple(read_check(p) for p in sorted((views.LIBRARY / views.CHECKS).glob("*.sql")))


def applying(root: Path, settings: Settings) -> Iterator[Check]:
    """The checks whose tables were all asked for; those of the dictionary first."""
    wanted = settings.wanted
    for view, stored in views.stored_in(root).items():
        if view in wanted and stored.rows:
            yield whole_rows(stored)
            yield single_keys(stored)
    yield from (c for c in written() if c.tables <= wanted)


def whole_rows(stored: views.Stored) -> Check:
    """No empty cell but where the dictionary allows one, and no number that is not finite."""
    kept = [c for c in stored.table.columns.values() if c.name in stored.columns]
    counts = [
        f"count(*) - count({views.name(c.name)}) AS {views.name('empty ' + c.name)}" for c in kept if not c.nullable
    ]
    sums = [
        f"CAST(NOT isfinite(coalesce(sum({views.name(c.name)}), 0)) AS BIGINT) AS {views.name('not finite ' + c.name)}"
        for c in kept
        if c.is_number
    ]
    sql = (
        f"SELECT problem, rows FROM (UNPIVOT (SELECT {', '.join(counts + sums)} FROM {views.name(stored.view)}) "
        "ON COLUMNS(*) INTO NAME problem VALUE rows) WHERE rows > 0"
    )
    return Check(
        f"whole_rows.{stored.view}",
        f"{stored.view} has no empty cells and only finite numbers.",
        frozenset({stored.view}),
        sql,
    )


def single_keys(stored: views.Stored) -> Check:
    """No key stands twice."""
    keys = [views.name(k) for k in key_of(stored.table)]
    promise = f"every key of {stored.view} stands once."
    view = views.name(stored.view)
    exact = f"SELECT {', '.join(keys)}, count(*) AS rows FROM {view} GROUP BY ALL HAVING count(*) > 1"
    sql = exact
    if "hour" in stored.table.key and stored.rows > EXACT_ROWS:
        sql = _by_bits(stored, [k for k in keys if k != '"hour"']) or exact
    return Check(f"single_keys.{stored.view}", promise, frozenset({stored.view}), sql)


def key_of(table: Table) -> list[str]:
    """The columns that name a row; of repartition.footprint all but the footprint (its words and optional ids count too)."""
    return [c for c in table.columns if c != "footprint"] if table.name == "repartition.footprint" else table.key


def _by_bits(stored: views.Stored, keys: list[str]) -> str | None:
    """Count the distinct hours of every series in one bit per hour: exact, in one pass, in little memory."""
    bounds = [_hour_bounds(f) for f in stored.files]
    known = [b for b in bounds if b is not None]
    if len(known) < len(bounds):
        return None
    first, last = min(b[0] for b in known), max(b[1] for b in known)
    return (
        f"SELECT {', '.join(keys)}, count(*) AS rows, bit_count(bitstring_agg((epoch_us(hour) - {first}) // 3600000000, "
        f"0, {(last - first) // 3_600_000_000})) AS hours FROM {views.name(stored.view)} GROUP BY ALL HAVING rows <> hours"
    )


def _hour_bounds(file: Path) -> tuple[int, int] | None:
    """First and last hour in a file, in microseconds since 1970, from its statistics."""
    meta = pq.read_metadata(file)
    index = meta.schema.names.index("hour")
    found = [meta.row_group(g).column(index).statistics for g in range(meta.num_row_groups)]
    if any(s is None or not s.has_min_max for s in found) or not found:
        return None
    return (
        min(int(s.min.timestamp()) for s in found) * 1_000_000,
        max(int(s.max.timestamp()) for s in found) * 1_000_000,
    )
