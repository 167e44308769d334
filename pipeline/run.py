"""The whole pipeline: read, check, plan, compute partition by partition, check the result, publish."""

import logging
import platform
import secrets
import shutil
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl
from polars import col

from pipeline import allocator, blank, coverage, dims, engine, identity, limits, objects, plan, script, storage, tasks
from pipeline.checks import refuse_failures
from pipeline.crew import Crew
from pipeline.errors import InputError, PipelineError
from pipeline.folder import file_hash, find_files, size_of
from pipeline.lock import locked
from pipeline.model import IN_MEMORY_ROWS, Model, load
from pipeline.partition import Work, needs_to_energy, unused_storages
from pipeline.settings import Settings, memory_bytes
from pipeline.stages.energy import device as energy_device
from pipeline.stages.energy import storage as energy_storage
from pipeline.stages.repartition import device as repartition_device
from pipeline.stages.repartition import footprint
from pipeline.stages.repartition.periods import by_grain
from pipeline.tables import DETAILS, OUTPUTS
from pipeline.tasks import Done, Task
from pipeline.upstream import Upstream, least_job_hours, prepare, run_spans
from pipeline.worker import failing_checks, in_workers

log = logging.getLogger("wattrow")

Progress = Callable[[str, int, int], None]
"""Told what is done, how many steps of it, and of how many."""

SMALL_ROWS = 1_500_000
"""Below so many job-hours a pool of processes costs more than it brings."""
BY_CONTAINER = {name for name, table in OUTPUTS.items() if "hour" in table.key and "container_id" in table.columns}
"""Tables with a row for every container that a job is used in, in every hour."""
PARTITIONS_PER_WORKER = 3
"""So that no worker waits long for the last partition."""
SHARED_PARTITIONS = 64
"""Partitions that a run in shares aims at, on whatever machines its shares are computed."""

CHECKED_BY_WORKER_ROWS = 100_000_000
"""Runs of more rows than these are checked when all workers are gone: what they remember is memory for the checks."""


@dataclass
class Report:
    """What a run did, as in run.json."""

    run_id: str
    published: Path | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    partitions: list[Done] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    unchanged: bool = False
    """True where the current run is of the same inputs, settings and program: nothing was done."""

    def timed(self, what: str, since: float) -> None:
        """Note the wall time of a step."""
        self.seconds[what] = round(time.monotonic() - since, 3)
        log.info("step=%s seconds=%.2f", what, self.seconds[what])


@dataclass(frozen=True)
class How:
    """How the work is done; no value depends on it."""

    cluster: str | None = None
    """Address of a Dask scheduler, or `local`."""
    share: tuple[int, int] | None = None
    """Only partitions i of n (from 1), left in the staging folder for `publish`."""
    only_publish: bool = False
    """Publish partitions that were computed before; a missing one is an error."""
    fresh: bool = False
    """Compute everything, whatever earlier runs left."""
    crew: Crew | None = None
    """Workers that were started already; they are stopped after the checks."""


