"""An e-footprint system file to the input tables of a model: ids kept, units checked, origins carried along.

What the pipeline has no table for yet is left out and named in a warning, with everything that depends on it. Hourly
series are written in UTC by e-footprint's own rule, so that its users find their numbers again; with `civil_time` they
are written on the local clock, and the pipeline converts them.
"""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from pipeline.errors import InputError
from pipeline.importers import efootprint_file as ef
from pipeline.importers.base import Frame, ImportReport, write_table
from pipeline.importers.efootprint_file import EfootprintFile, Entry, HourlySeries, Item, listed, quoted
from pipeline.tables import INPUTS, Column, Table

SERVERS = {"Server": "servers", "GPUServer": "gpu_servers", "BoaviztaCloudServer": "cloud_servers"}
SERVICES = {"VideoStreaming": "video_streaming_services"}
JOBS = {"Job": "jobs", "GPUJob": "jobs", "VideoStreamingJob": "video_streaming_jobs"}
PLAIN = {"Storage": "storages", "Country": "countries", "Network": "networks", "Device": "devices"}
"""Classes whose objects refer to no other object."""
JOURNEYS = ("System", "UsagePattern", "UsageJourney", "UsageJourneyStep")
EDGE = ("EdgeUsagePattern", "EdgeUsageJourney", "EdgeFunction", "RecurrentServerNeed")
IMPORTED = (*PLAIN, *SERVERS, *SERVICES, *JOBS, *JOURNEYS, *EDGE)

NOT_USED = {
    "Server": {"fraction_of_usage_time"},
    "GPUServer": {"fraction_of_usage_time"},
    "BoaviztaCloudServer": {"fraction_of_usage_time"},
    "Storage": {"fraction_of_usage_time", "power"},
    "Country": {"short_name"},
    "RecurrentServerNeed": {"edge_device"},
    "EdgeFunction": {"recurrent_edge_device_needs"},
}
"""Inputs that change nothing in the model (edge hardware is named where its own class is left out)."""

NOT_IN_FILE = {"zone", "compute_unit"}
"""Columns of ours that e-footprint has no attribute for."""

SAME_IDS = (
    tuple(SERVERS),
    tuple(JOBS),
    ("UsagePattern", "EdgeUsagePattern"),
    ("UsageJourneyStep", "RecurrentServerNeed"),
)
"""Classes whose objects share one column of ids, so that an id names one of them only."""

LONG_TABLES = {"usage_pattern_starts", "edge_usage_pattern_starts"}
OF_CLASSES = dict.fromkeys([*PLAIN.values(), *SERVERS.values(), *SERVICES.values(), *JOBS.values()])
OF_JOURNEYS = ("usage_steps", "usage_step_jobs", "usage_journey_steps")
OF_PATTERNS = ("usage_patterns", "usage_pattern_journeys", "usage_pattern_devices", "usage_pattern_starts")
OF_EDGE_PATTERNS = ("edge_usage_patterns", "edge_usage_pattern_journeys", "edge_usage_pattern_starts")
OF_NEEDS = ("edge_usage_journey_needs", "server_need_volumes", "server_need_jobs")
WRITTEN = (*OF_CLASSES, *OF_JOURNEYS, *OF_PATTERNS, *OF_EDGE_PATTERNS, *OF_NEEDS, "sources")
"""Every table this importer may write."""

RECORD = ".efootprint.json"
"""Beside the tables: what the last import wrote, so that the next one replaces that, and nothing edited since."""

MOST_PROBLEMS = 50

Row = dict[str, object]
Rotation = int | None
"""Hours a weekly volume is rotated by to be read in UTC; none where it is read on the local clock."""


