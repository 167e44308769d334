"""What must hold of a run before it is published: sql/checks/*.sql, and what the dictionary promises of keys, nulls and numbers."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq

from pipeline import tally, views
from pipeline.errors import CheckFailed, PipelineError
from pipeline.rendering import printable
from pipeline.settings import Settings


@dataclass(frozen=True)
class Check:
    """An invariant: its SQL returns the culprits, none expected."""

    name: str
    promise: str
    tables: frozenset[str]
    sql: str

    @property
    def reads(self) -> frozenset[str]:
        """The tables it needs, and whatever else its SQL names."""
        return self.tables | views.names_in(self.sql)

    def side_by_side(self) -> tuple[str, str] | None:
        """The table it begins with, and a query that finds nothing only where the check finds nothing; None for checks of another form.

        Two tables that are joined by id and hour mostly have the same ids and hours row by row: laid beside each other they need no hash
        of every hour, a third of the time. Rows that do not fit are found, too; then the check itself has to tell.
        """
        found = BY_HOUR.fullmatch(self.sql)
        if found is None or OTHER_CLAUSES.search(found["where"]):
            return None
        by, one, other = found["by"], found["a"] or "one", found["b"] or "other"
        first = (
            f"(SELECT * FROM {found['one']} {found['join']} {found['of']} USING ({by}))"
            if found["of"]
            else found["one"]
        )
        apart = " OR ".join(f"{one}.{key} IS DISTINCT FROM {other}.{key}" for key in (by, "hour"))
        return found["one"], (
            f"SELECT 1 FROM {first} AS {one} POSITIONAL JOIN {found['other']} AS {other} WHERE {apart} OR ({found['where']})"
        )


BY_HOUR = re.compile(
    r"SELECT [\w\s.,]+?\sFROM (?P<one>\S+)(?: AS (?P<a>\w+))?"
    r"\s+(?:FULL |LEFT )?JOIN (?P<other>\S+)(?: AS (?P<b>\w+))? USING \((?P<by>\w+), hour\)"
    r"(?:\s+(?P<join>(?:LEFT )?JOIN) (?P<of>\S+)(?: AS \w+)? USING \((?P=by)\))?\s+WHERE (?P<where>.+)",
    re.DOTALL,
)
"""A check that looks at two tables hour by hour, and maybe at a third that has a row per id."""
OTHER_CLAUSES = re.compile(r"\b(FROM|GROUP|HAVING|UNION|ORDER|LIMIT)\b")


@dataclass(frozen=True)
class Failure:
    """An invariant that does not hold: the promise, and the first rows that break it."""

    promise: str
    culprits: list[dict[str, Any]]


def refuse_failures(failures: Mapping[str, Failure]) -> None:
    """CheckFailed names every broken invariant with its first culprits."""
    if not failures:
        return
    told = []
    for check, failure in failures.items():
        culprits = "; ".join(
            ", ".join(f"{k}={printable(str(v))}" for k, v in row.items() if v is not None) for row in failure.culprits
        )
        told.append(f"check {check}: {failure.promise} Not so at: {culprits}")
    raise CheckFailed("\n".join(told))


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


# ---------------------------------------------------------------- totals: what checks need no single row for

TALLIED = re.compile(r"\b(totals|hours)\.([a-z]+)_([a-z_]+)\b")
Number = Callable[[str], int]
"""Answers a query by a number."""


def tallied(root: Path, tables: dict[str, views.Stored], check: Check) -> dict[str, Callable[[Number], str]]:
    """The tables totals.FAMILY_TABLE and hours.FAMILY_TABLE that a check reads, each with what gives the SELECT that makes it."""
    found: dict[str, Callable[[Number], str]] = {}
    for kind, family, table in sorted(set(TALLIED.findall(check.sql))):
        stored = tables[f"{family}.{table}"]
        rows = total_rows if kind == "totals" else hour_rows
        found[f"{kind}.{family}_{table}"] = partial(rows, root, stored)
    return found


def total_of(view: str) -> str:
    """The name of the totals of a table: totals.need_job of need.job."""
    return f"totals.{view.replace('.', '_')}"


def _noted(root: Path, stored: views.Stored, kind: str) -> tuple[list[Path], tuple[Path, ...]]:
    """Notes of the files that have them, and the files that have none. A file without rows counts as neither."""
    notes = {f: tally.noted_file(root, kind, stored.view, f.stem) for f in stored.files if pq.read_metadata(f).num_rows}
    return [n for n in notes.values() if n.exists()], tuple(f for f, n in notes.items() if not n.exists())


def hour_rows(root: Path, stored: views.Stored, number: Number) -> str:
    """The sums per hour of a table that `tally.HOUR_SUMS` names, from notes where there are any.

    Mostly each server is noted in one file only, and nothing has to be summed up. The notes per series, which are few, tell.
    """
    by, sums = tally.HOUR_SUMS[stored.view]
    keys = ", ".join([*by, "hour"])
    notes, unread = _noted(root, stored, tally.HOURS)
    needed = set[str]().union(*(s.columns for s in sums))
    names = [tally.ROWS, *(s.name for s in sums)]
    parts = [f"SELECT {keys}, {', '.join(names)} FROM {views.parquet(notes)}"] if notes else []
    if unread or not notes:
        source = views.parquet(unread or stored.files)
        if needed - set(stored.columns):  # columns were left out of the files: the view computes them, from all files
            parts, source = [], views.name(stored.view)
        made = ", ".join([f"count(*) AS {tally.ROWS}", *(f"{_sum(s)} AS {s.name}" for s in sums)])
        parts.append(f"SELECT {keys}, {made} FROM {source} GROUP BY {keys}")
    series = [tally.noted_file(root, tally.SERIES, stored.view, n.stem) for n in notes]
    if notes and not unread and all(n.exists() for n in series) and not number(_noted_twice(by, series)):
        return parts[0]
    summed = ", ".join(f"sum({n}) AS {n}" for n in names)
    return f"SELECT {keys}, {summed} FROM ({' UNION ALL '.join(parts)}) GROUP BY {keys}"


def _noted_twice(by: Iterable[str], series: list[Path]) -> str:
    """How many of `by` stand in the notes of more than one file."""
    keys = ", ".join(by)
    noted = (
        f"SELECT {keys}, count(DISTINCT filename) AS files FROM {views.parquet(series, filename=True)} GROUP BY {keys}"
    )
    return f"SELECT count(*) FROM ({noted}) WHERE files > 1"


def total_rows(root: Path, stored: views.Stored, number: Number) -> str:
    """One row per series of an hourly table (per its key without the hour), from notes where there are any.

    first and last hour (counted from 1970), rows, distinct hours, empty cells, numbers that are not finite, and the sums of `tally.SERIES_SUMS`.
    """
    keys = ", ".join(views.name(k) for k in tally.series_key(stored.table))
    summed = [f"empty {c}" for c in stored.columns] + [f"not finite {c}" for c in _floats(stored)]
    sums = tally.SERIES_SUMS.get(stored.view, ())
    names = [views.name(n) for n in (*summed, *(s.name for s in sums if s.columns <= set(stored.columns)))]
    added = ", ".join(f"sum({n}) AS {n}" for n in names)
    notes, unread = _noted(root, stored, tally.SERIES)
    if not notes:
        return _read_totals(stored, number)
    parts = [
        f"SELECT {keys}, first_hour, last_hour, rows, rows AS hours, {', '.join(names)} FROM {views.parquet(notes)}"
    ]
    if unread:
        parts.append(
            f"SELECT {keys}, first_hour, last_hour, rows, hours, {', '.join(names)} FROM ({_read_totals(replace(stored, files=unread), number)})"
        )
    stretches = " UNION ALL ".join(parts)
    overlaps = (
        f"SELECT count(*) FROM (SELECT first_hour <= lag(last_hour) OVER (PARTITION BY {keys} ORDER BY first_hour, last_hour) AS again "
        f"FROM ({stretches})) WHERE again"
    )
    if number(overlaps):
        return _read_totals(stored, number)
    spans = "min(first_hour) AS first_hour, max(last_hour) AS last_hour, sum(rows) AS rows, sum(hours) AS hours"
    return f"SELECT {keys}, {spans}, {added} FROM ({stretches}) GROUP BY {keys}"


def _read_totals(stored: views.Stored, number: Number) -> str:
    """The totals of a table from the rows in its files."""
    keys = [views.name(k) for k in tally.series_key(stored.table)]
    counts = [f"count(*) - count({views.name(c)}) AS {views.name('empty ' + c)}" for c in stored.columns]
    ends = [
        f"count(*) FILTER (NOT isfinite({views.name(c)})) AS {views.name('not finite ' + c)}" for c in _floats(stored)
    ]
    sums = [
        f"{_sum(s)} AS {s.name}" for s in tally.SERIES_SUMS.get(stored.view, ()) if s.columns <= set(stored.columns)
    ]
    chosen = [
        *keys,
        f"min({HOUR_NUMBER}) AS first_hour",
        f"max({HOUR_NUMBER}) AS last_hour",
        "count(*) AS rows",
        f"{_distinct_hours(stored, keys, number)} AS hours",
        *counts,
        *ends,
        *sums,
    ]
    return f"SELECT {', '.join(chosen)} FROM {views.listed(stored)} GROUP BY {', '.join(keys)}"


HOUR_NUMBER = "epoch_us(hour) // 3600000000"


def _sum(of: tally.Sum) -> str:
    """A sum of `tally` in SQL."""
    value = views.name(of.of) if of.of else "1"
    value = f"{value} * {views.name(of.times)}" if of.times else value
    value = f"abs({value})" if of.size else value
    value = f"{value} * ({HOUR_NUMBER} % {tally.MOMENT_HOURS})" if of.moment else value
    return f"coalesce(sum({value}){f' FILTER ({views.name(of.loud)} > 0)' if of.loud else ''}, 0)"


MANY_BITS = 2**31
"""More bits than this, 256 MB, are not spent on one table."""


def _distinct_hours(stored: views.Stored, keys: list[str], number: Number) -> str:
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
    for c in _floats(stored):
        wild = f"sum({views.name('not finite ' + c)})" if hourly else f"count(*) FILTER (NOT isfinite({views.name(c)}))"
        problems.append(f"CAST({wild} AS BIGINT) AS {views.name('not finite ' + c)}")
    source = total_of(stored.view) if hourly else views.name(stored.view)
    sql = (
        f"SELECT problem, rows FROM (UNPIVOT (SELECT {', '.join(problems)} FROM {source}) "
        "ON COLUMNS(*) INTO NAME problem VALUE rows) WHERE rows > 0"
    )
    promise = f"{stored.view} has no empty cells and only finite numbers."
    return Check(f"whole_rows.{stored.view}", promise, frozenset({stored.view}), sql)


def _floats(stored: views.Stored) -> list[str]:
    return [c for c in stored.columns if stored.table.columns[c].dtype == pl.Float64]


SEVERAL_SERVERS = {
    "energy.network": "coalesce(job_id NOT IN (SELECT application FROM need.run), true)",
    "repartition.footprint": "(source_kind <> 'network' OR coalesce(job_id NOT IN (SELECT application FROM need.run), true))",
}
"""Rows whose key names them: an observed application may run on several servers, and networks do not tell these apart."""


def single_keys(stored: views.Stored) -> Check:
    """No key stands twice."""
    keys = [views.name(k) for k in tally.key_of(stored.table)]
    sql = f"SELECT {', '.join(keys)}, count(*) AS rows FROM {views.name(stored.view)} GROUP BY ALL HAVING count(*) > 1"
    if "hour" in stored.table.key:
        series = [k for k in keys if k != '"hour"']
        named = SEVERAL_SERVERS.get(stored.view, "true")
        sql = f"SELECT {', '.join(series)}, rows, hours FROM {total_of(stored.view)} WHERE rows <> hours AND {named}"
    reads = {stored.view, "need.run"} if stored.view in SEVERAL_SERVERS else {stored.view}
    return Check(f"single_keys.{stored.view}", f"every key of {stored.view} stands once.", frozenset(reads), sql)


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
