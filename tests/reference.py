"""input tables -> output tables: the whole model of MODEL.md and ATTRIBUTION.md once more, as plain loops over dicts.

Written from the design pages alone and apart from the pipeline, so that comparing the two means something. Read it
top to bottom: inputs to the plain model, the need of every cell, then one function per output table. Slow on purpose.

A *series* is a dict of hour (aware UTC datetime) to value, zero outside its own hours. A *job* is named by the pair
(server_id, job_id), since an observed application can run on several servers. A *cell* of a job is a pair
(usage_pattern_id, container_id) (ATTRIBUTION.md); everything a job needs is kept per cell and summed from there.
"""

import math
import re
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

Row = dict[str, Any]
Rows = list[Row]
Series = dict[datetime, float]
JobKey = tuple[str, str]
CellKey = tuple[str | None, str | None]
Carbon = Callable[[datetime], float]
Prices = Callable[[datetime], tuple[float, float]]  # what one unit of compute and one of ram count for at an hour
K = TypeVar("K", bound=Hashable)

HOUR = timedelta(hours=1)
HOURS_PER_YEAR = 365.25 * 24
NO_CELL: CellKey = (None, None)


class ModelError(ValueError):
    """The tables break a rule of the model (MODEL.md 3, 4, 9)."""


# ---------------------------------------------------------------------------------------------------------- arithmetic
def value(row: Row, column: str, default: Any = None) -> Any:
    """The cell of a row, or the default of TABLES.md where the column is missing or null."""
    found = row.get(column)
    return default if found is None else found


def exact(number: float) -> Fraction:
    """The decimal number a person would read, as a fraction (MODEL.md 1: exact decimal before any floor or ceil)."""
    return Fraction(str(number))


def guarded(duration: Fraction) -> Fraction:
    """A duration in hours; within 1e-9 h of a whole number of hours it is that number (MODEL.md 1)."""
    whole = round(duration)
    return Fraction(whole) if whole >= 1 and abs(duration - whole) <= Fraction(1, 10**9) else duration


def ceil_guarded(number: float) -> int:
    """Whole instances for a raw number: rounding noise never buys one, any need takes at least one (MODEL.md 4)."""
    whole = math.floor(number)
    return whole if whole >= 1 and number - whole <= 1e-9 * whole else math.ceil(number)


def hour_of(instant: datetime) -> datetime:
    return instant.replace(minute=0, second=0, microsecond=0)


def utc(instant: datetime) -> datetime:
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def hours_between(first: datetime, last: datetime) -> list[datetime]:
    hours = [first]
    while hours[-1] < last:
        hours.append(hours[-1] + HOUR)
    return hours


def filled(series: Series) -> Series:
    """The series on every hour from its first to its last; hours missing in between are zeros (MODEL.md 2)."""
    return {h: series.get(h, 0.0) for h in hours_between(min(series), max(series))} if series else {}


def total(several: Iterable[Series]) -> Series:
    """Sum of series, on the union of their hours (MODEL.md, head)."""
    result: Series = {}
    for series in several:
        add_to(result, series)
    return dict(sorted(result.items()))


def scaled(series: Series, factor: float) -> Series:
    return {hour: number * factor for hour, number in series.items()}


def at(series: Series, hour: datetime) -> float:
    return series.get(hour, 0.0)


def add_to(series: Series, more: Series) -> None:
    for hour, number in more.items():
        series[hour] = series.get(hour, 0.0) + number


def rows_of(key: Row, hours: Iterable[datetime], **columns: Series) -> Iterator[Row]:
    """One row per hour: the key, the hour and each column's value, 0 where its series has none."""
    for hour in hours:
        yield key | {"hour": hour} | {name: at(series, hour) for name, series in columns.items()}


def box(series: Series, duration: Fraction) -> Series:
    """What started in the last `duration` hours, the oldest hour counted in part (MODEL.md 2)."""
    if not series or duration == 0:
        return {}
    first, values = min(series), list(filled(series).values())
    n = math.floor(duration)
    rest = duration - n
    result = {}
    for i in range(len(values) + (n if rest else n - 1)):
        whole_hours = values[max(0, i - n + 1) : i + 1]
        oldest = values[i - n] if 0 <= i - n < len(values) else 0.0
        result[first + i * HOUR] = math.fsum([*whole_hours, float(rest) * oldest])
    return result


def window(series: Series, hours: list[datetime], length: int) -> Series:
    """Running sum of the last `length` hours of a series, over the given hours (MODEL.md 9: R(h) - R(h - D))."""
    values = [at(series, h) for h in hours]
    return {h: math.fsum(values[max(0, i - length + 1) : i + 1]) for i, h in enumerate(hours)}


def with_shares(weights: dict[K, Series], hours: list[datetime]) -> Iterator[tuple[K, datetime, float, float, Any]]:
    """(sibling, hour, weight, weight_sum, share): the printed shares, which do not conserve (MODEL.md 6)."""
    sums = {h: math.fsum(at(w, h) for w in weights.values()) for h in hours}
    never = sum(sums.values()) == 0
    for sibling, weight in weights.items():
        for h in hours:
            share = None if never else at(weight, h) / sums[h] if sums[h] else 1.0
            yield sibling, h, at(weight, h), sums[h], share


# ----------------------------------------------------------------------------------------------- inputs: the plain model
@dataclass
class Cell:
    """One cell of a job, hour by hour: what it asks for and the weight by which the job is split among its cells."""

    occurrences: Series = field(default_factory=dict)
    in_flight: Series = field(default_factory=dict)
    weight: Series = field(default_factory=dict)
    compute: Series = field(default_factory=dict)
    ram: Series = field(default_factory=dict)
    transferred: Series = field(default_factory=dict)
    stored: Series = field(default_factory=dict)


@dataclass
class Stay:
    """One position of a step in a journey: hours before it and at its end, exact."""

    step_id: str
    times: Fraction
    before: Fraction
    after: Fraction


