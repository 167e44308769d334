"""Slurm's accounting (`sacct --parsable2`, `--json`) -> job_runs, slurm_jobs, slurm_steps: one run per job record.

Read in batches of bounded size, judged vectorised (slurm_verdicts), staged as Parquet; what concerns several records
(repeated lines, attempts of one job) is settled at the end over their hashes, so memory hardly grows with the log.

- A run's id is `CLUSTER/JOBIDRAW/ATTEMPT`; the attempt is Restarts, or the order of submission where Restarts does not
  tell.
- `server_id` comes from `CLUSTER/PARTITION`, `project` from Account, `user` from User, `application` from Partition, or
  from the field that the caller names (JobName often has as many values as there are jobs).
- A suspended run holds its cores for a part of its time only, and when is not told: its cores are scaled by that part
  and spread over the whole time from start to end. Memory and GPUs stay held.
- Steps share what their job holds: they go to slurm_steps and count as excluded.
"""

import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import polars as pl

from pipeline.errors import InputError, PipelineError
from pipeline.importers import slurm_fields as fields
from pipeline.importers import slurm_verdicts as verdicts
from pipeline.importers.base import ImportReport
from pipeline.importers.lines import Lines, log_files, read_blocks, read_lines
from pipeline.importers.runs import RunLog, write_runs
from pipeline.importers.slurm_json import is_json, json_records
from pipeline.importers.slurm_verdicts import NUMBER, PARENT, ROW, Reading

SOURCE = "slurm"
FORMAT = (
    "JobID,JobIDRaw,Cluster,Partition,Account,User,JobName,State,Submit,Eligible,Start,End,ElapsedRaw,Suspended,"
    "Restarts,NNodes,AllocCPUS,ReqMem,AllocTRES,NodeList,TotalCPU,MaxRSS,ConsumedEnergyRaw,ExitCode"
)
COMMAND = f"SLURM_TIME_FORMAT='%s' sacct -a -D --parsable2 --noconvert -S .. -E .. --format={FORMAT}"
"""The command to ask administrators for."""
NEEDED = (("job_id_raw", "job_id"), ("state",), ("start_time",), ("end_time",), ("alloc_cpus", "n_cpus", "alloc_tres"))
"""Columns without which there is no run, one of each."""
JSON_BATCH = 20_000
"""JSON records judged together."""


@dataclass
class Staged:
    """What the batches left: files of judged records, refused records, counts."""

    folder: Path
    rows_in: int = 0
    batches: int = 0
    steps: int = 0
    last_job: tuple[int | None, str | None] = (None, None)
    """Number and id of the last job read: the steps that follow are its."""
    rejects: list[pl.DataFrame] = field(default_factory=list)

    def scan(self, kind: str) -> pl.LazyFrame:
        """All staged records of a kind: jobs or steps."""
        return pl.scan_parquet(self.folder / f"{kind}-*.parquet")


def import_slurm(
    source: Path,
    model: Path,
    *,
    columns: str | None = None,
    timezone: str | None = None,
    servers: Path | None = None,
    horizon: datetime | None = None,
    strict: bool = False,
    application: str = "Partition",
) -> ImportReport:
    """Read a log of sacct (a file, gzipped or not, or a folder of files) into the model folder.

    `columns` names the fields of a log without header, `timezone` the zone of times that have none, `application` the
    sacct field that plays the application.
    """
    _check_zone(timezone)
    reading = Reading(columns, timezone, horizon, _column_of(application))
    with tempfile.TemporaryDirectory(prefix="wattrow-slurm-") as folder:
        staged = Staged(Path(folder))
        for file in log_files(source):
            for batch in _batches(file, reading, staged):
                _stage(batch, reading, staged)
        if not staged.batches:
            raise InputError(f"{source}: holds no record; expected the output of: {COMMAND}")
        return write_runs(model, _log(staged, reading), servers=servers, strict=strict)


def _check_zone(zone: str | None) -> None:
    """Refuse a zone that is not in the tz database."""
    try:
        if zone is not None:
            ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InputError(
            f"{zone!r} is no time zone of the tz database; expected a name as Europe/Copenhagen or UTC"
        ) from None


def _column_of(name: str) -> str:
    """The column that holds a sacct field: any case, with or without a width as in `JobName%30`."""
    plain = name.split("%", maxsplit=1)[0].strip()
    return fields.COLUMN_OF.get(plain.lower(), plain)


