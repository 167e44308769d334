"""The whole pipeline: read, check, plan, compute partition by partition, check the result, publish."""

import logging
import platform
import secrets
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl
from polars import col

from pipeline import attribution, catalog, plan, storage
from pipeline.model import Model, load
from pipeline.partition import Work, Write, columns_of, needs_to_energy, unused_storages
from pipeline.settings import Settings, memory_bytes
from pipeline.stages.energy import device as energy_device
from pipeline.stages.energy import storage as energy_storage
from pipeline.stages.repartition import device as repartition_device
from pipeline.stages.repartition import footprint
from pipeline.tables import DETAILS, OUTPUTS
from pipeline.upstream import Upstream, prepare, run_spans

log = logging.getLogger("wattrow")

Progress = Callable[[str, int, int], None]
"""Told what is done, how many steps of it, and of how many."""


@dataclass
class Report:
    """What a run did, as in run.json."""

    run_id: str
    content: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)

    def timed(self, what: str, since: float) -> None:
        """Note the wall time of a step."""
        self.seconds[what] = round(time.monotonic() - since, 3)
        log.info("step=%s seconds=%.2f", what, self.seconds[what])


def run(folder: Path, out: Path, settings: Settings, progress: Progress | None = None) -> Report:
    """Compute the model in `folder` and publish it under `out`; InputError or PipelineError publish nothing."""
    began = time.monotonic()
    report = Report(run_id=f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-{secrets.token_hex(3)}")
    with storage.locked(out):
        staged = out / storage.STAGING / report.run_id
        staged.mkdir(parents=True)
        try:
            model = load(folder, spill=out / storage.STAGING / f"{report.run_id}-inputs")
            report.timed("read", began)
            since = time.monotonic()
            up = prepare(model)
            report.timed("upstream", since)
            compute(model, up, staged, settings, report, progress)
            since = time.monotonic()
            failures = catalog.failing_checks(staged, settings)
            report.timed("checks", since)
            catalog.refuse_failures(failures)
            report.seconds["total"] = round(time.monotonic() - began, 3)
            storage.write_json(staged / "run.json", described(model, up, settings, report))
            catalog.write_views(staged)
            storage.publish(out, staged, report.run_id)
            storage.clean(out, settings.keep_runs)
        finally:
            shutil.rmtree(out / storage.STAGING, ignore_errors=True)
    return report


def check(folder: Path, settings: Settings) -> Model:
    """Everything a run would refuse, without computing more than fixed numbers of instances need; InputError has it all."""
    model = load(folder)
    if fixed_numbers(model):
        chosen = settings.model_copy(update={"tables": "instances.server"})
        up = prepare(model)
        for part in partitions_of(up, chosen):
            needs_to_energy(Work(up, part, chosen, lambda *_: None))
    return model


def fixed_numbers(model: Model) -> bool:
    """Whether any server or storage has a fixed number of instances."""
    tables = ("servers", "gpu_servers", "cloud_servers", "storages")
    return any(model[t].select(col.fixed_nb_of_instances.is_not_null().any()).collect().item() for t in tables)


def partitions_of(up: Upstream, settings: Settings) -> list[plan.Partition]:
    """The partitions of servers that are computed one by one."""
    rows = (
        up.job_spans.lazy()
        .with_columns(rows=(col.end - col.first) * col.cells)
        .group_by("server_id", "job_id")
        .agg(col.rows.sum())
    )
    jobs = (
        up.jobs.lazy()
        .select("server_id", "job_id")
        .join(rows, on=["server_id", "job_id"], how="left")
        .with_columns(col.rows.fill_null(0))
    )
    largest = plan.chunk_rows(memory_bytes(settings.memory), settings.workers or 1)
    return plan.partitions(up.servers["server_id"].to_list(), jobs.collect(), run_spans(up.runs).collect(), largest)


def compute(
    model: Model, up: Upstream, staged: Path, settings: Settings, report: Report, progress: Progress | None
) -> None:
    """All tables of the run, written under `staged`."""
    writer = Writer(staged, settings, report.rows)
    parts = partitions_of(up, settings)
    since = time.monotonic()
    for part in parts:
        compute_partition(up, part, settings, writer)
        if progress:
            progress("partitions", part.number + 1, len(parts))
        log.info("partition=%d/%d servers=%d rows=%d", part.number + 1, len(parts), len(part.servers), part.rows)
    report.timed("partitions", since)
    since = time.monotonic()
    compute_rest(model, up, settings, writer)
    writer.fill_up()
    report.timed("rest", since)


def compute_partition(up: Upstream, part: plan.Partition, settings: Settings, writer: "Writer") -> None:
    """Both halves of one partition."""
    work = Work(up, part, settings, writer.of(f"{part.number:05}"))
    attribution.attribute(work, needs_to_energy(work))


def compute_rest(model: Model, up: Upstream, settings: Settings, writer: "Writer") -> None:
    """Tables that belong to no partition: usage, devices, storages without a server, inputs as computed with, details."""
    write = writer.of("all")
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
            up.user_starts.lazy(),
            model["usage_pattern_journeys"],
            up.steps.lazy(),
            held,
            devices,
            grid,
            intensity,
            hourly=up.hourly,
        )
        streams = repartition_device.STREAMS
        of_devices = footprint.in_shape(footprint.by_grain(series, streams, grain), "device", "device_id", streams)
        write(
            "repartition.footprint",
            [of_devices, footprint.unallocated(energy, "storage", "storage_id", grain)],
            "",
        )
    for name in DETAILS:
        if model.has(name):
            writer.detail(name, model[name])


class Writer:
    """Writes the tables of a run that are wanted, and counts their rows."""

    def __init__(self, staged: Path, settings: Settings, rows: dict[str, int]) -> None:
        self.staged, self.settings, self.rows = staged, settings, rows

    def of(self, prefix: str) -> Write:
        """The function that writes rows into files of this prefix."""

        def write(table: str, rows: storage.Rows, name: str) -> None:
            if table not in self.settings.wanted:
                return
            file = f"part-{name or prefix}" if name.startswith(prefix) or not name else f"part-{prefix}-{name}"
            columns = columns_of(table, self.settings)
            self.rows[table] = self.rows.get(table, 0) + storage.write_rows(
                self.staged, OUTPUTS[table], rows, file, columns
            )

        return write

    def detail(self, name: str, rows: pl.LazyFrame) -> None:
        """Publish a detail table of job records as it is."""
        self.rows[f"source.{name}"] = storage.write_detail(self.staged, DETAILS[name], rows)

    def fill_up(self) -> None:
        """Empty files for tables without any, so that every glob and view finds one."""
        for name, table in OUTPUTS.items():
            if not storage.table_folder(self.staged, name).exists():
                storage.write_rows(self.staged, table, table.empty().lazy(), "part-empty", None)
                self.rows.setdefault(name, 0)


def described(model: Model, up: Upstream, settings: Settings, report: Report) -> dict[str, Any]:
    """What run.json says."""
    return {
        "run_id": report.run_id,
        "model": str(model.folder),
        "finished_at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "versions": {"wattrow": version("wattrow"), "polars": pl.__version__, "python": platform.python_version()},
        "settings": settings.model_dump(),
        "inputs": {name: {"sha256": digest} for name, digest in sorted(model.hashes.items())},
        "input_rows": model.rows,
        "rows": dict(sorted(report.rows.items())),
        "seconds": report.seconds,
        "warnings": model.warnings,
    }