@dataclass
class Model:
    tables: dict[str, Rows]
    servers: dict[str, Row]
    services: dict[str, Row]
    jobs: dict[JobKey, Row]  # modelled jobs; observed applications have no row
    patterns: dict[str, Row]  # usage patterns and edge usage patterns
    journeys: dict[str, list[Stay]]
    starts: dict[str, Series] = field(default_factory=dict)
    in_parallel: dict[str, dict[str, Series]] = field(default_factory=dict)  # pattern -> (edge) journey -> series
    cells: dict[JobKey, dict[CellKey, Cell]] = field(default_factory=dict)
    hours: tuple[datetime, datetime] | None = None  # first and last of the greater model that this one is a part of

    def rows(self, name: str) -> Rows:
        return self.tables.get(name, [])

    def jobs_of(self, server_id: str) -> list[JobKey]:
        """The server's own jobs, its services' jobs, those that never run, and the applications seen on it."""
        return [key for key in {**self.jobs, **self.cells} if key[0] == server_id]

    def job_total(self, key: JobKey, quantity: str) -> Series:
        """A quantity of a job summed over all its cells, all patterns."""
        return total(getattr(cell, quantity) for cell in self.cells.get(key, {}).values())

    def carbon(self, row: Row) -> Carbon:
        """Carbon intensity [g/kWh] of a server or country: its zone's hourly values, else its average (MODEL.md 5)."""
        zone = row.get("zone")
        known = {utc(r["hour"]): r["carbon_intensity"] for r in self.rows("carbon_intensity") if r["zone"] == zone}
        if zone is None or not known:
            return lambda hour: float(row["average_carbon_intensity"])

        def of_hour(hour: datetime) -> float:
            if hour not in known:
                raise ModelError(f"carbon_intensity has no value for zone {zone} at {hour}")
            return float(known[hour])

        return of_hour

    def pattern_carbon(self, pattern_id: str) -> Carbon:
        country_id = self.patterns[pattern_id]["country_id"]
        return self.carbon(next(r for r in self.rows("countries") if r["country_id"] == country_id))

    def zone(self, pattern_id: str) -> ZoneInfo | None:
        """The zone of the pattern's clock: None for UTC."""
        pattern = self.patterns[pattern_id]
        if value(pattern, "clock", "utc") == "utc":
            return None
        timezones = {r["country_id"]: r["timezone"] for r in self.rows("countries")}
        return ZoneInfo(timezones[pattern["country_id"]])

    def storages(self) -> Iterator[tuple[Row, Row | None]]:
        """Every storage with the server it belongs to."""
        for storage in self.rows("storages"):
            owners = [s for s in self.servers.values() if s.get("storage_id") == storage["storage_id"]]
            if len(owners) > 1:
                raise ModelError(f"storage {storage['storage_id']} is named by {len(owners)} servers")
            yield storage, owners[0] if owners else None


def plain_servers(tables: dict[str, list[Row]]) -> dict[str, Row]:
    """servers, gpu_servers and cloud_servers as servers (MODEL.md 9, TABLES.md)."""
    servers = {r["server_id"]: dict(r) for r in tables.get("servers", [])}
    for r in tables.get("gpu_servers", []):
        gpus = r["compute"]
        servers[r["server_id"]] = {
            **r,
            "compute_unit": "gpu",
            "power": r["gpu_power"] * gpus,
            "idle_power": r["gpu_idle_power"] * gpus,
            "ram": r["ram_per_gpu"] * gpus,
            "carbon_footprint_fabrication": r["carbon_footprint_fabrication_without_gpu"]
            + r["carbon_footprint_fabrication_per_gpu"] * gpus,
        }
    instances = {(r["provider"], r["instance_type"]): r for r in tables.get("cloud_instances", [])}
    for r in tables.get("cloud_servers", []):
        hardware = instances[r["provider"], r["instance_type"]]
        servers[r["server_id"]] = {**hardware, **r, "idle_power": value(r, "idle_power", 0.0)}
        for column in ("power", "ram", "compute", "carbon_footprint_fabrication"):
            servers[r["server_id"]][column] = hardware[column]
    for server_id, server in servers.items():
        if value(server, "fixed_nb_of_instances") is not None and server["server_type"] != "on-premise":
            raise ModelError(f"server {server_id}: fixed_nb_of_instances needs server type on-premise")
    return servers


def plain_jobs(tables: dict[str, list[Row]], services: dict[str, Row]) -> dict[JobKey, Row]:
    """jobs and video_streaming_jobs as jobs, each with its server and, if it has one, its service (MODEL.md 9)."""
    rows = list(tables.get("jobs", []))
    for r in tables.get("video_streaming_jobs", []):
        service = services[r["service_id"]]
        size = re.search(r"\(\s*(\d+)\s*x\s*(\d+)\s*\)", r["resolution"])
        if size is None:
            raise ModelError(f"video_streaming_jobs {r['job_id']}: no (W x H) in resolution {r['resolution']!r}")
        pixels = int(size[1]) * int(size[2])
        bitrate = pixels * service["bits_per_pixel"] * r["refresh_rate"] / 8e6  # MB/s
        video = {
            "job_id": r["job_id"],
            "service_id": r["service_id"],
            "data_transferred": bitrate * r["video_duration"],
            "data_stored": r["data_stored"],
            "request_duration": r["video_duration"],
            "compute_needed": service["static_delivery_cpu_cost"] * bitrate / 1000,
            "ram_needed": service["ram_buffer_per_user"] / 1000,
        }
        rows.append(video)
    jobs = {}
    for r in rows:
        service_id = value(r, "service_id")
        server_id = r["server_id"] if service_id is None else services[service_id]["server_id"]
        jobs[server_id, r["job_id"]] = {**r, "server_id": server_id, "service_id": service_id}
    return jobs


def plain_journeys(tables: dict[str, list[Row]]) -> dict[str, list[Stay]]:
    """The stays of every usage journey in order, with the time before and after each (MODEL.md 1)."""
    time_spent = {r["usage_journey_step_id"]: exact(r["user_time_spent"]) / 3600 for r in tables.get("usage_steps", [])}
    journeys: dict[str, list[Stay]] = {}
    for r in sorted(tables.get("usage_journey_steps", []), key=lambda r: r["position"]):
        stays = journeys.setdefault(r["usage_journey_id"], [])
        times, before = exact(value(r, "times_per_journey", 1)), stays[-1].after if stays else Fraction(0)
        step_id = r["usage_journey_step_id"]
        stays.append(Stay(step_id, times, before, before + times * time_spent[step_id]))
    return journeys


def read(tables: dict[str, list[Row]]) -> Model:
    services = {r["service_id"]: r for r in tables.get("services", []) + tables.get("video_streaming_services", [])}
    patterns = tables.get("usage_patterns", []) + tables.get("edge_usage_patterns", [])
    return Model(
        tables=tables,
        servers=plain_servers(tables),
        services=services,
        jobs=plain_jobs(tables, services),
        patterns={r["usage_pattern_id"]: r for r in patterns},
        journeys=plain_journeys(tables),
    )


# ------------------------------------------------------------------------------------------- MODEL.md 1: starts and cells
def civil_starts(local: Series, zone: ZoneInfo) -> Series:
    """Wall-clock starts in UTC: to the next hour that exists, at its first occurrence, split in proportion."""
    starts: Series = defaultdict(float)
    for label, volume in local.items():
        wall = label
        while wall.replace(tzinfo=zone).astimezone(UTC).astimezone(zone).replace(tzinfo=None) != wall:
            wall += HOUR  # the clock jumps over this hour
        instant = wall.replace(tzinfo=zone).astimezone(UTC)
        hour, late = hour_of(instant), (instant - hour_of(instant)) / HOUR
        starts[hour] += volume * (1 - late)
        if late:
            starts[hour + HOUR] += volume * late
    return starts


