"""starts + steps + devices -> rows of repartition.footprint: the devices in users' hands, split over the steps of the journeys."""

import numpy as np
import polars as pl
from polars import col

from pipeline.constants import SECONDS_PER_HOUR
from pipeline.series import LIST, Floats, added, applied, as_lists, flat, window_sum
from pipeline.stages.derived import cell
from pipeline.stages.energy import device
from pipeline.stages.energy.device import footprints
from pipeline.stages.energy.grid import with_intensity
from pipeline.stages.lineage import Lineage, Row, Rule, Total, same

STREAMS = ["provisioned", "use"]
BY = ["device_id", "usage_pattern_id", "container_id"]


def occupied() -> pl.Expr:
    """Devices in use in a step: journeys per start * those in the step at the hour * devices per journey. [1]"""
    return col.in_step * col.times_per_start * col("count")


def time_after() -> pl.Expr:
    """Time from the start of the journey to the end of the step. [s]"""
    return col.time_before + col.times_per_journey * col.user_time_spent


def in_step_values(starts: Floats, begin: float, end: float) -> Floats:
    """Journeys in the step that lasts from `begin` to `end` hours after the start.

    This is box(starts, end) - box(starts, begin), added up directly: a part of the first hour, whole hours, a part of the last.
    """
    first, last = int(begin), int(end)
    out = np.zeros(len(starts) + last + 1)
    if first == last:
        out[first : first + len(starts)] = (end - begin) * starts
        return out
    out[first : first + len(starts)] += (first + 1 - begin) * starts
    if last - first > 1:
        whole = window_sum(starts, last - first - 1)
        out[first + 1 : first + 1 + len(whole)] += whole
    out[last : last + len(starts)] += (end - last) * starts
    return out


def build(
    user_starts: pl.LazyFrame,
    usage_pattern_journeys: pl.LazyFrame,
    steps: pl.LazyFrame,
    held: pl.LazyFrame,
    devices: pl.LazyFrame,
    grid: pl.LazyFrame,
    intensity: pl.LazyFrame,
    *,
    hourly: bool,
) -> pl.LazyFrame:
    """Series of kg per device, pattern and step; `held` is usage_pattern_devices."""
    positions = usage_pattern_journeys.join(steps, on="usage_journey_id").select(
        "usage_pattern_id", "times_per_start", "time_before", "time_after", container_id="usage_journey_step_id"
    )
    timed = positions.join(user_starts, on="usage_pattern_id", validate="m:1")
    schema = pl.Schema({**timed.collect_schema(), "in_step": LIST})

    def kernel(f: pl.DataFrame) -> pl.DataFrame:
        data, offsets = flat(f["starts"])
        pieces = [
            in_step_values(data[offsets[i] : offsets[i + 1]], before / SECONDS_PER_HOUR, after / SECONDS_PER_HOUR)
            for i, (before, after) in enumerate(f.select("time_before", "time_after").iter_rows())
        ]
        ends = np.concatenate([[0], np.cumsum([len(p) for p in pieces])]).astype(np.int64)
        return f.with_columns(as_lists(np.concatenate([np.empty(0), *pieces]), ends).alias("in_step"))

    stepped = applied(timed, kernel, schema)
    used = stepped.join(held, on="usage_pattern_id").with_columns(devices_in_use=occupied())
    summed = added(used.select(*BY, "start", "devices_in_use"), BY, ["devices_in_use"])
    lit_up = with_intensity(summed, "devices_in_use", grid, intensity, hourly=hourly)
    made = footprints(lit_up, devices)
    return made.select(
        *BY,
        "start",
        job_id=pl.lit(None, pl.String),
        provisioned="instances_fabrication_footprint",
        use="energy_footprint",
    )


_POSITION = ("device_id", "usage_pattern_id", "container_id", "usage_journey_id", "position")
POSITION = Lineage(
    "repartition.device_position",
    key=(*_POSITION, "hour"),
    row="The devices of a usage pattern in use in a step at one position of a journey, each hour.",
    reads=(
        Row("usage_pattern_journeys", same("usage_pattern_id", "usage_journey_id")),
        Row("usage_pattern_devices", same("usage_pattern_id", "device_id")),
        Row("usage_journey_steps", same("usage_journey_id", "position")),
        Row("usage_steps", {"usage_journey_step_id": "container_id"}),
    ),
    made={
        "time_before": Total(
            "usage_journey_steps",
            cell.time,
            same("usage_journey_id"),
            where=col.position < col.our_position,
            words="Time of all earlier steps of the journey together.",
        ),
        "in_step": Rule(
            "in_step",
            "Journeys in the step: starts boxed over time_after, less starts boxed over time_before, in exact hours.",
            "1",
        ),
    },
    formulas=(occupied, time_after),
    rows=(
        (
            ("usage_pattern_devices", same("usage_pattern_id", "device_id")),
            ("usage_pattern_journeys", same("usage_pattern_id", "usage_journey_id")),
            ("usage_journey_steps", same("usage_journey_id", "position", usage_journey_step_id="container_id")),
        ),
    ),
)
STEP = Lineage(
    "repartition.device_step",
    key=("device_id", "usage_pattern_id", "container_id", "hour"),
    row="The devices of a usage pattern in use in a step, each hour.",
    reads=(
        Row("devices", same("device_id")),
        Row("energy.grid", same("usage_pattern_id", "hour"), same("carbon_intensity")),
    ),
    made={
        "devices_in_use": Total(
            "repartition.device_position",
            occupied,
            same("device_id", "usage_pattern_id", "container_id", "hour"),
            words="Devices in use in the step, over all positions where it stands.",
            unit="1",
        )
    },
    formulas=(device.energy, device.energy_footprint, device.instances_fabrication_footprint),
)
