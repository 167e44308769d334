"""Many drawn models -> one model of independent systems, and its outputs -> the outputs of each.

A run over a hundred small models in one folder costs little more than a run over one of them. Every id is put behind the number of its
model (`00042.web`), the source of observed runs too, so that no model knows of another. Two things a model folder has only once: the
hours of the model, which servers and storages that nothing uses are there for, and its settings.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import polars as pl

from tests import models, reference

DIGITS = 5
WIDTH = DIGITS + 1
WORDS = {"server_type", "compute_unit", "clock", "timezone", "resolution"}
"""Columns of text in the input tables that are no names."""
STATED = {"source_kind", "phase", "stream"}
"""Columns of text in the output tables that are no names."""
HOURLY = ("need.usage_pattern", "need.occurrence", "need.job")
"""The tables whose hours are the hours of the model (MODEL.md 4)."""

Outputs = dict[str, list[models.Row]]
Span = tuple[datetime, datetime]


def prefix(number: int) -> str:
    return f"{number:0{DIGITS}}."


def merge(drawn: Sequence[models.Tables]) -> models.Tables:
    """All models as one, each with its own ids."""
    merged = models.Tables()
    for number, tables in enumerate(drawn):
        mark = prefix(number)
        for name, rows in tables.items():
            named = [c for c in rows[0] if c not in WORDS and any(isinstance(r.get(c), str) for r in rows)]
            into = merged.setdefault(name, [])
            for row in rows:
                into.append(row | {c: mark + row[c] for c in named if row.get(c) is not None})
    return merged


def split(found: dict[str, pl.DataFrame], count: int) -> list[Outputs]:
    """The outputs of the merged model, by model, under the names the models gave."""
    several: list[Outputs] = [{name: [] for name in found} for _ in range(count)]
    for name, frame in found.items():
        named = [
            c for c, kind in frame.schema.items() if kind in (pl.String, pl.Categorical, pl.Enum) and c not in STATED
        ]
        texts = [pl.col(c).cast(pl.String) for c in named]
        if not named or frame.is_empty():
            continue
        numbered = frame.with_columns(
            *(t.str.slice(WIDTH) for t in texts),
            model=pl.coalesce(*(t.str.slice(0, DIGITS) for t in texts)).cast(pl.Int64),
        )
        for (number,), rows in numbered.partition_by("model", as_dict=True, include_key=False).items():
            several[number][name] = list(rows.iter_rows(named=True))
    return several


def hours_of(expected: Outputs) -> Span | None:
    """First and last hour of any series of a model."""
    hours = [r["hour"] for name in HOURLY for r in expected[name]]
    return (min(hours), max(hours)) if hours else None


def expect(drawn: Sequence[models.Tables], attribution_key: str) -> list[Outputs | reference.ModelError]:
    """What the reference says of each model, as a part of all: its outputs, or why it is refused."""
    alone: list[Outputs | reference.ModelError] = []
    for tables in drawn:
        try:
            alone.append(reference.compute(tables, attribution_key=attribution_key))
        except reference.ModelError as refused:
            alone.append(refused)
    spans = [s for e in alone if isinstance(e, dict) and (s := hours_of(e)) is not None]
    if not spans:
        return alone
    whole = (min(s[0] for s in spans), max(s[1] for s in spans))
    return [
        reference.compute(t, attribution_key=attribution_key, hours=whole)
        if isinstance(e, dict) and _waits(e, t) and hours_of(e) != whole
        else e
        for t, e in zip(drawn, alone, strict=True)
    ]


def _waits(expected: Outputs, tables: models.Tables) -> bool:
    """Whether a server or storage with a fixed number of instances is there for nothing, and so for all hours of the model."""
    fixed = [
        (kind, r[kind])
        for name, kind in (
            ("servers", "server_id"),
            ("gpu_servers", "server_id"),
            ("cloud_servers", "server_id"),
            ("storages", "storage_id"),
        )
        for r in tables.get(name, [])
        if r.get("fixed_nb_of_instances") is not None
    ]
    used = {("server_id", r["server_id"]) for r in expected["need.job"] if r["avg_occurrences"]}
    used |= {("storage_id", r["storage_id"]) for r in expected["need.storage"]}
    return any(f not in used for f in fixed)


def period(hour: datetime, grain: str) -> datetime:
    """The first hour of the day or month (UTC) of an hour."""
    return hour.replace(hour=0) if grain == "day" else hour.replace(day=1, hour=0)


def coarse(rows: list[models.Row], grain: str) -> list[models.Row]:
    """Rows of repartition.footprint summed over the days or months they lie in."""
    if grain == "hour":
        return rows
    sums: dict[tuple[Any, ...], float] = {}
    key = models.KEYS["repartition.footprint"]
    for row in rows:
        at = tuple(period(row["hour"], grain) if k == "hour" else row[k] for k in key)
        sums[at] = sums.get(at, 0.0) + row["footprint"]
    return [dict(zip(key, at, strict=True)) | {"footprint": kg} for at, kg in sums.items()]


def coarse_jobs(rows: list[models.Row], grain: str) -> list[models.Row]:
    """Rows of repartition.job: weights summed over days or months, their sums over the containers that stand there, and shares of these."""
    if grain == "hour":
        return rows
    jobs: dict[tuple[str, str], dict[tuple[str, datetime], dict[str, float]]] = defaultdict(dict)
    for row in rows:
        of_job = jobs[row["job_id"], row["server_id"]]
        at = row["container_id"], period(row["hour"], grain)
        weights = of_job.setdefault(at, {"fabrication": 0.0, "usage": 0.0})
        for kind in weights:
            weights[kind] += row[f"{kind}_weight"]
    made = []
    for (job_id, server_id), of_job in jobs.items():
        for (container_id, hour), weights in of_job.items():
            row = {"job_id": job_id, "server_id": server_id, "container_id": container_id, "hour": hour}
            for kind, weight in weights.items():
                there = math.fsum(w[kind] for (_, other), w in of_job.items() if other == hour)
                ever = any(w[kind] for w in of_job.values())
                share = (weight / there if there else 1.0) if ever else None
                row |= {f"{kind}_weight": weight, f"{kind}_weight_sum": there, f"{kind}_share": share}
            made.append(row)
    return made