def weekly_volume(week: dict[int, float], hour: datetime, zone: ZoneInfo | None) -> float:
    """The typical week's volume in a UTC hour, in proportion where it covers parts of two civil hours."""

    def volume(clock: datetime) -> float:
        return week.get(clock.weekday() * 24 + clock.hour, 0.0)

    if zone is None:
        return volume(hour)
    clock = hour.astimezone(zone)
    late = (clock - hour_of(clock)) / HOUR
    if late == 0:
        return volume(clock)
    next_civil_hour = (hour + (1 - late) * HOUR).astimezone(zone)
    return volume(clock) * (1 - late) + volume(next_civil_hour) * late


def set_starts(model: Model) -> None:
    """Every pattern's hourly starts (edge: deployments) in UTC, from its first to its last row."""
    for name in ("usage_pattern_starts", "edge_usage_pattern_starts"):
        for pattern_id in {r["usage_pattern_id"]: None for r in model.rows(name)}:
            rows = [r for r in model.rows(name) if r["usage_pattern_id"] == pattern_id]
            zone = model.zone(pattern_id)
            if zone is None:
                starts = total({utc(r["hour"]): float(r["starts"])} for r in rows)
            else:
                starts = civil_starts(total({r["hour"]: float(r["starts"])} for r in rows), zone)
            model.starts[pattern_id] = filled(starts)


def set_in_parallel(model: Model) -> None:
    """Journeys in parallel by pattern and journey; for edge patterns the fleet times times_per_deployment."""
    for link in model.rows("usage_pattern_journeys"):
        pattern_id, stays = link["usage_pattern_id"], model.journeys.get(link["usage_journey_id"], [])
        duration = guarded(stays[-1].after) if stays else Fraction(0)
        running = box(model.starts.get(pattern_id, {}), duration)
        parallel = model.in_parallel.setdefault(pattern_id, {})
        parallel[link["usage_journey_id"]] = scaled(running, value(link, "times_per_start", 1))
    for link in model.rows("edge_usage_pattern_journeys"):
        pattern_id = link["usage_pattern_id"]
        parallel = model.in_parallel.setdefault(pattern_id, {})
        parallel[link["edge_usage_journey_id"]] = scaled(
            fleet(model, pattern_id), value(link, "times_per_deployment", 1)
        )


def fleet(model: Model, pattern_id: str) -> Series:
    """Deployments in use: those started within the last usage_span (MODEL.md 1, edge)."""
    return box(model.starts.get(pattern_id, {}), guarded(exact(model.patterns[pattern_id]["usage_span"])))


def occurrences(model: Model) -> dict[tuple[str, str, str], Series]:
    """(job, usage pattern, container) -> when the job is triggered: journeys, edge needs and direct (MODEL.md 1)."""
    parts: dict[tuple[str, str, str], list[Series]] = defaultdict(list)
    for link in model.rows("usage_pattern_journeys"):
        pattern_id, starts = link["usage_pattern_id"], model.starts.get(link["usage_pattern_id"], {})
        for stay in model.journeys.get(link["usage_journey_id"], []):
            shift = math.floor(guarded(stay.before))
            shifted = {hour + shift * HOUR: number for hour, number in starts.items()}
            times = value(link, "times_per_start", 1) * float(stay.times)
            for r in model.rows("usage_step_jobs"):
                if r["usage_journey_step_id"] == stay.step_id:
                    series = scaled(shifted, times * value(r, "times_per_step", 1))
                    parts[r["job_id"], pattern_id, stay.step_id].append(series)
    for link in model.rows("edge_usage_pattern_journeys"):
        pattern_id = link["usage_pattern_id"]
        deployed = model.in_parallel[pattern_id][link["edge_usage_journey_id"]]
        for need in model.rows("edge_usage_journey_needs"):
            if need["edge_usage_journey_id"] == link["edge_usage_journey_id"]:
                series = edge_need_series(model, need, deployed, model.zone(pattern_id))
                for r in model.rows("server_need_jobs"):
                    if r["server_need_id"] == need["server_need_id"]:
                        key = (r["job_id"], pattern_id, need["server_need_id"])
                        parts[key].append(scaled(series, value(r, "times_per_occurrence", 1)))
    for r in model.rows("occurrences"):
        key = (r["job_id"], r["usage_pattern_id"], r["container_id"])
        parts[key].append({utc(r["hour"]): float(r["occurrences"])})
    return {key: series for key, several in parts.items() if (series := total(several))}


def edge_need_series(model: Model, need: Row, deployed: Series, zone: ZoneInfo | None) -> Series:
    """How often a recurrent server need comes up in a fleet, hour by hour."""
    volumes = [r for r in model.rows("server_need_volumes") if r["server_need_id"] == need["server_need_id"]]
    week = {r["hour_of_week"]: r["volume"] for r in volumes}
    times = value(need, "times_per_journey", 1)
    return {hour: weekly_volume(week, hour, zone) * number * times for hour, number in deployed.items()}


def set_modelled_cells(model: Model) -> None:
    """The hourly need of every cell of every modelled job (MODEL.md 2)."""
    server_of = {job_id: server_id for server_id, job_id in model.jobs}
    for (job_id, pattern_id, container_id), series in occurrences(model).items():
        key = (server_of[job_id], job_id)
        job = model.jobs[key]
        in_flight = box(series, guarded(exact(job["request_duration"]) / 3600))
        per_hour = 3600 / job["request_duration"] if in_flight else 0.0
        model.cells.setdefault(key, {})[pattern_id, container_id] = Cell(
            occurrences=series,
            in_flight=in_flight,
            weight=in_flight,
            compute=scaled(in_flight, job["compute_needed"]),
            ram=scaled(in_flight, job["ram_needed"]),
            transferred=scaled(in_flight, job["data_transferred"] * per_hour),
            stored=scaled(in_flight, job["data_stored"] * per_hour),
        )


# ------------------------------------------------------------------------------------------------ MODEL.md 8: observed runs
def observed(model: Model, horizon: datetime | None) -> Iterator[tuple[Row, datetime, Series]]:
    """(run, its start, the part of each hour it holds its server) of every run that has started.

    What has started and not ended is held until the horizon, by default the latest instant in the log.
    """
    runs, intervals = model.rows("job_runs"), model.rows("job_run_intervals")
    instants = [r.get(c) for r in [*runs, *intervals] for c in ("submitted_at", "started_at", "ended_at")]
    horizon = horizon or max((utc(instant) for instant in instants if instant is not None), default=None)
    for run in runs:
        held = [r for r in intervals if r["run_id"] == run["run_id"]] or [run]
        pieces = [
            (utc(r["started_at"]), utc(value(r, "ended_at", value(run, "ended_at", horizon))))
            for r in held
            if value(r, "started_at") is not None
        ]
        if not pieces:
            continue
        start = min(start for start, _ in pieces)
        hours = hours_between(hour_of(start), hour_of(max(end for _, end in pieces)))
        part = {h: math.fsum(overlap(*piece, h) for piece in pieces) for h in hours}
        yield run, start, {h: covered for h, covered in part.items() if covered > 0}


def overlap(start: datetime, end: datetime, hour: datetime) -> float:
    """The part of an hour that [start, end) covers."""
    return max(min(end, hour + HOUR) - max(start, hour), timedelta(0)) / HOUR


