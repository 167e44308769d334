"""Hourly series and rows summed per day or month, as the setting attribution_grain says; `hour` is then the first hour of the period, in UTC."""

import numpy as np
import polars as pl
from polars import col

from pipeline.series import applied, flat, hour_of, rows_of
from pipeline.stages.lineage import Rule

PERIODS = {"day": "1d", "month": "1mo"}


def by_grain(series: pl.LazyFrame, streams: list[str], grain: str) -> pl.LazyFrame:
    """Rows of series per hour, or summed per day or month with the period's first hour in `hour`.

    An observed cell has a series per unbroken stretch, several in a period: their sums are added up.
    """
    if grain == "hour":
        return rows_of(series, streams)
    summed = _summed_by_period(series, streams, PERIODS[grain])
    keys = [n for n in summed.collect_schema() if n not in streams]
    return summed.group_by(keys, maintain_order=True).agg(pl.col(s).sum() for s in streams)


def rows_by_grain(rows: pl.LazyFrame, streams: list[str], grain: str) -> pl.LazyFrame:
    """The same for rows of an hourly table."""
    if grain == "hour":
        return rows
    keys = [n for n in rows.collect_schema() if n not in (*streams, "hour")]
    return rows.group_by(*keys, col.hour.dt.truncate(PERIODS[grain]), maintain_order=True).agg(
        pl.col(s).sum() for s in streams
    )


def _summed_by_period(series: pl.LazyFrame, streams: list[str], every: str) -> pl.LazyFrame:
    names = series.collect_schema()
    keys = [n for n in names if n not in (*streams, "start")]
    schema = pl.Schema(
        {**{k: names[k] for k in keys}, **dict.fromkeys(streams, pl.Float64()), "hour": pl.Datetime("us", "UTC")}
    )

    def kernel(f: pl.DataFrame) -> pl.DataFrame:
        lengths = pl.col(streams[0]).list.len()
        alike = f.filter(lengths > 0).group_by("start", lengths.alias("hours"), maintain_order=True)
        return pl.concat(
            [pl.DataFrame(schema=schema), *(_by_period(g, keys, streams, every).select(list(schema)) for _, g in alike)]
        )

    return applied(series, kernel, schema)


def _by_period(f: pl.DataFrame, keys: list[str], streams: list[str], every: str) -> pl.DataFrame:
    """Series over the same hours, summed by period."""
    length = f[streams[0]].list.len()[0]
    hours = pl.select(hour=hour_of(pl.int_range(length) + f["start"][0]))
    periods = (
        hours.with_row_index("at")
        .group_by(pl.col("hour").dt.truncate(every), maintain_order=True)
        .agg(pl.col("at").min())
    )
    first = periods["at"].to_numpy()
    sums = {s: np.add.reduceat(flat(f[s])[0].reshape(len(f), length), first, axis=1).ravel() for s in streams}
    repeated = f.select(keys)[np.repeat(np.arange(len(f)), len(first))]
    moments = periods["hour"].gather(np.tile(np.arange(len(first)), len(f)))
    return repeated.with_columns(moments, *(pl.Series(s, v) for s, v in sums.items()))


def hours_of_period(table: str, column: str) -> Rule:
    """How a number of a coarser grain comes about: the hours of its day or month, of a table that is never written, added up."""
    words = "Sum over the hours of the day or month."
    return Rule("hours_of_period", words, when=col.attribution_grain != "hour", hours_of=(table, column))
