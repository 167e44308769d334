"""CryoSPARC `Job` documents, of v4 and v5, -> job_runs and the cryosparc_* tables.

A document has one set of time stamps: it tells the last run only, and `completed_count` how many were lost. On a node a
run holds its slots from started_at; on a cluster lane it waits in the cluster's queue until launched_at. The end is the
stamp of the status, for stamps of earlier runs stay in the document. A job that waits for a person still holds its
slots. Slots are lists of indexes: their lengths are cores, GPUs and units of 8 GB.

Stand-ins: `user` is who created the job, else who queued it, else `unknown`; `application` is the job's type. With an
instance named, run ids, projects, lanes and the source itself carry its name, so that several instances fit in one
model.
"""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pipeline.errors import InputError
from pipeline.importers.base import ImportReport
from pipeline.importers.document_log import DocumentLog, Piece, Reading
from pipeline.importers.documents import MOST_DIGITS, Refusal, Unreadable, read_records
from pipeline.importers.properties import EPOCH, Properties, Row, column_name, instant_of_iso, text, thing, things
from pipeline.importers.runs import write_runs
from pipeline.tables import DETAILS

JOBS, RESOURCES, STATES = DETAILS["cryosparc_jobs"], DETAILS["cryosparc_job_resources"], DETAILS["cryosparc_job_states"]
ERRORS, BUILD_ERRORS = DETAILS["cryosparc_job_errors"], DETAILS["cryosparc_job_build_errors"]
TILE_IMAGES, GPUS = DETAILS["cryosparc_job_tile_images"], DETAILS["cryosparc_job_gpus"]
LINKS, BENCH_TIMINGS = DETAILS["cryosparc_job_links"], DETAILS["cryosparc_job_bench_timings"]

STATE_OF = {
    "building": "queued",
    "queued": "queued",
    "launched": "running",
    "started": "running",
    "running": "running",
    "waiting": "running",
    "completed": "completed",
    "failed": "failed",
    "killed": "cancelled",
}
"""CryoSPARC's states, as job_runs words them."""
FINAL = ("completed", "failed", "killed")
RAM_SLOT = 8.0
"""Memory of one RAM slot [GB_ram]; CryoSPARC's own pages say 8GB in one place and 8GiB in another."""
HEARTBEAT_TIMEOUT = timedelta(seconds=180)
"""After which CryoSPARC itself gives a job up (CRYOSPARC_HEARTBEAT_SECONDS)."""
LONGEST_INSTANCE = 100
"""Characters an instance's name may have: it becomes part of file names."""

STAMPS = {
    "created_at": ("building", None),
    "queued_at": ("queued", "queue"),
    "tokens_requested_at": ("queued", "licenses"),
    "tokens_acquired_at": ("queued", "resources"),
    "started_at": ("started", None),
    "launched_at": ("launched", None),
    "running_at": ("running", None),
    "waiting_at": ("waiting", "interaction"),
    "completed_at": ("completed", None),
    "failed_at": ("failed", None),
    "killed_at": ("killed", None),
}
"""Time stamps in the order of a run: the state entered, and what the job waits for in it."""
WAITS_FOR = {
    "waiting_inputs": "inputs",
    "project_paused": "project",
    "actively_queued": "queue",
    "waiting_maintenance": "maintenance",
    "waiting_licenses": "licenses",
    "waiting_resources": "resources",
}
"""What a queue_status says a queued job waits for."""
LISTS = ("workspace_uids", "parents", "children", "tags", "starred_by", "PID_workers", "queued_to_gpu")
"""Properties that are lists of ids, kept in cryosparc_job_links."""

