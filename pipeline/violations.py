"""Broken rules as a table: one row per rule, place and value, so that all can be shown, counted and kept."""

import polars as pl

from pipeline.errors import VIOLATION_SCHEMA, InputError

SHOWN_PER_RULE = 5
LONGEST_VALUE = 80
LONGEST_EXPECTATION = 400
ROW = ":row"
"""Beside the columns of a table: which data row of its file a row is, counted from 1. No column can have this name."""


def violation(
    table: str,
    rule: str,
    expected: str,
    *,
    file: str | None = None,
    row: int | None = None,
    column: str | None = None,
    value: object = None,
) -> pl.DataFrame:
    """One broken rule."""
    shown = None if value is None else str(value)
    return pl.DataFrame([(table, rule, file, row, column, shown, expected)], schema=VIOLATION_SCHEMA, orient="row")


def violations_at(
    table: str,
    rule: str,
    frame: pl.DataFrame,
    *,
    column: str | None,
    value: str | pl.Expr | None,
    expected: str | pl.Expr,
    file: str | None = None,
) -> pl.DataFrame:
    """One broken rule per row of `frame`, which has the column ROW; `expected` may be an expression."""
    as_text = pl.lit(None) if value is None else pl.col(value) if isinstance(value, str) else value
    return frame.select(
        table=pl.lit(table),
        rule=pl.lit(rule),
        file=pl.lit(file, dtype=pl.String),
        row=pl.col(ROW).cast(pl.Int64),
        column=pl.lit(column, dtype=pl.String),
        value=as_text.cast(pl.String),
        expected=pl.lit(expected) if isinstance(expected, str) else expected,
    )


def stacked(frames: list[pl.DataFrame]) -> pl.DataFrame:
    """Several lists of violations as one."""
    return pl.concat([pl.DataFrame(schema=VIOLATION_SCHEMA), *frames])


def refuse(violations: pl.DataFrame, what: str) -> None:
    """Raise InputError where there is any violation."""
    if len(violations):
        count = f"{len(violations)} broken rule{'s' if len(violations) > 1 else ''}"
        raise InputError(f"{printable(what, LONGEST_EXPECTATION)}: {count}", violations)


def printable(text: str, longest: int = LONGEST_VALUE) -> str:
    """Text as a part of one safe line: control and direction characters escaped, cut where it is long."""
    safe = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text[:longest])
    return safe + _cut(text, longest)


def quoted(value: str, longest: int = LONGEST_VALUE) -> str:
    """A value between quotes, as `printable`, and so that no two values look the same."""
    return repr(value[:longest]) + _cut(value, longest)


def _cut(text: str, longest: int) -> str:
    return "" if len(text) <= longest else f"... ({len(text)} characters)"


def lines(violations: pl.DataFrame) -> list[str]:
    """What to print: the first few of each rule and column, and how many more there are."""
    text = []
    for _, group in violations.group_by("table", "rule", "column", "file", maintain_order=True):
        text += [_line(row) for row in group.head(SHOWN_PER_RULE).iter_rows(named=True)]
        if (more := len(group) - SHOWN_PER_RULE) > 0:
            text.append(f"{_place({**group.row(0, named=True), 'row': None})}: {more} more of the same")
    return text


def _line(v: dict[str, object]) -> str:
    found = "" if v["value"] is None else f" found {quoted(str(v['value']))};"
    return f"{_place(v)}:{found} expected {printable(str(v['expected']), LONGEST_EXPECTATION)}"


def _place(v: dict[str, object]) -> str:
    place = printable(str(v["table"]))
    if v["file"]:
        place += f" ({printable(str(v['file']))})"
    if v["row"] is not None:
        place += f", row {v['row']}"
    if v["column"]:
        place += f", column {printable(str(v['column']))}"
    return place
