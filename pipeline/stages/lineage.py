"""The words in which a stage says where the names in its formulas come from: `wattrow explain` and `wattrow describe` read these.

A formula is a function of expressions; what it cannot say itself is which row of which table a name is looked up in, and what is summed up
over which rows. A stage declares that beside its `build` as a `Lineage`. Tables that are never written (what a server has in an hour, what a
cell holds) are declared the same way, with their own key.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import polars as pl

Formula = Callable[..., pl.Expr]
"""A function of a stage: docstring = words and unit, expression = symbols; parameters are names of settings, or `rate`."""


@dataclass(frozen=True)
class Row:
    """Names that are columns of one row of another table: the row whose columns `on` equal ours (its column -> our name)."""

    table: str
    on: Mapping[str, str]
    columns: Mapping[str, str] | None = None
    """Our name -> its column; without it, every column by its own name."""
    missing: float | None = None
    """The value where there is no such row."""
    earlier: str | None = None
    """Our name of the whole hours by which the looked-up hour lies before ours."""


@dataclass(frozen=True)
class At:
    """A name that is a column of a row of another table."""

    row: Row
    column: str
    when: pl.Expr | None = None


@dataclass(frozen=True)
class Made:
    """A name that is made by a formula over other names of the same table."""

    by: Formula
    when: pl.Expr | None = None


@dataclass(frozen=True)
class Total:
    """A name that is summed over the rows of a table (`kind`: or their largest value, or their number)."""

    table: str
    of: str | Formula
    on: Mapping[str, str]
    """Its column -> our name."""
    where: pl.Expr | None = None
    """Which rows count; our own columns are there as `our_NAME`."""
    through: tuple[str, Mapping[str, str], tuple[str, ...]] | None = None
    """A table between the two: its name, its column -> our name, and the columns that it adds to ours."""
    kind: str = "sum"
    words: str = ""
    unit: str = ""
    when: pl.Expr | None = None


@dataclass(frozen=True)
class Box:
    """A name that is the box filter of another over a duration: the values of the last n whole hours, and the rest r times the one before."""

    table: str
    of: str
    on: Mapping[str, str]
    lasts: str
    """Our name of the duration."""
    unit: str = "s"
    """Unit of the duration, s or h."""
    words: str = ""
    when: pl.Expr | None = None


@dataclass(frozen=True)
class Rule:
    """A name that a procedure of the stage makes, which no formula says; `name` tells `wattrow explain` which."""

    name: str
    words: str
    unit: str = ""
    when: pl.Expr | None = None
    hours_of: tuple[str, str] = ("", "")
    """The table and column that hours_of_period adds up."""


Way = At | Made | Total | Box | Rule
"""One way in which a name comes about."""


@dataclass(frozen=True)
class Lineage:
    """Where every name in the formulas of a table comes from."""

    table: str
    key: tuple[str, ...] = ()
    """The key of a table that is never written; written tables have theirs in the dictionary."""
    reads: tuple[Row, ...] = ()
    made: Mapping[str, Way | tuple[Way, ...]] = field(default_factory=dict)
    """Name -> how it comes about; of several ways the first whose `when` holds."""
    formulas: tuple[Formula, ...] = ()
    """Functions of a table that is never written; a written table has all functions of its stage named after its columns."""
    rows: tuple[tuple[tuple[str, Mapping[str, str]], ...], ...] = ()
    """Which rows a table that is never written has: alternatives of tables to be joined, each its column -> our key column."""
    row: str = ""
    """What one row of a table that is never written is."""


def same(*names: str, **renamed: str) -> dict[str, str]:
    """Columns of the same name here and there, and others (theirs = ours)."""
    return {**{n: n for n in names}, **renamed}