def import_efootprint(source: Path, model: Path, *, civil_time: bool = False, overwrite: bool = False) -> ImportReport:
    """Write the tables of one system file into a model folder; InputError, a line per problem, and nothing written."""
    found = find_tables(model)
    file = ef.read_file(source, IMPORTED)
    system = System(file, civil_time)
    system.check_ids()
    refuse_broken(file)
    system.build()
    refuse_broken(file)
    foreign = refuse_edited(model, found, overwrite)
    report = ImportReport(rows_in=sum(map(len, file.kinds.values())) + sum(map(len, file.strangers.values())))
    report.excluded = Counter({kind: len(ids) for kind, ids in file.strangers.items()}) + system.excluded
    report.warnings = [*system.left_out_classes(), *system.warnings, *system.about_the_file(), *foreign]
    report.tables = write(model, found, system.tables())
    return report


# ---------------------------------------------------------------- the system


@dataclass
class System:
    """The tables of one system file, as they are put together."""

    file: EfootprintFile
    civil_time: bool
    rows: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))
    starts: dict[str, list[pl.LazyFrame]] = field(default_factory=lambda: defaultdict(list))
    origins: dict[tuple[str, str, str], Row] = field(default_factory=dict)
    gone: dict[tuple[str, str], str] = field(default_factory=dict)
    """Why an object of an imported class is left out, by class and id."""
    compute_units: dict[str, str] = field(default_factory=dict)
    """What the compute of a server is counted in."""
    warnings: dict[str, None] = field(default_factory=dict)
    """What a user should know, each said once."""
    strangers: dict[str, str] = field(default_factory=dict)
    """The class of every object whose class is not imported, by id."""

    def build(self) -> None:
        """Fill the tables; problems are noted in the file."""
        self.strangers = {i: kind for kind, ids in self.file.strangers.items() for i in ids}
        for kind, table in PLAIN.items():
            for item in self.kept(kind):
                self.add(table, self.row(INPUTS[table], item, {}))
        for item in self.kept(*SERVERS):
            self.add_server(item)
        for item in self.kept(*SERVICES):
            self.add_service(item)
        for item in self.kept(*JOBS):
            self.add_job(item)
        for item in self.kept("UsageJourneyStep"):
            self.add_step(item)
        for item in self.kept("UsageJourney"):
            self.add_journey(item)
        for item in self.counting("UsagePattern", "usage_patterns"):
            self.add_pattern(item)
        edge_patterns = self.counting("EdgeUsagePattern", "edge_usage_patterns")
        self.add_edge([found for item in edge_patterns if (found := self.edge_pattern(item))])

    # ------------------------------------------------------------ finding objects

    def kept(self, *kinds: str) -> list[Item]:
        """The objects of these classes that are not left out."""
        return [item for kind in kinds for item in self.file.items(kind).values() if (kind, item.id) not in self.gone]

    @property
    def excluded(self) -> Counter[str]:
        """Objects left out, by class, though the class is imported."""
        return Counter(kind for kind, _ in self.gone)

    def check_ids(self) -> None:
        """Note ids that two objects of one column share."""
        for kinds in SAME_IDS:
            seen: dict[str, str] = {}
            for item in self.kept(*kinds):
                if item.id in seen:
                    self.file.problems.append(f"{item}: a {seen[item.id]} has the same id")
                seen[item.id] = item.kind

    def leave_out(self, item: Item, why: str) -> None:
        """Leave an object out, with a warning."""
        self.gone[item.kind, item.id] = why
        self.warn(f"{item} is left out: {why}")

    def find(self, item: Item, attribute: str, wanted: str, kinds: Iterable[str]) -> Item | str | None:
        """The object of one of these classes with the id `wanted`; a text where it is left out; none where wrong."""
        for kind in kinds:
            if wanted in self.file.items(kind):
                gone = self.gone.get((kind, wanted))
                return f"{kind} {quoted(wanted)} is left out" if gone else self.file.items(kind)[wanted]
        if wanted in self.strangers:
            return f"{self.strangers[wanted]} {quoted(wanted)} is left out"
        other = next((kind for kind in IMPORTED if wanted in self.file.items(kind)), None)
        expected = " or ".join(kinds)
        self.file.problem(
            item, attribute, f"no {expected} has the id {quoted(wanted)}" + (f" (it is a {other})" if other else "")
        )
        return None

    def reference(self, item: Item, attribute: str, kinds: Iterable[str]) -> Item | str | None:
        """The object that an attribute refers to, as `find` gives it; an empty reference is wrong."""
        before = len(self.file.problems)
        wanted = self.file.parsed(item, attribute, ef.one_id)
        if wanted is None:
            if len(self.file.problems) == before and self.file.spelled(item, attribute) in item.values:
                self.file.problem(item, attribute, "no id is given")
            return None
        return self.find(item, attribute, wanted, kinds)

    def members(
        self, item: Item, attribute: str, kinds: tuple[str, ...], *, required: bool = True
    ) -> list[tuple[Item, Entry]]:
        """The objects that a list refers to, in its order; those left out are warned of and skipped."""
        found = []
        for entry in self.file.entries(item, attribute, required=required):
            other = self.find(item, attribute, entry.id, kinds)
            if isinstance(other, Item):
                found.append((other, entry))
            elif other is not None:
                self.warn(f"{item} goes without one of its {self.file.spelled(item, attribute)}: {other}")
        return found

    def warn(self, message: str) -> None:
        """Warn once."""
        self.warnings[message] = None

    # ------------------------------------------------------------ rows

    def add(self, table: str, row: Row) -> None:
        """Add a row to a table."""
        self.rows[table].append(row)

    def row(self, table: Table, item: Item, given: Row, compute: str | None = None) -> Row:
        """The row of an object: what is `given`, and every other column from the attribute of its name."""
        row: Row = {table.key[0]: item.id, "name": self.file.name_of(item), **given}
        for column in table.columns.values():
            if column.name not in row and column.name not in NOT_IN_FILE:
                row[column.name] = self.cell(item, column, compute)
                self.note_origin(item, column.name, table.name, item.id, column.name)
        return row

    def cell(self, item: Item, column: Column, compute: str | None) -> object:
        """The value of one column, in its canonical unit."""
        value = self.file.parsed(item, column.name, lambda raw: _cell(raw, column, compute), required=column.required)
        if value is None and column.required and self.file.spelled(item, column.name) in item.values:
            name = self.file.spelled(item, column.name)
            self.warn(f"{item} has no value for {name}: fill in {column.table}.{column.name} before a run")
        return value

    def note_origin(self, item: Item, attribute: str, table: str, row_id: str, column: str, raw: object = None) -> None:
        """Carry the origin of an attribute (or of `raw`, a weight of it) into the table `sources`."""
        try:
            origin = self.file.origin(item, attribute) if raw is None else ef.origin(raw, self.file.sources)
        except ef.Broken as broken:
            self.file.problem(item, attribute, broken)
            return
        if origin is None:
            return
        confidence = origin.confidence.strip().lower() if isinstance(origin.confidence, str) else None
        allowed = INPUTS["sources"].columns["confidence"].values
        if origin.confidence is not None and confidence not in allowed:
            told = quoted(origin.confidence)
            self.warn(f"{item}: {attribute}: its confidence {told} is none of {', '.join(allowed)}, and left out")
            confidence = None
        self.origins[table, row_id, column] = {
            "source": origin.source,
            "link": origin.link,
            "confidence": confidence,
            "comment": origin.comment,
        }

    def weighted(self, item: Item, attribute: str, members: list[tuple[Item, Entry]], table: str, owner: str) -> None:
        """Rows (owner, member, weight): members listed more than once add up."""
        owner_column, member_column, *others = INPUTS[table].columns
        total: dict[str, float] = defaultdict(float)
        for member, entry in members:
            total[member.id] += entry.weight
            if entry.raw is not None:
                self.note_origin(item, attribute, table, f"{owner}/{member.id}", others[0], entry.raw)
        for member_id, weight in total.items():
            self.add(table, {owner_column: owner, member_column: member_id, others[0]: weight})

    # ------------------------------------------------------------ servers, services, jobs

    def add_server(self, item: Item) -> None:
        """A server; cloud servers ask for the user's reference data."""
        table = INPUTS[SERVERS[item.kind]]
        compute = self.file.parsed(item, "compute", ef.compute_unit) if item.kind == "Server" else None
        self.compute_units[item.id] = compute or ("gpu" if item.kind == "GPUServer" else "cpu_core")
        given: Row = {"storage_id": None}
        if self.file.parsed(item, "storage", ef.one_id, required=False):
            storage = self.reference(item, "storage", ["Storage"])
            given["storage_id"] = storage.id if isinstance(storage, Item) else None
        if "compute_unit" in table.columns:
            given["compute_unit"] = self.compute_units[item.id]
        row = self.row(table, item, given, self.compute_units[item.id])
        if item.kind == "BoaviztaCloudServer":
            needed = [n for n in INPUTS["cloud_instances"].columns if n not in INPUTS["cloud_instances"].key]
            kind = f"provider {quoted(row['provider'])}, instance_type {quoted(row['instance_type'])}"
            self.warn(f"{item} needs a row in cloud_instances: {kind} with {', '.join(needed)}")
        self.add(table.name, row)

    def host(self, item: Item, attribute: str, kinds: Iterable[str]) -> Item | None:
        """The server or service that an object runs on; where that is left out, the object is too."""
        found = self.reference(item, attribute, kinds)
        if isinstance(found, str):
            self.leave_out(item, found)
        return found if isinstance(found, Item) else None

    def add_service(self, item: Item) -> None:
        """A video streaming service."""
        server = self.host(item, "server", SERVERS)
        if server is None:
            return
        table = INPUTS[SERVICES[item.kind]]
        self.compute_units[item.id] = self.compute_units[server.id]
        self.add(table.name, self.row(table, item, {"server_id": server.id}, self.compute_units[item.id]))
        if "base_compute_consumption" not in table.columns:
            used = self.file.parsed(
                item, "base_compute_consumption", lambda raw: ef.quantity(raw, "cpu_core"), required=False
            )
            if used:
                self.warn(f"{item}: its base_compute_consumption ({used} cpu_core) has no column yet and counts as 0")

    def add_job(self, item: Item) -> None:
        """A job of a server, or of a service."""
        table = INPUTS[JOBS[item.kind]]
        streaming = item.kind == "VideoStreamingJob"
        host = self.host(item, "service", SERVICES) if streaming else self.host(item, "server", SERVERS)
        if host is None:
            return
        given: Row = {"service_id": host.id} if streaming else {"server_id": host.id, "service_id": None}
        self.add(table.name, self.row(table, item, given, self.compute_units.get(host.id)))

    # ------------------------------------------------------------ journeys and patterns

    def add_step(self, item: Item) -> None:
        """A step and the jobs it triggers."""
        self.add("usage_steps", self.row(INPUTS["usage_steps"], item, {}))
        self.weighted(item, "jobs", self.members(item, "jobs", tuple(JOBS)), "usage_step_jobs", item.id)

    def add_journey(self, item: Item) -> None:
        """A journey: its steps in order; a step that stands in it twice has two positions."""
        steps = self.members(item, "uj_steps", ("UsageJourneyStep",))
        if not steps:
            self.leave_out(item, "it has no steps")
        for position, (step, entry) in enumerate(steps, start=1):
            row = {
                "usage_journey_id": item.id,
                "position": position,
                "usage_journey_step_id": step.id,
                "times_per_journey": entry.weight,
            }
            self.add("usage_journey_steps", row)
            if entry.raw is not None:
                place = ("usage_journey_steps", f"{item.id}/{position}", "times_per_journey")
                self.note_origin(item, "uj_steps", *place, entry.raw)

    def counting(self, kind: str, attribute: str) -> list[Item]:
        """The patterns that a System lists; the others do not count, and are left out."""
        systems = self.kept("System")
        if not systems and kind == "UsagePattern":
            self.file.problems.append("no System, and so no usage pattern that counts")
        required = kind == "UsagePattern"
        found = {p.id: p for system in systems for p, _ in self.members(system, attribute, (kind,), required=required)}
        for item in self.kept(kind) if systems else []:
            if item.id not in found:
                self.leave_out(item, "the System does not list it")
        return list(found.values())

    def pattern_row(self, item: Item, series_name: str) -> tuple[Row, HourlySeries] | None:
        """What usage patterns and edge usage patterns have in common; none where the pattern is left out."""
        network, country = self.reference(item, "network", ["Network"]), self.reference(item, "country", ["Country"])
        series = self.file.series(item, series_name)
        for found in (network, country):
            if isinstance(found, str):
                self.leave_out(item, found)
                return None
        if not isinstance(network, Item) or not isinstance(country, Item):
            return None
        if series is None or not len(series.values):
            self.leave_out(item, f"its {self.file.spelled(item, series_name)} is empty")
            return None
        clock = "local" if self.civil_time and not series.is_utc else "utc"
        return {"network_id": network.id, "country_id": country.id, "clock": clock}, series

    def offset(self, row: Row, series: HourlySeries) -> int:
        """UTC offset of the pattern's country at the first hour of its series [h], as e-footprint rounds it."""
        country = self.file.items("Country")[str(row["country_id"])]
        try:
            return ef.rounded_offset(ef.zone_of(country.values.get("timezone")), series)
        except ef.Broken as broken:
            self.file.problem(country, "timezone", broken)
            return 0

    def add_starts(self, table: str, item: Item, attribute: str, row: Row, series: HourlySeries) -> None:
        """The hourly starts of a pattern: as they are, or turned from local into UTC hours by e-footprint's rule."""
        turn = self.offset(row, series) if row["clock"] == "utc" and not series.is_utc else 0
        self.starts[table].append(
            _starts_frame(item.id, HourlySeries(series.start, np.roll(series.values, -turn), series.is_utc))
        )
        self.note_origin(item, attribute, table, item.id, "starts")

    def add_pattern(self, item: Item) -> None:
        """A usage pattern with its journeys, devices and hourly starts."""
        found = self.pattern_row(item, "starts")
        journeys = self.members(item, "journeys", ("UsageJourney",))
        devices = self.members(item, "devices", ("Device",))
        if found is None:
            return
        row, series = found
        self.add("usage_patterns", self.row(INPUTS["usage_patterns"], item, row))
        self.add_starts("usage_pattern_starts", item, "starts", row, series)
        self.weighted(item, "journeys", journeys, "usage_pattern_journeys", item.id)
        self.weighted(item, "devices", devices, "usage_pattern_devices", item.id)

    # ------------------------------------------------------------ edge

    def edge_pattern(self, item: Item) -> "EdgePattern | None":
        """An edge usage pattern; in version 21 its usage span stands with its journey."""
        found = self.pattern_row(item, "edge_starts")
        journeys = self.members(item, "edge_journeys", ("EdgeUsageJourney",))
        if found is None:
            return None
        spans = {
            self.span(holder, item) for holder in ([item] if "usage_span" in item.values else [j for j, _ in journeys])
        }
        if len(spans) != 1:
            self.file.problem(
                item, "usage_span", "one usage span is expected" + (", its journeys have several" if spans else "")
            )
        row, series = found
        full = self.row(INPUTS["edge_usage_patterns"], item, {**row, "usage_span": next(iter(spans), None)})
        return EdgePattern(item, full, series, journeys, None if row["clock"] == "local" else self.offset(row, series))

    def span(self, holder: Item, pattern: Item) -> float | None:
        """The usage span [h] that a pattern or its journey holds."""
        column = INPUTS["edge_usage_patterns"].columns["usage_span"]
        span = self.cell(holder, column, None)
        self.note_origin(holder, column.name, column.table, pattern.id, column.name)
        return span if isinstance(span, float) else None

    def add_edge(self, patterns: list["EdgePattern"]) -> None:
        """Edge patterns, their journeys and the needs of these, once for each rotation they are used under."""
        journeys = Variants(self)
        needs = Variants(self)
        appearing = {item.id: self.needs_of(item) for item in self.kept("EdgeUsageJourney")}
        for item in self.kept("EdgeUsageJourney"):
            if not appearing[item.id]:
                self.leave_out(item, "it has no server needs")
        for pattern in patterns:
            for journey, _ in pattern.journeys:
                journeys.use(journey, pattern.rotation)
                for need, _ in appearing[journey.id]:
                    needs.use(need, pattern.rotation)
        for pattern in patterns:
            self.add_edge_pattern(pattern, journeys)
        for journey, rotation, variant in journeys.written("EdgeUsageJourney"):
            members = [(needs.named(need, rotation), entry) for need, entry in appearing[journey.id]]
            if members:
                self.weighted(journey, "edge_functions", members, "edge_usage_journey_needs", variant)
        for need, rotation, variant in needs.written("RecurrentServerNeed"):
            self.add_need(need, rotation, variant)

    def needs_of(self, journey: Item) -> list[tuple[Item, Entry]]:
        """The server needs that appear in an edge journey, through its functions."""
        found = []
        for function, outer in self.members(journey, "edge_functions", ("EdgeFunction",)):
            for need, inner in self.members(function, "recurrent_server_needs", ("RecurrentServerNeed",)):
                if self.week(need) is not None:
                    found.append((need, Entry(need.id, outer.weight * inner.weight)))
        return found

    def week(self, need: Item) -> ef.Week | None:
        """The typical week of a need; a need without one is left out."""
        if (need.kind, need.id) in self.gone:
            return None
        before = len(self.file.problems)
        week = self.file.parsed(need, "recurrent_volume_per_edge_device", ef.typical_week)
        if week is None and len(self.file.problems) == before and "recurrent_volume_per_edge_device" in need.values:
            self.leave_out(need, "its recurrent_volume_per_edge_device is empty")
        return week

    def add_edge_pattern(self, pattern: "EdgePattern", journeys: "Variants") -> None:
        """An edge usage pattern with its journeys and hourly deployments."""
        item = pattern.item
        self.add("edge_usage_patterns", pattern.row)
        self.add_starts("edge_usage_pattern_starts", item, "edge_starts", pattern.row, pattern.series)
        kept = [
            (journeys.named(j, pattern.rotation), e) for j, e in pattern.journeys if (j.kind, j.id) not in self.gone
        ]
        self.weighted(item, "edge_journeys", kept, "edge_usage_pattern_journeys", item.id)

    def add_need(self, need: Item, rotation: Rotation, variant: str) -> None:
        """The typical week of a need, rotated to the clock of the patterns that use it, and the jobs it triggers."""
        week = self.week(need)
        if week is None:
            return
        turned = np.roll(week, -(rotation or 0))
        rows = ({"server_need_id": variant, "hour_of_week": h, "volume": float(v)} for h, v in enumerate(turned))
        self.rows["server_need_volumes"].extend(rows)
        self.note_origin(need, "recurrent_volume_per_edge_device", "server_need_volumes", variant, "volume")
        self.weighted(need, "jobs", self.members(need, "jobs", tuple(JOBS)), "server_need_jobs", variant)

    # ------------------------------------------------------------ what comes out

    def tables(self) -> dict[str, Frame]:
        """Every table that has rows."""
        told = [
            {"table": table, "row_id": row_id, "column": column, **row}
            for (table, row_id, column), row in self.origins.items()
        ]
        rows = {**self.rows, "sources": told}
        made: dict[str, Frame] = {name: _frame(INPUTS[name], held) for name, held in rows.items() if held}
        return {**made, **{name: pl.concat(parts) for name, parts in self.starts.items()}}

    def left_out_classes(self) -> list[str]:
        """One warning per class that is not imported."""
        return [
            f"{quoted(kind)[1:-1]}: "
            + (f"no table for this class yet, left out: {listed(ids)}" if ids else "no objects by id, left out")
            for kind, ids in self.file.strangers.items()
        ]

    def about_the_file(self) -> list[str]:
        """Warnings on the version and on the attributes of the file."""
        file = self.file
        found = []
        if file.major not in ef.KNOWN_MAJORS:
            version = quoted(file.version)[1:-1]
            found.append(
                f"e-footprint version {version} is neither 21 nor 27; read, because the names needed are the same"
            )
        for (kind, name, _), ids in file.missing.items():
            found.append(f"{kind}: {name} is not in the file for {listed(ids)}: its default holds")
        for kind, asked in file.asked.items():
            known = asked | {"id", "name"} | NOT_USED.get(kind, set())
            others = sorted({name for item in self.kept(kind) for name in item.values} - known)
            if others:
                found.append(f"{kind}: not read, being results or inputs without a column: {listed(others)}")
        return found


