"""A batch of sacct records as text -> its runs, its steps, and the records refused with the reason."""

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from pipeline.errors import InputError
from pipeline.importers import slurm_fields as fields
from pipeline.tables import Table

TOLERANCE = 1.0
"""Seconds by which End - Start - Suspended may differ from Elapsed."""
UNKNOWN = "unknown"
"""Cluster, Account or User of a record that has none."""
PRINTED = {
    "job_id_raw": "JobIDRaw",
    "state": "State",
    "submit_time": "Submit",
    "eligible_time": "Eligible",
    "start_time": "Start",
    "end_time": "End",
    "alloc_cpus": "AllocCPUS",
}
"""sacct's name of the columns that a rule may name."""
SHOWN_CHARACTERS = 200
"""Of a refused value."""
ROW, NUMBER, PARENT = "source_row", "record_no", "parent_no"
"""Line in its file, number in the whole log, from 1, and that of the job a step belongs to."""
OWN = (ROW, NUMBER, PARENT)
RAW, TOLD, LATE = "raw:", "told:", "late:"
"""Before a column's name: its text as printed, whether a time is told, the later reading of one that occurs twice."""
REJECT_SCHEMA = {
    "row": pl.Int64,
    "record_id": pl.String,
    "code": pl.String,
    "field": pl.String,
    "value": pl.String,
    "message": pl.String,
}
RUN_COLUMNS = {
    NUMBER: pl.Int64,
    "id_hash": pl.UInt64,
    "key_hash": pl.UInt64,
    "content_hash": pl.UInt64,
    "record": pl.String,
    "place": pl.String,
    "application": pl.String,
    "run_state": pl.String,
    "started_at": pl.Datetime("us", "UTC"),
    "ended_at": pl.Datetime("us", "UTC"),
    "held_until": pl.Datetime("us", "UTC"),
    "cpu_cores": pl.Float64,
    "gpus": pl.Float64,
    "ram": pl.Float64,
    "nodes": pl.Float64,
    "cores_per_node": pl.Float64,
    "ram_per_node": pl.Float64,
    "energy": pl.Float64,
    "run_flags": pl.String,
}
"""What is staged of a job beside its fields: the columns of job_runs, and what settles repeated records at the end."""
JOB_FIELDS = [n for n in fields.JOBS.columns if n != "run_id"]
STEP_FIELDS = [n for n in fields.STEPS.columns if n not in ("run_id", "step_id")]


@dataclass(frozen=True)
class Reading:
    """How a log is to be read."""

    columns: str | None
    timezone: str | None
    horizon: datetime | None
    application: str


@dataclass(frozen=True)
class Rule:
    """A reason to refuse a record: its code, the field at fault, the rows that break it, and why."""

    code: str
    field: str
    broken: pl.Expr
    message: str


@dataclass(frozen=True)
class Judged:
    """A batch after judgement."""

    jobs: pl.DataFrame
    steps: pl.DataFrame
    rejects: pl.DataFrame


def judge(batch: pl.DataFrame, reading: Reading) -> Judged:
    """Part a batch of text into jobs with their runs, steps, and refused jobs."""
    job_id = pl.coalesce(pl.col(n) for n in ("job_id", "job_id_raw") if n in batch.columns)
    is_step = job_id.str.contains(".", literal=True).fill_null(False)
    jobs, steps = batch.filter(~is_step), batch.filter(is_step)
    runs = _with_run(_typed(jobs, fields.JOBS, reading.timezone), jobs, reading)
    kept, rejects = _refused(runs, reading)
    return Judged(kept.select(*JOB_FIELDS, *RUN_COLUMNS), _steps(steps, reading), rejects)


def _typed(text: pl.DataFrame, table: Table, zone: str | None) -> pl.DataFrame:
    """Every column of a detail table that sacct prints, read from text; absent ones null. Keeps row numbers."""
    printed = [c for n, c in table.columns.items() if n not in fields.OWN]
    present = [c for c in printed if c.name in text.columns and c.name not in fields.TIMES]
    absent = [pl.lit(None, dtype=c.dtype).alias(c.name) for c in printed if c.name not in text.columns]
    numbers = [n for n in OWN if n in text.columns]
    typed = text.select(*numbers, *(fields.parser(c) for c in present), *absent)
    typed = typed.with_columns(_times(text, zone))
    unread = [
        c.name for c in present if c.dtype != pl.String and typed[c.name].null_count() > text[c.name].null_count()
    ]
    return typed.with_columns(other_fields=_other_fields(text, table, typed, unread))


