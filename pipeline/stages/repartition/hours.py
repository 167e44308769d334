"""need.server + instances.server + energy.server + need.service -> what the repartition takes from each server and service, as series."""

from collections.abc import Callable

import numpy as np
import polars as pl
from polars import col

from pipeline.constants import G_PER_KG
from pipeline.series import LIST, Floats, applied, as_lists, beside_some, flat, from_rows, hour_index, joined_by_hour
from pipeline.stages.expressions import guarded
from pipeline.stages.lineage import Lineage, Made, Row, Rule, Total, same

RATES = ["base_weight_rate", "base_demand_rate"]
NO_RATES = pl.DataFrame(schema={"service_id": pl.String(), "start": pl.Int64(), **dict.fromkeys(RATES, LIST)})
SERVER_LISTS = ["weight_sum", "demand_sum", "compute_binds", "ram_binds", "guarded_raw", "fabrication", "idle",
                "fabrication_per_demand", "idle_per_demand", "load_per_demand"]  # fmt: skip


def own_weights() -> pl.Expr:
    """Weights of all jobs for what they hold themselves: their part of an instance's compute plus of its RAM. [1]"""
    return col.compute_need / col.compute + col.ram_need / col.ram


def compute_binds() -> pl.Expr:
    """1 where compute decides the number of instances (on ties too), 0 where RAM does. [1]"""
    binds = col.compute_need / col.available_compute_per_instance >= col.ram_need / col.available_ram_per_instance
    return binds.cast(pl.Float64)


def weight_sum() -> pl.Expr:
    """Weights of all jobs: what they hold themselves, and the base consumption of the services they pass through. [1]"""
    return col.own_weights + col.services_weight


def binding_demand_sum() -> pl.Expr:
    """Demand of all jobs for the resource that decides the number of instances, services' base consumption included. [1]"""
    return col.raw_nb_of_instances + pl.when(col.compute_binds == 1).then(col.services_compute_demand).otherwise(
        col.services_ram_demand
    )


def ram_binds() -> pl.Expr:
    """1 where RAM decides the number of instances, 0 where compute does. [1]"""
    return 1 - col.compute_binds


def services_weight() -> pl.Expr:
    """Weight of the base consumption of the services in use, on all instances. [1]"""
    return col.base_weight.fill_null(0.0) * col.nb_of_instances


def services_compute_demand() -> pl.Expr:
    """Demand for compute of the services in use, on all instances. [1]"""
    return col.base_compute_demand.fill_null(0.0) * col.nb_of_instances


def services_ram_demand() -> pl.Expr:
    """Demand for RAM of the services in use, on all instances. [1]"""
    return col.base_ram_demand.fill_null(0.0) * col.nb_of_instances


def guarded_raw() -> pl.Expr:
    """Instances asked for, rounding noise left out. [1]"""
    return guarded(col.raw_nb_of_instances)


def fabrication() -> pl.Expr:
    """Embodied carbon of the server's instances. [kg]"""
    return col.instances_fabrication_footprint


def idle() -> pl.Expr:
    """Idle energy * carbon intensity. [kg]"""
    return col.idle_energy * col.carbon_intensity / G_PER_KG


def load() -> pl.Expr:
    """Load energy * carbon intensity. [kg]"""
    return col.load_energy * col.carbon_intensity / G_PER_KG


def demand_sum(attribution_key: str) -> pl.Expr:
    """Demand of all jobs, by the setting attribution_key: their weights, or what they take of the binding resource. [1]"""
    return binding_demand_sum() if attribution_key == "binding" else col.weight_sum


def base_weight() -> pl.Expr:
    """The service's base consumption as part of an instance's compute plus part of its RAM. [1]"""
    return col.base_compute_consumption / col.compute + col.base_ram_consumption / col.ram


def base_compute_demand() -> pl.Expr:
    """The service's base compute as part of the compute that an instance has for jobs. [1]"""
    return col.base_compute_consumption / col.available_compute_per_instance


def base_ram_demand() -> pl.Expr:
    """The service's base RAM as part of the RAM that an instance has for jobs. [1]"""
    return col.base_ram_consumption / col.available_ram_per_instance


