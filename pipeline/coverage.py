"""carbon_intensity against the hours that are used: every hour that a server or a country uses must have a row, once its zone has any."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from polars import col

from pipeline.partition import hosted_spans
from pipeline.series import hour_index, hour_of
from pipeline.storage import table_folder
from pipeline.upstream import Upstream
from pipeline.violations import printable, refuse, stacked, violation

Hours = npt.NDArray[np.int64]


def refuse_gaps(up: Upstream) -> None:
    """InputError where an hour that is used has no row, one violation per zone."""
    hours = up.intensity.sort("zone", "hour").select("zone", hour=hour_index(col.hour))
    known = {str(zone): rows["hour"].to_numpy() for (zone,), rows in hours.group_by("zone")}
    used = spans_used(up).filter(col.zone.is_in(list(known)))
    wrong = []
    for (zone,), spans in used.group_by("zone", maintain_order=True):
        lacking = [s for s in spans.iter_rows(named=True) if _missing(known[str(zone)], s["first"], s["end"])]
        if lacking:
            wrong.append(_gap(str(zone), known[str(zone)], lacking))
    refuse(stacked(wrong), "carbon_intensity")


def spans_used(up: Upstream) -> pl.DataFrame:
    """Hours that users of a zone run from and to: user, zone, first, end (hours since 1970); no empty spans."""
    servers = hosted_spans(up).join(up.servers.lazy(), on="server_id", validate="1:1")
    of_servers = servers.select(
        "zone", user=pl.format("server {}", "server_id"), first=col.first_hour, end=col.first_hour + col.hours
    )
    of_usage = up.usage.lazy().select("usage_pattern_id", first=hour_index(col.hour), end=hour_index(col.hour) + 1)
    of_jobs = up.job_spans.lazy().filter("lasts").select("usage_pattern_id", "first", "end")
    patterns = pl.concat([of_usage, of_jobs]).group_by("usage_pattern_id").agg(col.first.min(), col.end.max())
    placed = patterns.join(up.grid.lazy(), on="usage_pattern_id")
    of_patterns = placed.select("zone", "first", "end", user=pl.format("usage pattern {}", "usage_pattern_id"))
    every = pl.concat([of_servers, of_patterns], how="diagonal").drop_nulls("zone")
    return every.filter(col.end > col.first).sort("zone", "first", "user").collect()


def _missing(known: Hours, first: int, end: int) -> int:
    """How many hours of a span are not among the sorted ones."""
    low, high = np.searchsorted(known, [first, end])
    return int(end - first - (high - low))


def _first_missing(known: Hours, first: int, end: int) -> int:
    low, high = np.searchsorted(known, [first, end])
    there = known[low:high]
    later = np.flatnonzero(there != first + np.arange(len(there)))
    return first + (int(later[0]) if len(later) else len(there))


def _gap(zone: str, known: Hours, lacking: list[dict[str, Any]]) -> pl.DataFrame:
    """The earliest hour that a zone lacks, and who uses it."""
    gaps = [(_first_missing(known, s["first"], s["end"]), _missing(known, s["first"], s["end"]), s) for s in lacking]
    hour, count, span = min(gaps, key=lambda gap: gap[0])
    others = f"; {len(lacking) - 1} more of its users lack hours too" if len(lacking) > 1 else ""
    first, last, at = (_written(h) for h in (span["first"], span["end"] - 1, hour))
    expected = (
        f"a row for every hour from {first} to {last}, which {printable(span['user'])} uses; {count} "
        f"{'has' if count == 1 else 'have'} none{others}"
    )
    return violation("carbon_intensity", "gap", expected, column="zone, hour", value=f"no row for {zone}, {at}")


def _written(index: int) -> str:
    return f"{pl.select(hour_of(pl.lit(index))).item():%Y-%m-%d %H:%M}"


def of_energy(staged: Path) -> dict[str, dict[str, float]]:
    """Energy of the servers of a run [kWh] and its share, by where its carbon intensity came from: hourly rows or averages."""
    files = list(table_folder(staged, "energy.server").glob("*.parquet"))
    if not files:
        return {}
    energy = pl.scan_parquet(files, glob=False, hive_partitioning=False)
    summed = energy.group_by("carbon_intensity_source").agg(col.instances_energy.sum())
    found = dict(summed.sort("carbon_intensity_source").collect().iter_rows())
    total = sum(found.values())
    return {source: {"kWh": kwh, "share": kwh / total if total else 0.0} for source, kwh in found.items()}
