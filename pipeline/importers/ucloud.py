"""UCloud `Job` documents, of the Kotlin server and of today's, -> job_runs and the ucloud_* tables.

Running time follows UCloud's own accounting: RUNNING opens a piece, any other state closes it, repeated states change
nothing. One deliberate difference: CANCELING keeps the piece open, for the machine is still held. The first terminal
state ends the run for good. `status.startedAt` is the LAST start and is never used. Machines are those of the product
frozen at submission.

Stand-ins: `project` is `personal:USER` where the job belongs to no project, `user` is `unknown` where the owner is
missing.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pipeline.importers.base import ImportReport
from pipeline.importers.document_log import DocumentLog, Piece, Reading
from pipeline.importers.documents import Refusal, read_records
from pipeline.importers.properties import Properties, Row, instant_of_milliseconds, json_text, text, thing, things
from pipeline.importers.runs import write_runs
from pipeline.tables import DETAILS

JOBS, UPDATES, STATES = DETAILS["ucloud_jobs"], DETAILS["ucloud_job_updates"], DETAILS["ucloud_job_states"]
PERMISSIONS, PRODUCTS = DETAILS["ucloud_job_permissions"], DETAILS["ucloud_job_products"]

FINAL = ("SUCCESS", "FAILURE", "EXPIRED")
STATE_OF = {
    "IN_QUEUE": "queued",
    "RUNNING": "running",
    "CANCELING": "running",
    "SUSPENDED": "suspended",
    "SUCCESS": "completed",
    "FAILURE": "failed",
    "EXPIRED": "timed_out",
}
"""UCloud's states, as job_runs words them."""
FOLLOWERS = {
    "IN_QUEUE": ("RUNNING", "SUSPENDED", "CANCELING", *FINAL),
    "RUNNING": ("IN_QUEUE", "SUSPENDED", "CANCELING", *FINAL),
    "SUSPENDED": ("IN_QUEUE", "RUNNING", "CANCELING", *FINAL),
    "CANCELING": FINAL,
    "SUCCESS": FINAL,
    "FAILURE": FINAL,
    "EXPIRED": FINAL,
}
"""States a job may go to from each; from terminal to another terminal state is what servers accept."""

_SLURM_ID = re.compile(r"([^/]+)/(\d+)(?:/\d+)?")
"""providerGeneratedId of Slurm providers: account/SlurmId/time of discovery."""

_JOB = Properties(
    JOBS,
    [
        "id",
        "createdAt",
        "owner.createdBy",
        "owner.project",
        "providerGeneratedId",
        "output.outputFolder",
        "specification.product.id",
        "specification.product.category",
        "specification.product.provider",
        "specification.application.name",
        "specification.application.version",
        "specification.name",
        "specification.hostname",
        "specification.replicas",
        "specification.allowDuplicateJob",
        "specification.timeAllocation.hours",
        "specification.timeAllocation.minutes",
        "specification.timeAllocation.seconds",
        "specification.openedFile",
        "specification.restartOnExit",
        "specification.sshEnabled",
        "status.state",
        "status.startedAt",
        "status.expiresAt",
        "status.allowRestart",
        "status.jobParametersJson.siteVersion",
        "status.jobParametersJson.machineType.cpu",
        "status.jobParametersJson.machineType.memoryInGigs",
    ],
    as_json=[
        "permissions.myself",
        "billing",
        "specification.labels",
        "specification.parameters",
        "specification.resources",
        "status.resolvedApplication",
        "status.resolvedSupport",
        "status.jobParametersJson.resolvedResources",
    ],
    elsewhere=["updates", "permissions.others", "acl", "status.resolvedProduct", "status.jobParametersJson.request"],
    instant=instant_of_milliseconds,
)
_UPDATE = Properties(
    UPDATES,
    [
        "timestamp",
        "state",
        "status",
        "outputFolder",
        "expectedState",
        "expectedDifferentState",
        "newTimeAllocation",
        "allowRestart",
    ],
    as_json=["resourceList", "newMounts"],
    instant=instant_of_milliseconds,
)
_GRANT = Properties(
    PERMISSIONS,
    ["entity.type", "entity.projectId", "entity.group", "entity.username"],
    elsewhere=["permissions"],
    instant=instant_of_milliseconds,
)
_PRODUCT = Properties(
    PRODUCTS,
    [
        "type",
        "id",
        "name",
        "description",
        "productType",
        "category.name",
        "category.provider",
        "category.productType",
        "category.accountingUnit.name",
        "category.accountingUnit.namePlural",
        "category.accountingUnit.floatingPoint",
        "category.accountingUnit.displayFrequencySuffix",
        "category.accountingFrequency",
        "category.freeToUse",
        "category.allowSubAllocations",
        "cpu",
        "cpuModel",
        "memoryInGigs",
        "memoryModel",
        "gpu",
        "gpuModel",
        "fraction.numerator",
        "fraction.denominator",
        "price",
        "pricePerUnit",
        "unitOfPrice",
        "chargeType",
        "freeToUse",
        "hiddenInGrantApplications",
        "usage",
        "balance",
        "maxUsableBalance",
        "priority",
        "version",
    ],
    instant=instant_of_milliseconds,
)


