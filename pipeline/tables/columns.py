"""The words the dictionary is written in: what a column or a row rule may promise."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import dataframely as dy
import polars as pl

EARLIEST_YEAR, LATEST_YEAR = 1900, 2300
"""Instants outside these years are taken for mistakes (seconds read as milliseconds, year 1 for "never")."""

Default = str | float | bool | None
REQUIRED = object()
"""Marks a column that has no default: its absence, or an empty cell, is an error."""


@dataclass(frozen=True)
class Promise:
    """A rule over several columns of one row, with the sentence that an error prints."""

    expects: str
    columns: tuple[str, ...]


def _meta(unit: str | None, default: object, **more: object) -> dict[str, object]:
    return {"unit": unit, "required": default is REQUIRED, "default": None if default is REQUIRED else default, **more}


def identifier(
    description: str, *, key: bool = False, references: tuple[str, ...] = (), optional: bool = False
) -> dy.String:
    """An id: any characters, never empty. `references` names the tables one of which must hold it."""
    return dy.String(
        nullable=optional,
        primary_key=key and not optional,
        min_length=1,
        description=description,
        metadata=_meta(None, None if optional else REQUIRED, references=references, key=key),
    )


def text(description: str, *, optional: bool = True, **more: Any) -> dy.String:
    """Free text, for people."""
    return dy.String(
        nullable=optional, description=description, metadata=_meta(None, None if optional else REQUIRED), **more
    )


def category(description: str, values: tuple[str, ...], *, default: object = REQUIRED) -> dy.String:
    """One of a few words."""
    return dy.String(
        nullable=default is None,
        description=description,
        metadata=_meta(None, default, values=values),
        check={"one_of": lambda c: c.is_in(list(values))},
    )


def quantity(
    unit: str,
    description: str,
    *,
    default: object = REQUIRED,
    min: float | None = 0,
    above: float | None = None,
    max: float | None = None,
) -> dy.Float64:
    """A number with a unit, finite, at least `min` (or above `above`), at most `max`."""
    return dy.Float64(
        nullable=default is None,
        min=None if above is not None else min,
        min_exclusive=above,
        max=max,
        description=description,
        metadata=_meta(unit, default),
    )


def whole(
    description: str,
    *,
    unit: str = "1",
    key: bool = False,
    default: object = REQUIRED,
    min: int = 0,
    max: int | None = None,
) -> dy.Int64:
    """A whole number."""
    return dy.Int64(
        nullable=default is None,
        primary_key=key,
        min=min,
        max=max,
        description=description,
        metadata=_meta(unit, default),
    )


def flag(description: str, *, default: object = None) -> dy.Bool:
    """True or false."""
    return dy.Bool(nullable=default is None, description=description, metadata=_meta(None, default))


_EARLIEST, _LATEST = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) for year in (EARLIEST_YEAR, LATEST_YEAR))
_MICROSECONDS = 1_000_000


def _believable(c: pl.Expr) -> pl.Expr:
    """Compared as numbers: the calendar of every row takes ten times as long."""
    return c.dt.timestamp("us").is_between(_EARLIEST * _MICROSECONDS, _LATEST * _MICROSECONDS, closed="left")


def _full_hour(c: pl.Expr) -> pl.Expr:
    return c.dt.timestamp("us") % (3600 * _MICROSECONDS) == 0


def hour(description: str, *, key: bool = True, wall_clock: bool = False) -> dy.Datetime:
    """A full hour, in UTC (`wall_clock`: in UTC or in civil time, as the pattern's clock says)."""
    return dy.Datetime(
        primary_key=key,
        time_unit="us",
        time_zone=None if wall_clock else "UTC",
        check={"full_hour": _full_hour, "believable_date": _believable},
        description=description,
        metadata=_meta(None, REQUIRED, wall_clock=wall_clock),
    )


def instant(description: str, *, optional: bool = True) -> dy.Datetime:
    """A moment in UTC, to the microsecond."""
    return dy.Datetime(
        nullable=optional,
        time_unit="us",
        time_zone="UTC",
        check={"believable_date": _believable},
        description=description,
        metadata=_meta(None, None if optional else REQUIRED),
    )


def promise(expects: str, *columns: str) -> Callable[[Callable[[Any], pl.Expr]], Any]:
    """Declare a row rule: true where the row keeps it; `expects` is what an error says of it."""

    def declare(rule: Callable[[Any], pl.Expr]) -> Any:
        factory = dy.rule()(rule)
        factory.promise = Promise(expects, columns)  # type: ignore[attr-defined]
        return factory

    return declare
