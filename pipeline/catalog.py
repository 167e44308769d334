"""DuckDB over a run: views with comments, queries that can neither write nor look elsewhere, checks before publishing."""

import json
import queue
import re
import secrets
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import duckdb

from pipeline import checks, storage, views
from pipeline.errors import InputError
from pipeline.rendering import render
from pipeline.settings import Settings, memory_bytes

if TYPE_CHECKING:
    import pyarrow as pa

One = TypeVar("One")
Answer = TypeVar("Answer")

__all__ = ["connect", "failing_checks", "query", "render", "run_directory"]

READING = (
    "SELECT",
    "MULTI",
    "SET",
    "CREATE",
    "DROP",
    "ALTER",
    "INSERT",
    "UPDATE",
    "DELETE",
    "MERGE_INTO",
    "TRANSACTION",
)
"""Kinds of statements that a query may hold: what they change lies in memory and is gone afterwards (MULTI is PIVOT)."""
SHOWN = ("SELECT", "MULTI", "EXPLAIN")
"""Kinds of statements whose result is shown."""
_EXPLAINED = re.compile(
    r"\s*EXPLAIN\s+(ANALYZE\s+)?(SELECT|FROM|WITH|VALUES|TABLE|DESCRIBE|SUMMARIZE)\b", re.IGNORECASE
)


def run_directory(out: Path) -> Path:
    """The run that OUT shows now, pinned: OUT itself where it is a run. InputError where there is none."""
    if (out / "run.json").exists():
        return out.resolve()
    current = storage.current(out)
    if current is None:
        raise InputError(f"{out}: no run here; make one with: wattrow run MODEL --out {out}")
    return current


def connect(
    root: Path,
    *,
    allow_files: bool = False,
    library: bool = True,
    comments: bool = False,
    settings: Settings | None = None,
    tables: dict[str, views.Stored] | None = None,
) -> duckdb.DuckDBPyConnection:
    """An in-memory database with a view per table of the run directory `root`, and the views and macros of sql/ on top.

    It reads no file outside `root`, attaches and installs nothing, and its configuration is locked, unless `allow_files`.
    `settings` are the run's where run.json is not written yet; `tables` are those wanted, by default all.
    """
    root = root.resolve()
    tables = views.stored_in(root) if tables is None else tables
    con = _READY.pop() if _READY else _opened()
    _configure(con, settings)
    for statement in (*views.base_views(tables), *views.setting_macros(_grain(root, settings))):
        con.execute(statement)
    if library:
        for statement in views.library_statements():
            con.execute(statement)
    if comments:
        for statement in (*views.base_comments(tables), *views.library_comments()):
            con.execute(statement)
    if not allow_files:
        _lock(con, root)
    return con


def _opened() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(":memory:", config={"python_enable_replacements": False})


_READY: list[duckdb.DuckDBPyConnection] = []
"""Connections that `warm_up` has opened for those that ask next."""


def warm_up() -> None:
    """Have ready what checks take first: their text, and a connection, which takes 10 ms to open, the first of a process twice as long."""
    checks.written()
    _READY.append(_opened())


def _grain(root: Path, settings: Settings | None) -> str:
    return settings.attribution_grain if settings is not None else str(_of_run(root)["settings"]["attribution_grain"])


