"""What sacct prints in its cells, read into numbers and instants: durations, memory, counts, times, states, resources.

The parsers are vectorised and never fail: a cell that cannot be read is null. Memory counts binary gigabytes (GiB) as
GB_ram, as Slurm prints them and as administrators give a node's memory.
"""

from typing import Literal

import polars as pl

from pipeline.tables import DETAILS, Column

JOBS, STEPS = DETAILS["slurm_jobs"], DETAILS["slurm_steps"]
RENAMED = {
    "submit": "submit_time",
    "eligible": "eligible_time",
    "start": "start_time",
    "end": "end_time",
    "group": "group_name",
}
OWN = ("run_id", "step_id", "source_row", "other_fields")
"""Columns of the detail tables that sacct does not print."""
COLUMN_OF = {c.replace("_", ""): c for t in (JOBS, STEPS) for c in t.columns if c not in OWN} | RENAMED
"""Column of the detail tables by the lower-case name of the sacct field."""
TIMES = ("submit_time", "eligible_time", "start_time", "end_time")
NO_TIME = ("Unknown", "None", "N/A", "0", "")
NO_NODES = "None assigned"
STATES = {
    "PENDING": "queued", "CONFIGURING": "queued", "REQUEUED": "queued", "REQUEUE_HOLD": "queued",
    "REQUEUE_FED": "queued",
    "SPECIAL_EXIT": "queued", "RESV_DEL_HOLD": "queued", "REVOKED": "queued",
    "RUNNING": "running", "COMPLETING": "running", "RESIZING": "running",
    "SIGNALING": "running", "STAGE_OUT": "running",
    "STOPPED": "suspended", "SUSPENDED": "suspended",
    "COMPLETED": "completed",
    "FAILED": "failed", "OUT_OF_MEMORY": "failed", "NODE_FAIL": "failed", "BOOT_FAIL": "failed",
    "LAUNCH_FAILED": "failed",
    "CANCELLED": "cancelled", "TIMEOUT": "timed_out", "DEADLINE": "timed_out", "PREEMPTED": "preempted",
}  # fmt: skip
"""Our word for each of Slurm's states."""
ENDED = ("completed", "failed", "cancelled", "timed_out", "preempted")
NEVER_RAN = ("PENDING", "REVOKED")
"""States that hold nothing, whatever Start says."""
MEMORY_PER_CPU = 2**31
"""Flag that Slurm sets in ReqMem, in MiB, when it was asked for per CPU."""
NO_VALUE = 1e18
"""Counts beyond are Slurm's marks for "not available" (2^64 - 2)."""
PER_KWH = 3.6e6
"""Joules in a kWh."""
EARLIEST, LATEST = 1990, 2200
"""Years outside are a mistake: milliseconds read as seconds, a clock that was never set."""


def number(text: pl.Expr) -> pl.Expr:
    """A number, with K, M, G or T for powers of 1024."""
    plain = text.cast(pl.Float64, strict=False)
    groups = text.str.extract_groups(r"^([0-9]+(?:\.[0-9]+)?)([KMGTP])$")
    return plain.fill_null(groups.struct[0].cast(pl.Float64) * _power(groups.struct[1]))


def _power(suffix: pl.Expr) -> pl.Expr:
    """1024 to the power that a suffix stands for."""
    return suffix.replace_strict(
        {s: 1024.0**i for i, s in enumerate(["", *"KMGTP"])}, default=None, return_dtype=pl.Float64
    )


def count(text: pl.Expr) -> pl.Expr:
    """A whole number of at most 2^53."""
    value = number(text)
    return pl.when(value.is_between(0, 2.0**53)).then(value).cast(pl.Int64, strict=False)


def memory(text: pl.Expr) -> pl.Expr:
    """Memory [GiB, as GB_ram] of `16000M`, `62.50G`, `201326592K`, or plain bytes."""
    groups = text.str.extract_groups(r"^([0-9]+(?:\.[0-9]+)?)([KMGTP]?)B?$")
    return groups.struct[0].cast(pl.Float64) * _power(groups.struct[1]) / 1024.0**3


def seconds(text: pl.Expr) -> pl.Expr:
    """A duration [s] of `[D-]HH:MM:SS`, `MM:SS.mmm`, or plain seconds."""
    clock = text.str.extract_groups(r"^(?:(?:([0-9]{1,9})-)?([0-9]{1,9}):)?([0-9]{1,9}):([0-9]{1,9}(?:\.[0-9]+)?)$")
    days, hours, minutes, rest = (clock.struct[i].cast(pl.Float64) for i in range(4))
    spelled = days.fill_null(0) * 86400 + hours.fill_null(0) * 3600 + minutes * 60 + rest
    plain = text.cast(pl.Float64, strict=False)
    return pl.when(plain.is_between(0, NO_VALUE)).then(plain).otherwise(spelled)


def energy(text: pl.Expr) -> pl.Expr:
    """Energy [J]; null where Slurm says that it has none (-2, 2^64 - 2)."""
    value = text.cast(pl.Float64, strict=False)
    return pl.when(value.is_between(0, NO_VALUE)).then(value)


def tres(text: pl.Expr, name: str) -> pl.Expr:
    """The text of one resource in `cpu=64,mem=256G,node=1,gres/gpu=2`."""
    return text.str.extract(rf"(?:^|,){name}=([^,]*)")


