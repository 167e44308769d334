"""views.sql of a run: all its views for a plain `duckdb -init`."""

import re
from pathlib import Path

from pipeline import storage, views

FILE = "views.sql"
HEAD = (
    "-- Views over this run for the duckdb command line (1.5 or later): duckdb -init OUT/current/views.sql\n"
    "-- Works from OUT/current, from OUT, from the folder above OUT, and on this machine from anywhere; elsewhere say first\n"
    "-- where the run lies: duckdb -cmd \"SET VARIABLE root = '/path/to/OUT/current'\" -init ...\n"
)


def write(staged: Path, run_id: str, grain: str) -> None:
    """Write it into the run that is going to be published under this id: it works from OUT/current, OUT or the folder above it."""
    tables = views.stored_in(staged)
    statements = [
        "SET TimeZone = 'UTC'",
        _root_variable(staged, run_id),
        *views.base_views(tables, movable=True),
        *views.setting_macros(grain),
        *views.library_statements(),
        *views.base_comments(tables),
        *views.library_comments(),
    ]
    (staged / FILE).write_text(HEAD + views.script(statements), encoding="utf-8")


def _no_pattern(path: str) -> str:
    """The path with the characters that a pattern would read in brackets."""
    return re.sub(r"([*?\[])", r"[\1]", path)


def _root_variable(staged: Path, run_id: str) -> str:
    """Set `root` to the first place where this run is found from the working directory."""
    out, run = staged.resolve().parent.parent, f"{storage.RUNS}/{run_id}"
    places = [str(out / run), f"{out.name}/{run}", run]
    found = [
        f"WHEN (SELECT count(*) FROM glob({views.literal(place + '/instances/capacity/*.parquet')})) > 0 THEN {views.literal(place)}"
        for place in map(_no_pattern, places)
    ]
    return f"SET VARIABLE root = coalesce(getvariable('root'), CASE {' '.join(found)} ELSE '.' END)"