@dataclass(frozen=True)
class EdgePattern:
    """An edge usage pattern that counts."""

    item: Item
    row: Row
    series: HourlySeries
    journeys: list[tuple[Item, Entry]]
    rotation: Rotation


@dataclass
class Variants:
    """The ids of objects that are written once per rotation they are used under: `NEED@+2` where there are several."""

    system: System
    rotations: dict[str, list[Rotation]] = field(default_factory=lambda: defaultdict(list))

    def use(self, item: Item, rotation: Rotation) -> None:
        """Note that an object is read under a rotation."""
        if rotation not in self.rotations[item.id]:
            self.rotations[item.id].append(rotation)

    def named(self, item: Item, rotation: Rotation) -> Item:
        """The object under the id that it has for a rotation."""
        alone = len(self.rotations[item.id]) < 2 or rotation is None
        return item if alone else Item(item.kind, f"{item.id}@{rotation:+d}", item.values)

    def written(self, kind: str) -> list[tuple[Item, Rotation, str]]:
        """Every object that is used, once per rotation, with its id; the unused ones are warned of."""
        items = {item.id: item for item in self.system.kept(kind)}
        for item in items.values():
            if item.id not in self.rotations:
                self.system.leave_out(item, "no edge usage pattern that counts uses it")
        found = [(item, r, self.named(item, r).id) for item in items.values() for r in self.rotations.get(item.id, [])]
        for item, _, variant in found:
            if variant != item.id and variant in self.system.file.items(kind):
                self.system.file.problems.append(
                    f"{item}: would be written as {quoted(variant)}, which is the id of another {kind}"
                )
        return found