_JOB = Properties(
    JOBS,
    [
        "_id",
        "id",
        "uid",
        "uid_num",
        "project_uid",
        "project_uid_num",
        "title",
        "description",
        "type",
        "job_type",
        "status",
        "status_num",
        "spec.type",
        "spec.ui_tile_width",
        "spec.ui_tile_height",
        "spec.resource_spec.cpu",
        "spec.resource_spec.gpu",
        "spec.resource_spec.ram",
        "spec.resource_spec.ssd",
        "created_at",
        "created_by_user_id",
        "created_by_job_uid",
        "cloned_from",
        "updated_at",
        "queued_at",
        "queued_by_user_id",
        "queued_to_lane",
        "queued_to_hostname",
        "queue_status",
        "queue_message",
        "queued_job_hash",
        "priority",
        "no_check_inputs_ready",
        "requeue_windows_ends_at",
        "tokens_requested_at",
        "tokens_acquired_at",
        "num_tokens",
        "last_scheduled_at",
        "started_at",
        "launched_at",
        "running_at",
        "waiting_at",
        "completed_at",
        "failed_at",
        "killed_at",
        "heartbeat_at",
        "completed_count",
        "has_error",
        "has_warning",
        "PID_monitor",
        "PID_main",
        "interactive_port",
        "run_as_user",
        "job_sig",
        "oversubscribe_gpus",
        "cluster_job_id",
        "cluster_job_status",
        "cluster_job_status_code",
        "cluster_job_monitor_event_id",
        "cluster_job_monitor_retries",
        "cluster_job_monitor_last_run_at",
        "cluster_job_submission_script",
        "job_dir",
        "job_dir_size",
        "job_dir_size_last_updated",
        "intermediate_results_size_bytes",
        "intermediate_results_size_last_updated",
        "last_intermediate_data_cleared_at",
        "last_intermediate_data_cleared_amount",
        "version_created",
        "version",
        "autodump",
        "dumped_at",
        "last_dumped_version",
        "last_exported_at",
        "last_exported_location",
        "last_exported_version",
        "imported_at",
        "import_status",
        "attach_status",
        "deleted",
        "deleting",
        "deleted_at",
        "is_experiment",
        "is_final_result",
        "is_ancestor_of_final_result",
        "enable_bench",
        "last_accessed.name",
        "last_accessed.accessed_at",
        "workflow.id",
        "workflow.jobId",
        "workflow.run",
        "instance_information.platform_node",
        "instance_information.platform_release",
        "instance_information.platform_version",
        "instance_information.platform_architecture",
        "instance_information.arch",
        "instance_information.cpu_model",
        "instance_information.physical_cores",
        "instance_information.max_cpu_freq",
        "instance_information.total_memory",
        "instance_information.available_memory",
        "instance_information.used_memory",
        "instance_information.ofd_soft_limit",
        "instance_information.ofd_hard_limit",
        "instance_information.driver_version",
        "instance_information.toolkit_version",
        "instance_information.CUDA_version",
        "instance_information.nvrtc_version",
        "instance_information.version",
    ],
    as_json=[
        "spec.params",
        "spec.inputs",
        "spec.outputs",
        "cluster_job_custom_vars",
        "bench",
        "progress",
        "input_slot_groups",
        "output_result_groups",
        "output_results",
        "params_base",
        "params_spec",
        "params_secs",
    ],
    elsewhere=[
        *LISTS,
        "resources_allocated",
        "errors_run",
        "build_errors",
        "ui_tile_images",
        "bench_timings",
        "instance_information.gpu_info",
    ],
    columns={"_id": "id"},
    instant=instant_of_iso,
)
_CONFIG = [
    "type",
    "ssh_str",
    "resource_fixed.SSD",
    "monitor_port",
    "send_cmd_tpl",
    "qsub_cmd_tpl",
    "qstat_cmd_tpl",
    "qdel_cmd_tpl",
    "qinfo_cmd_tpl",
    "script_tpl",
]
_CONFIG_JSON = [
    "resource_slots.CPU",
    "resource_slots.GPU",
    "resource_slots.RAM",
    "custom_vars",
    "tpl_vars",
    "custom_var_names",
]
_RESOURCES = Properties(
    RESOURCES,
    [
        *["lane", "lane_type", "hostname", "licenses_acquired", "fixed.SSD"],
        *(
            f"target.{n}"
            for n in [
                "name",
                "title",
                "desc",
                "lane",
                "hostname",
                "arch",
                "worker_bin_path",
                "cache_path",
                "cache_reserve_mb",
                "cache_quota_mb",
            ]
        ),
        *(f"target.{place}{n}" for place in ("", "config.") for n in _CONFIG),
    ],
    as_json=[
        "slots.CPU",
        "slots.GPU",
        "slots.RAM",
        *(f"target.{place}{n}" for place in ("", "config.") for n in _CONFIG_JSON),
    ],
    elsewhere=["target.gpus", "target.config.gpus"],
    columns={
        f"target.{n}": column_name(f"target.config.{n}") for n in (*_CONFIG, *_CONFIG_JSON)
    },  # v4 has no `config` around them
    instant=instant_of_iso,
)
_ERROR = Properties(ERRORS, ["message", "warning"], instant=instant_of_iso)
_BUILD_ERROR = Properties(BUILD_ERRORS, ["type", "input_type"], as_json=["loc", "input", "ctx"], instant=instant_of_iso)
_TILE_IMAGE = Properties(TILE_IMAGES, ["name", "fileid", "num_rows", "num_cols"], instant=instant_of_iso)
_GPU = Properties(
    GPUS,
    [
        "id",
        "name",
        "mem",
        "power_limit",
        "bus_id",
        "persistence_mode",
        "sw_power_limit",
        "hw_power_limit",
        "max_pcie_link_gen",
        "current_pcie_link_gen",
        "temperature",
        "gpu_utilization",
        "memory_utilization",
        "driver_version",
    ],
    as_json=["compute_mode"],
    instant=instant_of_iso,
)


