"""The dictionary + a run's files + sql/ -> the SQL text of schemas, views, macros and comments. No database here."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import pyarrow.parquet as pq

from pipeline.constants import SECONDS_PER_HOUR
from pipeline.errors import PipelineError
from pipeline.series import MICROSECONDS
from pipeline.settings import COMPUTED_FROM
from pipeline.storage import table_folder
from pipeline.tables import DETAILS, INPUTS, OUTPUTS, Table

_HERE = Path(__file__).parent
LIBRARY = _HERE / "sql" if (_HERE / "sql").is_dir() else _HERE.parent / "sql"
"""The folder of SQL files, beside the package or, once installed, inside it."""
CHECKS, MACROS = "checks", "macros"


def literal(text: str) -> str:
    """A text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def name(text: str) -> str:
    """A text as an SQL identifier; a dot parts schema and table."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in text.split("."))


@dataclass(frozen=True)
class Stored:
    """A table as it lies in a run: its files, and the columns they have."""

    table: Table
    view: str
    files: tuple[Path, ...]
    columns: tuple[str, ...]

    @property
    def missing(self) -> list[str]:
        """Columns of the dictionary that the run left out."""
        return [c for c in self.table.columns if c not in self.columns]

    @cached_property
    def rows(self) -> int:
        """Number of rows in the files."""
        return sum(pq.read_metadata(f).num_rows for f in self.files)


def stored_in(root: Path) -> dict[str, Stored]:
    """Every table that lies in a run directory, by the name of its view: FAMILY.TABLE, input.TABLE, source.TABLE."""
    wanted = {
        **OUTPUTS,
        **{f"input.{n}": t for n, t in INPUTS.items()},
        **{f"source.{n}": t for n, t in DETAILS.items()},
    }
    found = {}
    for view, table in wanted.items():
        files = tuple(sorted(table_folder(root, view).glob("*.parquet")))
        if files:
            present = set(pq.read_schema(files[0]).names)
            found[view] = Stored(table, view, files, tuple(c for c in table.columns if c in present))
        elif view in OUTPUTS:
            raise PipelineError(f"{root}: no files of {view}; the folder is not a complete run")
    return found


# ---------------------------------------------------------------- one view per table


def parquet(files: Iterable[Path], *, filename: bool = False) -> str:
    """These files one by one: nothing in their path is taken for a pattern. With `filename`, a column says which one a row is from."""
    named = ", filename = true" if filename else ""
    return f"read_parquet([{', '.join(literal(str(f)) for f in files)}], hive_partitioning = false{named})"


def listed(stored: Stored) -> str:
    """The files of a table."""
    return parquet(stored.files)


def below_root(stored: Stored) -> str:
    """The files of a table by pattern below the variable `root`, for scripts that may be moved."""
    pattern = f"/{stored.view.replace('.', '/')}/*.parquet"
    return f"read_parquet(getvariable('root') || {literal(pattern)}, hive_partitioning = false)"


def names_in(sql: str) -> frozenset[str]:
    """Names FAMILY.TABLE that a text of SQL speaks of."""
    return frozenset(re.findall(r"\b([a-z_]+\.[a-z_]+)\b", sql))


READ_BY_VIEWS = frozenset({"derived.server", "derived.job", "derived.service"}).union(*COMPUTED_FROM.values())
"""Tables that views of other tables compute missing columns from."""


def _per_hour(column: str) -> str:
    return (
        f"CASE WHEN job.job_id IS NULL THEN run.{column} WHEN job.request_duration > 0 "
        f"THEN stored.avg_occurrences * (job.{column} * {SECONDS_PER_HOUR} / job.request_duration) ELSE 0.0 END"
    )


def _held(needed: str, column: str) -> str:
    return f"CASE WHEN job.job_id IS NULL THEN run.{column} ELSE stored.avg_occurrences * job.{needed} END"


COMPUTED = {
    ("need.job", "data_transferred"): _per_hour("data_transferred"),
    ("need.job", "data_stored"): _per_hour("data_stored"),
    ("need.job", "compute_need"): _held("compute_needed", "compute_need"),
    ("need.job", "ram_need"): _held("ram_needed", "ram_need"),
    ("repartition.server", "weight"): "coalesce(stored.share, 0.0) * of_hour.weight_sum",
    ("repartition.server", "weight_sum"): "of_hour.weight_sum",
}
"""Columns that a run with `columns = base` leaves out, computed from the others: modelled jobs by their figures, runs by need.run, weights by
what all jobs of the server weigh in the hour."""


def _weight_sums(services: Stored) -> str:
    """What all jobs of a server weigh in an hour: what they hold, and the base consumption of the services in use (stages.repartition.hours)."""
    own = "need.compute_need / server.compute + need.ram_need / server.ram"
    hosted = "FROM need.server AS need JOIN derived.server AS server USING (server_id)"
    if not services.rows:
        return f"SELECT need.server_id, need.hour, {own} AS weight_sum {hosted}"
    base = (
        "SELECT service.server_id, volume.hour, "
        "sum(service.base_compute_consumption / server.compute + service.base_ram_consumption / server.ram) AS weight "
        "FROM need.service AS volume JOIN derived.service AS service USING (service_id) "
        "JOIN derived.server AS server USING (server_id) WHERE volume.job_volume > 0 GROUP BY ALL"
    )
    return (
        f"SELECT need.server_id, need.hour, {own} + coalesce(base.weight, 0.0) * instances.nb_of_instances AS weight_sum "
        f"{hosted} JOIN instances.server AS instances USING (server_id, hour) LEFT JOIN ({base}) AS base USING (server_id, hour)"
    )


def _of_runs(run: Stored) -> str:
    """What observed runs take, per job, server, pattern and hour."""
    data = [
        f"sum({c}) AS {c}" if c in run.columns else f"CAST(NULL AS DOUBLE) AS {c}"
        for c in ("data_transferred", "data_stored")
    ]
    return (
        "SELECT application AS job_id, r.server_id, project AS usage_pattern_id, hour, sum(ram_hours) AS ram_need, "
        "sum(CASE WHEN s.compute_unit = 'gpu' THEN gpu_hours ELSE core_hours END) AS compute_need, "
        f"{', '.join(data)} FROM need.run AS r JOIN derived.server AS s USING (server_id) GROUP BY ALL"
    )


def _joined(stored: Stored, tables: dict[str, Stored]) -> str:
    if stored.view == "repartition.server":
        sums = _weight_sums(tables["need.service"])
        return f" LEFT JOIN ({sums}) AS of_hour ON of_hour.server_id = stored.server_id AND of_hour.hour = stored.hour"
    return (
        " LEFT JOIN derived.job AS job ON job.job_id = stored.job_id AND job.server_id = stored.server_id "
        f"LEFT JOIN ({_of_runs(tables['need.run'])}) AS run ON run.job_id = stored.job_id AND run.server_id = stored.server_id "
        "AND run.usage_pattern_id = stored.usage_pattern_id AND run.hour = stored.hour"
    )


def base_view(stored: Stored, tables: dict[str, Stored], source: str) -> str:
    """CREATE VIEW of one table; `source` is the SQL that reads its files."""
    columns = []
    for column in stored.table.columns:
        if column in stored.columns:
            columns.append(f"stored.{name(column)}")
        else:
            formula = COMPUTED.get((stored.view, column))
            if formula is None:
                raise PipelineError(f"{stored.view}: the files lack the column {column}")
            columns.append(f"{formula} AS {name(column)}")
    joined = _joined(stored, tables) if stored.missing else ""
    return f"CREATE OR REPLACE VIEW {name(stored.view)} AS SELECT {', '.join(columns)} FROM {source} AS stored{joined}"


def base_views(tables: dict[str, Stored], *, movable: bool = False) -> Iterator[str]:
    """CREATE statements of the schemas and of one view per table; tables without missing columns first."""
    for schema in dict.fromkeys(view.split(".")[0] for view in tables):
        yield f"CREATE SCHEMA IF NOT EXISTS {name(schema)}"
    for stored in sorted(tables.values(), key=lambda s: bool(s.missing)):
        yield base_view(stored, tables, below_root(stored) if movable else listed(stored))


def _with_unit(description: str, unit: str | None) -> str:
    return f"{description} [{unit}]" if unit else description


def base_comments(tables: dict[str, Stored]) -> Iterator[str]:
    """COMMENT statements of the tables' views and columns, from the dictionary."""
    for stored in tables.values():
        view = name(stored.view)
        yield f"COMMENT ON VIEW {view} IS {literal(stored.table.description)}"
        for column in stored.table.columns.values():
            text = _with_unit(column.description, column.unit)
            yield f"COMMENT ON COLUMN {view}.{name(column.name)} IS {literal(text)}"


