"""A trace in Standard Workload Format (18 numbers a line) -> job_runs, swf_jobs, swf_headers: one run per job.

Times count from the header's UnixStartTime, in UTC; unknown numbers are -1. A run's id is `TRACE:JOB` with the file's
name as trace; `server_id` comes from the header's Computer and the partition (`COMPUTER/PARTITION`), `application` is
the executable's number, `project` the group's, `user` the user's. An unknown wait means that the submission is the
start. Lines of status 2, 3 and 4 are pieces of a job that has a line of its own: excluded. Memory counts binary
gigabytes as GB_ram.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import polars as pl

from pipeline.errors import InputError
from pipeline.importers.base import ImportReport
from pipeline.importers.lines import Lines, log_files, read_lines
from pipeline.importers.runs import RunLog, Verdicts, write_runs
from pipeline.tables import DETAILS

SOURCE = "swf"
JOBS, HEADERS = DETAILS["swf_jobs"], DETAILS["swf_headers"]
FIELDS = [n for n in JOBS.columns if n not in ("run_id", "source_row")]
"""The 18 fields in the order of a line."""
WHOLE = [n for n in FIELDS if JOBS.columns[n].dtype == pl.Int64]
"""Fields that name something: jobs, users, states."""
LARGEST = 2.0**53
MEMORY = ("used_memory", "requested_memory")
KIB_PER_GIB = 1024.0**2
STATES = {1: "completed", 0: "failed", 5: "cancelled", -1: "unknown"}
PIECES = (2, 3, 4)
"""Status of lines that describe a piece of a job between two checkpoints."""
UNKNOWN = "unknown"
LATEST_SECONDS = 6.6e9
"""About 209 years: a time beyond is a mistake."""
ROW = "source_row"


@dataclass
class Trace:
    """One file: its header lines and its lines of numbers, as text."""

    name: str
    header: list[tuple[int, str | None, str]] = field(default_factory=list)
    lines: list[pl.DataFrame] = field(default_factory=list)

    def told(self, label: str) -> str | None:
        """What the header says after a label."""
        return next((value for _, name, value in self.header if name == label), None)


def import_swf(
    source: Path,
    model: Path,
    *,
    servers: Path | None = None,
    horizon: datetime | None = None,
    strict: bool = False,
) -> ImportReport:
    """Read a trace (a file, gzipped or not, or a folder of traces) into the model folder."""
    verdicts = Verdicts()
    traces = [_read_trace(file) for file in log_files(source)]
    jobs = pl.concat([_runs_of(trace, verdicts) for trace in traces])
    log = RunLog(
        source=SOURCE,
        rows_in=sum(part.height for trace in traces for part in trace.lines),
        runs=jobs,
        rejects=verdicts.rejects(),
        excluded=verdicts.excluded,
        details={JOBS: _details(jobs), HEADERS: pl.concat(_header(trace) for trace in traces)},
        places=_capacities(jobs, traces),
        capacity_source=("processors per node in the trace's header", "medium"),
        horizon=horizon,
        warnings=tuple(w for trace in traces for w in _hints(trace)),
    )
    return write_runs(model, log, servers=servers, strict=strict)


def _read_trace(file: Path) -> Trace:
    """The header and the lines of a file, not yet understood."""
    trace = Trace(file.name.removesuffix(".gz").removesuffix(".swf"))
    for chunk in read_lines(file):
        table = _split_lines(chunk)
        header = table.filter(pl.col("line").str.starts_with(";"))
        trace.header += [(row, *_label(line)) for row, line in header.iter_rows()]
        trace.lines.append(table.filter(~pl.col("line").str.starts_with(";")))
    if not any(part.height for part in trace.lines):
        raise InputError(f"{file}: holds no job; expected lines of {len(FIELDS)} numbers")
    if _origin(trace) is None:
        raise InputError(
            f"{file}: the header lacks a readable UnixStartTime (`; UnixStartTime: 749458803`), the origin of its times"
        )
    return trace


def _split_lines(lines: Lines) -> pl.DataFrame:
    """Lines that hold something, with their numbers in the file."""
    text = lines.text.decode("utf-8", "replace").removesuffix("\n").split("\n")
    table = pl.DataFrame({"line": pl.Series(text, dtype=pl.String)}).with_row_index(ROW, offset=lines.first)
    return table.select(pl.col(ROW).cast(pl.Int64), pl.col("line").str.strip_chars()).filter(pl.col("line") != "")


def _label(line: str) -> tuple[str | None, str]:
    """Label and text of a header line; no label on lines that continue the one before."""
    label, colon, value = line.lstrip("; \t").partition(":")
    return (label.strip(), value.strip()) if colon and label.replace(" ", "").isalnum() else (None, line.lstrip("; \t"))


def _origin(trace: Trace) -> float | None:
    """The header's UnixStartTime [s]."""
    try:
        seconds = float((trace.told("UnixStartTime") or "").split()[0])
    except (ValueError, IndexError):
        return None
    return seconds if 0 <= seconds <= LATEST_SECONDS else None