def gpus(tres_text: pl.Expr) -> pl.Expr:
    """GPUs of a list of resources: the total where it stands, else the sum over kinds (both count the same cards)."""
    kinds = _sum_of(tres_text.str.extract_all(r"gres/gpu:[^=,]+=[0-9]{1,9}"))
    return number(tres(tres_text, "gres/gpu")).fill_null(kinds)


def gpus_of_gres(gres_text: pl.Expr) -> pl.Expr:
    """GPUs of the older `gpu:2` or `gpu:a100:2(IDX:0-1)`."""
    return _sum_of(gres_text.str.extract_all(r"gpu(?::[^:,()]+)?:[0-9]{1,9}"))


def _sum_of(items: pl.Expr) -> pl.Expr:
    """The sum of the numbers that end the texts of a list."""
    return items.list.eval(pl.element().str.extract(r"([0-9]+)$").cast(pl.Int64)).list.sum().cast(pl.Float64)


def requested_memory(text: pl.Expr, cpus: pl.Expr, nodes: pl.Expr) -> pl.Expr:
    """Memory asked for [GB_ram] from ReqMem: in all, per node (`n`), per CPU (`c`, or the flag 2^31)."""
    plain = memory(text.str.strip_suffix("n").str.strip_suffix("c"))
    flagged = plain >= MEMORY_PER_CPU / 1024
    per_cpu = pl.when(flagged).then(plain - MEMORY_PER_CPU / 1024).when(text.str.ends_with("c")).then(plain)
    return (
        pl.when(per_cpu.is_not_null())
        .then(per_cpu * cpus)
        .when(text.str.ends_with("n"))
        .then(plain * nodes)
        .otherwise(plain)
    )


def normal_states(texts: list[str]) -> dict[str, tuple[str, str]]:
    """Slurm's and our state of texts: as `CANCELLED by 1001`, `RUNNING+COMPLETING`, or cut to `OUT_OF_ME+`."""
    found = {}
    for text in texts:
        word = text.split(" by ")[0].split("+")[0].strip()
        full = [word] if word in STATES else [s for s in STATES if s.startswith(word) and "+" in text and len(word) > 4]
        if len(full) == 1:
            found[text] = (full[0], STATES[full[0]])
    return found


def parser(column: Column) -> pl.Expr:
    """The expression that reads a column of the detail tables from its text, times apart."""
    text = pl.col(column.name)
    if column.dtype == pl.String:
        return text
    if column.dtype == pl.Int64:
        return count(text).alias(column.name)
    readers = {"s": seconds, "GB_ram": memory, "J": energy}
    return readers[column.unit or ""](text).alias(column.name)


def instants(text: pl.Series, zone: str | None) -> tuple[pl.Series, pl.Series]:
    """Instants of unix seconds, ISO times with an offset, or civil times of a zone: the earlier and the later reading.

    The two differ where a civil time occurs twice. Null: blank, unreadable, unbelievable, or in an hour that the zone
    leaves out.
    """
    local = _civil_times(text)
    absolute = _absolute_times(text) if local.null_count() else None
    readings = []
    sides: tuple[Literal["earliest", "latest"], ...] = ("earliest", "latest")
    for ambiguous in sides:
        known = _in_zone(local, zone, ambiguous)
        known = known if absolute is None else known.zip_with(known.is_not_null(), absolute)
        readings.append(known.zip_with(known.dt.year().is_between(EARLIEST, LATEST - 1).fill_null(False), NEVER))
    return readings[0], readings[1]


NEVER = pl.Series([None], dtype=pl.Datetime("us", "UTC"))


def _civil_times(text: pl.Series) -> pl.Series:
    """Times without zone or offset, as they stand."""
    return text.str.to_datetime("%Y-%m-%dT%H:%M:%S", strict=False, time_unit="us")


def _absolute_times(text: pl.Series) -> pl.Series:
    """Unix seconds, or ISO times with an offset."""
    unix = text.cast(pl.Float64, strict=False)
    micros = pl.select(pl.when(unix.is_between(1, 2e10)).then(unix * 1e6).cast(pl.Int64)).to_series()
    offset = text.str.replace("Z$", "+00:00").str.to_datetime(
        "%Y-%m-%dT%H:%M:%S%#z", strict=False, time_unit="us", time_zone="UTC"
    )
    return offset.zip_with(offset.is_not_null(), micros.cast(pl.Datetime("us", "UTC")))


def _in_zone(local: pl.Series, zone: str | None, ambiguous: Literal["earliest", "latest"]) -> pl.Series:
    """Civil times of a zone in UTC; null without a zone."""
    if zone is None:
        return NEVER.new_from_index(0, len(local))
    return local.dt.replace_time_zone(zone, ambiguous=ambiguous, non_existent="null").dt.convert_time_zone("UTC")


def needs_zone(text: pl.Series) -> bool:
    """Whether there are times that mean nothing without a zone."""
    return _civil_times(text).null_count() < len(text)


def is_told(text: pl.Series) -> pl.Series:
    """Whether a cell tells a time, readable or not."""
    return text.is_not_null() & ~text.is_in(list(NO_TIME))