def _times(text: pl.DataFrame, zone: str | None) -> list[pl.Series]:
    """Every time as instant, whether it was told, and its later reading where the two differ."""
    columns = []
    for name in (n for n in fields.TIMES if n in text.columns):
        if zone is None and fields.needs_zone(text[name]):
            raise InputError(
                f"zone_missing: {PRINTED[name]} is printed in local time without its offset; "
                "name the zone with --timezone (as Europe/Copenhagen)"
            )
        early, late = fields.instants(text[name], zone)
        columns += [early.alias(name), fields.is_told(text[name]).alias(TOLD + name)]
        if not early.equals(late):
            columns.append(late.alias(LATE + name))
    return columns


def _other_fields(text: pl.DataFrame, table: Table, typed: pl.DataFrame, unread: list[str]) -> pl.Series:
    """JSON of the fields that the table has no column for, and of the texts that its columns could not read."""
    ours = {*table.columns, *OWN}
    extra = {n: text[n] for n in text.columns if n not in ours and text[n].null_count() < text.height}
    extra |= {n: text[n].zip_with(typed[n].is_null(), pl.Series([None], dtype=pl.String)) for n in unread}
    told = (
        text["other_fields"]
        if "other_fields" in text.columns
        else pl.Series([None], dtype=pl.String).new_from_index(0, text.height)
    )
    if not extra:
        return told
    encoded = pl.DataFrame(extra | {"told:": told}).select(
        pl.when(pl.any_horizontal(pl.col(extra).is_not_null()))
        .then(pl.struct(extra.keys()).struct.json_encode())
        .alias("new"),
        pl.col("told:"),
    )
    both = pl.concat_str(pl.col("told:").str.strip_suffix("}"), pl.lit(","), pl.col("new").str.strip_prefix("{"))
    return encoded.select(pl.coalesce(both, "new", "told:")).to_series()


def _with_run(typed: pl.DataFrame, text: pl.DataFrame, reading: Reading) -> pl.DataFrame:
    """Jobs with what makes them runs."""
    if reading.application not in text.columns:
        raise InputError(
            f"the log has no field {reading.application} for the application; it has {', '.join(text.columns)}"
        )
    states = fields.normal_states(typed["state"].drop_nulls().unique().to_list())
    words, ours = ({text: pair[i] for text, pair in states.items()} for i in (0, 1))
    jobs = _told_apart(typed).with_columns(
        text.select(pl.col(n).alias(RAW + n) for n in text.columns if n not in OWN),
        word=pl.col("state").replace_strict(words, default=None, return_dtype=pl.String),
        run_state=pl.col("state").replace_strict(ours, default=None, return_dtype=pl.String),
        application=pl.coalesce(text[reading.application], typed["partition"], pl.lit(UNKNOWN)),
        record=pl.concat_str(pl.col("cluster").fill_null(SLURM), pl.coalesce("job_id_raw", "job_id"), separator="/"),
        place=_place(),
        cores=pl.coalesce("alloc_cpus", "n_cpus", fields.count(fields.tres(pl.col("alloc_tres"), "cpu"))).cast(
            pl.Float64
        ),
        nodes=pl.coalesce("alloc_nodes", "n_nodes", fields.count(fields.tres(pl.col("alloc_tres"), "node"))).cast(
            pl.Float64
        ),
        ran_for=pl.coalesce("elapsed_raw", "elapsed"),
        content_hash=text.select(n for n in text.columns if n not in OWN).hash_rows(),
    )
    never = (
        pl.col("word").is_in(fields.NEVER_RAN)
        | pl.col("start_time").is_null()
        | _without_nodes("node_list" in text.columns)
    )
    jobs = jobs.with_columns(started_at=pl.when(~never).then("start_time"), ended_at=pl.col("end_time"))
    return jobs.with_columns(**_held()).with_columns(**_hashes()).with_columns(run_flags=_flags())


SLURM = "slurm"
"""Cluster of records that name none."""


def _place() -> pl.Expr:
    """`CLUSTER/PARTITION`, the first partition where several were asked for."""
    partition = pl.col("partition").str.split(",").list.first()
    return pl.concat_str(pl.col("cluster").fill_null(SLURM), partition, separator="/", ignore_nulls=True)


def _without_nodes(printed: bool) -> pl.Expr:
    """Whether a job that took no time never had a node, where the log prints nodes."""
    no_time = (pl.col("start_time") == pl.col("end_time")) & (pl.col("ran_for").fill_null(0) == 0)
    return (pl.col("node_list").fill_null(fields.NO_NODES) == fields.NO_NODES) & no_time if printed else pl.lit(False)