def base_weight_rate() -> pl.Expr:
    """Weight of the service's base consumption on all instances, per invocation in flight. [1]"""
    return col.base_weight * col.nb_of_instances / col.job_volume


def base_demand_rate() -> pl.Expr:
    """Demand of the service for the binding resource on all instances, per invocation in flight. [1]"""
    base = pl.when(col.compute_binds == 1).then(col.base_compute_demand).otherwise(col.base_ram_demand)
    return base * col.nb_of_instances / col.job_volume


def unused() -> pl.Expr:
    """None: no job of the service is in flight. [1]"""
    return pl.lit(0.0)


def fabrication_per_demand() -> pl.Expr:
    """Embodied carbon of the hour per unit of demand; none where nobody demands. [kg]"""
    return _per_demand("fabrication")


def idle_per_demand() -> pl.Expr:
    """Carbon of being on per unit of demand; none where nobody demands. [kg]"""
    return _per_demand("idle")


def load_per_demand() -> pl.Expr:
    """Carbon of the work per unit of demand; none where nobody demands. [kg]"""
    return _per_demand("load")


def any_demand() -> pl.Expr:
    """Whether anything is demanded in the whole period."""
    return col.period_demand > 0


def _per_demand(footprint: str) -> pl.Expr:
    return pl.when(col.demand_sum > 0).then(pl.col(footprint) / col.demand_sum).otherwise(0.0)


def _installed(
    volumes: pl.LazyFrame, services: pl.LazyFrame, servers: pl.LazyFrame, capacity: pl.LazyFrame
) -> pl.LazyFrame:
    """One row per service and hour in which it is in use, with what its base consumption weighs on one instance."""
    weighed = (
        services.select("service_id", "base_ram_consumption", "base_compute_consumption", "server_id")
        .join(servers.select("server_id", "compute", "ram"), on="server_id", validate="m:1")
        .join(
            capacity.select("server_id", "available_compute_per_instance", "available_ram_per_instance"),
            on="server_id",
            validate="m:1",
        )
        .with_columns(
            base_weight=base_weight(),
            base_compute_demand=base_compute_demand(),
            base_ram_demand=base_ram_demand(),
        )
        .select("service_id", "server_id", "base_weight", "base_compute_demand", "base_ram_demand")
    )
    return volumes.filter(col.job_volume > 0).join(weighed, on="service_id", validate="m:1")


def of_servers(
    need: pl.LazyFrame,
    instances: pl.LazyFrame,
    energy: pl.LazyFrame,
    volumes: pl.LazyFrame | None,
    services: pl.LazyFrame,
    servers: pl.LazyFrame,
    capacity: pl.LazyFrame,
    *,
    attribution_key: str,
    footprints: bool = True,
) -> tuple[pl.LazyFrame, pl.LazyFrame]:
    """Series per server (SERVER_LISTS) and per service (RATES: per invocation in flight).

    `volumes` are the rows of need.service, None where the servers have no services. demand is what attribution_key says: the weights, or the
    binding resource. Without `footprints` the servers have only what shares are made of: `weight_sum`.
    """
    key = ["server_id", "hour"]
    on = energy.select(*key, "idle_energy", "load_energy", "carbon_intensity", "instances_fabrication_footprint")
    hosts = servers.select("server_id", "compute", "ram").join(
        capacity.select("server_id", "available_compute_per_instance", "available_ram_per_instance"),
        on="server_id",
        validate="1:1",
    )
    joined = joined_by_hour([need, instances, on], "server_id").join(
        hosts, on="server_id", validate="m:1", maintain_order="left"
    )
    used = None if volumes is None else _installed(volumes, services, servers, capacity)
    rows = (
        _with_bases(joined, used)
        .with_columns(
            own_weights=own_weights(),
            compute_binds=compute_binds(),
            services_weight=services_weight(),
            services_compute_demand=services_compute_demand(),
            services_ram_demand=services_ram_demand(),
            guarded_raw=guarded_raw(),
            fabrication=fabrication(),
            idle=idle(),
            load=load(),
        )
        .with_columns(weight_sum=weight_sum(), ram_binds=ram_binds())
        .with_columns(demand_sum=demand_sum(attribution_key))
        .with_columns(
            fabrication_per_demand=fabrication_per_demand(),
            idle_per_demand=idle_per_demand(),
            load_per_demand=load_per_demand(),
        )
    )
    by_server, start = rows.group_by("server_id", maintain_order=True), hour_index(col.hour.first()).alias("start")
    if footprints:
        totals = {"instances": col.nb_of_instances.max(), "period_demand": col.demand_sum.sum()}
        series = by_server.agg(*SERVER_LISTS, start, **totals).with_columns(any_demand=any_demand())
        series = _provision_rates(series, attribution_key)
    else:
        series = by_server.agg("weight_sum", start)
    if used is None:
        return series, NO_RATES.lazy()
    per_use = used.join(rows.select(*key, "nb_of_instances", "compute_binds"), on=key, validate="m:1").with_columns(
        base_weight_rate=base_weight_rate(),
        base_demand_rate=base_demand_rate(),
    )
    return series, from_rows(per_use, ["service_id"], RATES)