def _batches(file: Path, reading: Reading, staged: Staged) -> Iterator[pl.DataFrame]:
    """A file's records as text columns, a batch at a time."""
    head = next(read_blocks(file), b"")
    if is_json(head):
        yield from _json_batches(file)
        return
    names: list[str] | None = None
    for lines in read_lines(file):
        table = _split_lines(lines)
        if names is None and not table.is_empty():
            names = _field_names(file, table["line"][0], reading.columns)
        if names is not None:
            yield _text_batch(table, names, staged)


def _json_batches(file: Path) -> Iterator[pl.DataFrame]:
    """Records of `sacct --json`."""
    records, first = json_records(file), 1
    names = list(dict.fromkeys([*fields.JOBS.columns, *fields.STEPS.columns]))
    schema = {n: pl.String for n in names if n not in ("run_id", "step_id", ROW)}
    while batch := list(islice(records, JSON_BATCH)):
        yield pl.DataFrame(batch, schema=schema).with_row_index(ROW, offset=first).cast({ROW: pl.Int64})
        first += len(batch)


def _split_lines(lines: Lines) -> pl.DataFrame:
    """Lines that hold something, with their numbers in the file."""
    text = lines.text.decode("utf-8", "replace").removesuffix("\n").split("\n")
    table = pl.DataFrame({"line": pl.Series(text, dtype=pl.String)}).with_row_index(ROW, offset=lines.first)
    return table.cast({ROW: pl.Int64}).filter(pl.col("line").str.strip_chars() != "")