def _cell(raw: object, column: Column, compute: str | None) -> object:
    """The value of a column from what the file holds."""
    if column.dtype == pl.Int64:
        return ef.whole_count(raw)
    if column.is_number:
        unit = column.unit or "1"
        return ef.quantity(raw, compute or "cpu_core" if unit == "compute_unit" else unit)
    found = ef.zone_name(raw) if column.name == "timezone" else ef.text(raw)
    if column.values and found not in column.values:
        raise ef.Broken(f"one of {', '.join(column.values)} is expected, found {quoted(found)}")
    return found


def _frame(table: Table, rows: list[Row]) -> pl.DataFrame:
    names = [name for name in table.columns if name in rows[0]]
    schema: dict[str, Any] = {name: table.columns[name].dtype for name in names}
    return pl.DataFrame({name: [row[name] for row in rows] for name in names}, schema=schema)


def _starts_frame(pattern: str, series: HourlySeries) -> pl.LazyFrame:
    """Hourly starts as a table, one row per hour of the series, zeros included."""
    hour = pl.lit(series.start, dtype=pl.Datetime("us")) + pl.duration(hours=pl.col("hour").cast(pl.Int64))
    starts = pl.LazyFrame({"starts": series.values}).with_row_index("hour")
    return starts.select(usage_pattern_id=pl.lit(pattern), hour=hour, starts=pl.col("starts").cast(pl.Float64))