def set_observed_cells(model: Model, horizon: datetime | None) -> None:
    """The cells of observed applications: the application is the job, the project the pattern, the user the container.

    A run's data is spread over the hours it runs; it is split among cells by demand, since runs differ in size.
    """
    for run, start, part in observed(model, horizon):
        server = model.servers[run["server_id"]]
        compute = float(value(run, "gpus" if value(server, "compute_unit") == "gpu" else "cpu_cores", 0))
        ram, running_hours = float(value(run, "ram", 0)), math.fsum(part.values()) or 1.0
        cells = model.cells.setdefault((run["server_id"], run["application"]), {})
        cell = cells.setdefault((run.get("project"), run.get("user")), Cell())
        add_to(cell.occurrences, {hour_of(start): 1.0})
        add_to(cell.in_flight, part)
        add_to(cell.weight, scaled(part, compute / server["compute"] + ram / server["ram"]))
        add_to(cell.compute, scaled(part, compute))
        add_to(cell.ram, scaled(part, ram))
        add_to(cell.transferred, scaled(part, value(run, "data_transferred", 0.0) / running_hours))
        add_to(cell.stored, scaled(part, value(run, "data_stored", 0.0) / running_hours))


def need_run(model: Model, horizon: datetime | None) -> Rows:
    """One row per server, application, project, user and hour in which a run starts, runs or ends (MODEL.md 8)."""
    sums: dict[tuple[Any, ...], dict[str, Series]] = defaultdict(lambda: defaultdict(dict))
    for run, start, part in observed(model, horizon):
        columns = sums[run["server_id"], run["application"], run.get("project"), run.get("user")]
        submitted, ended = value(run, "submitted_at", start), value(run, "ended_at")
        add_to(columns["runs_started"], {hour_of(start): 1})
        add_to(columns["runs_ended"], {hour_of(utc(ended)): 1} if ended is not None else {})
        add_to(columns["runs_running"], dict.fromkeys(part, 1))
        add_to(columns["core_hours"], scaled(part, value(run, "cpu_cores", 0)))
        add_to(columns["gpu_hours"], scaled(part, value(run, "gpus", 0)))
        add_to(columns["ram_hours"], scaled(part, value(run, "ram", 0)))
        add_to(columns["wait_hours"], {hour_of(start): (start - utc(submitted)) / HOUR})
    rows: Rows = []
    for names, columns in sums.items():
        key = dict(zip(("server_id", "application", "project", "user"), names, strict=True))
        rows += rows_of(key, total(columns.values()), **columns)
    return rows


# ------------------------------------------------------------------------------------------------------------------ need.*
def need_occurrence(model: Model) -> Rows:
    """One row per cell of a job and hour in which it may be triggered."""
    rows: Rows = []
    for (server_id, job_id), cells in model.cells.items():
        for (pattern_id, container_id), cell in cells.items():
            key = {"job_id": job_id, "usage_pattern_id": pattern_id, "container_id": container_id}
            rows += rows_of(key | {"server_id": server_id}, cell.occurrences, occurrences=cell.occurrences)
    return rows


def need_usage_pattern(model: Model) -> Rows:
    """One row per pattern and hour with starts or journeys in parallel; for edge patterns deployments and fleet."""
    rows: Rows = []
    edge = {r["usage_pattern_id"] for r in model.rows("edge_usage_patterns")}
    for pattern_id in model.patterns:
        starts = model.starts.get(pattern_id, {})
        running = fleet(model, pattern_id) if pattern_id in edge else all_in_parallel(model, pattern_id)
        hours = total([starts, running])
        rows += rows_of({"usage_pattern_id": pattern_id}, hours, starts=starts, journeys_in_parallel=running)
    return rows


def all_in_parallel(model: Model, pattern_id: str) -> Series:
    return total(model.in_parallel.get(pattern_id, {}).values())


def need_job(model: Model) -> Rows:
    """One row per job, pattern and hour from its first occurrence to its last hour in flight (MODEL.md 2)."""
    rows: Rows = []
    for (server_id, job_id), cells in model.cells.items():
        for pattern_id in {pattern_id: None for pattern_id, _ in cells}:
            here = [cell for (p, _), cell in cells.items() if p == pattern_id]
            hours = filled(total([cell.occurrences for cell in here] + [cell.in_flight for cell in here]))
            rows += rows_of(
                {"job_id": job_id, "usage_pattern_id": pattern_id, "server_id": server_id},
                hours,
                occurrences=total(cell.occurrences for cell in here),
                avg_occurrences=total(cell.in_flight for cell in here),
                data_transferred=total(cell.transferred for cell in here),
                data_stored=total(cell.stored for cell in here),
                compute_need=total(cell.compute for cell in here),
                ram_need=total(cell.ram for cell in here),
            )
    return rows


def service_volume(model: Model, service_id: str) -> Series:
    """service_total_job_volumes: what is in flight of all jobs of a service (MODEL.md 6)."""
    return total(model.job_total(k, "in_flight") for k, job in model.jobs.items() if job["service_id"] == service_id)


def need_service(model: Model) -> Rows:
    """One row per service and hour in which a job of it has a series."""
    volumes = {service_id: service_volume(model, service_id) for service_id in model.services}
    return [r for i, volume in volumes.items() for r in rows_of({"service_id": i}, volume, job_volume=volume)]


def job_hours(model: Model, server_id: str) -> list[datetime]:
    """From the first to the last hour of any job series of a server; none without a series."""
    return list(filled(total(model.job_total(key, "in_flight") for key in model.jobs_of(server_id))))


def model_hours(model: Model, out: dict[str, Rows]) -> list[datetime]:
    """From the first to the last hour of any series (MODEL.md 4)."""
    if model.hours is not None:
        return hours_between(*model.hours)
    hours = {r["hour"] for name in ("need.usage_pattern", "need.occurrence", "need.job") for r in out[name]}
    return hours_between(min(hours), max(hours)) if hours else []


def need_server(model: Model, out: dict[str, Rows]) -> Rows:
    """One row per server and hour from its first to its last (MODEL.md 4)."""
    rows: Rows = []
    for server_id, server in model.servers.items():
        ram = total(model.job_total(key, "ram") for key in model.jobs_of(server_id))
        compute = total(model.job_total(key, "compute") for key in model.jobs_of(server_id))
        unused_but_there = model_hours(model, out) if value(server, "fixed_nb_of_instances") is not None else []
        hours = job_hours(model, server_id) or unused_but_there
        rows += rows_of({"server_id": server_id}, hours, ram_need=ram, compute_need=compute)
    return rows


def cumulative_need(model: Model, storage: Row, server_id: str, stored: Series) -> Series:
    """What is kept [TB_stored] of the data stored [MB_stored] per hour, over the server's hours (MODEL.md 9)."""
    kept_hours = math.ceil(guarded(exact(storage["data_storage_duration"])))
    rate = scaled(stored, storage["data_replication_factor"] / 1e6)
    return window(rate, job_hours(model, server_id), kept_hours)