def import_ucloud(
    source: Path, model: Path, *, servers: Path | None = None, horizon: datetime | None = None, strict: bool = False
) -> ImportReport:
    """Import UCloud jobs from a file or a folder of files. `horizon` is when they were exported."""
    log = DocumentLog((JOBS, UPDATES, STATES, PERMISSIONS, PRODUCTS), horizon)
    warnings: list[str] = []
    registered: dict[tuple[str, str, str], str] = {}
    for record in read_records(source, warnings=warnings):
        log.take(record, job_id, lambda run_id, document: _read_once(run_id, document, registered))
    return write_runs(model, log.run_log("ucloud", warnings), servers=servers, strict=strict)


def job_id(document: dict[str, Any]) -> str:
    """The job's id, which no other job has, whatever its provider."""
    found = text(document.get("id"), "id")
    if not found:
        raise Refusal("missing_field", "id", found, "a job without id")
    return found


def _read_once(run_id: str, document: dict[str, Any], registered: dict[tuple[str, str, str], str]) -> Reading:
    """Read a job, unless its provider registered the same Slurm job before (UCloud issue #4464: at every discovery)."""
    slurm = slurm_id(document)
    if slurm is not None and registered.setdefault(slurm, run_id) != run_id:
        message = f"Slurm job {slurm[2]} of account {slurm[1]} was registered before, as {registered[slurm]}"
        raise Refusal("duplicate_provider_job", "providerGeneratedId", document["providerGeneratedId"], message)
    return read_job(run_id, document)


def slurm_id(document: dict[str, Any]) -> tuple[str, str, str] | None:
    """Provider, account and Slurm's id of a job that a Slurm provider runs."""
    given = text(document.get("providerGeneratedId"), "providerGeneratedId")
    found = _SLURM_ID.fullmatch(given or "")
    product = thing(thing(document.get("specification"), "specification").get("product"), "specification.product")
    provider = text(product.get("provider"), "specification.product.provider")
    return (provider or "", found[1], found[2]) if found else None


def read_job(run_id: str, document: dict[str, Any]) -> Reading:
    """One job as a run, with its rows of the detail tables."""
    job = _JOB.read(document)
    updates = [_UPDATE.read(u, f"updates.{n}") for n, u in enumerate(things(document.get("updates"), "updates"))]
    for position, update in enumerate(updates):
        update["position"] = position
        if update.get("new_time_allocation") is not None:
            update["new_time_allocation"] = _figure(update, "new_time_allocation") / 1000
    history = History(updates)
    products = _products(document, job)
    reading = Reading(_run(job, history, slurm_id(document)), history.pieces(), list(history.flags))
    _judge(job, updates, history)
    _allocate(reading, job, products)
    _place(reading, job, products)
    reading.flags += _flags(job, history, slurm_id(document))
    reading.latest = max(
        (t for t in (job.get("created_at"), *(u.get("timestamp") for u in updates)) if isinstance(t, datetime)),
        default=None,
    )
    grants = list(_grants(document))
    reading.details = {
        JOBS: [job],
        UPDATES: updates,
        STATES: history.rows,
        PERMISSIONS: grants,
        PRODUCTS: list(products.values()),
    }
    return reading