def _held() -> dict[str, pl.Expr]:
    """What a run held [cores, GPUs, GB_ram, kWh], nothing if it never started; suspended time is spread."""
    started = pl.col("started_at").is_not_null()
    tres, nodes = pl.col("alloc_tres"), pl.max_horizontal("nodes", pl.lit(1.0))
    wall = pl.coalesce(_wall(), pl.col("ran_for") + pl.col("suspended"))
    running_part = (
        pl.when((pl.col("suspended") > 0) & (wall > 0)).then((1 - pl.col("suspended") / wall).clip(0, 1)).otherwise(1.0)
    )
    ram = pl.coalesce(_told_ram(), fields.requested_memory(pl.col("req_mem"), pl.col("cores"), nodes), pl.lit(0.0))
    joules = pl.coalesce("consumed_energy_raw", fields.energy(fields.tres(tres, "energy")))
    gpus = pl.coalesce(fields.gpus(tres), fields.gpus_of_gres(pl.col("alloc_gres")), pl.lit(0.0))
    open_until = pl.col("started_at") + pl.duration(seconds=pl.col("ran_for") + pl.col("suspended").fill_null(0))
    return {
        "cpu_cores": pl.when(started).then(pl.col("cores") * running_part).otherwise(0.0),
        "gpus": pl.when(started).then(gpus).otherwise(0.0),
        "ram": pl.when(started).then(ram).otherwise(0.0),
        "cores_per_node": pl.when(started).then(pl.col("cores") / nodes),
        "ram_per_node": pl.when(started).then(_told_ram() / nodes),
        "energy": pl.when(started & (joules > 0)).then(joules / fields.PER_KWH),
        "held_until": pl.when(pl.col("ended_at").is_null()).then(open_until),
    }


def _told_ram() -> pl.Expr:
    """Memory held [GB_ram], as AllocTRES tells it."""
    return fields.memory(fields.tres(pl.col("alloc_tres"), "mem"))


def _wall() -> pl.Expr:
    """Time from start to end [s]."""
    return (pl.col("ended_at") - pl.col("started_at")).dt.total_microseconds() / 1e6


def _hashes() -> dict[str, pl.Expr]:
    """What tells records of one job, and of one run, in 8 bytes each."""
    return {
        "id_hash": pl.col("record").hash(),
        "key_hash": pl.struct("record", "submit_time", "restarts", "sluid").hash(),
    }


def _flags() -> pl.Expr:
    """What is noticed on a run, joined by `;`."""
    started, open_ = pl.col("started_at").is_not_null(), pl.col("ended_at").is_null()
    suspended = (pl.col("suspended") > 0) | (pl.col("run_state") == "suspended")
    mismatch = (_wall() - pl.col("suspended").fill_null(0) - pl.col("ran_for")).abs() > TOLERANCE
    found = {
        "open_clipped": started & open_,
        "suspended": started & suspended,
        "elapsed_mismatch": mismatch,
        "assumed_ram": started & _told_ram().is_null(),
        "ambiguous_time": pl.col("ambiguous_time"),
    }
    codes = [pl.when(broken).then(pl.lit(code)) for code, broken in found.items()]
    joined = pl.concat_str(codes, separator=";", ignore_nulls=True)
    return pl.when(joined != "").then(joined)


def _told_apart(jobs: pl.DataFrame) -> pl.DataFrame:
    """Decide between the two readings of civil times that occur twice: by Elapsed, and no later than the start."""
    late = {n: pl.col(LATE + n) if LATE + n in jobs.columns else pl.col(n) for n in fields.TIMES}
    if not any(LATE + n in jobs.columns for n in fields.TIMES):
        return jobs.with_columns(ambiguous_time=pl.lit(False))
    start, end = pl.col("start_time"), pl.col("end_time")
    twice_start, twice_end = start != late["start_time"], end != late["end_time"]
    readings = [
        (start, end, pl.lit(True)),
        (start, late["end_time"], twice_end),
        (late["start_time"], end, twice_start),
        (late["start_time"], late["end_time"], twice_start & twice_end),
    ]
    ran_for = pl.coalesce("elapsed_raw", "elapsed") + pl.col("suspended").fill_null(0)
    fits = [
        ((e - s).dt.total_seconds() - ran_for).abs().le(TOLERANCE).fill_null(False) & valid.fill_null(False)
        for s, e, valid in readings
    ]
    unsure = (twice_start | twice_end).fill_null(False) & (pl.sum_horizontal(f.cast(pl.Int8) for f in fits) != 1)
    decided = jobs.with_columns(
        start_time=pl.coalesce(*(pl.when(f).then(s) for f, (s, _, _) in zip(fits, readings, strict=True)), start),
        end_time=pl.coalesce(
            *(pl.when(f).then(e) for f, (_, e, _) in zip(fits, readings, strict=True)),
            pl.when(end >= start).then(end),
            late["end_time"],
        ),
        ambiguous_time=unsure,
    )
    waits = {
        n: pl.when(late[n] <= pl.col("start_time")).then(late[n]).otherwise(pl.col(n))
        for n in ("submit_time", "eligible_time")
    }
    doubted = pl.any_horizontal((late[n] != pl.col(n)).fill_null(False) for n in waits)
    return decided.with_columns(**waits, ambiguous_time=pl.col("ambiguous_time") | doubted)


