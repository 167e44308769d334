"""What a run and a partition were made of, as hashes: the same identity means the same rows, so the work need not be done again."""

import hashlib
import json
from functools import cache
from pathlib import Path

import polars as pl
from polars import col

from pipeline.plan import Partition
from pipeline.settings import Settings
from pipeline.upstream import Upstream, row_hashes

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


KEYS = ("server_id", "job_id", "usage_pattern_id", "container_id", "storage_id", "zone")
SMALL = (
    "servers", "services", "jobs", "cells", "cell_spans", "spans", "triggers", "under_way", "grid", "networks", "storages",
    "container_weights", "intensity", "run_inputs",
)  # fmt: skip
"""Frames of Upstream that a partition takes its rows from; `direct` and what is computed from these apart."""


def of_partitions(up: Upstream, parts: list[Partition], settings: Settings) -> list[str]:
    """Identities of partitions: the program, the settings, and every row that the servers' results come from."""
    hashed = {name: _hashed(getattr(up, name)) for name in SMALL}
    return [_of_partition(up, hashed, part, settings) for part in parts]


def _of_partition(up: Upstream, hashed: dict[str, pl.DataFrame], part: Partition, settings: Settings) -> str:
    of_servers = ("servers", "services", "jobs", "cells", "cell_spans", "spans", "run_inputs")
    mine = _chosen({name: hashed[name] for name in of_servers}, col.server_id.is_in(list(part.servers)))
    patterns = {*mine["cells"]["usage_pattern_id"], *mine["cell_spans"]["usage_pattern_id"]}
    of_patterns = ("triggers", "under_way", "grid")
    used = _chosen({name: hashed[name] for name in of_patterns}, col.usage_pattern_id.is_in(list(patterns)))
    zones = {*mine["servers"]["zone"], *used["grid"]["zone"]} - {None}
    containers = mine["cell_spans"]["container_id"].unique().to_list()
    direct = up.direct_of(part).filter(col.job_id.cast(pl.String).is_in(mine["jobs"]["job_id"].to_list()))
    frames = [
        *mine.values(),
        *used.values(),
        hashed["networks"],
        hashed["storages"].filter(col.storage_id.is_in(mine["servers"]["storage_id"].drop_nulls().to_list())),
        hashed["container_weights"].filter(col.container_id.is_in(containers)),
        hashed["intensity"].filter(col.zone.is_in(list(zones))),
        _hashed(direct.collect()),
    ]
    sums = [(len(f), f["sum_1"].sum(), f["sum_2"].sum()) for f in frames]
    silent = not set(part.servers) <= set(mine["spans"]["server_id"])
    content = [of_code(), of_settings(settings), json.dumps(sums), json.dumps(up.model_hours if silent else None)]
    return hashlib.sha256("\n".join(content).encode()).hexdigest()


def _chosen(frames: dict[str, pl.DataFrame], rows: pl.Expr) -> dict[str, pl.DataFrame]:
    """These rows of every frame, asked for together: they are small, and there are many partitions."""
    return dict(zip(frames, pl.collect_all([frame.lazy().filter(rows) for frame in frames.values()]), strict=True))


def _hashed(frame: pl.DataFrame) -> pl.DataFrame:
    """Two hashes of each row beside its keys: their sums say what rows there are, in whatever order."""
    named = frame.select(pl.all().exclude("row")).with_columns(pl.col(pl.Categorical).cast(pl.String))
    return named.select(*(k for k in KEYS if k in named.columns), *row_hashes())