def import_cryosparc(
    source: Path,
    model: Path,
    *,
    instance: str | None = None,
    servers: Path | None = None,
    horizon: datetime | None = None,
    strict: bool = False,
) -> ImportReport:
    """Import CryoSPARC jobs from a file or folder; `instance` names the installation, `horizon` is when it was read."""
    if instance is not None and not 0 < len(instance) <= LONGEST_INSTANCE:
        raise InputError(
            f"the name of a CryoSPARC instance has 1 to {LONGEST_INSTANCE} characters, not {len(instance)}"
        )
    log = DocumentLog((JOBS, RESOURCES, STATES, ERRORS, BUILD_ERRORS, TILE_IMAGES, GPUS, LINKS, BENCH_TIMINGS), horizon)
    warnings: list[str] = []
    prefix = "" if instance is None else f"{instance}:"
    for record in read_records(source, unwrap=mongo_value, warnings=warnings):
        log.take(record, lambda document: prefix + job_uid(document), lambda _, document: read_job(document, instance))
    name = "cryosparc" if instance is None else f"cryosparc-{quote(instance, safe='')}"
    return write_runs(model, log.run_log(name, warnings), servers=servers, strict=strict)


def mongo_value(found: dict[str, object]) -> object:
    """What Mongo's extended JSON writes as an object: ids and numbers as such, dates as ISO 8601; else the object."""
    if len(found) != 1:
        return found
    ((name, value),) = found.items()
    try:
        match name, value:
            case "$oid", str():
                return value
            case "$date", str():
                return value
            case "$date", int() if not isinstance(value, bool):
                return (EPOCH + timedelta(milliseconds=value)).isoformat()
            case (("$numberLong" | "$numberInt"), str()) if len(value) <= MOST_DIGITS:
                return int(value)
            case "$numberDouble", str():
                number = float(value)
                return number if math.isfinite(number) else Unreadable(value)
    except (ValueError, OverflowError):
        pass
    return found


def job_uid(document: dict[str, Any]) -> str:
    """Project and job, as P3-J12: job numbers repeat from project to project."""
    parts = {name: text(document.get(name), name) for name in ("project_uid", "uid")}
    for name, part in parts.items():
        if not part:
            raise Refusal("missing_field", name, part, "a job without it has no identity")
    return "-".join(str(part) for part in parts.values())


def read_job(document: dict[str, Any], instance: str | None) -> Reading:
    """One job as a run, with its rows of the detail tables."""
    for name in ("queued_to_lane", "queued_to_hostname", "queued_to_gpu"):
        if document.get(name) is False:  # what documents of old have for null
            document = {**document, name: None}
    job = _JOB.read(document)
    resources = _resources(document)
    if job.get("status") not in STATE_OF:
        raise Refusal("unknown_state", "status", job.get("status"), f"expected one of {', '.join(STATE_OF)}")
    times = Times(job, resources)
    reading = Reading(_run(job, times, instance))
    if times.ran_elsewhere:
        reading.excluded = job["excluded"] = "imported_from_other_instance"
    else:
        reading.pieces = times.pieces(resources)
        _allocate(reading, resources)
        _place(reading, job, resources, instance)
        reading.flags = _flags(job, times)
    seen = (job.get(name) for name in (*STAMPS, "updated_at", "heartbeat_at", "cluster_job_monitor_last_run_at"))
    reading.latest = max((t for t in seen if isinstance(t, datetime)), default=None)
    reading.details = _details(document, job, resources, times)
    return reading