def _of_run(root: Path) -> dict[str, Any]:
    """What run.json says."""
    try:
        said: dict[str, Any] = json.loads((root / "run.json").read_text(encoding="utf-8"))
        said["run_id"], said["settings"]["attribution_grain"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{root}: run.json cannot be read ({error}); the folder is not a complete run") from error
    return said


def _configure(con: duckdb.DuckDBPyConnection, settings: Settings | None) -> None:
    spill = Path(tempfile.gettempdir()) / f"wattrow-{secrets.token_hex(8)}"
    con.execute("SET TimeZone = 'UTC'")
    con.execute("SET preserve_insertion_order = true")
    con.execute(f"SET temp_directory = {views.literal(str(spill))}")
    if settings is not None:
        con.execute(f"SET memory_limit = {views.literal(settings.memory)}")


def _lock(con: duckdb.DuckDBPyConnection, root: Path) -> None:
    """From here on the connection sees `root` and nothing else, whatever is asked of it."""
    for option in (
        "autoinstall_known_extensions",
        "autoload_known_extensions",
        "allow_community_extensions",
        "allow_persistent_secrets",
    ):
        con.execute(f"SET {option} = false")
    con.execute("SET allow_extension_repositories = 'forbidden'")
    con.execute(f"SET allowed_directories = [{views.literal(str(root))}]")
    con.execute("SET enable_external_access = false")
    con.execute("SET lock_configuration = true")


# ---------------------------------------------------------------- queries


def query(out: Path, sql: str, *, allow_files: bool = False) -> "pa.Table":
    """The result of the last statement of `sql` (SQL text, or the path of a file of it) over the views of OUT.

    InputError says in one line what is wrong with the SQL. Nothing is written and nothing outside the run is read, unless `allow_files`.
    """
    with opened(out, allow_files=allow_files) as con:
        return run_sql(con, sql_of(sql), allow_files=allow_files)


@contextmanager
def opened(out: Path, *, allow_files: bool = False, comments: bool = True) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to the current run of OUT, closed at the end."""
    con = connect(run_directory(out), allow_files=allow_files, comments=comments)
    try:
        yield con
    finally:
        con.close()


def sql_of(text: str) -> str:
    """The text itself, or the content of the file it names (`something.sql`, or a path that exists)."""
    if "\n" in text or not text.strip().lower().endswith(".sql"):
        return text
    try:
        return Path(text.strip()).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{text}: cannot be read as a file of SQL ({error})") from error


def run_sql(con: duckdb.DuckDBPyConnection, sql: str, *, allow_files: bool = False) -> "pa.Table":
    """The result of the last statement in `sql` that has one; sums of whole numbers are whole numbers."""
    import pyarrow as pa

    result = pa.table({})
    try:
        statements = duckdb.extract_statements(sql)
        if not statements:
            raise InputError("the query is empty; try: FROM energy.server LIMIT 5")
        for statement in statements:
            if not allow_files:
                _refuse_writing(statement)
            relation = con.sql(statement)
            if relation is not None and statement.type.name in SHOWN:
                result = relation.to_arrow_table()
    except (duckdb.Error, ValueError) as error:
        raise InputError(one_line(error)) from error
    return _with_int64(result)


def _with_int64(result: "pa.Table") -> "pa.Table":
    """128-bit whole numbers as 64-bit ones where they fit, else as floats."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for i, field in enumerate(result.schema):
        if pa.types.is_decimal(field.type) and field.type.scale == 0 and field.type.precision > 18:
            try:
                column = pc.cast(result.column(i), pa.int64())
            except pa.ArrowInvalid:
                column = pc.cast(result.column(i), pa.float64())
            result = result.set_column(i, field.name, column)
    return result


def _refuse_writing(statement: duckdb.Statement) -> None:
    kind = statement.type.name
    if kind in READING or (kind == "EXPLAIN" and _EXPLAINED.match(statement.query)):
        return
    word = " ".join(statement.query.split())[:40]
    raise InputError(f"a query only reads the tables of its run; {kind} is refused without --allow-files: {word}")


def one_line(error: Exception) -> str:
    """What DuckDB says, without the drawing of the place, on one line."""
    text = str(error).split("\n\nLINE ")[0]
    place = re.search(r"LINE (\d+):", str(error))
    told = " ".join(text.split())
    return f"SQL: {told} (line {place[1]})" if place else f"SQL: {told}"


# ---------------------------------------------------------------- checks


FIRST_CULPRITS = 5
MOST_AT_ONCE = 8
"""Checks that are asked at the same time at most; most of them keep one core busy."""
AT_ONCE_ROWS = 100_000_000
"""With more rows than these, checks are asked one by one: each keeps all cores busy, and needs the memory."""


SIDE_BY_SIDE_ROWS = 2_000_000
"""Tables with more rows than these are not laid beside each other: one of the two is held in memory meanwhile."""
CHECK_MEMORY = "256MB"
"""What the checks of most runs take; tables that do not fit lie on the disk for a while. More only where a query cannot do with it."""


def failing_checks(staged: Path, settings: Settings) -> dict[str, checks.Failure]:
    """The checks of sql/checks (and those the dictionary implies) that do not hold, by name; only those whose tables were asked for."""
    frugal = min(CHECK_MEMORY, settings.memory, key=memory_bytes)
    try:
        return _failing_checks(staged, replace(settings, memory=frugal))
    except duckdb.OutOfMemoryException:
        return _failing_checks(staged, settings)


def _failing_checks(staged: Path, settings: Settings) -> dict[str, checks.Failure]:
    tables = views.stored_in(staged)
    asked = list(checks.applying(tables, settings))
    totals: dict[str, Callable[[checks.Number], str]] = {}
    for check in asked:
        totals |= checks.tallied(staged, tables, check)
    rows = {name: stored.rows for name, stored in tables.items()}
    many = sum(rows.values()) > AT_ONCE_ROWS
    few = frozenset(name for name, count in rows.items() if count <= SIDE_BY_SIDE_ROWS)
    cores = settings.processes
    at_once = 1 if many else min(cores, MOST_AT_ONCE)
    read = views.READ_BY_VIEWS.union(*(c.reads for c in asked))
    wanted = {name: stored for name, stored in tables.items() if name in read}
    with closing(connect(staged, allow_files=True, library=False, settings=settings, tables=wanted)) as con:
        con.execute(f"SET threads = {cores // at_once}")
        con.execute("CREATE SCHEMA totals; CREATE SCHEMA hours")
        _each(con, at_once, _make, totals.items())
        found = _each(con, at_once, partial(culprits, few=few), asked)
    return {c.name: checks.Failure(c.promise, rows) for c, rows in zip(asked, found, strict=True) if rows}


def _each(
    con: duckdb.DuckDBPyConnection,
    at_once: int,
    ask: Callable[[duckdb.DuckDBPyConnection, One], Answer],
    of: Iterable[One],
) -> list[Answer]:
    """What `ask` answers of each, in order, some at the same time over connections of their own; the first error ends it."""
    free: queue.SimpleQueue[duckdb.DuckDBPyConnection] = queue.SimpleQueue()
    for _ in range(at_once):
        own = con.cursor()
        own.execute("SET TimeZone = 'UTC'")
        free.put(own)

    def answer(one: One) -> Answer:
        own = free.get()
        try:
            return ask(own, one)
        finally:
            free.put(own)

    pool = ThreadPoolExecutor(at_once)
    try:
        return list(pool.map(answer, of))
    finally:
        pool.shutdown(cancel_futures=True)


def _make(con: duckdb.DuckDBPyConnection, total: tuple[str, Callable[[checks.Number], str]]) -> None:
    """Make one of the tables totals.*, which several checks read, or of the views hours.*, which one check reads."""
    name, rows = total
    kind = "TABLE" if name.startswith("totals.") else "VIEW"
    con.execute(f"CREATE {kind} {name} AS {rows(lambda sql: _number(con, sql))}")


def _number(con: duckdb.DuckDBPyConnection, sql: str) -> int:
    """The number that a query answers with."""
    return int(con.execute(sql).fetchall()[0][0])


def culprits(
    con: duckdb.DuckDBPyConnection, check: checks.Check, few: frozenset[str] = frozenset()
) -> list[dict[str, Any]]:
    """The first rows that a check finds; tables of a `few` rows may be laid beside each other first."""
    quick = check.side_by_side()
    if quick is not None and quick[0] in few and not _number(con, f"SELECT count(*) FROM ({quick[1]} LIMIT 1)"):
        return []
    first = f"FROM ({check.sql}) LIMIT {FIRST_CULPRITS}"
    if not _number(con, f"SELECT count(*) FROM ({first})"):  # a relation is planned twice, and mostly there are none
        return []
    return [dict(row) for row in con.sql(first).to_arrow_table().to_pylist()]
