"""`wattrow describe`: the dictionary and the stages as text, JSON and Markdown; docs/tables.md and the README's table of tables are made here."""

import functools
import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from pipeline import views
from pipeline.errors import InputError
from pipeline.explain import symbols
from pipeline.explain.registry import Entry, entries, formula_symbols, words_of
from pipeline.explain.tree import box_text, total_text
from pipeline.folder import nearest
from pipeline.stages.lineage import At, Box, Made, Total, Way
from pipeline.tables import DETAILS, INPUTS, OUTPUTS, Column, Table

FORMATS = ("text", "json", "markdown")
FAMILIES = {
    "need": "What is asked for, hour by hour.",
    "instances": "How many machines that takes.",
    "energy": "What the machines, networks and devices use and emit.",
    "repartition": "Who is responsible for it.",
    "derived": "Inputs as computed with.",
}
"""What each family of output tables answers."""


@dataclass
class How:
    """One way in which a column comes about."""

    words: str
    formula: str
    when: str = ""


@dataclass
class ColumnTold:
    """All that is known of a column."""

    table: str
    column: str
    meaning: str
    type: str
    unit: str
    key: bool
    default: str
    values: list[str] = field(default_factory=list)
    references: list[str] = field(default_factory=list)
    how: list[How] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    """Name in the formulas -> where it is from."""
    stage: str = ""
    views: list[str] = field(default_factory=list)


@dataclass
class TableTold:
    """All that is known of a table."""

    table: str
    kind: str
    meaning: str
    key: list[str]
    columns: list[ColumnTold]
    rules: list[str] = field(default_factory=list)
    stage: str = ""
    views: list[str] = field(default_factory=list)


# ---------------------------------------------------------------- what is known


def known() -> dict[str, Table]:
    """Every table of the dictionary: outputs, inputs, and details of job records, by the name one writes."""
    return {**OUTPUTS, **INPUTS, **DETAILS}


def table_told(name: str) -> TableTold:
    """A table with all its columns."""
    table = known()[name]
    entry = entries().get(name)
    return TableTold(
        table=name,
        kind=table.kind,
        meaning=table.description,
        key=table.key,
        columns=[column_told(name, c) for c in table.columns],
        rules=[promise.expects for promise in table.promises.values()],
        stage=stage_of(entry),
        views=views_reading(name),
    )


def column_told(name: str, column: str) -> ColumnTold:
    """A column with its formulas."""
    declared = known()[name].columns[column]
    entry = entries().get(name)
    own = entry is not None and entry.written and not declared.key
    return ColumnTold(
        table=name,
        column=column,
        meaning=declared.description,
        type=type_text(declared),
        unit=declared.unit or "",
        key=declared.key,
        default=default_text(declared),
        values=list(declared.values),
        references=list(declared.references),
        how=[how for way in entry.ways(column) for how in how_of(entry, column, way)] if own and entry else [],
        names=names_of(entry, column) if own and entry else {},
        stage=stage_of(entry),
        views=views_reading(name, column),
    )


def stage_of(entry: Entry | None) -> str:
    """The file of the stage that makes a table."""
    return entry.module.replace(".", "/") + ".py" if entry is not None and entry.written and entry.module else ""


def type_text(column: Column) -> str:
    """The type of a column in a word."""
    kinds = {pl.String: "text", pl.Float64: "number", pl.Int64: "whole number", pl.Boolean: "true or false"}
    return kinds.get(column.dtype.base_type(), "instant" if "hour" not in column.name else "hour")


def default_text(column: Column) -> str:
    """What an absent or empty cell means."""
    if column.required:
        return "required"
    return "empty" if column.default is None else str(column.default)


def how_of(entry: Entry, name: str, way: Way) -> list[How]:
    """A way in words and symbols."""
    when = symbols.text(symbols.of_expression(way.when)) if way.when is not None else ""
    own = entry.words(name) if name in entry.formulas else ""
    if isinstance(way, Made):
        return [How(words_of(way.by), symbols.text(formula_symbols(way.by, {})), when)]
    if isinstance(way, At):
        on = " and ".join(dict.fromkeys(way.row.on.values()))
        return [How(own, f"{way.row.table}.{way.column} of the same {on}", when)]
    if isinstance(way, Total):
        return [How(way.words or own, total_text(way), when)]
    if isinstance(way, Box):
        return [How(way.words or own, box_text(way), when)]
    return [How(way.words, "", when)]


def names_of(entry: Entry, column: str) -> dict[str, str]:
    """Where the names in a column's formulas are from."""
    found: dict[str, str] = {}
    for way in entry.ways(column):
        names = symbols.names(formula_symbols(way.by, {})) if isinstance(way, Made) else []
        names += [way.lasts] if isinstance(way, Box) else []
        for name in names:
            inner = entry.ways(name, column if name == column else None)
            places = [f"{w.row.table}.{w.column}" for w in inner if isinstance(w, At)]
            if places:
                found[name] = " or ".join(dict.fromkeys(places))
    return found