def refuse_broken(file: EfootprintFile) -> None:
    """InputError with one line per problem; where an unknown version misses names, one line says that instead."""
    absent = {key: ids for key, ids in file.missing.items() if key[2] or file.major not in ef.KNOWN_MAJORS}
    if absent and file.major not in ef.KNOWN_MAJORS:
        names = ", ".join(f"{kind}.{name}" for kind, name, _ in absent)[:500]
        why = "versions 21 and 27 are, and others whose names are the same"
        raise InputError(
            f"{file.path}: e-footprint version {quoted(file.version)[1:-1]} is not read: {why}; it lacks {names}"
        )
    lines = [f"{kind} has no {name}: {listed(ids, 5)}" for (kind, name, _), ids in absent.items()]
    lines += dict.fromkeys(file.problems)
    if len(lines) > MOST_PROBLEMS:
        lines = [*lines[:MOST_PROBLEMS], f"and {len(lines) - MOST_PROBLEMS} more problems"]
    if lines:
        raise InputError("\n".join(f"{file.path}: {line}" for line in lines))


# ---------------------------------------------------------------- the model folder


def find_tables(model: Path) -> dict[str, list[Path]]:
    """The files of a model folder by table of the dictionary."""
    found: dict[str, list[Path]] = defaultdict(list)
    try:
        for path in sorted(model.iterdir()) if model.exists() else []:
            name, _, ending = path.name.partition(".")
            if name in INPUTS and ending in ("", "csv", "parquet"):
                found[name].append(path)
    except OSError as error:
        raise InputError(f"{model}: no folder to write a model into ({error.strerror or error})") from None
    return dict(found)