def _rules(jobs: pl.DataFrame, reading: Reading) -> list[Rule]:
    """The reasons to refuse a record; the first that applies is told."""
    zone = f" or not in the civil time of {reading.timezone}" if reading.timezone else ""
    started, final = pl.col("started_at").is_not_null(), pl.col("run_state").is_in(fields.ENDED)
    record = pl.coalesce("job_id_raw", "job_id")
    rules = [
        Rule("bad_record_id", "job_id_raw", ~record.str.contains(r"^[0-9]").fill_null(False), "a job has a number"),
        Rule("unknown_state", "state", pl.col("run_state").is_null(), "not one of Slurm's states"),
    ]
    for name in (n for n in fields.TIMES if TOLD + n in jobs.columns):
        unread = pl.col(TOLD + name) & pl.col(name).is_null()
        rules.append(
            Rule(
                "bad_timestamp",
                name,
                unread,
                f"not a time between {fields.EARLIEST} and {fields.LATEST} in seconds{zone}",
            )
        )
    ran = pl.col("start_time").is_null() & (pl.col("ran_for") > 0) & ~pl.col("word").is_in(fields.NEVER_RAN)
    rules += [
        Rule("bad_timestamp", "start_time", ran, "a job that ran needs its start"),
        Rule(
            "bad_timestamp",
            "end_time",
            started & final & pl.col("end_time").is_null(),
            "a job that ended needs its end",
        ),
        Rule(
            "end_before_start",
            "end_time",
            started & (pl.col("end_time") < pl.col("start_time")),
            "the end lies before the start",
        ),
        Rule(
            "zero_cores",
            "alloc_cpus",
            started & (pl.col("cores").fill_null(0) <= 0),
            "a job that ran held at least one CPU",
        ),
    ]
    if reading.horizon is not None:
        late = started & pl.col("end_time").is_null() & (pl.col("start_time") > reading.horizon)
        rules.append(
            Rule(
                "start_after_snapshot",
                "start_time",
                late,
                f"still running, yet started after the horizon {reading.horizon}",
            )
        )
    return rules


def _refused(jobs: pl.DataFrame, reading: Reading) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The jobs that keep every rule, and the rejects of the others."""
    rules = _rules(jobs, reading)
    first = pl.coalesce(
        *(pl.when(rule.broken).then(pl.lit(i)) for i, rule in enumerate(rules)), pl.lit(None, dtype=pl.Int32)
    )
    jobs = jobs.with_columns(first.alias("rule"))
    if jobs["rule"].null_count() == jobs.height:
        return jobs, pl.DataFrame(schema=REJECT_SCHEMA)
    broken = jobs.filter(pl.col("rule").is_not_null())
    return jobs.filter(pl.col("rule").is_null()), pl.concat(
        _rejects(broken.filter(rule=i), rule) for i, rule in enumerate(rules)
    )


def _rejects(jobs: pl.DataFrame, rule: Rule) -> pl.DataFrame:
    """Jobs that break a rule as rows of rejects."""
    value = pl.col(RAW + rule.field) if RAW + rule.field in jobs.columns else pl.lit(None, dtype=pl.String)
    return reject_rows(jobs, record_id(), rule.code, PRINTED[rule.field], value, rule.message)


def record_id() -> pl.Expr:
    """`CLUSTER/JOBIDRAW/RESTARTS` of a record."""
    return pl.concat_str(pl.col("record").fill_null("?"), pl.col("restarts").fill_null(0), separator="/")


def reject_rows(
    rows: pl.DataFrame, record: pl.Expr, code: str, field: str, value: pl.Expr, message: str
) -> pl.DataFrame:
    """Rows as rows of rejects."""
    chosen = rows.select(
        row=pl.col(ROW),
        record_id=record,
        code=pl.lit(code),
        field=pl.lit(field),
        value=value.str.slice(0, SHOWN_CHARACTERS),
        message=pl.lit(message),
    )
    return chosen.cast(REJECT_SCHEMA)  # type: ignore[arg-type]


def _steps(text: pl.DataFrame, reading: Reading) -> pl.DataFrame:
    """Steps with their fields, the job they belong to and their own name."""
    typed = _typed(text, fields.STEPS, reading.timezone)
    whole = pl.coalesce("job_id_raw", "job_id")
    return typed.select(
        *STEP_FIELDS,
        NUMBER,
        PARENT,
        base=pl.concat_str(pl.col("cluster").fill_null(SLURM), whole.str.extract(r"^([^.]*)"), separator="/"),
        step_id=whole.str.extract(r"\.(.*)$"),
    )