def _with_bases(rows: pl.LazyFrame, used: pl.LazyFrame | None) -> pl.LazyFrame:
    """The servers' hours with what the base consumption of all services in use weighs on one instance (`used`: of _installed)."""
    bases = ("base_weight", "base_compute_demand", "base_ram_demand")
    if used is None:
        return rows.with_columns(pl.lit(None, pl.Float64).alias(b) for b in bases)
    key = ["server_id", "hour"]
    on_server = used.group_by(key).agg(pl.col(b).sum() for b in bases)
    return rows.join(on_server, on=key, how="left", validate="1:1", maintain_order="left")


def footprints_of_being_on(energy: pl.LazyFrame) -> pl.LazyFrame:
    """Rows of a server's carbon that does not depend on its load: `provisioned` and `idle`. [kg]"""
    return energy.select("server_id", "hour", provisioned="instances_fabrication_footprint", idle=idle())


def _provision_rates(series: pl.LazyFrame, attribution_key: str) -> pl.LazyFrame:
    """Add `provision_rate`: what one unit of demand in the hour takes of an on-premise server's provisioned and idle carbon. [1]"""
    schema = pl.Schema({**series.collect_schema(), "provision_rate": LIST})

    def kernel(f: pl.DataFrame) -> pl.DataFrame:
        demand, offsets = flat(f["demand_sum"])
        raw, _ = flat(f["guarded_raw"])
        of_hours = PROVISION_RATES[attribution_key]
        rates = np.empty(len(demand))
        for first, end, instances in zip(offsets[:-1], offsets[1:], f["instances"], strict=True):
            rates[first:end] = of_hours(demand[first:end], raw[first:end], instances)
        return f.with_columns(as_lists(rates, offsets).alias("provision_rate"))

    return applied(series, kernel, schema)


def period_rate(demand: Floats, raw: Floats, instances: float) -> Floats:
    """The same at every hour: demand counts as a part of the whole period's demand."""
    del raw, instances
    total = demand.sum()
    return np.full(len(demand), 1 / total if total > 0 else 0.0)


def tier_rate(demand: Floats, raw: Floats, instances: float) -> Floats:
    """Who caused the peak pays: tier k of K counts the hours that need more than k - 1 instances, and each tier weighs 1 / K.

    A tier's share of a job is its demand in those hours over all demand in them, so an hour's unit of demand takes the sum of
    1 / (K * demand of tier k) over the tiers the hour belongs to. Tiers above the peak, or without demand, count the whole period.
    """
    period, tiers = demand.sum(), float(round(instances))
    if period <= 0 or not tiers:
        return period_rate(demand, raw, instances)
    # tiers between two numbers of instances that hours reach have the same demand: as many steps as hours, however many tiers
    levels, level = np.unique(np.minimum(np.ceil(raw), tiers), return_inverse=True)
    width = np.diff(levels, prepend=0.0)
    reaching = np.cumsum(np.bincount(level, weights=demand)[::-1])[::-1]
    own = np.divide(width, reaching, out=np.zeros(len(levels)), where=reaching > 0)
    of_period = (tiers - width[reaching > 0].sum()) / period
    rates: Floats = (np.cumsum(own)[level] + of_period) / tiers
    return rates