def refuse_edited(model: Path, found: Mapping[str, list[Path]], overwrite: bool) -> list[str]:
    """InputError where an import would replace what no earlier one left there; warnings on other tables."""
    last = _last_import(model)
    mine = [path for name in WRITTEN for path in found.get(name, [])]
    folders = [path for path in mine if path.is_dir()]
    if folders:
        raise InputError(f"{folders[0]}: is a folder of files; move it away before an import writes this table")
    edited = [path.name for path in mine if last.get(path.name) != _hash(path)]
    if edited and not overwrite:
        what = f"holds {', '.join(edited)} already, not as an e-footprint import left them"
        raise InputError(f"{model}: {what}: import into another folder, or overwrite them")
    ours = (*WRITTEN, "cloud_instances", "carbon_intensity")
    others = [name for name in found if name not in ours]
    return (
        [f"the model folder also holds {', '.join(others)}: they stay, and count with the imported tables"]
        if others
        else []
    )


def _last_import(model: Path) -> dict[str, str]:
    """Hash by file name of the tables that the last import wrote."""
    try:
        told = json.loads((model / RECORD).read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    tables = told.get("tables") if isinstance(told, dict) else None
    return tables if isinstance(tables, dict) else {}


def _hash(path: Path) -> str:
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def write(model: Path, found: Mapping[str, list[Path]], tables: Mapping[str, Frame]) -> dict[str, int]:
    """Write the tables in the place of those of an earlier import, and note what was written; rows by table."""
    try:
        rows = {
            name: write_table(model, INPUTS[name], frame, as_csv=name not in LONG_TABLES)
            for name, frame in tables.items()
        }
        written = {f"{name}.{'parquet' if name in LONG_TABLES else 'csv'}" for name in rows}
        for path in (path for name in WRITTEN for path in found.get(name, []) if path.name not in written):
            path.unlink()
        record = {"tables": {name: _hash(model / name) for name in sorted(written)}}
        (model / RECORD).write_text(json.dumps(record, indent=1))
    except OSError as error:
        raise InputError(f"{model}: cannot be written to ({error.strerror or error})") from None
    return rows