@functools.cache
def _library() -> dict[str, str]:
    """View or macro -> its SQL without comments."""
    found = {}
    for path in sorted(views.LIBRARY.rglob("*.sql")):
        if path.parent.name != views.CHECKS:
            text = re.sub(r"--[^\n]*", "", path.read_text(encoding="utf-8"))
            found[f"{path.parent.name}.{path.stem}"] = text
    return found


def views_reading(table: str, column: str | None = None) -> list[str]:
    """The views and macros of sql/ that name the table (and the column)."""
    name = table if table in OUTPUTS else f"source.{table}" if table in DETAILS else f"input.{table}"
    own, word = re.compile(rf"\b{re.escape(name)}\b"), re.compile(rf"\b{re.escape(column or '')}\b")
    return [view for view, text in _library().items() if own.search(text) and (column is None or word.search(text))]


# ---------------------------------------------------------------- what is asked


def describe(asked: str | None = None, format: str = "text") -> str:
    """The dictionary, a table, or a column, as FORMATS; InputError with what could be meant."""
    if format not in FORMATS:
        raise InputError(f"--format: found {format!r}; expected one of {', '.join(FORMATS)}")
    if asked is None:
        return {"text": overview_text, "json": overview_json, "markdown": readme_tables}[format]()
    table, column = place(asked.strip())
    if column is None:
        told = table_told(table)
        makers = {"text": table_text, "markdown": table_markdown}
        return makers[format](told) if format in makers else _json(told)
    one = column_told(table, column)
    if format == "json":
        return _json(one)
    return column_text(one) if format == "text" else column_markdown(one)


def place(asked: str) -> tuple[str, str | None]:
    """The table, or table and column, that are meant."""
    name = re.sub(r"^(input|source)\.", "", asked)
    if name in known():
        return name, None
    table, _, column = name.rpartition(".")
    if table in known():
        if column in known()[table].columns:
            return table, column
        near = nearest(column, known()[table].columns)
        hint = f"did you mean {table}.{near}?" if near else f"its columns are {', '.join(known()[table].columns)}"
        raise InputError(f"{table} has no column {column!r}; {hint}")
    raise InputError(f"{asked}: {_could_be(name)}")


def _could_be(name: str) -> str:
    holding = [f"{t}.{name}" for t, table in known().items() if name in table.columns]
    if holding:
        return f"a column of several tables; say which: {', '.join(holding)}"
    every = {*known(), *(f"{t}.{c}" for t, table in known().items() for c in table.columns)}
    near = nearest(name, known()) or nearest(name, every)
    return f"no such table; did you mean {near}?" if near else "no such table; wattrow describe lists them"


def _json(told: Any) -> str:
    return json.dumps(asdict(told), ensure_ascii=False, indent=2) + "\n"


def overview_json() -> str:
    """Every table with its meaning."""
    told = [{"table": n, "kind": t.kind, "meaning": t.description, "key": t.key} for n, t in known().items()]
    return json.dumps(told, ensure_ascii=False, indent=2) + "\n"


# ---------------------------------------------------------------- text


def overview_text() -> str:
    """One line per table."""
    made = []
    for title, tables in (
        ("outputs (OUT/current/FAMILY/TABLE, in SQL FAMILY.TABLE)", OUTPUTS),
        ("inputs (MODEL/TABLE.csv or .parquet, small ones in SQL input.TABLE)", INPUTS),
        ("details of job records (MODEL/TABLE, in SQL source.TABLE)", DETAILS),
    ):
        wide = max(map(len, tables))
        made += [title, *(f"  {name:<{wide}}  {table.description}" for name, table in tables.items()), ""]
    return "\n".join([*made, "next: wattrow describe TABLE, or wattrow describe TABLE.COLUMN"]) + "\n"


def table_text(told: TableTold) -> str:
    """A table with a line per column."""
    wide = max(len(c.column) for c in told.columns)
    units = max(len(c.unit) for c in told.columns)
    made = [f"{told.table} ({told.kind})", f"  {told.meaning}", f"  key: {', '.join(told.key) or 'none'}"]
    made += [f"  made by: {told.stage}"] if told.stage else []
    made += [f"  always: {rule}" for rule in told.rules]
    made += [f"  read by: {', '.join(told.views)}"] if told.views else []
    made.append("")
    for c in told.columns:
        default = f" (default {c.default})" if told.kind == "input" and c.default not in ("required", "empty") else ""
        made.append(f"  {c.column:<{wide}}  {c.unit:<{units}}  {c.meaning}{default}")
    return "\n".join(line.rstrip() for line in made) + "\n"


