"""Published run -> Figures: every number of the report, summed lazily, so that what is held does not grow with the model."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

import polars as pl
from polars import col

from pipeline.report.published import Published

KINDS = ("server", "storage", "network", "device")
PHASES = ("manufacturing", "usage")
MANUFACTURING, USAGE = "instances_fabrication_footprint", "energy_footprint"
MOST = 12
"""Things named in one chart; the rest are summed."""
TIMELINES = 3
"""Servers drawn over time."""
Hours = tuple[datetime, datetime]


@dataclass(frozen=True)
class Figures:
    """The sums that the sections of the report are written from."""

    run: Published
    hourly: pl.DataFrame
    """kind, phase, hour, kg, kwh."""
    sources: pl.DataFrame
    """kind, id, phase, kg, kwh."""
    servers: pl.DataFrame
    """One row per server: instances and energy summed over its hours."""
    timelines: pl.DataFrame
    """server_id, period, raw, nb: mean instances of the servers that emit most."""
    storages: pl.DataFrame
    """storage_id, period, kept: TB kept on average over the period."""
    jobs: pl.DataFrame
    patterns: pl.DataFrame
    projects: pl.DataFrame
    users: pl.DataFrame
    """id, phase, kg: attributed footprint; projects and users are those of observed runs, patterns the others."""

    @property
    def hours(self) -> Hours | None:
        """The first and the last hour with any footprint row."""
        return None if self.hourly.is_empty() else span(self.hourly)

    @cached_property
    def totals(self) -> pl.DataFrame:
        """kind, phase, kg, kwh."""
        return self.hourly.group_by("kind", "phase").agg(col.kg.sum(), col.kwh.sum()).sort("kind", "phase")

    @property
    def kg(self) -> float:
        """The footprint of everything."""
        return float(self.totals["kg"].sum())

    @property
    def kwh(self) -> float:
        """The energy of everything."""
        return float(self.totals["kwh"].sum())

    def of(self, **wanted: str) -> float:
        """Footprint of a kind, a phase, or both."""
        return float(self.totals.filter(**wanted)["kg"].sum())

    @property
    def every(self) -> str:
        """The period that charts over time sum over."""
        return "1mo" if self.hours is None else period_of(self.hours)


def span(rows: pl.DataFrame) -> Hours:
    """First and last hour of rows."""
    return rows.select(col.hour.min(), last=col.hour.max()).row(0)


def period_of(hours: Hours) -> str:
    """The period of which the hours hold a readable number: hour, day, month or year."""
    days = (hours[1] - hours[0]) / timedelta(days=1)
    return "1h" if days <= 4 else "1d" if days <= 92 else "1mo" if days <= 366 * 20 else "1y"


def emissions(run: Published) -> pl.LazyFrame:
    """Every footprint of energy.* as rows of kind, id, phase, hour, kg, kwh."""

    def rows(kind: str, phase: str, kg: str, kwh: str | None) -> pl.LazyFrame:
        energy = col(kwh) if kwh else pl.lit(0.0)
        words = {"kind": pl.lit(kind), "phase": pl.lit(phase), "kg": col(kg), "kwh": energy}
        return run.scan(f"energy.{kind}").select(id=col(f"{kind}_id").cast(pl.String), hour="hour", **words)

    return pl.concat(
        [
            rows("server", "manufacturing", MANUFACTURING, None),
            rows("server", "usage", USAGE, "instances_energy"),
            rows("storage", "manufacturing", MANUFACTURING, None),
            rows("network", "usage", USAGE, "energy"),
            rows("device", "manufacturing", MANUFACTURING, None),
            rows("device", "usage", USAGE, "energy"),
        ]
    )


def attributed(run: Published) -> pl.LazyFrame:
    """repartition.footprint, with `observed` where the cell is an observed run's application, project and user."""
    rows = run.scan("repartition.footprint").with_columns(
        pl.col("job_id", "container_id", "usage_pattern_id", "source_id").cast(pl.String)
    )
    if not run.about.get("rows", {}).get("need.run", 1):
        return rows.with_columns(observed=pl.lit(False))
    cells = run.scan("need.run").select(
        job_id=col.application.cast(pl.String),
        container_id=col.user.cast(pl.String),
        usage_pattern_id=col.project.cast(pl.String),
    )
    seen = cells.unique().with_columns(observed=pl.lit(True))
    return rows.join(seen, on=["job_id", "container_id", "usage_pattern_id"], how="left").with_columns(
        col.observed.fill_null(False)
    )