class History:
    """The states a job went through, by the rule of UCloud's accounting."""

    def __init__(self, updates: list[Row]) -> None:
        self.rows: list[Row] = []
        self.flags: list[str] = []
        self.first_final: datetime | None = None
        self.last_final: str | None = None
        self.queued_at: datetime | None = None
        self._pieces: list[Piece] = []
        self._open: datetime | None = None
        before: datetime | None = None
        for update in updates:
            field = f"updates.{update['position']}"
            at = update.get("timestamp")
            if isinstance(at, datetime):
                if before is not None and at < before:
                    raise Refusal(
                        "updates_not_ascending",
                        f"{field}.timestamp",
                        at.isoformat(),
                        "earlier than the update before it",
                    )
                before = at
            if update.get("state") is not None:
                self._enter(str(update["state"]), at, field)
            elif self.first_final is not None:
                self.flags.append("update_after_terminal")

    def _enter(self, state: str, at: object, field: str) -> None:
        if state not in STATE_OF:
            raise Refusal("unknown_state", f"{field}.state", state, f"expected one of {', '.join(STATE_OF)}")
        if not isinstance(at, datetime):
            raise Refusal("bad_timestamp", f"{field}.timestamp", at, "a change of state without its time")
        self._note(state, at)
        if self.first_final is None:
            self._count(state, at)
        if state in FINAL:
            self.last_final = state
            self.first_final = self.first_final or at
        if state == "IN_QUEUE":
            self.queued_at = self.queued_at or at

    def _count(self, state: str, at: datetime) -> None:
        """Open or close a piece of running."""
        if state == "RUNNING":
            self._open = self._open or at
        elif state != "CANCELING" and self._open is not None:
            self._pieces.append(Piece(self._open, at))
            self._open = None

    def _note(self, state: str, at: datetime) -> None:
        """A row of the history, with what is odd about it."""
        last = self.rows[-1] if self.rows else None
        previous = str(last["state"]) if last else "IN_QUEUE"
        is_same = last is not None and previous == state
        is_allowed = last is None or is_same or state in FOLLOWERS[previous]
        odd = {
            "duplicate_state": is_same,
            "state_after_terminal": self.first_final is not None and not is_same,
            "bad_transition": not is_allowed,
        }
        self.flags += [name for name, holds in odd.items() if holds]
        odd["tie_timestamps"] = (
            last is not None and last["entered_at"] == at
        )  # normal: one call to the server, one stamp
        if last:
            last["left_at"] = at
        self.rows.append(
            {
                "position": len(self.rows),
                "state": state,
                "previous_state": previous,
                "entered_at": at,
                "is_terminal": state in FINAL,
                "is_running": self.first_final is None
                and (state == "RUNNING" or (state == "CANCELING" and self._open is not None)),
                "is_allowed": is_allowed,
                "flags": ";".join(name for name, holds in odd.items() if holds) or None,
            }
        )

    @property
    def is_open(self) -> bool:
        """Whether the job was running when the updates end."""
        return self._open is not None

    def pieces(self) -> list[Piece]:
        """The pieces of running time; the last without an end where the job runs on."""
        return [*self._pieces, *([Piece(self._open, None)] if self._open is not None else [])]


def _judge(job: Row, updates: list[Row], history: History) -> None:
    """Refuse a job whose updates do not tell what its state says happened."""
    state = job.get("status_state")
    if state is None:
        raise Refusal("missing_field", "status.state", None, "a job without state")
    if state not in STATE_OF:
        raise Refusal("unknown_state", "status.state", state, f"expected one of {', '.join(STATE_OF)}")
    why = "were they left out of the export (includeUpdates=true)?"
    started = bool(history.pieces())
    if not updates and state != "IN_QUEUE":
        raise Refusal("updates_missing", "updates", "[]", f"a job in state {state} without updates: {why}")
    if not started and (state == "RUNNING" or job.get("status_started_at") is not None):
        raise Refusal(
            "updates_missing",
            "updates",
            f"{len(updates)} updates",
            f"no update tells when this {state} job began to run: {why}",
        )
    if history.is_open and state not in ("RUNNING", "CANCELING"):
        raise Refusal(
            "updates_missing",
            "updates",
            f"{len(updates)} updates",
            f"the job is {state} but the last update leaves it running: {why}",
        )