def need_storage_job(model: Model) -> Rows:
    """One row per storage, job of its server and hour of the server."""
    rows: Rows = []
    for storage, server in model.storages():
        for key in model.jobs_of(server["server_id"]) if server else []:
            need = cumulative_need(model, storage, key[0], model.job_total(key, "stored"))
            names = {"storage_id": storage["storage_id"], "job_id": key[1]}
            rows += rows_of(names, need, cumulative_storage_need=need)
    return rows


def need_storage(model: Model, out: dict[str, Rows]) -> Rows:
    """One row per storage and hour of its server, where a job of the server has a series."""
    rows: Rows = []
    for storage, server in model.storages():
        hours = job_hours(model, server["server_id"]) if server else []
        full = dict.fromkeys(hours, value(storage, "base_storage_need", 0.0))
        for r in out["need.storage_job"]:
            if r["storage_id"] == storage["storage_id"]:
                full[r["hour"]] += r["cumulative_storage_need"]
        rows += rows_of({"storage_id": storage["storage_id"]}, full, full_cumulative_storage_need=full)
    return rows


# ------------------------------------------------------------------------------------------------------------- instances.*
def column(rows: Rows, id_column: str, identity: str, name: str) -> Series:
    """One column of an output table as the series of one id."""
    return {r["hour"]: r[name] for r in rows if r[id_column] == identity}


def instances_capacity(model: Model) -> Rows:
    """One row per server: what one instance has for jobs (MODEL.md 3)."""
    rows: Rows = []
    for server_id, server in model.servers.items():
        row = {"server_id": server_id}
        for resource in ("ram", "compute"):
            base = f"base_{resource}_consumption"
            installed = [s for s in model.services.values() if s["server_id"] == server_id]
            occupied = value(server, base, 0.0) + sum(value(service, base, 0.0) for service in installed)
            there = server[resource] * value(server, "utilization_rate", 1.0)
            if there - occupied <= 0:
                raise ModelError(f"server {server_id}: {resource} {there} is there, {occupied} is asked")
            row[f"occupied_{resource}_per_instance"] = occupied
            row[f"available_{resource}_per_instance"] = there - occupied
        rows.append(row)
    return rows


def instances_server(model: Model, out: dict[str, Rows]) -> Rows:
    """One row per server and hour: raw and whole instances (MODEL.md 4)."""
    rows: Rows = []
    for capacity in out["instances.capacity"]:
        server_id = capacity["server_id"]
        server = model.servers[server_id]
        raw: Series = {}
        for r in out["need.server"]:
            if r["server_id"] == server_id:
                by_ram = r["ram_need"] / capacity["available_ram_per_instance"]
                raw[r["hour"]] = max(by_ram, r["compute_need"] / capacity["available_compute_per_instance"])
        peak = ceil_guarded(max(raw.values(), default=0.0))
        fixed = value(server, "fixed_nb_of_instances")
        if fixed is not None and peak > fixed:
            hour = max(raw, key=lambda h: raw[h])
            raise ModelError(f"InsufficientCapacity: server {server_id} needs {raw[hour]} at {hour}, has {fixed}")
        for hour, number in raw.items():
            nb: float
            if server["server_type"] == "autoscaling":
                nb = ceil_guarded(number)
            elif server["server_type"] == "serverless":
                nb = number
            else:
                nb = peak if fixed is None else fixed
            row = {"server_id": server_id, "hour": hour}
            rows.append(row | {"raw_nb_of_instances": number, "nb_of_instances": float(nb)})
    return rows


def instances_storage(model: Model, out: dict[str, Rows]) -> Rows:
    """One row per storage and hour: raw and whole instances (MODEL.md 9)."""
    rows: Rows = []
    for storage, server in model.storages():
        storage_id, fixed = storage["storage_id"], value(storage, "fixed_nb_of_instances")
        need = column(out["need.storage"], "storage_id", storage_id, "full_cumulative_storage_need")
        unused_but_there = fixed is not None and not need
        if unused_but_there:
            need = dict.fromkeys(model_hours(model, out), 0.0)
        for hour, terabytes in need.items():
            raw = terabytes / storage["storage_capacity"]
            nb: float = ceil_guarded(raw)
            if server is not None and server["server_type"] == "serverless" and not unused_but_there:
                nb = raw
            elif fixed is not None:
                if nb > fixed:
                    raise ModelError(f"InsufficientCapacity: storage {storage_id} needs {raw} at {hour}, has {fixed}")
                nb = fixed
            row = {"storage_id": storage_id, "hour": hour}
            rows.append(row | {"raw_nb_of_instances": raw, "nb_of_instances": float(nb)})
    return rows


# ---------------------------------------------------------------------------------------------------------------- energy.*
def energy_server(model: Model, out: dict[str, Rows]) -> Rows:
    """One row per server and hour (MODEL.md 5)."""
    rows: Rows = []
    carbon = {server_id: model.carbon(server) for server_id, server in model.servers.items()}
    for r in out["instances.server"]:
        server = model.servers[r["server_id"]]
        pue, nb = value(server, "power_usage_effectiveness", 1.0), r["nb_of_instances"]
        idle = nb * server["idle_power"] / 1000 * pue
        load = r["raw_nb_of_instances"] * (server["power"] - server["idle_power"]) / 1000 * pue
        per_hour = server["carbon_footprint_fabrication"] / (server["lifespan"] * HOURS_PER_YEAR)
        row = {"server_id": r["server_id"], "hour": r["hour"]}
        energy = {"idle_energy": idle, "load_energy": load, "instances_energy": idle + load}
        footprint = (idle + load) * carbon[r["server_id"]](r["hour"]) / 1000
        rows.append(row | energy | {"energy_footprint": footprint, "instances_fabrication_footprint": per_hour * nb})
    return rows


def energy_storage(model: Model, out: dict[str, Rows]) -> Rows:
    """One row per storage and hour (MODEL.md 9)."""
    rows: Rows = []
    storages = {r["storage_id"]: r for r in model.rows("storages")}
    for r in out["instances.storage"]:
        storage = storages[r["storage_id"]]
        one = storage["carbon_footprint_fabrication_per_storage_capacity"] * storage["storage_capacity"]
        footprint = one * r["nb_of_instances"] / (storage["lifespan"] * HOURS_PER_YEAR)
        row = {"storage_id": r["storage_id"], "hour": r["hour"]}
        rows.append(row | {"instances_fabrication_footprint": footprint})
    return rows


def network_of(model: Model, pattern_id: str | None) -> Row | None:
    """The network of a pattern; observed projects and direct patterns without a row have none."""
    network_id = model.patterns.get(pattern_id or "", {}).get("network_id")
    return next((r for r in model.rows("networks") if r["network_id"] == network_id), None)