def _runs_of(trace: Trace, verdicts: Verdicts) -> pl.DataFrame:
    """The jobs of a trace that keep every rule, with what makes them runs; the others go to the verdicts."""
    lines = pl.concat(trace.lines)
    split = lines.with_columns(cells=pl.col("line").str.extract_all(r"\S+"), place=pl.lit(_computer(trace)))
    count = pl.col("cells").list.len()
    _reject(
        split.filter(count != len(FIELDS)),
        trace,
        verdicts,
        "wrong_field_count",
        "line",
        f"expected {len(FIELDS)} numbers",
    )
    split = split.filter(count == len(FIELDS))
    numbers = {n: pl.col("cells").list.get(i).cast(pl.Float64, strict=False) for i, n in enumerate(FIELDS)}
    believable = pl.all_horizontal(pl.col(FIELDS).is_between(-LARGEST, LARGEST).fill_null(False))
    whole = pl.all_horizontal((pl.col(WHOLE) == pl.col(WHOLE).floor()).fill_null(False))
    jobs = split.with_columns(**numbers).with_columns(readable=believable & whole)
    message = "every field is a number, a whole one where it names something"
    _reject(jobs.filter(~pl.col("readable")), trace, verdicts, "not_a_number", "line", message)
    jobs = jobs.filter("readable")
    pieces = pl.col("status").is_in([float(s) for s in PIECES])
    if excluded := jobs.filter(pieces).height:
        verdicts.exclude("partial_execution", excluded)
    return _judged(jobs.filter(~pieces).with_columns(**_run(trace)), trace, verdicts)


def _computer(trace: Trace) -> str:
    """The machine's name, else the trace's."""
    return trace.told("Computer") or trace.name


def _run(trace: Trace) -> dict[str, pl.Expr]:
    """What makes a job a run: instants, and what it held [processors, GB_ram]."""
    origin = _origin(trace) or 0.0
    submitted = origin + pl.col("submit_time")
    started = submitted + pl.max_horizontal("wait_time", pl.lit(0.0))
    ran = pl.col("run_time") >= 0
    cores = pl.when(pl.col("allocated_processors") > 0).then("allocated_processors").otherwise("requested_processors")
    memory = (
        pl.when(pl.col("requested_memory") > 0).then("requested_memory").otherwise("used_memory").clip(0) / KIB_PER_GIB
    )
    assumed = ran & (pl.col("allocated_processors") <= 0)
    return {
        "run_id": pl.format("{}:{}", pl.lit(trace.name), pl.col("job_number").cast(pl.Int64)),
        "place": pl.concat_str("place", _word("partition_number", none=None), separator="/", ignore_nulls=True),
        "source_instance": pl.lit(trace.name),
        "source_record_id": pl.col("job_number").cast(pl.Int64).cast(pl.String),
        "application": _word("executable_number"),
        "project": _word("group_number"),
        "user": _word("user_number"),
        "state": pl.col("status").cast(pl.Int64).replace_strict(STATES, default=None, return_dtype=pl.String),
        "state_raw": pl.col("status").cast(pl.Int64).cast(pl.String),
        "submitted_at": _instant(submitted),
        "queued_at": _instant(submitted),
        "started_at": pl.when(ran).then(_instant(started)),
        "ended_at": pl.when(ran).then(_instant(started + pl.col("run_time"))),
        "cpu_cores": pl.when(ran).then(cores).otherwise(0.0),
        "ram": pl.when(ran).then(memory * cores).otherwise(0.0),
        "flags": pl.when(assumed).then(pl.lit("assumed_allocation")),
    }


def _word(column: str, none: str | None = UNKNOWN) -> pl.Expr:
    """A number as an id."""
    return (
        pl.when(pl.col(column) >= 0)
        .then(pl.col(column).cast(pl.Int64).cast(pl.String))
        .otherwise(pl.lit(none, dtype=pl.String))
    )


def _instant(unix: pl.Expr) -> pl.Expr:
    """An instant of unix seconds, to the millisecond."""
    return (
        (pl.when(unix.abs() <= 2 * LATEST_SECONDS).then(unix * 1000).round() * 1000)
        .cast(pl.Int64)
        .cast(pl.Datetime("us", "UTC"))
    )