def _run(job: Row, history: History, slurm: tuple[str, str, str] | None) -> Row:
    """The columns of job_runs that do not depend on the machine."""
    pieces = history.pieces()
    state = history.last_final or str(job.get("status_state"))
    queued = state == "CANCELING" and not pieces
    created = job.get("created_at")
    user = job.get("owner_created_by") or "unknown"
    begun = pieces[0].started_at if pieces else None
    return {
        "source_instance": job.get("specification_product_provider"),
        "source_record_id": job["id"],
        "job_name": job.get("specification_name") or None,
        "application": "@".join(
            str(job.get(f"specification_application_{n}") or "unknown") for n in ("name", "version")
        ),
        "project": job.get("owner_project") or f"personal:{user}",
        "user": user,
        "state": "queued" if queued else STATE_OF.get(state),
        "state_raw": job.get("status_state"),
        "submitted_at": None if isinstance(created, datetime) and begun is not None and created > begun else created,
        "queued_at": history.queued_at,
        "ended_at": history.first_final,
        "restarts": max(len(pieces) - 1, 0),
        "external_ref": None if slurm is None else f"{slurm[1]}/{slurm[2]}",
    }


def _flags(job: Row, history: History, slurm: tuple[str, str, str] | None) -> list[str]:
    """What is odd about a job that is kept."""
    pieces = history.pieces()
    created = job.get("created_at")
    state = job.get("status_state")
    odd = {
        "state_mismatch": history.last_final is not None and state != history.last_final,
        "created_after_start": isinstance(created, datetime) and bool(pieces) and created > pieces[0].started_at,
        "estimated_product": job.get("specification_application_name")
        == job.get("specification_application_version")
        == "unknown",
        "unknown_user": not job.get("owner_created_by"),
    }
    also = [f"also_in_cluster:{slurm[2]}"] if slurm is not None and pieces else []
    return [*(name for name, holds in odd.items() if holds), *also]


def _products(document: dict[str, Any], job: Row) -> dict[str, Row]:
    """The job's product by origin: frozen at submission, current at export. The job gets the rest of the request."""
    status = thing(document.get("status"), "status")
    frozen = thing(status.get("jobParametersJson"), "status.jobParametersJson")
    request = thing(frozen.get("request"), "status.jobParametersJson.request")
    rest = {name: value for name, value in request.items() if name != "resolvedProduct"}
    job["status_job_parameters_json_request"] = json_text(rest) if rest else None
    given = {
        "frozen": (request.get("resolvedProduct"), "status.jobParametersJson.request.resolvedProduct"),
        "current": (status.get("resolvedProduct"), "status.resolvedProduct"),
    }
    return {
        origin: {**_PRODUCT.read(product, field), "origin": origin}
        for origin, (product, field) in given.items()
        if product is not None
    }


@dataclass(frozen=True)
class Machine:
    """What one of a job's machines has of cores [cpu_core], GPUs [gpu] and memory [GB_ram, 1 Gig = 1000 MB]."""

    cpu_cores: float
    gpus: float
    ram: float


def _machine(job: Row, products: dict[str, Row]) -> tuple[Machine, str | None] | None:
    """The machine, and its flag: of the frozen product, else today's, else the frozen machine type (without GPUs)."""
    for origin, flag in (("frozen", None), ("current", "product_of_today")):
        if origin in products:
            return _machine_of(products[origin], job if origin == "frozen" else {}), flag
    cores = _figure(job, "status_job_parameters_json_machine_type_cpu")
    if cores:
        return Machine(
            cores, 0.0, _figure(job, "status_job_parameters_json_machine_type_memory_in_gigs")
        ), "gpus_unknown"
    return None


