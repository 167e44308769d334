"""What a run and a partition were made of, as hashes: the same identity means the same rows, so the work need not be done again."""

import hashlib
import io
import json
from functools import cache
from pathlib import Path

import polars as pl
from polars import col

from pipeline.plan import Partition
from pipeline.settings import Settings
from pipeline.upstream import Upstream

WITHOUT_EFFECT = {"workers", "memory", "keep_runs"}
"""Settings that change how a run is done, but no value in it."""


@cache
def of_code() -> str:
    """Hash of the program itself and of the library that does the arithmetic."""
    digest = hashlib.sha256(pl.__version__.encode())
    root = Path(__file__).parent
    for source in sorted(root.rglob("*.py")):
        digest.update(str(source.relative_to(root)).encode() + b"\0" + source.read_bytes() + b"\0")
    return digest.hexdigest()


def of_settings(settings: Settings) -> str:
    """The settings that have an effect on values."""
    return json.dumps({n: v for n, v in settings.as_dict().items() if n not in WITHOUT_EFFECT}, sort_keys=True)


def of_run(hashes: dict[str, str], settings: Settings) -> str:
    """Identity of a run: the program, the settings, every input file."""
    content = [of_code(), of_settings(settings), json.dumps(hashes, sort_keys=True)]
    return hashlib.sha256("\n".join(content).encode()).hexdigest()


def of_partition(up: Upstream, part: Partition, settings: Settings) -> str:
    """Identity of a partition: the program, the settings, and every row that its servers' results come from."""
    digest = hashlib.sha256((of_code() + of_settings(settings)).encode())
    mine = col.server_id.is_in(list(part.servers))
    cells = up.cells.filter(mine)
    patterns = set(cells["usage_pattern_id"]) | set(up.cell_spans.filter(mine)["usage_pattern_id"])
    used = col.usage_pattern_id.is_in(list(patterns))
    silent = not set(part.servers) <= set(up.spans["server_id"])
    jobs = up.jobs.filter(mine)
    spans = up.cell_spans.filter(mine)
    containers = col.container_id.is_in(spans["container_id"].unique().to_list())
    frames = [
        up.servers.filter(mine), up.services.filter(mine), jobs, up.capacity.filter(mine), cells, spans, up.spans.filter(mine),
        up.triggers.filter(used), up.under_way.filter(used), up.grid.filter(used), up.networks,
        up.storages.join(up.servers.filter(mine), on="storage_id", how="semi"), up.container_weights.filter(containers),
        up.intensity.filter(col.zone.is_in([*up.servers.filter(mine)["zone"].drop_nulls(), *up.grid.filter(used)["zone"].drop_nulls()])),
        up.direct_of(part).filter(col.job_id.cast(pl.String).is_in(jobs["job_id"].to_list())).collect(),
        up.runs.filter(mine).collect(),
    ]  # fmt: skip
    for frame in frames:
        digest.update(_bytes_of(frame))
    digest.update(json.dumps(up.model_hours if silent else None).encode())
    return digest.hexdigest()


def _bytes_of(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.select(pl.all().exclude("row")).with_columns(pl.col(pl.Categorical).cast(pl.String)).write_ipc(
        buffer, compat_level=pl.CompatLevel.oldest()
    )
    return hashlib.sha256(buffer.getvalue()).digest()