def _field_names(file: Path, first_line: str, columns: str | None) -> list[str]:
    """The columns of a log, from its header or else the caller's list; a last empty one where lines end with `|`."""
    printed = first_line.split("|")
    header = [_column_of(n) for n in printed]
    is_header = sum(n in fields.COLUMN_OF.values() for n in header) >= max(2, len(header) // 2)
    if not is_header and columns is None:
        raise InputError(
            f"{file}: no header in the first line; name its fields with --columns, or take the log with: {COMMAND}"
        )
    names = header if is_header else [_column_of(n) for n in (columns or "").replace("|", ",").split(",")]
    if not is_header and len(printed) == len(names) + 1 and printed[-1] == "":
        names.append("")
    missing = [" or ".join(group) for group in NEEDED if not any(n in names for n in group)]
    if missing:
        raise InputError(f"{file}: the log lacks {', '.join(missing)}; take it with: {COMMAND}")
    twice = [n for n, count in Counter(names).items() if count > 1]
    if twice:
        raise InputError(f"{file}: the log has {', '.join(twice)} twice")
    return names


def _text_batch(table: pl.DataFrame, names: list[str], staged: Staged) -> pl.DataFrame:
    """Lines as one column per field; lines of another number of fields are refused, further headers left out."""
    count = pl.col("line").str.count_matches("|", literal=True) + 1
    first = pl.col("line").str.split("|").list.first()
    table = table.with_columns(fields=count)
    good = table.filter(pl.col("fields") == len(names))
    bad = table.filter(pl.col("fields") != len(names))
    if not bad.is_empty():
        message = f"expected {len(names)} fields: a `|` inside a name shifts those behind it"
        staged.rejects.append(verdicts.reject_rows(bad, first, "wrong_field_count", "line", pl.col("line"), message))
        staged.rows_in += bad.height
    split = _read_fields(good["line"], names).with_columns(good[ROW])
    own_name = pl.col("state").str.to_lowercase() == "state"
    return split.filter(~own_name.fill_null(False))


def _read_fields(lines: pl.Series, names: list[str]) -> pl.DataFrame:
    """Lines of equally many fields as columns of text, empty ones null."""
    columns = {f"column_{i}": name for i, name in enumerate(names) if name}
    if lines.is_empty():
        return pl.DataFrame(schema=dict.fromkeys(columns.values(), pl.String))
    table = pl.read_csv(
        "\n".join(lines.to_list()).encode() + b"\n",
        separator="|",
        quote_char=None,
        has_header=False,
        infer_schema=False,
    )
    if table.shape != (len(lines), len(names)):
        raise PipelineError(f"{len(lines)} lines of {len(names)} fields became {table.shape}")
    return table.select(pl.col(old).alias(new) for old, new in columns.items())


def _stage(batch: pl.DataFrame, reading: Reading, staged: Staged) -> None:
    """Judge a batch and put its jobs and steps on disk."""
    batch = _with_parents(batch.with_row_index(NUMBER, offset=staged.rows_in + 1).cast({NUMBER: pl.Int64}), staged)
    judged = verdicts.judge(batch, reading)
    staged.batches += 1
    staged.rows_in += batch.height
    staged.steps += judged.steps.height
    staged.rejects.append(judged.rejects)
    for kind, frame in (("jobs", judged.jobs), ("steps", judged.steps)):
        frame.write_parquet(staged.folder / f"{kind}-{staged.batches:06}.parquet", compression="lz4")


def _with_parents(batch: pl.DataFrame, staged: Staged) -> pl.DataFrame:
    """Add the number of the job that a step belongs to: the last job before it, where that is of the same id."""
    ids = [pl.col(n) for n in ("job_id_raw", "job_id") if n in batch.columns]
    base = pl.coalesce(ids).str.extract(r"^([^.]*)")
    is_step = pl.coalesce(ids).str.contains(".", literal=True).fill_null(False)
    last_number, last_id = staged.last_job
    filled = batch.select(
        base=base,
        number=pl.when(~is_step).then(NUMBER).forward_fill().fill_null(pl.lit(last_number, dtype=pl.Int64)),
        parent=pl.when(~is_step).then(base).forward_fill().fill_null(pl.lit(last_id, dtype=pl.String)),
    )
    if not filled.is_empty():
        staged.last_job = (filled["number"][-1], filled["parent"][-1])
    same = pl.col("base") == pl.col("parent")
    return batch.with_columns(filled.select(pl.when(same).then("number").alias(PARENT)).to_series())


def _log(staged: Staged, reading: Reading) -> RunLog:
    """The whole log: repeated records refused, attempts numbered, figures that need all records filled in."""
    repeated = _refuse_repeated(staged)
    jobs = _with_attempts(_without(staged.scan("jobs"), repeated))
    largest = _largest_on_a_node(jobs)
    rejects = pl.concat(
        [f for f in staged.rejects if not f.is_empty()] or [pl.DataFrame(schema=verdicts.REJECT_SCHEMA)]
    )
    excluded = {"step": staged.steps} if staged.steps else {}
    return RunLog(
        source=SOURCE,
        rows_in=staged.rows_in,
        runs=_runs(jobs, largest),
        rejects=rejects.sort("row", maintain_order=True),
        excluded=excluded,
        details={fields.JOBS: jobs, fields.STEPS: _steps_of_runs(staged, jobs)},
        places=largest.rename({"cores_per_node": "compute", "ram_per_node": "ram"}),
        horizon=reading.horizon or jobs.select(pl.col("held_until").max()).collect().item(),
        capacity_source=("the largest allocation on one node in the Slurm log; a node may be larger", "low"),
    )


def _refuse_repeated(staged: Staged) -> pl.DataFrame:
    """Numbers of the records refused because they repeat an earlier line, or contradict another record of the run.

    Of a run that one dump shows running and a later one ended, the ended record is kept.
    """
    records = _of_repeated(staged.scan("jobs"), "key_hash", "content_hash", "ended_at", "record", "restarts", ROW).sort(
        NUMBER
    )
    if records.is_empty():
        return pl.DataFrame(schema={NUMBER: pl.Int64})
    same = pl.col(NUMBER) != pl.col(NUMBER).min().over("key_hash", "content_hash")
    ended = pl.col("ended_at").is_not_null()
    contents, endings = (pl.col("content_hash").filter(c).n_unique().over("key_hash") for c in (pl.lit(True), ended))
    records = records.with_columns(
        code=pl.when(same)
        .then(pl.lit("duplicate_line"))
        .when((contents > 1) & ~(ended & (endings == 1)))
        .then(pl.lit("duplicate_id_conflict"))
    )
    reasons = {
        "duplicate_line": "the same record stands earlier in the log",
        "duplicate_id_conflict": "another record of the same run says otherwise (the one that ended is kept)",
    }
    for code, reason in reasons.items():
        refused = records.filter(code=code)
        staged.rejects.append(
            verdicts.reject_rows(refused, verdicts.record_id(), code, "JobIDRaw", pl.col("record"), reason)
        )
    return records.filter(pl.col("code").is_not_null()).select(NUMBER)


def _without(frame: pl.LazyFrame, left_out: pl.DataFrame) -> pl.LazyFrame:
    """The records but for some, in their order."""
    return frame if left_out.is_empty() else frame.filter(~pl.col(NUMBER).is_in(left_out[NUMBER].implode()))


def _of_repeated(frame: pl.LazyFrame, key: str, *columns: str) -> pl.DataFrame:
    """Rows whose key occurs more than once."""
    keys = frame.select(key).collect().to_series().sort()  # not group_by, which takes ten times the memory
    often = keys.filter((keys == keys.shift(1)).fill_null(False)).unique()
    if often.is_empty():
        frame = frame.clear()
    return (
        frame.filter(pl.col(key).is_in(often.implode()))
        .select(NUMBER, key, *(c for c in columns if c != key))
        .collect()
    )


def _with_attempts(jobs: pl.LazyFrame) -> pl.LazyFrame:
    """Number the runs of one job: by Restarts where that tells them apart, else in order of submission."""
    several = _of_repeated(jobs, "id_hash", "restarts", "submit_time", "started_at")
    ordered = several.sort("submit_time", "started_at", NUMBER, nulls_last=True)
    numbered = ordered.select(
        NUMBER,
        siblings=pl.len().over("id_hash"),
        attempt=pl.when(pl.col("restarts").drop_nulls().n_unique().over("id_hash") == pl.len().over("id_hash"))
        .then("restarts")
        .otherwise(pl.int_range(pl.len()).over("id_hash")),
    )
    jobs = jobs.join(numbered.lazy(), on=NUMBER, how="left", maintain_order="left")
    attempt = pl.coalesce("attempt", "restarts", pl.lit(0)).cast(pl.Int64)
    siblings = pl.col("siblings").cast(pl.Int64).fill_null(1)
    return jobs.with_columns(attempt=attempt, siblings=siblings, run_id=pl.concat_str("record", attempt, separator="/"))


def _largest_on_a_node(jobs: pl.LazyFrame) -> pl.DataFrame:
    """The most cores and memory that one run held per node, by place: what the log tells of a node's size."""
    return jobs.group_by("place").agg(pl.col("cores_per_node", "ram_per_node").max()).sort("place").collect()


def _runs(jobs: pl.LazyFrame, largest: pl.DataFrame) -> pl.LazyFrame:
    """Jobs in the words of job_runs."""
    restarted = (pl.col("restarts") > 0) | (pl.col("restarts").is_null() & (pl.col("attempt") > 0))
    lost = pl.col("restarts") > pl.col("siblings") - 1
    flags = pl.concat_str(
        "run_flags",
        pl.when(restarted).then(pl.lit("restarted")),
        pl.when(lost).then(pl.lit("earlier_runs_lost")),
        separator=";",
        ignore_nulls=True,
    )
    sizes = largest.lazy().select("place", largest_cores="cores_per_node")
    jobs = jobs.join(sizes, on="place", how="left", maintain_order="left")
    alone = pl.col("submit_line").str.contains("--exclusive(?:[= ]|$)").fill_null(False)
    scope = (
        pl.when(alone)
        .then(pl.lit("exclusive"))
        .when(pl.col("cores_per_node") < pl.col("largest_cores"))
        .then(pl.lit("shared"))
    )
    return jobs.with_columns(
        source_instance=pl.coalesce("cluster", pl.lit(verdicts.SLURM)),
        source_record_id=pl.col("record"),
        project=pl.coalesce("account", pl.lit(verdicts.UNKNOWN)),
        user=pl.coalesce("user", pl.lit(verdicts.UNKNOWN)),
        state_raw=pl.col("state"),
        state=pl.col("run_state"),
        submitted_at=pl.col("submit_time"),
        queued_at=pl.col("eligible_time"),
        energy_scope=pl.when(pl.col("energy").is_not_null()).then(scope.otherwise(pl.lit("unclear"))),
        external_ref=pl.col("job_id_raw"),
        flags=pl.when(flags != "").then(flags),
    )


def _steps_of_runs(staged: Staged, jobs: pl.LazyFrame) -> pl.LazyFrame:
    """Steps with the run they belong to, each once."""
    steps = staged.scan("steps")
    if not staged.steps:
        return steps.with_columns(run_id=pl.lit(None, dtype=pl.String))
    runs = jobs.select(pl.col(NUMBER).alias(PARENT), "run_id")
    steps = steps.join(runs, on=PARENT, how="left", maintain_order="left")
    steps = steps.with_columns(
        run_id=pl.coalesce("run_id", pl.concat_str("base", pl.lit("/0"))), step_id=pl.col("step_id").fill_null("?")
    )
    steps = steps.with_columns(step_hash=pl.struct("run_id", "step_id").hash())
    again = _of_repeated(steps, "step_hash").sort(NUMBER).filter(~pl.col("step_hash").is_first_distinct())
    return _without(steps, again.select(NUMBER))
