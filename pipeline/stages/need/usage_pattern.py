"""starts + patterns + journeys -> need.usage_pattern: how much each pattern starts and has under way, in UTC."""

import polars as pl
from polars import col

from pipeline import civil_time
from pipeline.constants import SECONDS_PER_HOUR
from pipeline.series import added, applied, boxed, from_rows, only, rows_of, with_row
from pipeline.stages.derived import cell
from pipeline.stages.lineage import At, Box, Lineage, Made, Row, Rule, Total, same
from pipeline.tables import OUTPUTS

TABLE = OUTPUTS["need.usage_pattern"]


def starts() -> pl.Expr:
    """Journeys started (edge: devices deployed) in the hour, in UTC. [occurrence]"""
    return col.starts


def journeys_in_parallel() -> pl.Expr:
    """Journeys under way, summed over the pattern's journeys; edge: the fleet. [1]"""
    return col.under_way


def under_way() -> pl.Expr:
    """Journeys per start times the starts boxed over the journey's duration (edge: over the usage span). [1]"""
    return col.boxed_starts * col.times_per_start


def fleet_under_way() -> pl.Expr:
    """Edge: edge journeys per deployed device * the fleet. [1]"""
    return col.fleet * col.times_per_deployment


def utc_starts(patterns: pl.LazyFrame, countries: pl.LazyFrame, rows: pl.LazyFrame) -> pl.LazyFrame:
    """Series of starts per pattern in UTC, civil time converted; `patterns` tells the clock, `rows` holds wall-clock or UTC hours."""
    clocks = patterns.select("usage_pattern_id", "clock", "country_id").join(
        countries.select("country_id", "timezone"), on="country_id", validate="m:1"
    )
    written = rows.select("usage_pattern_id", "hour", "starts")
    in_utc, in_local = (only(written, clocks.filter(col.clock == c), "usage_pattern_id") for c in ("utc", "local"))
    plain = in_utc.with_columns(col.hour.dt.replace_time_zone("UTC"))
    local = with_row(in_local, clocks, "usage_pattern_id").select("usage_pattern_id", "timezone", "hour", "starts")
    converted = applied(local, lambda f: civil_time.local_rows_to_utc(f, "starts"), plain.collect_schema())
    return from_rows(pl.concat([plain, converted]), ["usage_pattern_id"], ["starts"])


def journeys_under_way(
    user_starts: pl.LazyFrame, usage_pattern_journeys: pl.LazyFrame, durations: pl.LazyFrame
) -> pl.LazyFrame:
    """Series `under_way` per pattern and journey: times_per_start * box(starts, duration of the journey); none where it takes no time."""
    lasting = durations.filter(col.duration > 0)
    pairs = usage_pattern_journeys.join(lasting, on="usage_journey_id", validate="m:1").join(
        user_starts, on="usage_pattern_id", validate="m:1"
    )
    each = boxed(pairs, "starts", "duration", "boxed_starts").with_columns(under_way=under_way())
    return each.select("usage_pattern_id", "start", "under_way", journey_id="usage_journey_id")


def fleets(deployments: pl.LazyFrame, edge_usage_patterns: pl.LazyFrame) -> pl.LazyFrame:
    """Series `fleet` per edge pattern: the deployments boxed over the usage span; none where it is zero. [1]"""
    spans = edge_usage_patterns.filter(col.usage_span > 0).select(
        "usage_pattern_id", seconds=col.usage_span * SECONDS_PER_HOUR
    )
    each = boxed(deployments.join(spans, on="usage_pattern_id", validate="m:1"), "starts", "seconds", "fleet")
    return each.select("usage_pattern_id", "start", "fleet")


def fleets_under_way(fleet_series: pl.LazyFrame, edge_usage_pattern_journeys: pl.LazyFrame) -> pl.LazyFrame:
    """Series `under_way` per edge pattern and edge journey: times_per_deployment * fleet."""
    pairs = edge_usage_pattern_journeys.join(fleet_series, on="usage_pattern_id", validate="m:1")
    return pairs.select("usage_pattern_id", "start", under_way=fleet_under_way(), journey_id="edge_usage_journey_id")


def build(every_start: pl.LazyFrame, user_journeys: pl.LazyFrame, fleet_series: pl.LazyFrame) -> pl.LazyFrame:
    """One row per pattern and hour of its starts or of its journeys under way (`every_start`: of users and of fleets)."""
    by_pattern = added(user_journeys, ["usage_pattern_id"], ["under_way"])
    shown = pl.concat([by_pattern, fleet_series.select("usage_pattern_id", "start", under_way="fleet")])
    both = pl.concat(
        [
            every_start.select("usage_pattern_id", "start", "starts", under_way=col.starts * 0.0),
            shown.select("usage_pattern_id", "start", starts=col.under_way * 0.0, under_way="under_way"),
        ]
    )
    rows = rows_of(added(both, ["usage_pattern_id"], ["starts", "under_way"]), ["starts", "under_way"])
    return rows.select("usage_pattern_id", "hour", starts=starts(), journeys_in_parallel=journeys_in_parallel())


FLEET = Lineage(
    "need.fleet",
    key=("usage_pattern_id", "hour"),
    row="The devices of an edge usage pattern that are deployed, each hour.",
    reads=(Row("edge_usage_patterns", same("usage_pattern_id")),),
    made={
        "fleet": Box(
            "need.usage_pattern",
            "starts",
            same("usage_pattern_id"),
            lasts="usage_span",
            unit="h",
            words="Devices deployed: the deployments boxed over the usage span.",
        )
    },
)
UNDER_WAY = Lineage(
    "need.under_way",
    key=("usage_pattern_id", "journey_id", "hour"),
    row="The journeys of one kind that a usage pattern has under way, each hour.",
    reads=(
        Row("usage_pattern_journeys", same("usage_pattern_id", usage_journey_id="journey_id")),
        Row("edge_usage_pattern_journeys", same("usage_pattern_id", edge_usage_journey_id="journey_id")),
        Row("need.fleet", same("usage_pattern_id", "hour"), missing=0.0),
    ),
    made={
        "duration": Total(
            "usage_journey_steps",
            cell.time,
            {"usage_journey_id": "journey_id"},
            words="Duration of the journey: the sum of its weighted step times.",
        ),
        "boxed_starts": Box(
            "need.usage_pattern",
            "starts",
            same("usage_pattern_id"),
            lasts="duration",
            words="Journeys started, boxed over the duration of the journey.",
        ),
        "under_way": (Made(under_way, when=col.times_per_start.is_not_null()), Made(fleet_under_way)),
    },
    rows=(
        (("usage_pattern_journeys", same("usage_pattern_id", usage_journey_id="journey_id")),),
        (("edge_usage_pattern_journeys", same("usage_pattern_id", edge_usage_journey_id="journey_id")),),
    ),
)
LINEAGE = Lineage(
    "need.usage_pattern",
    reads=(
        Row("usage_patterns", same("usage_pattern_id"), same("clock", "country_id")),
        Row("edge_usage_patterns", same("usage_pattern_id"), same("clock", "country_id", "usage_span")),
    ),
    made={
        "starts": Rule("starts", "Starts given for the hour; civil time converted to UTC."),
        "under_way": (
            Total("need.under_way", "under_way", same("usage_pattern_id", "hour"), when=col.usage_span.is_null()),
            At(Row("need.fleet", same("usage_pattern_id", "hour")), "fleet"),
        ),
    },
)