def _resources(document: dict[str, Any]) -> Row | None:
    """The row of allocated resources, or None where there are none."""
    given = document.get("resources_allocated")
    if given is None:
        return None
    row = _RESOURCES.read(given, "resources_allocated")
    slots = thing(thing(given, "resources_allocated").get("slots"), "resources_allocated.slots")
    for kind in ("CPU", "GPU", "RAM"):
        row[f"{kind.lower()}_slots"] = _count(slots.get(kind), f"resources_allocated.slots.{kind}")
    return row


def _count(indexes: object, field: str) -> int:
    """How many slots a list of indexes names."""
    found = things(indexes, field)
    wrong = [i for i in found if isinstance(i, bool) or not isinstance(i, int)]
    if wrong:
        raise Refusal("wrong_type", field, wrong[0], "expected indexes of slots")
    return len(found)


@dataclass
class Times:
    """When a job ran, and what its stamps say besides."""

    job: Row
    resources: Row | None

    @property
    def status(self) -> str:
        """The job's status."""
        return str(self.job["status"])

    @property
    def is_cluster(self) -> bool:
        """Whether the job was handed to a cluster's scheduler, in whose queue it waits after started_at."""
        given = self.resources or {}
        kinds = given.get("lane_type"), given.get("target_config_type")
        return "cluster" in kinds or (not any(kinds) and self.job.get("cluster_job_id") is not None)

    def stamp(self, name: str) -> datetime | None:
        """A time stamp."""
        found = self.job.get(name)
        return found if isinstance(found, datetime) else None

    def is_of_earlier_run(self, name: str) -> bool:
        """Whether a stamp was left by an earlier run: from before the job was queued, or the end of another status."""
        at, queued = self.stamp(name), self.stamp("queued_at")
        if at is None or name in ("created_at", "queued_at"):
            return False
        return (queued is not None and at < queued) or (name in _ENDS and name != f"{self.status}_at")

    def begun(self) -> tuple[str, datetime] | None:
        """Since when the job held its slots, and the stamp that tells it; None for jobs that did not run."""
        if self.status in ("building", "queued"):
            return None
        names = ["launched_at", "running_at"] if self.is_cluster else ["started_at", "launched_at", "running_at"]
        if self.is_cluster and self.status in ("running", "waiting", "completed"):
            names.append("started_at")
        return next(
            ((n, at) for n in names if (at := self.stamp(n)) is not None and not self.is_of_earlier_run(n)), None
        )

    def ended(self) -> datetime | None:
        """When the job ended, by the stamp of its status."""
        return self.stamp(f"{self.status}_at") if self.status in FINAL else None

    @property
    def ran_elsewhere(self) -> bool:
        """Whether the job ran on the instance it was imported from, and not here since."""
        imported, begun = self.stamp("imported_at"), self.begun()
        return imported is not None and (begun is None or begun[1] < imported)

    def pieces(self, resources: Row | None) -> list[Piece]:
        """The run as one piece. Refusal where its stamps do not tell it."""
        begun, ended = self.begun(), self.ended()
        if begun is None and self.status not in ("running", "waiting", "completed"):
            return []
        if resources is None:
            raise Refusal(
                "no_allocation",
                "resources_allocated",
                None,
                f"a {self.status} job of type {_type(self.job)} that says not what it held",
            )
        if begun is None:
            raise Refusal(
                "bad_timestamp",
                "started_at",
                self.job.get("started_at"),
                f"a {self.status} job that does not say when it began",
            )
        if self.status in FINAL and ended is None:
            raise Refusal("bad_timestamp", f"{self.status}_at", None, f"a {self.status} job that does not say when")
        if ended is not None and ended < begun[1]:
            raise Refusal(
                "end_before_start", f"{self.status}_at", ended.isoformat(), f"before {begun[0]}, {begun[1].isoformat()}"
            )
        return [Piece(begun[1], ended)]

    def lost_runs(self) -> int:
        """Earlier runs that left no times: completions that are not this one."""
        completed = self.job.get("completed_count")
        return max((completed if isinstance(completed, int) else 0) - (self.status == "completed"), 0)

    def history(self) -> list[Row]:
        """The states by their stamps, in order of time."""
        order = {name: rank for rank, name in enumerate(STAMPS)}
        stamps = sorted((at, order[n], n) for n in STAMPS if (at := self.stamp(n)) is not None)
        begun = None if self.ran_elsewhere else self.begun()
        rows: list[Row] = []
        reached = 0
        for position, (at, rank, name) in enumerate(stamps):
            state, waiting = STAMPS[name]
            is_earlier = self.is_of_earlier_run(name)
            is_ordered = is_earlier or rank >= reached
            reached = reached if is_earlier else max(reached, rank)
            odd = {"earlier_run": is_earlier, "out_of_order": not is_ordered}
            rows.append(
                {
                    "position": position,
                    "state": state,
                    "waiting_for": "cluster" if name == "started_at" and self.is_cluster else waiting,
                    "property": name,
                    "entered_at": at,
                    "left_at": stamps[position + 1][0] if position + 1 < len(stamps) else None,
                    "is_holding": begun is not None and not is_earlier and at >= begun[1] and state not in FINAL,
                    "is_terminal": state in FINAL,
                    "is_allowed": is_ordered,
                    "flags": ";".join(n for n, holds in odd.items() if holds) or None,
                }
            )
        if rows and self.status == "queued" and rows[-1]["state"] == "queued":
            status = self.job.get("queue_status")
            rows[-1]["waiting_for"] = WAITS_FOR.get(str(status), status) or "queue"
        return rows


