"""Broken rules as a table: one row per rule, place and value, so that all can be shown, counted and kept."""

import polars as pl

from pipeline.errors import VIOLATION_SCHEMA, InputError

SHOWN_PER_RULE = 5
LONGEST_VALUE = 80


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
    """One broken rule per row of `frame`, whose column `row` counts data rows from 1; `expected` may be an expression."""
    as_text = (
        pl.lit(None, dtype=pl.String)
        if value is None
        else (pl.col(value) if isinstance(value, str) else value).cast(pl.String)
    )
    row = pl.col("row").cast(pl.Int64) if "row" in frame.columns else pl.lit(None, dtype=pl.Int64)
    return frame.select(
        table=pl.lit(table),
        rule=pl.lit(rule),
        file=pl.lit(file, dtype=pl.String),
        row=row,
        column=pl.lit(column, dtype=pl.String),
        value=as_text,
        expected=pl.lit(expected) if isinstance(expected, str) else expected,
    )


def printable(value: str, longest: int = LONGEST_VALUE) -> str:
    """A value as one safe line: control and direction characters escaped, cut where it is long."""
    safe = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in value[: longest + 1])
    return safe if len(value) <= longest else safe[:longest] + f"... ({len(value)} characters)"


def _line(v: dict[str, object]) -> str:
    place = printable(str(v["table"]))
    if v["file"]:
        place += f" ({printable(str(v['file']))})"
    if v["row"] is not None:
        place += f", row {v['row']}"
    if v["column"]:
        place += f", column {printable(str(v['column']))}"
    found = "" if v["value"] is None else f": found {printable(str(v['value']))!r}"
    return f"{place}{found}; expected {printable(str(v['expected']), 400)}"


def lines(violations: pl.DataFrame) -> list[str]:
    """What to print: the first few of each rule and column, and how many more there are."""
    text = []
    for _, group in violations.group_by("table", "rule", "column", "file", maintain_order=True):
        text += [_line(row) for row in group.head(SHOWN_PER_RULE).iter_rows(named=True)]
        if (more := len(group) - SHOWN_PER_RULE) > 0:
            first = group.row(0, named=True)
            text.append(
                f"{printable(str(first['table']))}, column {printable(str(first['column']))}: {more} more rows break the same rule"
            )
    return text


def refuse(violations: pl.DataFrame, what: str) -> None:
    """Raise InputError where there is any violation."""
    if len(violations):
        count = f"{len(violations)} broken rule{'s' if len(violations) > 1 else ''}"
        raise InputError(f"{what}: {count}", violations)


def stacked(frames: list[pl.DataFrame]) -> pl.DataFrame:
    """Several lists of violations as one."""
    return pl.concat([pl.DataFrame(schema=VIOLATION_SCHEMA), *frames])
