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


def applying(tables: dict[str, views.Stored], settings: Settings) -> Iterator[Check]:
    """The checks whose tables were all asked for; those of the dictionary first."""
    wanted = settings.wanted
    for view, stored in tables.items():
        if view in wanted and stored.rows:
            yield whole_rows(stored)
            yield single_keys(stored)
    yield from (c for c in written() if c.tables <= wanted)


# ---------------------------------------------------------------- totals: one pass over a table, for all checks that need no single hour

TOTALS = re.compile(r"\btotals\.([a-z]+)_([a-z_]+)\b")


def totals(tables: dict[str, views.Stored], check: Check) -> dict[str, str]:
    """The tables totals.FAMILY_TABLE that a check reads, each with the SELECT that makes it."""
    named = {f"{family}.{table}" for family, table in TOTALS.findall(check.sql)}
    return {total_of(n): total_rows(tables[n]) for n in sorted(named)}


def total_of(view: str) -> str:
    """The name of the totals of a table: totals.need_job of need.job."""
    return f"totals.{view.replace('.', '_')}"


def total_rows(stored: views.Stored) -> str:
    """One row per series of an hourly table (per its key without the hour): rows, distinct hours, empty cells, sums of every number.

    `moment_X` is the sum of X times the number of the hour: it tells sums apart that are equal but lie elsewhere in time.
    """
    keys = [views.name(k) for k in key_of(stored.table) if k != "hour"]
    counts = [f"count(*) - count({views.name(c)}) AS {views.name('empty ' + c)}" for c in stored.columns]
    sums = [f"sum({views.name(c)}) AS {views.name(c)}" for c in stored.columns if stored.table.columns[c].is_number]
    moments = [f"sum({c} * ({HOUR_NUMBER} % 100000)) AS moment_{c}" for c in ("occurrences",) if c in stored.columns]
    hours = _distinct_hours(stored)
    chosen = [*keys, "count(*) AS rows", f"{hours} AS hours", *counts, *sums, *moments]
    return f"SELECT {', '.join(chosen)} FROM {views.listed(stored)} GROUP BY {', '.join(keys)}"


HOUR_NUMBER = "epoch_us(hour) // 3600000000"


def _distinct_hours(stored: views.Stored) -> str:
    """The number of distinct hours of a series: by one bit per hour, exact and in one pass; by sets where that is not possible."""
    bounds = [_hour_bounds(f) for f in stored.files]
    known = [b for b in bounds if b is not None]
    if len(known) < len(bounds):
        return "count(DISTINCT hour)"
    first, last = min(b[0] for b in known), max(b[1] for b in known)
    return f"bit_count(bitstring_agg((epoch_us(hour) - {first}) // 3600000000, 0, {(last - first) // 3_600_000_000}))"


def whole_rows(stored: views.Stored) -> Check:
    """No empty cell but where the dictionary allows one, and no number that is not finite."""
    if "hour" in stored.table.key:
        counts = [
            f"sum({views.name('empty ' + c)})::BIGINT AS {views.name('empty ' + c)}" for c in _never_empty(stored)
        ]
        source = total_of(stored.view)
    else:
        counts = [f"count(*) - count({views.name(c)}) AS {views.name('empty ' + c)}" for c in _never_empty(stored)]
        source = views.name(stored.view)
    numbers = [c for c in stored.columns if stored.table.columns[c].is_number and c not in stored.table.key]
    finite = [
        f"(NOT isfinite(coalesce(sum({views.name(c)}), 0)::DOUBLE))::BIGINT AS {views.name('not finite ' + c)}"
        for c in numbers
    ]
    sql = (
        f"SELECT problem, rows FROM (UNPIVOT (SELECT {', '.join(counts + finite)} FROM {source}) "
        "ON COLUMNS(*) INTO NAME problem VALUE rows) WHERE rows > 0"
    )
    promise = f"{stored.view} has no empty cells and only finite numbers."
    return Check(f"whole_rows.{stored.view}", promise, frozenset({stored.view}), sql)


def _never_empty(stored: views.Stored) -> list[str]:
    return [c for c in stored.columns if not stored.table.columns[c].nullable]


def single_keys(stored: views.Stored) -> Check:
    """No key stands twice."""
    keys = [views.name(k) for k in key_of(stored.table)]
    sql = f"SELECT {', '.join(keys)}, count(*) AS rows FROM {views.name(stored.view)} GROUP BY ALL HAVING count(*) > 1"
    if "hour" in stored.table.key:
        series = [k for k in keys if k != '"hour"']
        sql = f"SELECT {', '.join(series)}, rows, hours FROM {total_of(stored.view)} WHERE rows <> hours"
    return Check(
        f"single_keys.{stored.view}", f"every key of {stored.view} stands once.", frozenset({stored.view}), sql
    )


def key_of(table: Table) -> list[str]:
    """The columns that name a row; of repartition.footprint all but the footprint (its words and optional ids count too)."""
    return [c for c in table.columns if c != "footprint"] if table.name == "repartition.footprint" else table.key


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