_ENDS = tuple(f"{status}_at" for status in FINAL)


def _type(job: Row) -> str:
    return str(job.get("spec_type") or job.get("job_type") or job.get("type") or "unknown")


def _run(job: Row, times: Times, instance: str | None) -> Row:
    """The columns of job_runs that do not depend on the machine."""
    heartbeat, begun = times.stamp("heartbeat_at"), times.begun()
    size = job.get("job_dir_size")
    state = STATE_OF[times.status]
    return {
        "source_instance": instance,
        "source_record_id": f"{instance}:{job['project_uid']}-{job['uid']}"
        if instance
        else f"{job['project_uid']}-{job['uid']}",
        "job_name": job.get("title") or None,
        "application": _type(job),
        "project": f"{instance}:{job['project_uid']}" if instance else job["project_uid"],
        "user": job.get("created_by_user_id") or job.get("queued_by_user_id") or "unknown",
        "state": "queued" if state == "running" and begun is None else state,
        "state_raw": times.status,
        "submitted_at": times.stamp("created_at"),
        "queued_at": times.stamp("queued_at"),
        "ended_at": times.ended(),
        "held_until": heartbeat + HEARTBEAT_TIMEOUT if heartbeat and begun and heartbeat >= begun[1] else None,
        "restarts": times.lost_runs(),
        "data_stored": size / 1e6 if isinstance(size, int) else None,
        "external_ref": job.get("cluster_job_id"),
    }


def _allocate(reading: Reading, resources: Row | None) -> None:
    """Fill in what the run holds. Refusal where it ran and holds no core."""
    if resources is None:
        return
    cores, gpus, slots = (float(str(resources[f"{kind}_slots"])) for kind in ("cpu", "gpu", "ram"))
    if reading.pieces and not cores:
        also = " (it runs still: open_clipped)" if reading.pieces[-1].ended_at is None else ""
        raise Refusal(
            "zero_cores",
            "resources_allocated.slots.CPU",
            "[]",
            f"a run that held no core, as jobs on the master do{also}",
        )
    reading.run |= {"cpu_cores": cores, "gpus": gpus, "ram": slots * RAM_SLOT}


def _place(reading: Reading, job: Row, resources: Row | None, instance: str | None) -> None:
    """Name the run's machine, or the lane of its cluster; tell the machine's size where its target does."""
    prefix = "" if instance is None else f"{instance}/"
    lane = (resources or {}).get("lane") or job.get("queued_to_lane")
    reading.run["lane"] = f"{prefix}{lane}" if lane else None
    if resources is None:
        return
    is_cluster = Times(job, resources).is_cluster
    place = f"{prefix}{lane}" if is_cluster and lane else resources.get("hostname")
    if not place:
        if reading.pieces:
            raise Refusal("missing_field", "resources_allocated.hostname", None, "the machine a job ran on")
        return
    reading.run["place"] = place
    reading.place = {} if is_cluster else _machine(resources)