def energy_network(model: Model, out: dict[str, Rows]) -> Rows:
    """One row per network, job, pattern and hour of the job in the pattern (MODEL.md 9)."""
    rows: Rows = []
    for pattern_id in model.patterns:
        network = network_of(model, pattern_id)
        if network is None:
            continue
        carbon = model.pattern_carbon(pattern_id)
        sent: dict[tuple[str, datetime], float] = defaultdict(float)  # an observed application may be on two servers
        for r in out["need.job"]:
            if r["usage_pattern_id"] == pattern_id:
                sent[r["job_id"], r["hour"]] += r["data_transferred"]
        for (job_id, hour), megabytes in sent.items():
            energy = network["bandwidth_energy_intensity"] * megabytes / 1000
            key = {"network_id": network["network_id"], "job_id": job_id, "usage_pattern_id": pattern_id, "hour": hour}
            rows.append(key | {"energy": energy, "energy_footprint": energy * carbon(hour) / 1000})
    return rows


def device_rates(device: Row) -> tuple[float, float]:
    """(kWh, kg of fabrication) of one device in use for one hour (MODEL.md 9)."""
    hours_of_use = device["lifespan"] * HOURS_PER_YEAR * device["fraction_of_usage_time"] / 24
    return device["power"] / 1000, device["carbon_footprint_fabrication"] / hours_of_use


def energy_device(model: Model) -> Rows:
    """One row per device, pattern and hour with journeys in parallel (MODEL.md 9)."""
    rows: Rows = []
    devices = {r["device_id"]: r for r in model.rows("devices")}
    for link in model.rows("usage_pattern_devices"):
        power, fabrication = device_rates(devices[link["device_id"]])
        carbon = model.pattern_carbon(link["usage_pattern_id"])
        for hour, journeys in all_in_parallel(model, link["usage_pattern_id"]).items():
            in_use = journeys * value(link, "count", 1)
            key = {"device_id": link["device_id"], "usage_pattern_id": link["usage_pattern_id"], "hour": hour}
            footprint = {"energy": power * in_use, "energy_footprint": power * in_use * carbon(hour) / 1000}
            rows.append(key | footprint | {"instances_fabrication_footprint": fabrication * in_use})
    return rows


# ----------------------------------------------------------------------------------------------------------- repartition.*
def repartition_server(model: Model, out: dict[str, Rows]) -> Rows:
    """One row per server, job of it (never-running ones too) and hour of the server (MODEL.md 6)."""
    rows: Rows = []
    for server_id, server in model.servers.items():
        nb = column(out["instances.server"], "server_id", server_id, "nb_of_instances")
        weights = job_demand(model, server_id, nb, total_prices(server))
        for (_, job_id), hour, weight, weight_sum, share in with_shares(weights, list(nb)):
            key = {"server_id": server_id, "job_id": job_id, "hour": hour}
            rows.append(key | {"weight": weight, "weight_sum": weight_sum, "share": share})
    return rows


def total_prices(server: Row) -> Prices:
    """Both resources count, each against all that the server has (MODEL.md 6)."""
    return lambda hour: (1 / server["compute"], 1 / server["ram"])


def job_demand(model: Model, server_id: str, nb: Series, prices: Prices) -> dict[JobKey, Series]:
    """What each job asks of a server: its own compute and ram, and its part of its service's base consumption.

    `prices` weighs one unit of compute and one of ram at an hour.
    """
    demand: dict[JobKey, Series] = {}
    for key in model.jobs_of(server_id):
        compute, ram, in_flight = (model.job_total(key, quantity) for quantity in ("compute", "ram", "in_flight"))
        service_id = model.jobs.get(key, {}).get("service_id")
        service = {} if service_id is None else model.services[service_id]
        volume = {} if service_id is None else service_volume(model, service_id)
        demand[key] = {}
        for hour in nb:
            by_compute, by_ram = prices(hour)
            demand[key][hour] = at(compute, hour) * by_compute + at(ram, hour) * by_ram
            if at(volume, hour) > 0:
                base_compute = value(service, "base_compute_consumption", 0.0) * by_compute
                base_ram = value(service, "base_ram_consumption", 0.0) * by_ram
                part = at(in_flight, hour) / at(volume, hour)
                demand[key][hour] += (base_compute + base_ram) * nb[hour] * part
    return demand


def repartition_storage(model: Model, out: dict[str, Rows]) -> Rows:
    """One row per storage, job of its server and hour of the server (MODEL.md 9)."""
    rows: Rows = []
    for storage, server in model.storages():
        storage_id = storage["storage_id"]
        nb = column(out["instances.storage"], "storage_id", storage_id, "nb_of_instances")
        full = column(out["need.storage"], "storage_id", storage_id, "full_cumulative_storage_need")
        here = [r for r in out["need.storage_job"] if r["storage_id"] == storage_id]
        weights: dict[str, Series] = {}
        siblings = len(model.jobs_of(server["server_id"])) if server else 0
        for r in here:
            unused = nb[r["hour"]] * storage["storage_capacity"] - full[r["hour"]]
            # below 0 by as little as no instance is bought for
            shared = max(0.0, unused + value(storage, "base_storage_need", 0.0))
            weight = r["cumulative_storage_need"] + shared / siblings
            weights.setdefault(r["job_id"], {})[r["hour"]] = weight
        for job_id, hour, weight, weight_sum, share in with_shares(weights, list(full)):
            key = {"storage_id": storage_id, "job_id": job_id, "hour": hour}
            rows.append(key | {"weight": weight, "weight_sum": weight_sum, "share": share})
    return rows


def journey_weights(model: Model) -> dict[str, tuple[Series, Series]]:
    """(fabrication, usage) weight of every journey and edge journey, summed over its patterns (MODEL.md 6)."""
    fabrication: dict[str, list[Series]] = defaultdict(list)
    usage: dict[str, list[Series]] = defaultdict(list)
    for pattern_id, parallel in model.in_parallel.items():
        carbon = model.pattern_carbon(pattern_id)
        for journey_id, series in parallel.items():
            fabrication[journey_id].append(series)
            usage[journey_id].append({hour: number * carbon(hour) for hour, number in series.items()})
    return {journey_id: (total(fabrication[journey_id]), total(usage[journey_id])) for journey_id in fabrication}


