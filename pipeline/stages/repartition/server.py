"""need.job + server hours -> repartition.server: the reference pages' weights and shares of a server's jobs (they do not conserve)."""

import polars as pl
from polars import col

from pipeline.series import LIST, added, aligned, beside, rows_of, stretches, with_row
from pipeline.stages import expressions
from pipeline.stages.lineage import Lineage, Made, Row, Total, same
from pipeline.stages.repartition.hours import with_service
from pipeline.tables import OUTPUTS

TABLE = OUTPUTS["repartition.server"]
BY = ["server_id", "job_id"]


def own_weight() -> pl.Expr:
    """The job's part of an instance's compute plus its part of an instance's RAM. [1]"""
    return col.compute_need / col.compute + col.ram_need / col.ram


def weight() -> pl.Expr:
    """The own weight, and for a service's job its part of the service's base consumption on all instances. [1]"""
    return col.own_weight + col.avg_occurrences * col.base_weight_rate


def weight_alone() -> pl.Expr:
    """The own weight: the job is sent to no service. [1]"""
    return col.own_weight


def weight_sum() -> pl.Expr:
    """Sum of the weights of all jobs of the server. [1]"""
    return col.weight_sum


def share() -> pl.Expr:
    """Weight / weight_sum; 1 for every job in an hour without weights; empty where no hour has any. [1]"""
    return expressions.share(col.weight, col.weight_sum, col.period_sum)


def weighed(jobs: pl.LazyFrame, servers: pl.LazyFrame, rates: pl.LazyFrame) -> pl.LazyFrame:
    """Series `weight` beside series of invocations in flight (with what one of them holds, and service_id), each over its own hours.

    An own weight is a multiple of what is in flight, so that of one invocation is worked out once per job. `rates` is what hours.of_servers
    says one invocation in flight weighs of its service's base consumption, each hour.
    """
    one = jobs.select(
        *BY, "service_id", "start", "avg_occurrences", compute_need="compute_needed", ram_need="ram_needed"
    )
    return _with_base(_sized(one, servers).with_columns(own_weight=col.avg_occurrences * col.own_weight), rates)


def weighed_observed(runs: pl.LazyFrame, servers: pl.LazyFrame, rates: pl.LazyFrame) -> pl.LazyFrame:
    """The same of observed runs, which hold something else each hour: series of avg_occurrences, compute_need and ram_need."""
    return _with_base(_sized(runs, servers), rates)


def _sized(needs: pl.LazyFrame, servers: pl.LazyFrame) -> pl.LazyFrame:
    sizes = servers.select("server_id", "compute", "ram")
    return with_row(needs, sizes, "server_id").with_columns(own_weight=own_weight())


def _with_base(weights: pl.LazyFrame, rates: pl.LazyFrame) -> pl.LazyFrame:
    columns = weights.select(*BY, "service_id", "start", "avg_occurrences", "own_weight")
    made = with_service(columns, "avg_occurrences", rates, "base_weight_rate", weight(), "own_weight", "weight")
    return made.select(*BY, "start", "weight")


def build(weights: pl.LazyFrame, every_job: pl.LazyFrame, server_series: pl.LazyFrame) -> pl.LazyFrame:
    """Series of weight and weight_sum per job of each server over all its hours, jobs that never run included."""
    sums = server_series.select(
        "server_id", to="start", hours=col.weight_sum.list.len().cast(pl.Int64), period_sum=col.weight_sum.list.sum()
    )
    silent = every_job.join(weights, on=BY, how="anti").select(
        *BY, start=pl.lit(0, pl.Int64), weight=pl.lit([], dtype=LIST)
    )
    every = added(pl.concat([weights, silent]), BY, ["weight"])
    over = aligned(with_row(every, sums, "server_id"), ["weight"], "to", "hours")
    return beside(over, "weight", server_series, ["server_id"], ["weight_sum"])


def build_observed(weights: pl.LazyFrame, server_series: pl.LazyFrame) -> pl.LazyFrame:
    """The same for observed runs, over the hours in which they run only: a cluster has too many applications to list the idle ones."""
    sums = server_series.select("server_id", period_sum=col.weight_sum.list.sum())
    summed = stretches(
        rows_of(weights, ["weight"]).group_by(*BY, "hour").agg(col.weight.sum()),
        BY,
        ["weight"],
    )
    return beside(
        with_row(summed, sums, "server_id"),
        "weight",
        server_series,
        ["server_id"],
        ["weight_sum"],
    )


def rows(series: pl.LazyFrame, columns: list[str]) -> pl.LazyFrame:
    """One row per server, job and hour, with these of the table's columns."""
    hourly = rows_of(series.with_columns(weight_sum=weight_sum()), ["weight", "weight_sum"])
    return hourly.with_columns(share=share()).select(columns)


_JOB = same("server_id", "job_id")
_SIZE = Row("derived.server", same("server_id"), same("compute", "ram"))
_SERVICE = (
    Row("derived.job", _JOB, same("service_id", "request_duration")),
    Row("repartition.service_hour", same("service_id", "server_id", "hour"), missing=0.0),
)


LINEAGE = Lineage(
    "repartition.server",
    reads=(
        Row("repartition.job_hour", {**_JOB, "hour": "hour"}, same("avg_occurrences", "compute_need", "ram_need")),
        _SIZE,
        *_SERVICE,
    ),
    made={
        "weight": (Made(weight, when=col.service_id.is_not_null()), Made(weight_alone)),
        "weight_sum": Total(
            "repartition.server",
            "weight",
            same("server_id", "hour"),
            words="Sum of the weights of all jobs of the server.",
        ),
        "period_sum": Total(
            "repartition.server_hour", "weight_sum", same("server_id"), words="Weights of all jobs in all hours."
        ),
    },
)
