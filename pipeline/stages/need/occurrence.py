"""starts + cells, fleets + weekly volumes, direct occurrences -> need.occurrence: when each job is triggered, by whom."""

import polars as pl
from polars import col

from pipeline import civil_time
from pipeline.series import LIST, added, applied, as_lists, from_rows, rows_of
from pipeline.stages.lineage import At, Lineage, Made, Row, Rule, Total, same
from pipeline.tables import OUTPUTS

TABLE = OUTPUTS["need.occurrence"]
CELL = ["job_id", "server_id", "usage_pattern_id", "container_id"]


def occurrences() -> pl.Expr:
    """What triggers the job in the hour (journey starts a delay earlier, or weekly volume * fleet) times its invocations each. [occurrence]"""
    return col.triggers * col.times


def with_given() -> pl.Expr:
    """Invocations that journeys and server needs trigger, and those given directly. [occurrence]"""
    return col.triggered + col.given


def weekly() -> pl.Expr:
    """Edge: the need's volume at the hour of the week, by the pattern's clock, times the fleet. [occurrence]"""
    return col.volume * col.fleet


def weekly_triggers(
    fleets: pl.LazyFrame,
    edge_usage_patterns: pl.LazyFrame,
    countries: pl.LazyFrame,
    volumes: pl.LazyFrame,
    pairs: pl.LazyFrame,
) -> pl.LazyFrame:
    """Series `triggers` per edge pattern and need (`pairs`): the need's volume at the hour of the week, by the pattern's clock, times the fleet."""
    clocks = edge_usage_patterns.select("usage_pattern_id", "clock", "country_id").join(
        countries.select("country_id", "timezone"), on="country_id", validate="m:1"
    )
    needed = pairs.join(fleets, on="usage_pattern_id").join(clocks, on="usage_pattern_id", validate="m:1")
    schema = pl.Schema(
        {"usage_pattern_id": pl.String(), "container_id": pl.String(), "start": pl.Int64(), "triggers": LIST}
    )

    def kernel(both: list[pl.DataFrame]) -> pl.DataFrame:
        each, typical = both
        made = [_weekly(row, typical) for row in each.iter_slices(1)]
        return pl.concat([pl.DataFrame(schema=schema), *made])

    def collected(f: pl.DataFrame) -> pl.DataFrame:
        return kernel([f, volumes.collect()])

    return applied(needed, collected, schema)


def _weekly(row: pl.DataFrame, typical: pl.DataFrame) -> pl.DataFrame:
    fleet = row["fleet"].explode(empty_as_null=False)
    hours = row.select("clock", "timezone", index=pl.int_ranges("start", pl.col("start") + len(fleet))).explode(
        "index", empty_as_null=False
    )
    volume = civil_time.weeks(hours, typical.filter(col.server_need_id == row["container_id"].item()))["volume"]
    values = as_lists((volume * fleet).to_numpy(), pl.Series([0, len(fleet)]).to_numpy())
    return row.select("usage_pattern_id", "container_id", "start").with_columns(values.alias("triggers"))


def modelled(cells: pl.LazyFrame, triggers: pl.LazyFrame) -> pl.LazyFrame:
    """Series of occurrences per cell: journey starts shifted by whole hours of delay, summed over the positions where the step stands.

    `triggers`: usage_pattern_id, container_id (null: every container of the pattern's journeys), start, triggers.
    """
    by_step = cells.filter(col.kind == "step").join(
        triggers.filter(col.container_id.is_null()).drop("container_id"), on="usage_pattern_id"
    )
    by_need = cells.filter(col.kind == "server_need").join(triggers, on=["usage_pattern_id", "container_id"])
    every = pl.concat([by_step, by_need], how="diagonal").with_columns(
        start=col.start + col.delay_hours, occurrences=occurrences()
    )
    return added(every.select(*CELL, "start", "occurrences"), CELL, ["occurrences"])


def direct(occurrences: pl.LazyFrame, jobs: pl.LazyFrame) -> pl.LazyFrame:
    """Series of occurrences per cell from the table `occurrences`: as they are, hours missing in between zero."""
    series = from_rows(occurrences, ["job_id", "usage_pattern_id", "container_id"], ["occurrences"])
    names = [pl.col(c).cast(pl.String) for c in ("job_id", "usage_pattern_id", "container_id")]
    placed = series.with_columns(names).join(jobs.select("job_id", "server_id"), on="job_id", validate="m:1")
    return placed.select(*CELL, "start", "occurrences")


def build(modelled: pl.LazyFrame, direct: pl.LazyFrame) -> pl.LazyFrame:
    """Series of occurrences per cell, from journeys, edge deployments and direct occurrences together."""
    return added(pl.concat([modelled, direct]), CELL, ["occurrences"])


def rows(series: pl.LazyFrame) -> pl.LazyFrame:
    """One row per cell and hour."""
    return rows_of(series, ["occurrences"]).select(list(TABLE.columns))


TRIGGER = Lineage(
    "need.trigger",
    key=("job_id", "usage_pattern_id", "container_id", "journey_id", "position", "hour"),
    row="What triggers a job in one of the ways of derived.cell, each hour.",
    reads=(
        Row("derived.cell", same("job_id", "usage_pattern_id", "container_id", "journey_id", "position")),
        Row("need.fleet", same("usage_pattern_id", "hour"), missing=0.0),
    ),
    made={
        "triggers": (
            At(
                Row("need.usage_pattern", same("usage_pattern_id", "hour"), missing=0.0, earlier="delay_hours"),
                "starts",
                when=col.kind == "step",
            ),
            Made(weekly),
        ),
        "volume": Rule(
            "weekly_volume", "Volume of the server need at that hour of the week, by the pattern's clock.", "occurrence"
        ),
    },
    formulas=(occurrences,),
    rows=((("derived.cell", same("job_id", "usage_pattern_id", "container_id", "journey_id", "position")),),),
)
_CELL = same("job_id", "usage_pattern_id", "container_id")
LINEAGE = Lineage(
    "need.occurrence",
    reads=(Row("derived.job", same("job_id", "server_id"), same("request_duration")),),
    made={
        "occurrences": (
            At(
                Row(
                    "need.run",
                    same("server_id", "hour", application="job_id", project="usage_pattern_id", user="container_id"),
                ),
                "runs_started",
                when=col.request_duration.is_null(),
            ),
            Total(
                "need.trigger",
                "occurrences",
                {**_CELL, "hour": "hour"},
                words="Invocations that journeys and server needs trigger, over every way in which the container comes by the job.",
                when=(col.ways > 0) & ~col.any_given,
            ),
            Rule("given_occurrences", "Invocations given for the hour in the table `occurrences`.", when=col.ways == 0),
            Made(with_given),
        ),
        "ways": Total(
            "derived.cell",
            "times",
            _CELL,
            kind="count",
            words="Ways in which the container triggers the job.",
            unit="1",
        ),
        "any_given": Rule("any_given", "Whether the model has a table `occurrences`."),
        "triggered": Total("need.trigger", "occurrences", {**_CELL, "hour": "hour"}, unit="occurrence"),
        "given": Rule("given_occurrences", "Invocations given for the hour in the table `occurrences`.", "occurrence"),
    },
)
