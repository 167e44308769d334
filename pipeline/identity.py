"""What a run and a partition were made of, as hashes: the same identity means the same rows, so the work need not be done again."""

import hashlib
import json
from collections.abc import Iterable
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
BY_SERVER = ("servers", "services", "jobs", "cells", "cell_spans", "spans", "run_inputs")
BY_PATTERN = ("triggers", "under_way", "grid")
BY_OTHER = {"networks": None, "storages": "storage_id", "container_weights": "container_id", "intensity": "zone"}
"""Frames of Upstream that a partition takes its rows from, by what it takes them (None: all); `direct` and what is computed from these apart."""

Sums = tuple[int, int, int]
"""How many rows there are, and the sums of their two hashes: the same for the same rows in whatever order."""


def of_partitions(up: Upstream, parts: list[Partition], settings: Settings) -> list[str]:
    """Identities of partitions: the program, the settings, and every row that the servers' results come from."""
    by = dict.fromkeys(BY_SERVER, "server_id") | dict.fromkeys(BY_PATTERN, "usage_pattern_id") | BY_OTHER
    told = _Told(up, {name: _hashed(getattr(up, name)) for name in by}, by)
    return [_of_partition(up, told, part, settings) for part in parts]


class _Told:
    """What all frames say, summed up once for all partitions: rows by key, and which keys go with which."""

    def __init__(self, up: Upstream, hashed: dict[str, pl.DataFrame], by: dict[str, str | None]) -> None:
        self.sums = {name: _sums(hashed[name], key) for name, key in by.items()}
        cells = [hashed[name].select("server_id", "usage_pattern_id") for name in ("cells", "cell_spans")]
        self.patterns = _names(pl.concat(cells), "server_id", "usage_pattern_id")
        self.containers = _names(hashed["cell_spans"], "server_id", "container_id")
        self.storages = _names(hashed["servers"], "server_id", "storage_id")
        self.zones = _names(hashed["servers"], "server_id", "zone")
        self.zones_of_patterns = _names(hashed["grid"], "usage_pattern_id", "zone")
        self.any_direct = not up.direct_cells.is_empty()

    def rows(self, names: Iterable[str], keys: Iterable[str | None]) -> list[tuple[str, str | None, Sums]]:
        """The sums of these frames for each of the keys that they have."""
        chosen = sorted(keys, key=lambda k: k or "")
        return [(name, key, self.sums[name][key]) for name in names for key in chosen if key in self.sums[name]]


def _of_partition(up: Upstream, told: _Told, part: Partition, settings: Settings) -> str:
    patterns = _of_any(told.patterns, part.servers)
    zones = _of_any(told.zones, part.servers) | _of_any(told.zones_of_patterns, patterns)
    rows = [
        *told.rows(BY_SERVER, part.servers),
        *told.rows(BY_PATTERN, patterns),
        *told.rows(("networks",), [None]),
        *told.rows(("storages",), _of_any(told.storages, part.servers)),
        *told.rows(("container_weights",), _of_any(told.containers, part.servers)),
        *told.rows(("intensity",), zones),
    ]
    if told.any_direct:
        jobs = [job for chunk in part.chunks for job in chunk]
        direct = up.direct_of(part).filter(col.job_id.cast(pl.String).is_in(jobs)).collect()
        rows += [("direct", None, sums) for sums in _sums(_hashed(direct), None).values()]
    silent = not told.sums["spans"].keys() >= set(part.servers)
    content = [of_code(), of_settings(settings), json.dumps(rows), json.dumps(up.model_hours if silent else None)]
    return hashlib.sha256("\n".join(content).encode()).hexdigest()


def _sums(hashed: pl.DataFrame, by: str | None) -> dict[str | None, Sums]:
    key = pl.lit(None, pl.String) if by is None else pl.col(by)
    grouped = hashed.group_by(key=key).agg(pl.len(), col.sum_1.sum(), col.sum_2.sum())
    return {name: (rows, sum_1, sum_2) for name, rows, sum_1, sum_2 in grouped.iter_rows()}


def _names(frame: pl.DataFrame, by: str, of: str) -> dict[str, set[str]]:
    """The names `of` that stand beside each name `by`; empty cells are none."""
    found: dict[str, set[str]] = {}
    for key, name in frame.select(by, of).unique().drop_nulls().iter_rows():
        found.setdefault(key, set()).add(name)
    return found


def _of_any(names: dict[str, set[str]], keys: Iterable[str]) -> set[str]:
    return set[str]().union(*(names.get(key, ()) for key in keys))


def _hashed(frame: pl.DataFrame) -> pl.DataFrame:
    """Two hashes of each row beside its keys."""
    named = frame.select(pl.all().exclude("row")).with_columns(pl.col(pl.Categorical).cast(pl.String))
    return named.select(*(k for k in KEYS if k in named.columns), *row_hashes())
