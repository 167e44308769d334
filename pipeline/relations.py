"""Rules over several tables: clocks, compute units, capacity, storages, weeks, grid intensity, what there must be at all."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache, cached_property
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import polars as pl
from polars import col

from pipeline.folder import nearest
from pipeline.stages.derived import job as derived_job
from pipeline.stages.derived import server as derived_server
from pipeline.stages.derived import service as derived_service
from pipeline.stages.instances import capacity
from pipeline.tables import INPUTS
from pipeline.tables.inputs import JOB_TABLES, LONGEST_SECONDS, SERVER_TABLES, SERVICE_TABLES
from pipeline.violations import ROW, printable, violation, violations_at

PATTERN_TABLES = ("usage_patterns", "edge_usage_patterns")
START_TABLES = {"usage_patterns": "usage_pattern_starts", "edge_usage_patterns": "edge_usage_pattern_starts"}
MODELLED_WORK = ("occurrences", *START_TABLES.values())

Found = list[pl.DataFrame]


@dataclass
class Tables:
    """The tables of a model as read, with ROW, and the plain servers, services and jobs made from them."""

    frames: dict[str, pl.LazyFrame]

    def __getitem__(self, name: str) -> pl.LazyFrame:
        return self.frames[name]

    @cached_property
    def servers(self) -> pl.LazyFrame:
        """derived.server."""
        sources = (self[t] for t in ("servers", "gpu_servers", "cloud_servers", "cloud_instances"))
        return derived_server.build(*sources).collect().lazy()

    @cached_property
    def services(self) -> pl.LazyFrame:
        """derived.service."""
        return derived_service.build(self["services"], self["video_streaming_services"]).collect().lazy()

    @cached_property
    def jobs(self) -> pl.LazyFrame:
        """derived.job."""
        streaming = self["video_streaming_jobs"], self.services, self["video_streaming_services"]
        return derived_job.build(self["jobs"], *streaming).collect().lazy()


def missing_tables(given: set[str]) -> Found:
    """Tables without which there is nothing to compute; `given` are those that the folder has, with rows or without."""
    found = []
    if not given.intersection(SERVER_TABLES):
        found.append(violation("servers", "missing table", f"a table {' or '.join(SERVER_TABLES)}"))
    if "job_runs" in given:
        return found
    if not given.intersection(JOB_TABLES):
        found.append(violation("jobs", "missing table", f"a table {' or '.join(JOB_TABLES)} (or job_runs)"))
    if not given.intersection(MODELLED_WORK):
        found.append(violation("occurrences", "missing table", f"a table {' or '.join(MODELLED_WORK)} (or job_runs)"))
    return found


def of_several_tables(tables: Tables, broken: set[str]) -> Found:
    """Every rule over tables none of which is among the `broken` ones."""
    found = []
    for needed, rule in RULES:
        if not broken.intersection(needed):
            found += rule(tables)
    return found


def _timezones(tables: Tables) -> Found:
    zones = tables["countries"].select("timezone", ROW).drop_nulls().collect()
    known = {zone for zone in zones["timezone"].unique() if is_timezone(zone)}
    unknown = zones.filter(~col.timezone.is_in(list(known)))
    if not len(unknown):
        return []
    hints = {z: nearest(z, _zone_names()) for z in unknown["timezone"].unique().head(100)}
    words = {z: f" (did you mean {near}?)" for z, near in hints.items() if near}
    hint = col.timezone.replace_strict(words, default="", return_dtype=pl.String)
    expected = pl.format("a name of the tz database such as Europe/Copenhagen{}", hint)
    return [violations_at("countries", "unknown timezone", unknown, column="timezone", value="timezone", expected=expected)]  # fmt: skip


NO_ZONES = {"localtime", "Factory"}
"""Files of the tz database that name no place."""


@cache
def _zone_names() -> set[str]:
    return available_timezones() - NO_ZONES


@cache
def is_timezone(name: str) -> bool:
    """Whether the tz database has the zone, and Polars knows it too."""
    if name in NO_ZONES:
        return False
    try:
        ZoneInfo(name)  # to list all names of the database, to look it up there, takes 12 ms
        pl.Series([datetime(2026, 1, 1)]).dt.replace_time_zone("UTC").dt.convert_time_zone(name)
    except (ZoneInfoNotFoundError, ValueError, OSError, pl.exceptions.PolarsError):
        return False
    return True


def _local_hours(patterns: str) -> Callable[[Tables], Found]:
    def check(tables: Tables) -> Found:
        """Wall-clock hours with a zone written."""
        local = tables[patterns].filter(col.clock == "local").select("usage_pattern_id")
        starts = START_TABLES[patterns]
        zoned = tables[starts].filter(pl.col("hour:unit").is_not_null())
        found = zoned.join(local, on="usage_pattern_id", how="semi").sort(ROW).collect()
        if not len(found):
            return []
        expected = "wall-clock hours without a zone, for the pattern's clock is local"
        value = col.hour.dt.strftime("%Y-%m-%d %H:%M UTC")
        return [violations_at(starts, "zone in local hours", found, column="hour", value=value, expected=expected)]

    return check


def _listed(table: str, rule: str, found: pl.DataFrame, column: str, expected: str) -> Found:
    return [violations_at(table, rule, found, column=column, value=column, expected=expected)] if len(found) else []


def _instance_types(tables: Tables) -> Found:
    key = ["provider", "instance_type"]
    unknown = tables["cloud_servers"].join(tables["cloud_instances"], on=key, how="anti").sort(ROW).collect()
    if not len(unknown):
        return []
    expected = "a provider and instance type that stand in a row of cloud_instances"
    value = pl.concat_str(key, separator=", ")
    return [violations_at("cloud_servers", "dangling reference", unknown, column=", ".join(key), value=value, expected=expected)]  # fmt: skip


def _compute_units(tables: Tables) -> Found:
    """Figures given in cores where the server counts GPUs, and the other way round."""
    hosts = pl.concat([tables[s].select("service_id", service_server="server_id") for s in SERVICE_TABLES])
    jobs = tables["jobs"].join(hosts, on="service_id", how="left")
    jobs = jobs.with_columns(server_id=pl.coalesce("server_id", "service_server"))
    streaming = tables["video_streaming_services"].with_columns(pl.lit("cpu_core").alias("static_delivery_cpu_cost:unit"))  # fmt: skip
    given = [
        ("servers", "compute", tables["servers"].drop("compute_unit")),
        ("servers", "base_compute_consumption", tables["servers"].drop("compute_unit")),
        ("gpu_servers", "base_compute_consumption", tables["gpu_servers"]),
        ("cloud_servers", "base_compute_consumption", tables["cloud_servers"]),
        ("services", "base_compute_consumption", tables["services"]),
        ("jobs", "compute_needed", jobs),
        ("video_streaming_services", "static_delivery_cpu_cost", streaming),
    ]
    unit_of = tables.servers.select("server_id", "compute_unit")
    found = []
    for table, column, rows in given:
        unit = f"{column}:unit"
        differs = rows.join(unit_of, on="server_id").filter(pl.col(unit) != col.compute_unit).sort(ROW).collect()
        if len(differs):
            expected = pl.format("compute in {}, as server {} counts it", "compute_unit", "server_id")
            found.append(violations_at(table, "compute unit", differs, column=column, value=unit, expected=expected))
    return found


def _capacity(tables: Tables) -> Found:
    """Servers on which nothing is left for jobs once the base consumption and the services have theirs."""
    rows = pl.concat([tables[t].select("server_id", ROW) for t in SERVER_TABLES])
    sizes = tables.servers.select("server_id", "kind", "ram", "compute", "compute_unit", "utilization_rate")
    sized = capacity.build(tables.servers, tables.services).join(sizes, on="server_id").join(rows, on="server_id")
    found = []
    for resource, unit in (("ram", pl.lit("GB_ram")), ("compute", col.compute_unit)):
        available, occupied = f"available_{resource}_per_instance", f"occupied_{resource}_per_instance"
        full = sized.filter(pl.col(available) <= 0).sort(ROW).collect()
        expected = pl.format(
            f"more than the {{}} {{}} that server {{}} and its services hold; {resource} * utilization_rate is {{}}",
            _figure(pl.col(occupied)), unit, "server_id", _figure(pl.col(resource) * col.utilization_rate),
        )  # fmt: skip
        for (kind,), rows_of_kind in full.group_by("kind", maintain_order=True):
            column = {"gpu_servers": "ram_per_gpu", "cloud_servers": "instance_type"}.get(str(kind), resource)
            found.append(violations_at(str(kind), "no capacity", rows_of_kind, column=column, value=_figure(pl.col(resource)), expected=expected))  # fmt: skip
    return found


def _figure(number: pl.Expr) -> pl.Expr:
    return number.round_sig_figs(6).cast(pl.String).str.strip_suffix(".0")


def _storages(tables: Tables) -> Found:
    """A storage that more than one server names."""
    named = pl.concat([tables[t].select("server_id", "storage_id", ROW, kind=pl.lit(t)) for t in SERVER_TABLES])
    shared = named.drop_nulls("storage_id").with_columns(first=col.server_id.first().over("storage_id", order_by=["kind", ROW]))  # fmt: skip
    later = shared.filter(col.server_id != col.first).sort("kind", ROW).collect()
    expected = pl.format("a storage of its own; server {} has the same", "first")
    return [
        violations_at(str(kind), "shared storage", rows, column="storage_id", value="storage_id", expected=expected)
        for (kind,), rows in later.group_by("kind", maintain_order=True)
    ]


def _weeks(tables: Tables) -> Found:
    """Server needs whose typical week lacks hours."""
    hours = tables["server_need_volumes"].group_by("server_need_id").agg(pl.len(), col(ROW).max())
    short = hours.filter(col.len < 168).sort(ROW).collect()
    if not len(short):
        return []
    expected = pl.format("168 rows for a server need, one for each hour of the week; it has {}", "len")
    return [violations_at("server_need_volumes", "incomplete week", short, column="server_need_id", value="server_need_id", expected=expected)]  # fmt: skip


def _journeys(tables: Tables) -> Found:
    """Journeys that last longer than anything does."""
    timed = tables["usage_journey_steps"].join(tables["usage_steps"].drop(ROW), on="usage_journey_step_id")
    taken = (col.times_per_journey * col.user_time_spent).sum()
    lasting = timed.group_by("usage_journey_id").agg(col(ROW).max(), seconds=taken)
    found = lasting.filter(col.seconds > LONGEST_SECONDS).sort(ROW).collect()
    if not len(found):
        return []
    expected = pl.format(f"a journey of at most {LONGEST_SECONDS:g} s; its steps take {{}} s", _figure(col.seconds))
    return [violations_at("usage_journey_steps", "endless journey", found, column="usage_journey_id", value="usage_journey_id", expected=expected)]  # fmt: skip


def _intensities(table: str) -> Callable[[Tables], Found]:
    def check(tables: Tables) -> Found:
        """Servers or countries without an average whose zone has no rows either."""
        bare = tables[table].filter(col.average_carbon_intensity.is_null() & col.zone.is_not_null())
        found = bare.join(tables["carbon_intensity"], on="zone", how="anti").sort(ROW).collect()
        expected = "a zone that has rows in carbon_intensity, for average_carbon_intensity is empty"
        return _listed(table, "no carbon intensity", found, "zone", expected)

    return check


def _applications(tables: Tables) -> Found:
    """Observed applications that have the name of a modelled job on the same server."""
    jobs = tables.jobs.select("server_id", application="job_id")
    found = tables["job_runs"].join(jobs, on=["application", "server_id"], how="semi").sort(ROW).collect()
    expected = "an application whose name is no job_id on the same server"
    return _listed("job_runs", "application is a job", found, "application", expected)


def _sources(tables: Tables) -> Found:
    """Sources of values that no table or column of the dictionary holds."""
    named = tables["sources"].select("table", "column", ROW).drop_nulls().sort(ROW).collect()
    found = []
    for table, column, row in named.iter_rows():
        if table not in INPUTS:
            near = nearest(table, INPUTS)
            expected = f"an input table{f' (did you mean {near}?)' if near else ''}"
            found.append(violation("sources", "unknown table", expected, row=row, column="table", value=table))
        elif column not in INPUTS[table].columns:
            near = nearest(column, INPUTS[table].columns)
            expected = f"a column of {table}{f' (did you mean {near}?)' if near else ''}"
            found.append(violation("sources", "unknown column", expected, row=row, column="column", value=column))
    return found


_COMPUTERS = (*SERVER_TABLES, "cloud_instances")
_SOFTWARE = (*_COMPUTERS, *SERVICE_TABLES)
RULES: list[tuple[tuple[str, ...], Callable[[Tables], Found]]] = [
    (("countries",), _timezones),
    *(((patterns, START_TABLES[patterns]), _local_hours(patterns)) for patterns in PATTERN_TABLES),
    (("cloud_servers", "cloud_instances"), _instance_types),
    ((*_SOFTWARE, "jobs"), _compute_units),
    (_SOFTWARE, _capacity),
    (SERVER_TABLES, _storages),
    (("server_need_volumes",), _weeks),
    (("usage_journey_steps", "usage_steps"), _journeys),
    *(((table, "carbon_intensity"), _intensities(table)) for table in (*SERVER_TABLES, "countries")),
    ((*_SOFTWARE, *JOB_TABLES, "job_runs"), _applications),
    (("sources",), _sources),
]
"""Rules over several tables, each with the tables that must be whole for it to be judged."""


def warnings(tables: Tables) -> list[str]:
    """What was assumed, for the run's report."""
    found = []
    for table, seconds in (("jobs", "request_duration"), ("video_streaming_jobs", "video_duration")):
        idle = tables[table].filter(pl.col(seconds) == 0).select("job_id").collect()["job_id"]
        if len(idle):
            found.append(f"{len(idle)} job(s) with {seconds} 0 take nothing of any server: {_some(idle)}")
    odd = tables.servers.filter(col.idle_power > col.power).select("server_id").collect()["server_id"]
    if len(odd):
        found.append(f"{len(odd)} server(s) have more idle power than power, so work lowers their energy: {_some(odd)}")
    return found


def _some(names: pl.Series) -> str:
    return ", ".join(printable(n) for n in names.sort().head(5)) + (" ..." if len(names) > 5 else "")