def column_text(told: ColumnTold) -> str:
    """A column with its formulas."""
    unit = f" [{told.unit}]" if told.unit else ""
    made = [
        f"{told.table}.{told.column}{unit}",
        f"  {told.meaning}",
        f"  type: {told.type}{', part of the key' * told.key}",
    ]
    if told.table in INPUTS or told.table in DETAILS:
        made.append(f"  when absent: {told.default}")
    made += [f"  one of: {', '.join(told.values)}"] if told.values else []
    made += [f"  stands in: {', '.join(told.references)}"] if told.references else []
    for how in told.how:
        made.append(f"  how{f' (where {how.when})' if how.when else ''}: {how.words}".rstrip(": "))
        made += [f"    = {how.formula}"] if how.formula else []
    made += [f"    {name}: {origin}" for name, origin in told.names.items()]
    made += [f"  made by: {told.stage}"] if told.stage else []
    made += [f"  read by: {', '.join(told.views)}"] if told.views else []
    return "\n".join(made) + "\n"


# ---------------------------------------------------------------- Markdown


def cell(text: str) -> str:
    """A text inside a Markdown table."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


def column_markdown(told: ColumnTold) -> str:
    """A column with its formulas."""
    head, *rest = column_text(told).splitlines()
    return "\n".join([f"**`{head}`**", "", *(f"- {cell(line.strip())}" for line in rest)]) + "\n"


def how_markdown(told: ColumnTold) -> str:
    """The formulas of a column in one cell of a table."""
    made = []
    for how in told.how:
        words = how.words if how.words != told.meaning else ""
        formula = f"`{how.formula}`" if how.formula else ""
        when = f"where `{how.when}`: " if how.when else ""
        made.append(f"{when}{' '.join(filter(None, (cell(words), formula.replace('|', chr(92) + '|'))))}")
    return "<br>".join(dict.fromkeys(filter(None, made)))


def table_markdown(told: TableTold, level: int = 2) -> str:
    """A table with a row per column."""
    made = [f"{'#' * level} {told.table}", "", told.meaning, ""]
    made += (
        [
            f"Made by `{told.stage}`." + (f" Read by {', '.join(f'`{v}`' for v in told.views)}." if told.views else ""),
            "",
        ]
        if told.stage
        else []
    )
    made += [*(f"- {rule}" for rule in told.rules), ""] if told.rules else []
    last = "how" if told.kind == "output" else "when absent"
    made += [f"| column | unit | meaning | {last} |", "| --- | --- | --- | --- |"]
    for c in told.columns:
        name = f"**{c.column}**" if c.key else c.column
        end = how_markdown(c) if told.kind == "output" else cell(c.default)
        made.append(f"| {name} | {cell(c.unit)} | {cell(c.meaning)} | {end} |")
    return "\n".join([*made, ""])


GENERATED = "<!-- made by `python -m pipeline.describe` from pipeline/tables and pipeline/stages; do not edit -->"


def markdown_tables() -> str:
    """docs/tables.md: every table and column."""
    made = [
        GENERATED,
        "",
        "# Tables and columns",
        "",
        "Key columns are bold. `wattrow describe TABLE.COLUMN` says the same in a terminal, and "
        "`wattrow explain OUT TABLE.COLUMN key=value ...` says it of one number.",
        "",
        "# Outputs",
        "",
    ]
    made += [table_markdown(table_told(name)) for name in OUTPUTS]
    made += ["# Inputs", "", *(table_markdown(table_told(name)) for name in INPUTS)]
    made += [
        "# Details of job records",
        "",
        "Importers write these beside `job_runs`; a run publishes them as they are.",
        "",
    ]
    made += [table_markdown(table_told(name)) for name in DETAILS]
    return "\n".join(made).rstrip("\n") + "\n"


def readme_tables() -> str:
    """The README's table of tables: a row per table a run publishes, by family."""
    made = ["| table | one row per | key |", "| --- | --- | --- |"]
    families = list(dict.fromkeys([*FAMILIES, *(n.split(".")[0] for n in OUTPUTS)]))
    for family in families:
        own = [n for n in OUTPUTS if n.split(".")[0] == family]
        made += [f"| **{family}** | {FAMILIES.get(family, '')} | |"] if own else []
        for name in own:
            meaning = OUTPUTS[name].description.removeprefix("One row per ")
            made.append(f"| `{name}` | {cell(meaning)} | {', '.join(OUTPUTS[name].key)} |")
    return "\n".join(made) + "\n"


README_MARKS = ("<!-- tables -->", "<!-- /tables -->")
"""Between these lines of the README stands the table of tables."""


def with_readme_tables(text: str) -> str:
    """The README with its table of tables as it is now; as it was where it has no marks."""
    begin, end = README_MARKS
    head, marked, rest = text.partition(begin)
    if not marked or end not in rest:
        return text
    return f"{head}{begin}\n{readme_tables()}{end}{rest.partition(end)[2]}"


def write_docs(root: Path) -> None:
    """Write docs/tables.md and the README's table of tables."""
    (root / "docs").mkdir(exist_ok=True)
    (root / "docs" / "tables.md").write_text(markdown_tables(), encoding="utf-8")
    readme = root / "README.md"
    readme.write_text(with_readme_tables(readme.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    write_docs(Path(__file__).parent.parent)