# ---------------------------------------------------------------- settings that views read


def setting_macros(attribution_grain: str) -> Iterator[str]:
    """Macros every view may use: calendar periods in UTC, the period that repartition.footprint sums over, numbers that differ by more than 1e-9."""
    for period in ("day", "month", "year"):
        yield f"CREATE OR REPLACE MACRO utc_{period}(moment) AS CAST(date_trunc('{period}', timezone('UTC', moment)) AS DATE)"
    grain = literal(attribution_grain)
    start = f"timezone('UTC', date_trunc({grain}, timezone('UTC', moment)))"
    if attribution_grain == "hour":
        # the same in whole numbers: the calendar takes a third of the time of the longest check
        hour = MICROSECONDS
        start = f"make_timestamptz(epoch_us(moment) - (epoch_us(moment) % {hour} + {hour}) % {hour})"
    yield f"CREATE OR REPLACE MACRO attribution_period(moment) AS {start}"
    yield f"CREATE OR REPLACE MACRO attribution_grain() AS {grain}"
    yield "CREATE OR REPLACE MACRO differs(a, b) AS abs(a - b) > 1e-9 * greatest(abs(a), abs(b)) + 1e-300"


# ---------------------------------------------------------------- the library


@dataclass(frozen=True)
class LibraryView:
    """One file of sql/: a view FAMILY.VIEW or a macro."""

    view: str
    path: Path
    answers: str
    names: tuple[str, ...]
    """Its columns, in order; none of a macro, whose columns carry no comments."""
    columns: dict[str, tuple[str, str | None]]
    """What columns mean, and their units, where the dictionary does not say it."""
    sql: str

    @property
    def is_macro(self) -> bool:
        """Whether the file defines a macro rather than a view."""
        return self.path.parent.name == MACROS

    @property
    def reads(self) -> frozenset[str]:
        """Names FAMILY.TABLE that the SQL speaks of."""
        return names_in(self.sql)

    def create(self) -> str:
        """The statement that makes it."""
        return self.sql if self.is_macro else f"CREATE OR REPLACE VIEW {name(self.view)} AS {self.sql}"


