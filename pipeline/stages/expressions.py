"""Expressions that several stages share."""

import polars as pl

GUARD = 1e-9
"""How far above a whole number, relatively, a value is taken for rounding noise. [1]"""


def guarded(value: pl.Expr) -> pl.Expr:
    """The value, but the whole number k >= 1 where it exceeds k by at most 1e-9 * k."""
    whole = value.floor()
    return pl.when((whole >= 1) & (value - whole <= GUARD * whole)).then(whole).otherwise(value)


def ceil_guarded(value: pl.Expr) -> pl.Expr:
    """The next whole number, rounding noise left out: 3 * (1 + 1e-12) is 3, and anything above zero is at least 1."""
    return guarded(value).ceil()


def share(weight: pl.Expr, weight_sum: pl.Expr, period_sum: pl.Expr) -> pl.Expr:
    """Weight / weight_sum as the reference pages print it: 1 for every sibling in an hour without weights, empty where no hour has any."""
    return pl.when(period_sum > 0).then(pl.when(weight_sum > 0).then(weight / weight_sum).otherwise(1.0))