def _judged(jobs: pl.DataFrame, trace: Trace, verdicts: Verdicts) -> pl.DataFrame:
    """The jobs that keep every rule."""
    ended = pl.col("status").is_in([0.0, 5.0])
    rules = [
        ("bad_record_id", "job_number", pl.col("job_number") < 0, "a job has a number"),
        ("unknown_state", "status", pl.col("state").is_null(), "expected 1, 0, 5 or -1 (2, 3, 4 for pieces)"),
        (
            "bad_timestamp",
            "submit_time",
            ~pl.col("submit_time").is_between(0, LATEST_SECONDS),
            "seconds after UnixStartTime",
        ),
        ("bad_timestamp", "wait_time", pl.col("wait_time") > LATEST_SECONDS, "seconds from submission to start"),
        (
            "bad_timestamp",
            "run_time",
            (pl.col("run_time") > LATEST_SECONDS) | ((pl.col("run_time") < 0) & ~ended),
            "a job that ran has a run time",
        ),
        (
            "zero_cores",
            "allocated_processors",
            (pl.col("run_time") >= 0) & (pl.col("cpu_cores") <= 0),
            "a job that ran held processors",
        ),
    ]
    for code, name, broken, message in rules:
        _reject(jobs.filter(broken), trace, verdicts, code, name, message)
        jobs = jobs.filter(~broken)
    content = pl.struct(FIELDS).hash()
    same = ~pl.struct("job_number", content.alias("content")).is_first_distinct()
    _reject(
        jobs.filter(same), trace, verdicts, "duplicate_line", "job_number", "the same line stands earlier in the trace"
    )
    jobs = jobs.filter(~same)
    conflict = pl.len().over("job_number") > 1
    _reject(
        jobs.filter(conflict),
        trace,
        verdicts,
        "duplicate_id_conflict",
        "job_number",
        "another line of the same number says otherwise",
    )
    return jobs.filter(~conflict)


def _reject(jobs: pl.DataFrame, trace: Trace, verdicts: Verdicts, code: str, name: str, message: str) -> None:
    """Refuse jobs."""
    for job in jobs.iter_rows(named=True):
        number = (job["cells"] or ["?"])[0]
        value = job["line"][:200] if name == "line" else job["cells"][FIELDS.index(name)]
        verdicts.reject(
            row=job[ROW], record_id=f"{trace.name}:{number}", code=code, field=name, value=value, message=message
        )


def _details(jobs: pl.DataFrame) -> pl.DataFrame:
    """The fields as swf_jobs: -1 empty, memory in GB_ram."""
    known = [pl.when(pl.col(n) >= 0).then(pl.col(n) / (KIB_PER_GIB if n in MEMORY else 1.0)).alias(n) for n in FIELDS]
    return jobs.with_columns(known)


def _header(trace: Trace) -> pl.DataFrame:
    """The header lines as swf_headers."""
    lines = pl.DataFrame(trace.header, schema={"line": pl.Int64, "label": pl.String, "value": pl.String}, orient="row")
    return lines.select(pl.lit(trace.name).alias("trace"), "line", "label", "value")


def _per_node(trace: Trace) -> float | None:
    """Processors of one node, where the header tells both."""
    procs, nodes = _whole(trace, "MaxProcs"), _whole(trace, "MaxNodes")
    return procs / nodes if procs and nodes else None


def _whole(trace: Trace, label: str) -> int | None:
    """A number of the header."""
    text = (trace.told(label) or "").split(" ")[0]
    return int(text) if text.isdecimal() and len(text) < 10 else None


def _capacities(jobs: pl.DataFrame, traces: list[Trace]) -> pl.DataFrame:
    """Processors of one node, by place."""
    told = {trace.name: _per_node(trace) for trace in traces}
    compute = pl.col("source_instance").replace_strict(told, default=None, return_dtype=pl.Float64)
    return jobs.group_by("place").agg(compute=compute.max()).sort("place")


def _hints(trace: Trace) -> Iterator[str]:
    """What the header tells and a person must decide."""
    if nodes := _whole(trace, "MaxNodes"):
        yield f"{trace.name}: the header tells of {nodes} nodes; with fixed_nb_of_instances = {nodes} a run checks them"
    if not any(trace.told(label) for label in ("Computer", "MaxProcs")):
        yield f"{trace.name}: the header names neither computer nor processors; the server is called {_computer(trace)}"
