"""Civil time to UTC and back, by the tz database: nothing is lost or invented on days of 23 and 25 hours or in half-hour zones."""

import polars as pl

from pipeline.series import hour_of

LONGEST_GAP_HOURS = 26
"""No zone has ever skipped more than a day."""


def _to_utc(wall: pl.Series, zone: str) -> pl.Series:
    """UTC instants of wall-clock hours: the first of two, and for a skipped hour the next hour that exists."""
    utc = wall.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    for hours in range(1, LONGEST_GAP_HOURS + 1):
        if not utc.null_count():
            break
        later = wall.dt.offset_by(f"{hours}h").dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
        utc = pl.DataFrame({"utc": utc, "later": later}).select(pl.coalesce("utc", "later")).to_series()
    return utc.dt.convert_time_zone("UTC")


def local_rows_to_utc(rows: pl.DataFrame, value: str) -> pl.DataFrame:
    """Rows (usage_pattern_id, timezone, hour without zone, value) with the hour in UTC, summed where two fall on one.

    Where the zone is off by a part of an hour, the value is split over the two UTC hours that its local hour covers, in proportion.
    """
    if not len(rows):
        return rows.select("usage_pattern_id", pl.col("hour").dt.replace_time_zone("UTC"), value)
    parts = []
    for (zone,), local in rows.group_by("timezone", maintain_order=True):
        instants = local.with_columns(_to_utc(local["hour"], str(zone)).alias("instant"))
        first = pl.col("instant").dt.truncate("1h")
        late = (pl.col("instant") - first).dt.total_seconds() / 3600
        parts.append(instants.select("usage_pattern_id", hour=first, value=pl.col(value) * (1 - late)))
        parts.append(
            instants.filter(late > 0).select(
                "usage_pattern_id", hour=first.dt.offset_by("1h"), value=pl.col(value) * late
            )
        )
    every = pl.concat(parts).group_by("usage_pattern_id", "hour").agg(pl.col("value").sum().alias(value))
    return every.sort("usage_pattern_id", "hour")


def weeks(hours: pl.DataFrame, volumes: pl.DataFrame) -> pl.DataFrame:
    """The typical week read at every hour by the pattern's clock.

    `hours`: clock, timezone, index (hours since 1970); `volumes`: hour_of_week 0..167 (0 = Monday 00:00) and volume, for one need. Adds
    `volume`; where the civil hour begins within the UTC hour, the two civil hours count in proportion.
    """
    typical = volumes.sort("hour_of_week")["volume"]
    parts = []
    for (clock, zone), group in hours.group_by("clock", "timezone", maintain_order=True):
        utc = group.select(hour_of(pl.col("index"))).to_series()
        local = utc.dt.convert_time_zone(str(zone) if clock == "local" else "UTC")
        following = utc.dt.offset_by("1h").dt.convert_time_zone(str(zone) if clock == "local" else "UTC")
        late = local.dt.minute().cast(pl.Float64) / 60
        now, then = (typical.gather(_hour_of_week(moment)) for moment in (local, following))
        mixed = pl.DataFrame({"now": now, "then": then, "late": late}).select(
            pl.when(pl.col("late") > 0)
            .then(pl.col("now") * (1 - pl.col("late")) + pl.col("then") * pl.col("late"))
            .otherwise("now")
        )
        parts.append(group.with_columns(mixed.to_series().alias("volume")))
    return pl.concat(parts)


def _hour_of_week(moment: pl.Series) -> pl.Series:
    return (moment.dt.weekday().cast(pl.Int64) - 1) * 24 + moment.dt.hour().cast(pl.Int64)