def container_weights(model: Model) -> dict[JobKey, dict[str | None, tuple[Series, Series]]]:
    """(fabrication, usage) weight of every container of every job (MODEL.md 6)."""
    parts: dict[JobKey, dict[str | None, list[tuple[Series, Series]]]] = defaultdict(lambda: defaultdict(list))
    server_of = {job_id: server_id for server_id, job_id in model.jobs}

    def add(job_id: str, container_id: str, weights: tuple[Series, Series], times: float) -> None:
        pair = (scaled(weights[0], times), scaled(weights[1], times))
        parts[server_of[job_id], job_id][container_id].append(pair)

    for journey_id, weights in journey_weights(model).items():
        for stay in model.journeys.get(journey_id, []):
            for r in model.rows("usage_step_jobs"):
                if r["usage_journey_step_id"] == stay.step_id:
                    add(r["job_id"], stay.step_id, weights, float(stay.times) * value(r, "times_per_step", 1))
        for need in model.rows("edge_usage_journey_needs"):
            for r in model.rows("server_need_jobs"):
                if need["edge_usage_journey_id"] == journey_id and r["server_need_id"] == need["server_need_id"]:
                    times = value(need, "times_per_journey", 1) * value(r, "times_per_occurrence", 1)
                    add(r["job_id"], need["server_need_id"], weights, times)
    direct = {(r["job_id"], r["container_id"]) for r in model.rows("occurrences")}
    for key, cells in model.cells.items():
        for container_id in {c: None for _, c in cells if key not in model.jobs or (key[1], c) in direct}:
            given = [r for r in model.rows("container_weights") if r["container_id"] == container_id]
            if given and key in model.jobs:
                fabrication = total({utc(r["hour"]): value(r, "fabrication_weight", 0.0)} for r in given)
                usage = total({utc(r["hour"]): value(r, "usage_weight", 0.0)} for r in given)
            else:
                fabrication = usage = total(cell.weight for (_, c), cell in cells.items() if c == container_id)
            parts[key][container_id] = [(fabrication, usage)]
    return {
        key: {c: (total(f for f, _ in several), total(u for _, u in several)) for c, several in containers.items()}
        for key, containers in parts.items()
    }


def repartition_job(model: Model) -> Rows:
    """One row per job, container and hour of the union of its containers' weights (MODEL.md 6)."""
    rows: Rows = []
    for (server_id, job_id), containers in container_weights(model).items():
        hours = sorted({hour for pair in containers.values() for series in pair for hour in series})
        fabrication = with_shares({c: pair[0] for c, pair in containers.items()}, hours)
        usage = with_shares({c: pair[1] for c, pair in containers.items()}, hours)
        for (container_id, hour, *fabricated), (_, _, *used) in zip(fabrication, usage, strict=True):
            key = {"job_id": job_id, "container_id": container_id, "hour": hour, "server_id": server_id}
            names = ("weight", "weight_sum", "share")
            key |= {f"fabrication_{name}": number for name, number in zip(names, fabricated, strict=True)}
            rows.append(key | {f"usage_{name}": number for name, number in zip(names, used, strict=True)})
    return rows


# ----------------------------------------------------------------- ATTRIBUTION.md: repartition.footprint, conserving
def footprint_row(
    source: tuple[str, str, str, str], job_id: str | None, cell: CellKey, hour: datetime, kg: float
) -> Row:
    source_kind, source_id, phase, stream = source
    pattern_id, container_id = cell
    row = {"source_kind": source_kind, "source_id": source_id, "phase": phase, "stream": stream, "job_id": job_id}
    return row | {"container_id": container_id, "usage_pattern_id": pattern_id, "hour": hour, "footprint": kg}


def hourly_shares(model: Model, key: JobKey, hour: datetime) -> dict[CellKey, float]:
    """The cells' shares of a job in an hour; all 0 where it does not run."""
    weights = {c: at(cell.weight, hour) for c, cell in model.cells.get(key, {}).items()}
    everyone = sum(weights.values())
    return {c: weight / everyone if everyone else 0.0 for c, weight in weights.items()}


def flat_shares(model: Model, key: JobKey) -> dict[CellKey, float]:
    """The cells' shares of a job over the whole period; equal when it never runs, one nameless cell when it has none."""
    sums = {c: math.fsum(cell.weight.values()) for c, cell in model.cells.get(key, {}).items()} or {NO_CELL: 0.0}
    everyone = math.fsum(sums.values())
    return {c: number / everyone if everyone else 1 / len(sums) for c, number in sums.items()}


def period_shares(demand: dict[JobKey, Series], hours: Iterable[datetime]) -> dict[JobKey, float] | None:
    """The jobs' shares of the demand summed over some hours; None without demand in them."""
    chosen = list(hours)
    sums = {key: math.fsum(at(series, h) for h in chosen) for key, series in demand.items()}
    everyone = math.fsum(sums.values())
    return {key: number / everyone for key, number in sums.items()} if everyone else None


def peak_shares(demand: dict[JobKey, Series], raw: Series, nb: float) -> dict[JobKey, float] | None:
    """Who caused the peak pays: the mean over the instances of the shares in the hours that need that instance."""
    whole = period_shares(demand, raw)
    tiers = round(nb)
    if whole is None or tiers == 0:
        return whole
    needed = {hour: ceil_guarded(number) for hour, number in raw.items()}
    shares, below = dict.fromkeys(demand, 0.0), 0
    for level in sorted({min(k, tiers) for k in needed.values() if k > 0}):  # tiers below+1 .. level share their hours
        tier = period_shares(demand, [h for h, k in needed.items() if k >= level]) or whole
        shares = {key: shares[key] + tier[key] * (level - below) / tiers for key in shares}
        below = level
    return {key: shares[key] + whole[key] * (tiers - below) / tiers for key in shares}


def binding_prices(out: dict[str, Rows], server_id: str) -> Prices:
    """At each hour only the resource counts that decides raw_nb_of_instances; compute on ties."""
    capacity = next(r for r in out["instances.capacity"] if r["server_id"] == server_id)
    compute, ram = capacity["available_compute_per_instance"], capacity["available_ram_per_instance"]
    compute_need = column(out["need.server"], "server_id", server_id, "compute_need")
    ram_need = column(out["need.server"], "server_id", server_id, "ram_need")
    return lambda h: (1 / compute, 0.0) if compute_need[h] / compute >= ram_need[h] / ram else (0.0, 1 / ram)


def footprint_of_servers(model: Model, out: dict[str, Rows], attribution_key: str) -> Iterator[Row]:
    """Server footprints to cells (ATTRIBUTION.md, Servers and Unallocated)."""
    for server_id, server in model.servers.items():
        energy = [r for r in out["energy.server"] if r["server_id"] == server_id]
        nb = column(out["instances.server"], "server_id", server_id, "nb_of_instances")
        raw = column(out["instances.server"], "server_id", server_id, "raw_nb_of_instances")
        carbon, jobs = model.carbon(server), model.jobs_of(server_id)
        if not job_hours(model, server_id):
            for (phase, _), series in server_streams(energy, carbon).items():
                for hour, kg in series.items():
                    yield footprint_row(("server", server_id, phase, "unallocated"), None, NO_CELL, hour, kg)
            continue
        if attribution_key == "binding":
            demand = job_demand(model, server_id, nb, binding_prices(out, server_id))
            constant = peak_shares(demand, raw, max(nb.values()))
        else:
            demand = job_demand(model, server_id, nb, total_prices(server))
            constant = period_shares(demand, raw)
        constant = constant or {key: 1 / len(jobs) for key in jobs}
        everyone = total(demand.values())
        for (phase, stream), series in server_streams(energy, carbon).items():
            source = ("server", server_id, phase, stream)
            for key in jobs:
                flat = flat_shares(model, key)
                for hour, kg in series.items():
                    if server["server_type"] == "on-premise" and stream != "load":
                        job_share, cell_shares = constant[key], flat
                    else:
                        job_share = demand[key][hour] / everyone[hour] if everyone[hour] else 0.0
                        cell_shares = hourly_shares(model, key, hour)
                    for cell, cell_share in cell_shares.items():
                        yield footprint_row(source, key[1], cell, hour, kg * job_share * cell_share)


