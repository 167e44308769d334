"""What must hold of a run before it is published: sql/checks/*.sql, and what the dictionary promises of keys, nulls and numbers."""

import re
from collections.abc import Callable, Iterator
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
            yield from (c for c in (whole_rows(stored), single_keys(stored)) if c.tables <= wanted)
    yield from (c for c in written() if c.tables <= wanted)


# ---------------------------------------------------------------- totals: one pass over a table, for all checks that need no single hour

TOTALS = re.compile(r"\btotals\.([a-z]+)_([a-z_]+)\b")


def totals(tables: dict[str, views.Stored], check: Check, number: Callable[[str], int]) -> dict[str, str]:
    """The tables totals.FAMILY_TABLE that a check reads, each with the SELECT that makes it; `number` answers a query by a number."""
    named = {f"{family}.{table}" for family, table in TOTALS.findall(check.sql)}
    return {total_of(n): total_rows(tables[n], number) for n in sorted(named)}


def total_of(view: str) -> str:
    """The name of the totals of a table: totals.need_job of need.job."""
    return f"totals.{view.replace('.', '_')}"


SUMMED = ("starts", "occurrences", "avg_occurrences", "run_hours", "runs_started")
"""Columns whose sum over a series checks ask for."""


def total_rows(stored: views.Stored, number: Callable[[str], int]) -> str:
    """One row per series of an hourly table (per its key without the hour): rows, distinct hours, empty cells, least and most, some sums.

    `moment_occurrences` is the sum of occurrences times the number of the hour: it tells sums apart that are equal but lie elsewhere in time.
    """
    keys = [views.name(k) for k in key_of(stored.table) if k != "hour"]
    counts = [f"count(*) - count({views.name(c)}) AS {views.name('empty ' + c)}" for c in stored.columns]
    ends = [f"{f}({views.name(c)}) AS {views.name(f'{f} {c}')}" for c in _numbers(stored) for f in ("min", "max")]
    sums = [f"sum({c}) AS {c}" for c in SUMMED if c in stored.columns]
    moments = [f"sum({c} * ({HOUR_NUMBER} % 100000)) AS moment_{c}" for c in ("occurrences",) if c in stored.columns]
    chosen = [
        *keys,
        "count(*) AS rows",
        f"{_distinct_hours(stored, keys, number)} AS hours",
        *counts,
        *ends,
        *sums,
        *moments,
    ]
    return f"SELECT {', '.join(chosen)} FROM {views.listed(stored)} GROUP BY {', '.join(keys)}"


HOUR_NUMBER = "epoch_us(hour) // 3600000000"


MANY_BITS = 2**31
"""More bits than this, 256 MB, are not spent on one table."""


def _distinct_hours(stored: views.Stored, keys: list[str], number: Callable[[str], int]) -> str:
    """The number of distinct hours of a series: by one bit per hour, exact and in one pass; by sets where that takes too many bits."""
    bounds = [_hour_bounds(f) for f in stored.files]
    known = [b for b in bounds if b is not None]
    if len(known) < len(bounds):
        return "count(DISTINCT hour)"
    first, last = min(b[0] for b in known), max(b[1] for b in known)
    span = (last - first) // 3_600_000_000
    series = f"SELECT count(*) FROM (SELECT DISTINCT {', '.join(keys)} FROM {views.listed(stored)})"
    if stored.rows * span > MANY_BITS and number(series) * span > MANY_BITS:
        return "count(DISTINCT hour)"
    return f"bit_count(bitstring_agg((epoch_us(hour) - {first}) // 3600000000, 0, {span}))"


def whole_rows(stored: views.Stored) -> Check:
    """No empty cell but where the dictionary allows one, and no number that is not finite."""
    hourly = "hour" in stored.table.key
    problems = []
    for c in stored.columns:
        if not stored.table.columns[c].nullable:
            empty = f"sum({views.name('empty ' + c)})" if hourly else f"count(*) - count({views.name(c)})"
            problems.append(f"CAST({empty} AS BIGINT) AS {views.name('empty ' + c)}")
    for c in _numbers(stored):
        least, most = (f"{f}({views.name(f'{f} {c}' if hourly else c)})" for f in ("min", "max"))
        finite = f"isfinite(coalesce({least}, 0)::DOUBLE) AND isfinite(coalesce({most}, 0)::DOUBLE)"
        problems.append(f"CAST(NOT ({finite}) AS BIGINT) AS {views.name('not finite ' + c)}")
    source = total_of(stored.view) if hourly else views.name(stored.view)
    sql = (
        f"SELECT problem, rows FROM (UNPIVOT (SELECT {', '.join(problems)} FROM {source}) "
        "ON COLUMNS(*) INTO NAME problem VALUE rows) WHERE rows > 0"
    )
    promise = f"{stored.view} has no empty cells and only finite numbers."
    return Check(f"whole_rows.{stored.view}", promise, frozenset({stored.view}), sql)


def _numbers(stored: views.Stored) -> list[str]:
    return [c for c in stored.columns if stored.table.columns[c].is_number and c not in stored.table.key]


SEVERAL_SERVERS = {
    "energy.network": "coalesce(job_id NOT IN (SELECT application FROM need.run), true)",
    "repartition.footprint": "(source_kind <> 'network' OR coalesce(job_id NOT IN (SELECT application FROM need.run), true))",
}
"""Rows whose key names them: an observed application may run on several servers, and networks do not tell these apart."""


def single_keys(stored: views.Stored) -> Check:
    """No key stands twice."""
    keys = [views.name(k) for k in key_of(stored.table)]
    sql = f"SELECT {', '.join(keys)}, count(*) AS rows FROM {views.name(stored.view)} GROUP BY ALL HAVING count(*) > 1"
    if "hour" in stored.table.key:
        series = [k for k in keys if k != '"hour"']
        named = SEVERAL_SERVERS.get(stored.view, "true")
        sql = f"SELECT {', '.join(series)}, rows, hours FROM {total_of(stored.view)} WHERE rows <> hours AND {named}"
    reads = {stored.view, "need.run"} if stored.view in SEVERAL_SERVERS else {stored.view}
    return Check(f"single_keys.{stored.view}", f"every key of {stored.view} stands once.", frozenset(reads), sql)


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