def _machine_of(product: Row, job: Row) -> Machine:
    """A product's machine: GPUs times the fraction that is sold, cores times it where there are none, memory never."""
    cores = _figure(product, "cpu") or _figure(job, "status_job_parameters_json_machine_type_cpu")
    gpus = _figure(product, "gpu")
    ram = _figure(product, "memory_in_gigs") or _figure(job, "status_job_parameters_json_machine_type_memory_in_gigs")
    numerator, denominator = product.get("fraction_numerator"), product.get("fraction_denominator")
    if numerator is None and denominator is None:
        return Machine(cores, gpus, ram)
    if not numerator or not denominator:
        raise Refusal(
            "bad_value",
            "resolvedProduct.fraction",
            f"{numerator}/{denominator}",
            "expected a part of a machine above 0",
        )
    part = _figure(product, "fraction_numerator"), _figure(product, "fraction_denominator")
    return Machine(cores, gpus * part[0] / part[1], ram) if gpus else Machine(cores * part[0] / part[1], 0.0, ram)


def _figure(row: Row, column: str) -> float:
    """A number of a row; missing is 0 (the server leaves zeros out)."""
    found = row.get(column)
    return float(found) if isinstance(found, int | float) else 0.0


def _allocate(reading: Reading, job: Row, products: dict[str, Row]) -> None:
    """Fill in what the run holds: machine times replicas."""
    machine, flag = _machine(job, products) or (None, None)
    if machine is None or not (machine.cpu_cores or machine.gpus):
        if reading.pieces:
            code, why = (
                ("no_machine_type", "is missing") if machine is None else ("zero_cores", "has neither cores nor GPUs")
            )
            message = f"the product {why}: export with includeProduct=true and includeParameters=true"
            raise Refusal(code, "status.jobParametersJson.request.resolvedProduct", None, message)
        return
    count = 1 if job.get("specification_replicas") is None else _figure(job, "specification_replicas")
    if count < 1:
        raise Refusal("bad_value", "specification.replicas", count, "expected at least 1")
    reading.run |= {
        "cpu_cores": machine.cpu_cores * count,
        "gpus": machine.gpus * count,
        "ram": machine.ram * count,
        "nodes": count,
    }
    reading.flags += [flag] if flag else []


def _place(reading: Reading, job: Row, products: dict[str, Row]) -> None:
    """Name the product as the run's place; its server is as large as one machine of it."""
    parts = [job.get(f"specification_product_{part}") for part in ("provider", "category", "id")]
    if not all(parts):
        if reading.pieces:
            missing = {
                name: value for name, value in zip(("provider", "category", "id"), parts, strict=True) if not value
            }
            raise Refusal(
                "missing_field",
                f"specification.product.{min(missing)}",
                None,
                "the product names the server a job ran on",
            )
        return
    place = "/".join(str(part) for part in parts)
    reading.run["place"] = place
    machine, _ = _machine(job, products) or (None, None)
    product = next(iter(products.values()), {})
    models = [str(m) for m in (product.get("cpu_model"), product.get("gpu_model")) if m]
    reading.place = {
        "name": f"{place} ({', '.join(models)})" if models else place,
        "server_type": "autoscaling",
        "compute": machine.cpu_cores or None if machine else None,
        "ram": machine.ram or None if machine else None,
    }


def _grants(document: dict[str, Any]) -> Iterable[Row]:
    """Who else may do what with the job, one row per permission."""
    permissions = thing(document.get("permissions"), "permissions")
    position = 0
    for origin, entries in (("permissions.others", permissions.get("others")), ("acl", document.get("acl"))):
        for number, entry in enumerate(things(entries, origin)):
            field = f"{origin}.{number}"
            row = _GRANT.read(entry, field)
            for granted in things(thing(entry, field).get("permissions"), f"{field}.permissions") or [None]:
                yield {
                    **row,
                    "origin": origin,
                    "position": position,
                    "permission": text(granted, f"{field}.permissions"),
                }
                position += 1