def server_streams(energy: Rows, carbon: Carbon) -> dict[tuple[str, str], Series]:
    """A server's footprint by (phase, stream)."""
    return {
        ("manufacturing", "provisioned"): {r["hour"]: r["instances_fabrication_footprint"] for r in energy},
        ("usage", "idle"): {r["hour"]: r["idle_energy"] * carbon(r["hour"]) / 1000 for r in energy},
        ("usage", "load"): {r["hour"]: r["load_energy"] * carbon(r["hour"]) / 1000 for r in energy},
    }


def footprint_of_storages(model: Model, out: dict[str, Rows]) -> Iterator[Row]:
    """Storage footprints to cells: what is held, and the rest (ATTRIBUTION.md, Storage and Unallocated)."""
    for storage, server in model.storages():
        storage_id = storage["storage_id"]
        footprint = column(out["energy.storage"], "storage_id", storage_id, "instances_fabrication_footprint")
        nb = column(out["instances.storage"], "storage_id", storage_id, "nb_of_instances")
        if server is None or not job_hours(model, server["server_id"]):
            for hour, kg in footprint.items():
                source = ("storage", storage_id, "manufacturing", "unallocated")
                yield footprint_row(source, None, NO_CELL, hour, kg)
            continue
        jobs = model.jobs_of(server["server_id"])
        running = {key: model.job_total(key, "weight") for key in jobs}
        constant = period_shares(running, footprint) or {key: 1 / len(jobs) for key in jobs}
        held: dict[tuple[JobKey, CellKey], Series] = {}
        for key in jobs:
            for name, cell in model.cells.get(key, {}).items():
                held[key, name] = cumulative_need(model, storage, server["server_id"], cell.stored)
        flat = {key: flat_shares(model, key) for key in jobs}
        for hour, kg in footprint.items():
            provisioned = nb[hour] * storage["storage_capacity"]
            if provisioned == 0:
                continue
            for (key, name), series in held.items():
                source = ("storage", storage_id, "manufacturing", "retention")
                yield footprint_row(source, key[1], name, hour, kg * series[hour] / provisioned)
            kept = math.fsum(series[hour] for series in held.values())
            rest = kg * max(0.0, provisioned - kept) / provisioned
            for key in jobs:
                for name, share in flat[key].items():
                    source = ("storage", storage_id, "manufacturing", "baseline")
                    yield footprint_row(source, key[1], name, hour, rest * constant[key] * share)


def footprint_of_networks(model: Model) -> Iterator[Row]:
    """Network footprints to the cells that send (ATTRIBUTION.md, Network)."""
    for (_, job_id), cells in model.cells.items():
        for name, cell in cells.items():
            network = network_of(model, name[0])
            if network is None or name[0] is None:
                continue
            carbon = model.pattern_carbon(name[0])
            for hour, megabytes in cell.transferred.items():
                kg = network["bandwidth_energy_intensity"] * megabytes / 1000 * carbon(hour) / 1000
                yield footprint_row(("network", network["network_id"], "usage", "transfer"), job_id, name, hour, kg)


def footprint_of_devices(model: Model) -> Iterator[Row]:
    """Device footprints to the steps during which they are used (ATTRIBUTION.md, devices)."""
    devices = {r["device_id"]: r for r in model.rows("devices")}
    for link in model.rows("usage_pattern_devices"):
        device_id, pattern_id = link["device_id"], link["usage_pattern_id"]
        power, fabrication = device_rates(devices[device_id])
        carbon = model.pattern_carbon(pattern_id)
        for step_id, occupancy in step_occupancy(model, pattern_id).items():
            for hour, journeys in occupancy.items():
                in_use, cell = journeys * value(link, "count", 1), (pattern_id, step_id)
                kg = power * in_use * carbon(hour) / 1000
                yield footprint_row(("device", device_id, "usage", "use"), None, cell, hour, kg)
                source = ("device", device_id, "manufacturing", "provisioned")
                yield footprint_row(source, None, cell, hour, fabrication * in_use)


def step_occupancy(model: Model, pattern_id: str) -> dict[str, Series]:
    """How many of a pattern's journeys are in each step, hour by hour."""
    parts: dict[str, list[Series]] = defaultdict(list)
    starts = model.starts.get(pattern_id, {})
    for link in model.rows("usage_pattern_journeys"):
        if link["usage_pattern_id"] == pattern_id:
            for stay in model.journeys.get(link["usage_journey_id"], []):
                begun, done = box(starts, guarded(stay.after)), box(starts, guarded(stay.before))
                within = {hour: max(0.0, number - at(done, hour)) for hour, number in begun.items()}
                parts[stay.step_id].append(scaled(within, value(link, "times_per_start", 1)))
    return {step_id: total(several) for step_id, several in parts.items()}


def repartition_footprint(model: Model, out: dict[str, Rows], attribution_key: str) -> Rows:
    """One row per source, phase, stream, cell of a job and hour (ATTRIBUTION.md); rows of 0 are left out."""
    sources = [
        footprint_of_servers(model, out, attribution_key),
        footprint_of_storages(model, out),
        footprint_of_networks(model),
        footprint_of_devices(model),
    ]
    return [row for rows in sources for row in rows if row["footprint"] != 0]


# ------------------------------------------------------------------------------------------------------------ all tables
def compute(
    tables: dict[str, list[dict[str, Any]]],
    *,
    attribution_key: str = "weight",
    horizon: datetime | None = None,
    hours: tuple[datetime, datetime] | None = None,
) -> dict[str, list[dict[str, Any]]]:
    """Every output table of TABLES.md from the input tables: rows in canonical units, hours in UTC."""
    model, out = read(tables), dict[str, Rows]()
    model.hours = hours
    horizon = horizon and utc(horizon)
    set_starts(model)
    set_in_parallel(model)
    set_modelled_cells(model)
    set_observed_cells(model, horizon)
    out["need.run"] = need_run(model, horizon)
    out["need.occurrence"] = need_occurrence(model)
    out["need.usage_pattern"] = need_usage_pattern(model)
    out["need.job"] = need_job(model)
    out["need.service"] = need_service(model)
    out["need.server"] = need_server(model, out)
    out["need.storage_job"] = need_storage_job(model)
    out["need.storage"] = need_storage(model, out)
    out["instances.capacity"] = instances_capacity(model)
    out["instances.server"] = instances_server(model, out)
    out["instances.storage"] = instances_storage(model, out)
    out["energy.server"] = energy_server(model, out)
    out["energy.storage"] = energy_storage(model, out)
    out["energy.network"] = energy_network(model, out)
    out["energy.device"] = energy_device(model)
    out["repartition.server"] = repartition_server(model, out)
    out["repartition.storage"] = repartition_storage(model, out)
    out["repartition.job"] = repartition_job(model)
    out["repartition.footprint"] = repartition_footprint(model, out, attribution_key)
    return out