def server_sums(run: Published) -> pl.LazyFrame:
    """One row per server: instances asked for and on, energy idle and working, over all its hours."""
    instances = (
        run.scan("instances.server")
        .group_by("server_id")
        .agg(
            hours=pl.len(),
            raw=col.raw_nb_of_instances.sum(),
            nb=col.nb_of_instances.sum(),
            raw_peak=col.raw_nb_of_instances.max(),
            nb_peak=col.nb_of_instances.max(),
        )
    )
    by_average = col.carbon_intensity_source == "average"
    energy = (
        run.scan("energy.server")
        .group_by("server_id")
        .agg(
            idle_kwh=col.idle_energy.sum(),
            kwh=col.instances_energy.sum(),
            kg=(col.energy_footprint + col.instances_fabrication_footprint).sum(),
            usage_kg=col.energy_footprint.sum(),
            average_kg=col.energy_footprint.filter(by_average).sum(),
        )
    )
    both = instances.join(energy, on="server_id", how="full", coalesce=True)
    return both.sort("kg", "server_id", descending=[True, False], nulls_last=True)


def period_hours(hours: Hours, every: str) -> pl.DataFrame:
    """period, hours: how many hours of the model each period holds."""
    index = pl.datetime_range(hours[0], hours[1], "1h", time_zone="UTC", eager=True).alias("hour")
    return index.to_frame().group_by(col.hour.dt.truncate(every).alias("period")).agg(hours=pl.len())


def by_period(rows: pl.LazyFrame, key: str, every: str, **sums: str) -> pl.LazyFrame:
    """Sums of columns by key and period."""
    period = col.hour.dt.truncate(every).alias("period")
    return rows.group_by(col(key).cast(pl.String), period).agg(**{name: col(c).sum() for name, c in sums.items()})


def by_cell(rows: pl.LazyFrame, column: str) -> pl.LazyFrame:
    """Attributed footprint by the ids of a column and phase."""
    grouped = rows.group_by(col(column).alias("id"), col.phase.cast(pl.String)).agg(kg=col.footprint.sum())
    return grouped.sort("kg", "id", "phase", descending=[True, False, False])


def gathered(run: Published) -> Figures:
    """All figures of a run, in three passes over its tables."""
    found = emissions(run)
    hourly, sources, servers = pl.collect_all(
        [
            found.group_by("kind", "phase", "hour").agg(col.kg.sum(), col.kwh.sum()).sort("hour", "kind", "phase"),
            found.group_by("kind", "id", "phase").agg(col.kg.sum(), col.kwh.sum()).sort("kg", "id", descending=True),
            server_sums(run),
        ]
    )
    hours = None if hourly.is_empty() else span(hourly)
    every = period_of(hours) if hours else "1mo"
    cells = attributed(run)
    observed, modelled = cells.filter("observed"), cells.filter(~col.observed)
    jobs, patterns, projects, users = pl.collect_all(
        [
            by_cell(cells, "job_id"),
            by_cell(modelled, "usage_pattern_id"),
            by_cell(observed, "usage_pattern_id"),
            by_cell(observed, "container_id"),
        ]
    )
    top = servers["server_id"].head(TIMELINES).to_list()
    drawn = run.scan("instances.server").filter(col.server_id.is_in(top))
    timelines, storages = pl.collect_all(
        [
            by_period(drawn, "server_id", every, raw="raw_nb_of_instances", nb="nb_of_instances"),
            by_period(run.scan("need.storage"), "storage_id", every, kept="full_cumulative_storage_need"),
        ]
    )
    if hours:
        divided = period_hours(hours, every)
        timelines = _mean(timelines, divided, "server_id", ["raw", "nb"])
        storages = _mean(storages, divided, "storage_id", ["kept"])
    return Figures(run, hourly, sources, servers, timelines, storages, jobs, patterns, projects, users)


def _mean(sums: pl.DataFrame, hours: pl.DataFrame, key: str, columns: list[str]) -> pl.DataFrame:
    return (
        sums.join(hours, on="period", how="inner")
        .select(key, "period", *(col(c) / col.hours for c in columns))
        .sort(key, "period")
    )


def most(ids: pl.DataFrame, how_many: int = MOST) -> list[str]:
    """The ids with the largest footprint, over both phases; rows without an id are left out."""
    sums = ids.drop_nulls("id").group_by("id").agg(col.kg.sum()).sort("kg", "id", descending=[True, False])
    return sums.filter(col.kg > 0)["id"].head(how_many).to_list()