PROVISION_RATES: dict[str, Callable[[Floats, Floats, float], Floats]] = {"weight": period_rate, "binding": tier_rate}
"""By attribution_key: what one unit of demand of each hour takes of the whole period, from demand, guarded raw and instances on."""


def with_service(
    series: pl.LazyFrame, values: str, rates: pl.LazyFrame, rate: str, formula: pl.Expr, own: str, into: str
) -> pl.LazyFrame:
    """`into`: the formula (of `rate`, the service's base consumption per invocation in flight) for jobs of a service, else `own` as it is."""
    return beside_some(series, values, rates, "service_id", rate, formula, own, into)


_SERVER, _SERVER_HOUR = same("server_id"), same("server_id", "hour")
_CAPACITY = Row("instances.capacity", _SERVER, same("available_compute_per_instance", "available_ram_per_instance"))
_SIZE = Row("derived.server", _SERVER, same("compute", "ram"))


def _of_services(column: str, words: str) -> Total:
    return Total("repartition.service_hour", column, _SERVER_HOUR, where=col.job_volume > 0, words=words, unit="1")


LINEAGE = Lineage(
    "repartition.server_hour",
    key=("server_id", "hour"),
    row="What the repartition takes from a server, each hour.",
    reads=(
        Row("need.server", _SERVER_HOUR),
        Row("instances.server", _SERVER_HOUR),
        Row("energy.server", _SERVER_HOUR, same("idle_energy", "load_energy", "carbon_intensity", "instances_fabrication_footprint")),
        _SIZE,
        _CAPACITY,
    ),
    made={
        "base_weight": _of_services("base_weight", "Base consumption of the services in use, per instance."),
        "base_compute_demand": _of_services("base_compute_demand", "Base compute of the services in use, per instance."),
        "base_ram_demand": _of_services("base_ram_demand", "Base RAM of the services in use, per instance."),
        "period_demand": Total("repartition.server_hour", "demand_sum", _SERVER, words="Demand of all jobs in all hours."),
        "provision_rate": Rule(
            "provision_rate",
            "What one unit of demand in the hour takes of an on-premise server's provisioned and idle carbon: "
            "1 / demand of the period (attribution_key weight), or who caused the peak pays (binding): "
            "the sum, over the tiers of instances that the hour reaches, of 1 / (tiers * demand in the hours of the tier).",
            "1",
        ),
    },
    formulas=(
        own_weights, compute_binds, ram_binds, weight_sum, binding_demand_sum, services_weight, services_compute_demand,
        services_ram_demand, guarded_raw, fabrication, idle, load, demand_sum, fabrication_per_demand, idle_per_demand,
        load_per_demand, any_demand,
    ),
    rows=((("need.server", _SERVER_HOUR),),),
)  # fmt: skip
SERVICES = Lineage(
    "repartition.service_hour",
    key=("service_id", "server_id", "hour"),
    row="What the repartition takes from a service, each hour.",
    reads=(
        Row("derived.service", same("service_id"), same("base_compute_consumption", "base_ram_consumption")),
        _SIZE,
        _CAPACITY,
        Row("need.service", same("service_id", "hour")),
        Row("instances.server", _SERVER_HOUR, same("nb_of_instances")),
        Row("repartition.server_hour", _SERVER_HOUR, same("compute_binds")),
    ),
    made={
        "base_weight_rate": (Made(base_weight_rate, when=col.job_volume > 0), Made(unused)),
        "base_demand_rate": (Made(base_demand_rate, when=col.job_volume > 0), Made(unused)),
    },
    formulas=(base_weight, base_compute_demand, base_ram_demand),
    rows=((("derived.service", same("service_id", "server_id")), ("need.service", same("service_id", "hour"))),),
)