_NAMES_LINE = re.compile(r"-- columns: (.+)")
_COLUMN_LINE = re.compile(r"^-- ([A-Za-z_0-9]+): (.*?)(?: \[([^\]]+)\])?$")


def read_view(path: Path) -> LibraryView:
    """A file of sql/: first line what it answers, a view's second its columns, then `-- column: meaning [unit]` lines, then one statement."""
    lines = path.read_text(encoding="utf-8").splitlines()
    if not lines or not lines[0].startswith("-- "):
        raise PipelineError(f"{path}: the first line should be a comment that says what it answers")
    macro = path.parent.name == MACROS
    listed = _NAMES_LINE.fullmatch(lines[1]) if len(lines) > 1 and not macro else None
    if listed is None and not macro:
        raise PipelineError(
            f"{path}: the second line should be `-- columns: ` and the columns of the view in their order"
        )
    header = [_COLUMN_LINE.match(line) for line in lines[2 if listed else 1 :] if line.startswith("-- ")]
    columns = {m[1]: (m[2], m[3]) for m in header if m}
    sql = "\n".join(line for line in lines if not line.startswith("--")).strip().rstrip(";")
    view = path.stem if macro else f"{path.parent.name}.{path.stem}"
    names = tuple(listed[1].split(", ")) if listed else ()
    return LibraryView(view, path, lines[0].removeprefix("-- "), names, columns, sql)


@cache
def library() -> tuple[LibraryView, ...]:
    """All views and macros of sql/ but the checks, each after those it reads."""
    found = {v.view: v for v in (read_view(p) for p in sorted(LIBRARY.glob("*/*.sql")) if p.parent.name != CHECKS)}
    placed: dict[str, LibraryView] = {}

    def place(view: LibraryView, above: tuple[str, ...]) -> None:
        if view.view in above:
            raise PipelineError(f"sql/: views in a circle: {' -> '.join((*above, view.view))}")
        for read in sorted(view.reads & found.keys() - {view.view}):
            place(found[read], (*above, view.view))
        placed.setdefault(view.view, view)

    for view in found.values():
        place(view, ())
    return tuple(sorted(placed.values(), key=lambda v: v.is_macro))


def library_statements() -> Iterator[str]:
    """CREATE statements of schemas, macros and views of sql/."""
    for schema in sorted({v.view.split(".")[0] for v in library() if not v.is_macro}):
        yield f"CREATE SCHEMA IF NOT EXISTS {name(schema)}"
    for view in library():
        yield view.create()


@cache
def _of_dictionary() -> dict[str, tuple[str, str | None]]:
    """Column names that mean one thing in all output tables, with description and unit; ids and hours in the fewest words."""
    seen: dict[str, set[tuple[str, str | None]]] = {}
    for table in OUTPUTS.values():
        for column in table.columns.values():
            seen.setdefault(column.name, set()).add((column.description, column.unit))
    single = {n: m for n, m in seen.items() if len(m) == 1 or {unit for _, unit in m} == {None}}
    return {n: min(meanings, key=lambda m: len(m[0])) for n, meanings in single.items()}


def meaning(view: LibraryView, column: str) -> tuple[str, str | None] | None:
    """What a column of a library view means, and its unit: as its file says, else as the dictionary does."""
    return view.columns.get(column) or _of_dictionary().get(column)


def library_comments() -> Iterator[str]:
    """COMMENT statements of the library's views and their columns."""
    for view in library():
        if view.is_macro:
            yield f"COMMENT ON MACRO TABLE {name(view.view)} IS {literal(view.answers)}"
            continue
        yield f"COMMENT ON VIEW {name(view.view)} IS {literal(view.answers)}"
        for column in view.names:
            said = meaning(view, column)
            if said:
                yield f"COMMENT ON COLUMN {name(view.view)}.{name(column)} IS {literal(_with_unit(*said))}"


def script(statements: Iterable[str]) -> str:
    """Statements as the text of an SQL file."""
    return "".join(f"{s};\n" for s in statements)