def run(
    folder: Path, out: Path, settings: Settings, progress: Progress | None = None, how: How | None = None
) -> Report:
    """Compute the model in `folder` and publish it under `out`; InputError or PipelineError publish nothing."""
    how = how or How()
    began = time.monotonic()
    if (warning := limits.refuse_too_little(settings.memory)) is not None:
        log.warning(warning)
    hashes = _hashes(folder)
    run_identity = identity.of_run(hashes, settings)
    if how.share is not None:
        with engine.for_inputs(size_of(folder)):
            return compute_share(folder, out, settings, run_identity, how, hashes)
    report = Report(run_id=f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-{secrets.token_hex(3)}")
    with locked(out), storage.told_when_full(out), storage.syncing() as sync, engine.for_inputs(size_of(folder)):
        before = {} if how.fresh else storage.current_manifest(out)
        if before.get("identity") == run_identity:
            storage.clean(out, settings.keep_runs)
            shutil.rmtree(out / storage.STAGING, ignore_errors=True)
            return nothing_to_do(out, before)
        staged = storage.staging(out, run_identity, keep=not how.fresh)
        with how.crew or Crew() as crew:
            try:
                model, up, planned = prepared(folder, staged, settings, report, began, how, before, hashes, crew)
            except InputError:
                crew.end()  # one may be writing there
                shutil.rmtree(out / storage.STAGING, ignore_errors=True)
                raise
            since = time.monotonic()
            done = take_over(out, staged, planned, before)
            if how.only_publish:
                refuse_missing(planned, done)
            rest = cache(partial(compute_rest, model, up, settings, staged))
            compute(staged, up, planned, done, settings, progress, how, crew, sync, rest)
            report.partitions = [done[t.part.number] for t in planned]
            report.timed("partitions", since)
            since = time.monotonic()
            files = rest() + [f for d in report.partitions for f in d["files"]]
            files += blank.write(staged, sorted(set(OUTPUTS) - {f["table"] for f in files if f["rows"]}))
            report.rows = settle(staged, files)
            report.timed("rest", since)
            since = time.monotonic()
            told = checked(model, staged, settings, report, crew)
            report.timed("checks", since)
        report.seconds["total"] = round(time.monotonic() - began, 3)
        report.warnings = model.warnings
        manifest = described(model, settings, report, run_identity, hashes)
        manifest["replaces"] = replaced.name if (replaced := storage.current(out)) else None
        storage.write_json(staged / "run.json", manifest | told)
        storage.tidy(staged)
        report.published = storage.publish(out, staged, report.run_id)
        storage.clean(out, settings.keep_runs)
    return report


def checked(model: Model, staged: Path, settings: Settings, report: Report, crew: Crew) -> dict[str, object]:
    """CheckFailed where a check does not hold. Meanwhile what no check reads is made: views.sql, and what is returned for run.json."""
    crew.keep(1 if sum(report.rows.values()) <= CHECKED_BY_WORKER_ROWS else 0)
    told: dict[str, object] = {}

    def meanwhile() -> None:
        script.write(staged, report.run_id, settings.attribution_grain)
        told["flags"] = dims.flag_counts(model)
        told["carbon_intensity"] = coverage.of_energy(staged)
        storage.sync_tables(staged)

    refuse_failures(failing_checks(staged, settings, crew, meanwhile))
    return told


def nothing_to_do(out: Path, before: dict[str, Any]) -> Report:
    """The report of a run that is there already."""
    log.info("unchanged=%s", before["run_id"])
    return Report(run_id=before["run_id"], published=storage.current(out), rows=before["rows"], unchanged=True)


def refuse_missing(planned: list[Task], done: dict[int, Done]) -> None:
    """PipelineError where a partition is not complete."""
    absent = [t.part for t in planned if t.part.number not in done]
    if not absent:
        return
    named = ", ".join(f"{p.number} (server {p.servers[0]})" for p in absent[:10])
    raise PipelineError(
        f"{len(absent)} of {len(planned)} partitions are not computed yet: {named}; compute them with "
        "wattrow run --partition I/N, same model, settings and version of wattrow"
    )


def check(folder: Path, settings: Settings) -> Model:
    """Everything a run would refuse, without computing more than fixed numbers of instances need; InputError has it all."""
    with engine.for_inputs(size_of(folder)):
        model = load(folder)
        chosen = replace(settings, tables="instances.server")
        up = prepare(model)
        coverage.refuse_gaps(up)
        if fixed_numbers(model):
            for part in partitions_of(up, chosen):
                needs_to_energy(Work(up, part, chosen, lambda *_: None))
    return model


def fixed_numbers(model: Model) -> bool:
    """Whether any server or storage has a fixed number of instances."""
    named = ("servers", "gpu_servers", "cloud_servers", "storages")
    return any(model[t].select(col.fixed_nb_of_instances.is_not_null().any()).collect().item() for t in named)


def identity_of(folder: Path, settings: Settings) -> str:
    """What a run of this folder would be made of."""
    return identity.of_run(_hashes(folder), settings)


def _hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every input file; empty where the folder is not there, which `load` reports."""
    if not folder.is_dir():
        return {}
    try:
        return {str(f.path.relative_to(folder)): file_hash(f.path) or "" for f in find_files(folder)[0]}
    except OSError:
        return {}


# ---------------------------------------------------------------- planning


def prepared(
    folder: Path,
    staged: Path,
    settings: Settings,
    report: Report,
    began: float,
    how: How,
    before: dict[str, Any],
    hashes: dict[str, str],
    crew: Crew | None = None,
) -> tuple[Model, Upstream, list[Task]]:
    """The checked model, everything upstream of the partitions, and the partitions."""
    shutil.rmtree(staged / "inputs", ignore_errors=True)
    new = not before.get("partitions") and not (staged / tasks.DONE).exists()
    model = load(folder, spill=staged / "inputs")
    if model.hashes != hashes:
        changed = sorted(name for name in {*model.hashes, *hashes} if model.hashes.get(name) != hashes.get(name))
        raise InputError(
            f"{folder}: {', '.join(changed[:5])} changed while the run began; run again once they stay as they are"
        )
    report.timed("read", began)
    since = time.monotonic()
    here = new and how.cluster is None and not how.only_publish
    if here and crew is not None and len(crew.workers) + 1 < settings.processes:
        crew.hire(workers_at_least(model, settings) - 1)
    if crew is not None and crew.workers:
        crew.workers[0].write_empty(staged, [*blank.not_asked_for(settings), *dims.absent(model)])
    with allocator.warming_up() if crew is not None and crew.warm else nullcontext():
        up = prepare(model)
        coverage.refuse_gaps(up)
        parts = partitions_of(up, settings, how, before)
        if model.rows.get("occurrences", 0) > IN_MEMORY_ROWS and len(parts) > 1:
            up = up.bucketed(parts, staged / "inputs" / "direct")
        identities = identity.of_partitions(up, parts, settings)
    planned = [Task(part, made_of) for part, made_of in zip(parts, identities, strict=True)]
    report.timed("upstream", since)
    return model, up, planned


def workers_for(rows: int, settings: Settings) -> int:
    """Processes to use: the setting or the cores, one where the model is small."""
    return settings.processes if rows > SMALL_ROWS else 1


def workers_at_least(model: Model, settings: Settings) -> int:
    """Processes that a run of which nothing is done yet is going to use for certain, before its partitions are known; 1 is only this one."""
    rows, servers = least_job_hours(model)
    certain = rows // 2  # hours that clocks skip or repeat do not matter then
    return min(workers_for(certain, settings), max(servers, 1))


def partitions_of(
    up: Upstream, settings: Settings, how: How | None = None, before: dict[str, Any] | None = None
) -> list[plan.Partition]:
    """The partitions of servers that are computed one by one; cut where the run `before` cut, so that most stay as they were."""
    shared = how is not None and (how.share is not None or how.only_publish)
    rows = up.job_spans.lazy().with_columns(rows=(col.end - col.first) * col.cells)
    rows = rows.group_by("server_id", "job_id").agg(col.rows.sum())
    jobs = up.jobs.lazy().select("server_id", "job_id").join(rows, on=["server_id", "job_id"], how="left")
    sized = jobs.with_columns(col.rows.fill_null(0)).collect()
    observed = run_spans(up.runs).collect()
    total = int(sized["rows"].sum()) + int(observed["rows"].sum())
    workers = 1 if shared else workers_for(total, settings)
    pieces = SHARED_PARTITIONS if shared else workers * PARTITIONS_PER_WORKER if workers > 1 else 1
    largest = plan.chunk_rows(memory_bytes(settings.memory), workers)
    most = plan.TOGETHER_ROWS_OF_CELLS if settings.wanted & BY_CONTAINER else plan.TOGETHER_ROWS
    together = min(largest, most, max(total // pieces, plan.SMALLEST_CHUNK))
    cuts = {p["first"] for p in (before or {}).get("partitions", []) if "first" in p}
    packed = total // together + 1
    if len(cuts) > 2 * packed:  # after many changes, or with more memory: pack them anew
        cuts = set()
    return plan.partitions(up.servers["server_id"].to_list(), sized, observed, largest, together, cuts)


# ---------------------------------------------------------------- computing


def take_over(out: Path, staged: Path, planned: list[Task], before: dict[str, Any]) -> dict[int, Done]:
    """Partitions that need no work: completed by a run that was killed, or the same in the current run (linked, or copied)."""
    earlier = {p["identity"]: p for p in before.get("partitions", [])}
    current = storage.current(out)
    done: dict[int, Done] = {}
    for task in planned:
        if (resumed := tasks.finished(staged, task)) is not None:
            done[task.part.number] = {**resumed, "how": "resumed"}
        elif current is not None and task.identity in earlier:
            taken = storage.linked(current, staged, earlier[task.identity], task.part.number)
            if taken is not None:
                done[task.part.number] = taken
    if done:
        log.info("partitions=%d unchanged=%d", len(planned), len(done))
    return done


def compute(
    staged: Path,
    up: Upstream,
    planned: list[Task],
    done: dict[int, Done],
    settings: Settings,
    progress: Progress | None,
    how: How,
    crew: Crew,
    sync: storage.Sync,
    meanwhile: Callable[[], object],
) -> None:
    """Do the tasks that are not done, here, in worker processes or on a cluster, and add them to `done`.

    `meanwhile` may be called while this process waits for others.
    """
    todo = [t for t in planned if t.part.number not in done]

    def note(one: Done) -> None:
        done[one["number"]] = {**one, "how": "computed"}
        sync(staged, one)
        log.info(
            "partition=%d/%d servers=%d rows=%d seconds=%.2f",
            len(done),
            len(planned),
            one["servers"],
            one["rows"],
            one["seconds"],
        )
        if progress:
            progress("partitions", len(done), len(planned))

    if progress:
        progress("partitions", len(done), len(planned))
    workers = min(workers_for(sum(t.part.rows for t in todo), settings), len(todo))
    if how.cluster is None and workers <= 1:
        crew.keep(0)
        tasks.in_process(staged, up, todo, settings, note)
        return
    tasks.save(staged, up, planned, settings)
    if how.cluster is None:
        in_workers(staged, up, todo, settings, crew, workers, note, meanwhile)
    elif todo:
        from pipeline.distributed import in_cluster

        in_cluster(staged, todo, how.cluster, settings.processes, note)


def compute_share(
    folder: Path, out: Path, settings: Settings, run_identity: str, how: How, hashes: dict[str, str]
) -> Report:
    """Compute partitions i of n into the staging folder, and leave them there for `publish`."""
    assert how.share is not None
    part, parts = how.share
    before = {} if how.fresh else storage.current_manifest(out)
    if before.get("identity") == run_identity:
        return nothing_to_do(out, before)
    staged = storage.staging(out, run_identity, keep=True, sweep=False)
    report = Report(run_id="")
    private = staged / f"share-{part}-of-{parts}"
    _, up, planned = prepared(folder, private, settings, report, time.monotonic(), how, before, hashes)
    mine = [t for t in planned if t.part.number % parts == part - 1]
    earlier = {p["identity"] for p in before.get("partitions", [])}
    todo = [t for t in mine if t.identity not in earlier and (how.fresh or tasks.finished(staged, t) is None)]
    tasks.in_process(staged, up, todo, settings, report.partitions.append)
    shutil.rmtree(private, ignore_errors=True)
    log.info("share=%d/%d partitions=%d computed=%d", part, parts, len(mine), len(todo))
    return report


def compute_rest(model: Model, up: Upstream, settings: Settings, staged: Path) -> list[dict[str, Any]]:
    """Tables that belong to no partition: usage, devices, storages without a server, inputs as computed with, details."""
    files: list[dict[str, Any]] = []
    write = tasks.writer(staged, settings, "all", files)
    grain = settings.attribution_grain
    grid, intensity, held, devices = (
        up.grid.lazy(),
        up.intensity.lazy(),
        model["usage_pattern_devices"],
        model["devices"],
    )
    write("derived.server", up.servers.lazy(), "")
    write("derived.service", up.services.lazy(), "")
    write("derived.job", up.jobs.lazy(), "")
    write("derived.cell", up.cells.lazy(), "")
    write("need.usage_pattern", up.usage.lazy(), "")
    write("energy.device", energy_device.build(up.usage.lazy(), held, devices, grid, intensity), "")
    unused = up.storages.lazy().join(up.servers.lazy().drop_nulls("storage_id"), on="storage_id", how="anti")
    instances = unused_storages(unused, up.model_hours)
    energy = energy_storage.build(instances, up.storages.lazy())
    write("instances.storage", instances, "")
    write("energy.storage", energy, "")
    if "repartition.footprint" in settings.wanted:
        series = repartition_device.build(
            up.user_starts.lazy(), model["usage_pattern_journeys"], up.steps.lazy(), held, devices, grid, intensity, hourly=up.hourly
        )  # fmt: skip
        streams = repartition_device.STREAMS
        of_devices = footprint.in_shape(by_grain(series, streams, grain), "device", "device_id", streams)
        write("repartition.footprint", [of_devices, footprint.unallocated(energy, "storage", "storage_id", grain)], "")
    dims.write_input_copies(model, staged)
    for name in DETAILS:
        if model.has(name):
            rows = storage.write_whole(staged, "source", DETAILS[name], model[name])
            files.append({"table": f"source.{name}", "file": "part-all.parquet", "rows": rows})
    return files


def settle(staged: Path, files: list[dict[str, Any]]) -> dict[str, int]:
    """Leave exactly the files of this run: none of a task that was broken off, no empty one beside others. Rows by table."""
    rows: dict[str, int] = {}
    for f in files:
        rows[f["table"]] = rows.get(f["table"], 0) + f["rows"]
    kept = {(f["table"], f["file"]) for f in files if f["rows"] or (f["file"] == blank.FILE and not rows[f["table"]])}
    for path in staged.glob("*/*/*.p*"):
        family, table = path.parts[-3:-1]
        if (f"{family}.{table}", path.name) not in kept and family not in ("input", tasks.PREPARED):
            path.unlink()
    return dict(sorted(rows.items()))


def described(
    model: Model, settings: Settings, report: Report, run_identity: str, hashes: dict[str, str]
) -> dict[str, Any]:
    """What run.json says."""
    return {
        "run_id": report.run_id,
        "identity": run_identity,
        "model": objects.origin(model.folder),
        "finished_at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "versions": {"wattrow": version("wattrow"), "polars": pl.__version__, "python": platform.python_version()},
        "settings": settings.as_dict(),
        "inputs": {name: {"sha256": digest} for name, digest in sorted(hashes.items())},
        "input_rows": model.rows,
        "rows": report.rows,
        "seconds": report.seconds,
        "warnings": model.warnings,
        "partitions": report.partitions,
    }