def _machine(resources: Row) -> Row:
    """The size of the machine a target describes; a node is one machine."""
    cores, slots = (len(_list(resources.get(f"target_config_resource_slots_{kind}"))) for kind in ("cpu", "ram"))
    return {
        "compute": float(cores) or None,
        "ram": slots * RAM_SLOT or None,
        "server_type": "on-premise",
        "fixed_nb_of_instances": 1,
    }


def _list(encoded: object) -> list[Any]:
    """A list from JSON text; nothing, or anything else, is an empty one."""
    found = json.loads(encoded) if isinstance(encoded, str) else []
    return found if isinstance(found, list) else []


def _flags(job: Row, times: Times) -> list[str]:
    """What is odd about a job that is kept."""
    begun = times.begun()
    odd = {
        "earlier_runs_lost": times.lost_runs() > 0 or any(times.is_of_earlier_run(name) for name in STAMPS),
        "deleted": job.get("deleted") is True,
        "start_from_submission": times.is_cluster and begun is not None and begun[0] == "started_at",
        "unknown_user": not (job.get("created_by_user_id") or job.get("queued_by_user_id")),
    }
    cluster_id = job.get("cluster_job_id")
    also = [f"also_in_cluster:{cluster_id}"] if cluster_id and begun is not None and times.is_cluster else []
    return [*(name for name, holds in odd.items() if holds), *also]


def _details(document: dict[str, Any], job: Row, resources: Row | None, times: Times) -> dict[Any, list[Row]]:
    """The rows of every detail table."""
    target = thing(
        thing(document.get("resources_allocated"), "resources_allocated").get("target"), "resources_allocated.target"
    )
    config = thing(target.get("config"), "resources_allocated.target.config")
    information = thing(document.get("instance_information"), "instance_information")
    gpus = [
        *_numbered(_GPU, information.get("gpu_info"), "instance_information.gpu_info"),
        *_numbered(_GPU, config.get("gpus") or target.get("gpus"), "resources_allocated.target.config.gpus"),
    ]
    return {
        JOBS: [job],
        RESOURCES: [] if resources is None else [resources],
        STATES: times.history(),
        ERRORS: _numbered(_ERROR, document.get("errors_run"), "errors_run"),
        BUILD_ERRORS: _numbered(_BUILD_ERROR, document.get("build_errors"), "build_errors"),
        TILE_IMAGES: _numbered(_TILE_IMAGE, document.get("ui_tile_images"), "ui_tile_images"),
        GPUS: gpus,
        LINKS: list(_links(document)),
        BENCH_TIMINGS: list(_bench_timings(document)),
    }


def _numbered(properties: Properties, entries: object, field: str) -> list[Row]:
    """A list of objects as rows, numbered; `origin` names the list."""
    read = (properties.read(entry, f"{field}.{n}") for n, entry in enumerate(things(entries, field)))
    return [{**row, "position": n, "origin": field} for n, row in enumerate(read)]


def _links(document: dict[str, Any]) -> Iterable[Row]:
    """The entries of the lists of ids."""
    for name in LISTS:
        for position, value in enumerate(things(document.get(name), name)):
            if isinstance(value, bool) or not isinstance(value, str | int):
                raise Refusal("wrong_type", f"{name}.{position}", value, "expected an id")
            yield {"property": name, "position": position, "value": str(value)}


def _bench_timings(document: dict[str, Any]) -> Iterable[Row]:
    """The stretches of time that the job measured."""
    for name, stretches in thing(document.get("bench_timings"), "bench_timings").items():
        for position, stretch in enumerate(things(stretches, f"bench_timings.{name}")):
            field = f"bench_timings.{name}.{position}"
            pair = things(stretch, field)
            if len(pair) != 2:
                raise Refusal("wrong_type", field, pair, "expected when it began and when it ended")
            started, ended = (instant_of_iso(instant, field) for instant in pair)
            yield {"name": name, "position": position, "started_at": started, "ended_at": ended}
