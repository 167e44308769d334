"""Records of a system that exports documents -> a RunLog: identity, verdicts, flags, and rows of detail tables."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import polars as pl

from pipeline.importers.documents import Record, Refusal, printable
from pipeline.importers.properties import Row, Rows
from pipeline.importers.runs import RunLog, Verdicts
from pipeline.tables import INPUTS, Table

CLOCK_SKEW = timedelta(minutes=5)
"""By which an instant may lie beyond the moment the log was taken."""
UNPLACED = "unplaced"
"""The place of runs that never got a machine: nothing runs there, so its drafted server costs nothing."""
UNPLACED_SERVER: Row = {
    "place": UNPLACED,
    "name": "Runs that never got a machine: nothing runs here",
    "server_type": "autoscaling",
    "compute": 1.0,
    "ram": 1.0,
    "power": 0.0,
    "idle_power": 0.0,
    "carbon_footprint_fabrication": 0.0,
    "lifespan": 1.0,
    "average_carbon_intensity": 0.0,
}
RUN_SCHEMA = pl.Schema(
    {n: c.dtype for n, c in INPUTS["job_runs"].columns.items() if n != "server_id"}
    | {"place": pl.String(), "lane": pl.String(), "held_until": pl.Datetime("us", "UTC")}
)
PLACE_SCHEMA = pl.Schema(
    {"place": pl.String()}
    | {n: c.dtype for n, c in INPUTS["servers"].columns.items() if n in {*UNPLACED_SERVER, "fixed_nb_of_instances"}}
)


@dataclass(frozen=True)
class Piece:
    """One uninterrupted piece of running; without an end it runs on."""

    started_at: datetime
    ended_at: datetime | None


@dataclass
class Reading:
    """What one document says."""

    run: Row
    """A row of job_runs with `place` instead of `server_id`. `held_until` ends an open run before the horizon; `lane`
    is the group of machines it runs on or waits for, which stands in for a missing place."""
    pieces: list[Piece] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)
    details: dict[Table, list[Row]] = field(default_factory=dict)
    """Rows of detail tables; their run_id is filled in."""
    latest: datetime | None = None
    """The last sign of life in the document: the log was taken no earlier."""
    place: Row | None = None
    """What the document tells of its place's server."""
    excluded: str | None = None
    """Why it is no run of this system, though its details are kept."""


class DocumentLog:
    """The books while records are read one by one."""

    def __init__(self, details: Iterable[Table], horizon: datetime | None) -> None:
        self.verdicts = Verdicts()
        self.rows_in = 0
        self.horizon = _in_utc(horizon)
        self.latest: datetime | None = None
        self._bound = (self.horizon or datetime.now(UTC)) + CLOCK_SKEW
        self._runs = Rows(RUN_SCHEMA)
        self._intervals = Rows(INPUTS["job_run_intervals"].polars_schema())
        self._details = {table: Rows(table.polars_schema()) for table in details}
        self._seen: dict[str, bytes] = {}
        self._places: dict[str, Row] = {}
        self._lanes: dict[str, str] = {}
        self._lane_of: dict[str, str] = {}

    def take(
        self, record: Record, identify: Callable[[dict[str, Any]], str], read: Callable[[str, dict[str, Any]], Reading]
    ) -> None:
        """Enter one record: as a run, refused or excluded."""
        self.rows_in += 1
        run_id: str | None = None
        try:
            if record.refusal is not None:
                raise record.refusal
            document: dict[str, Any] = record.value  # type: ignore[assignment]  # refusal_of let only objects pass
            run_id = identify(document)
            if self._is_repeated(run_id, document):
                self.verdicts.exclude("identical_record")
                return
            self._enter(run_id, read(run_id, document))
        except Refusal as refusal:
            self._refuse(record, run_id, refusal)

    def _refuse(self, record: Record, run_id: str | None, refusal: Refusal) -> None:
        shown = None if refusal.value is None else printable(refusal.value)
        self.verdicts.reject(
            row=record.row,
            record_id=None if run_id is None else printable(run_id),
            code=refusal.code,
            field=printable(refusal.field),
            value=shown,
            message=f"{refusal.message} ({printable(record.origin)})",
        )

    def _is_repeated(self, run_id: str, document: dict[str, Any]) -> bool:
        """Whether the same record came before. Refusal where it came with other content."""
        digest = sha256(json.dumps(document, sort_keys=True).encode()).digest()
        before = self._seen.setdefault(run_id, digest)
        if before is digest:
            return False
        if before == digest:
            return True
        raise Refusal(
            "duplicate_id_conflict", "id", run_id, "an earlier record has this id and other content: which one holds?"
        )

    def _enter(self, run_id: str, reading: Reading) -> None:
        if reading.excluded is None:
            self._check_clock(reading)
            self._enter_run(run_id, reading)
        else:
            self.verdicts.exclude(reading.excluded)
        for table, rows in reading.details.items():
            self._details[table].add({**row, "run_id": run_id} for row in rows)

    def _enter_run(self, run_id: str, reading: Reading) -> None:
        pieces = [self._at_horizon(piece) for piece in reading.pieces]
        flags = [*reading.flags, *_flags_of(pieces)]
        times: Row = {"started_at": pieces[0].started_at, "ended_at": pieces[-1].ended_at} if pieces else {}
        self._runs.add([{**reading.run, **times, "run_id": run_id, "flags": ";".join(dict.fromkeys(flags)) or None}])
        if len(pieces) > 1:
            numbered = enumerate(pieces)
            self._intervals.add(
                {"run_id": run_id, "interval_no": n, "started_at": p.started_at, "ended_at": p.ended_at}
                for n, p in numbered
            )
        place, lane = reading.run.get("place"), reading.run.get("lane")
        if reading.place is not None:
            self._places.setdefault(str(place), {**reading.place, "place": place})
        if place is not None and lane is not None:
            self._lanes.setdefault(str(lane), str(place))
            self._lane_of.setdefault(str(place), str(lane))
        if reading.latest is not None and reading.latest <= self._bound:
            self.latest = max(self.latest or reading.latest, reading.latest)

    def _check_clock(self, reading: Reading) -> None:
        """Refuse what lies beyond the moment the log was taken."""
        told = [("start_after_snapshot", name, reading.run.get(name)) for name in ("submitted_at", "queued_at")]
        told += [("start_after_snapshot", "started_at", piece.started_at) for piece in reading.pieces]
        told += [("end_in_future", "ended_at", piece.ended_at) for piece in reading.pieces]
        told.append(("end_in_future", "ended_at", reading.run.get("ended_at")))
        for code, name, instant in told:
            if isinstance(instant, datetime) and instant > self._bound:
                message = f"later than {self._bound:%Y-%m-%dT%H:%M:%SZ}, when the log had been taken"
                raise Refusal(code, name, instant.isoformat(), message)

    def _at_horizon(self, piece: Piece) -> Piece:
        """An open piece that began within the clock's skew after the horizon has no length yet."""
        if piece.ended_at is None and self.horizon is not None and piece.started_at > self.horizon:
            return Piece(piece.started_at, piece.started_at)
        return piece

    def taken_at(self) -> datetime | None:
        """When the log was taken: as told, else its last sign of life."""
        return self.horizon or self.latest

    def runs(self) -> pl.DataFrame:
        """The runs. One whose signs of life stop before the log was taken ends there, and is flagged heartbeat_lost.

        One that has no place stands at the first machine of its lane, or else at `unplaced`.
        """
        lost = (
            pl.col("ended_at").is_null()
            & pl.col("started_at").is_not_null()
            & (pl.col("held_until") < pl.lit(self.taken_at(), dtype=pl.Datetime("us", "UTC")))
        )
        flagged = pl.concat_str("flags", pl.lit("heartbeat_lost"), separator=";", ignore_nulls=True)
        return self._runs.frame().with_columns(
            *(
                pl.col(c.name).fill_null(c.default)
                for c in INPUTS["job_runs"].columns.values()
                if c.default is not None
            ),
            place=pl.coalesce(
                "place",
                pl.col("lane").replace_strict(self._lanes, default=None, return_dtype=pl.String),
                pl.lit(UNPLACED),
            ),
            ended_at=pl.when(lost).then(pl.max_horizontal("held_until", "started_at")).otherwise("ended_at"),
            flags=pl.when(lost).then(flagged).otherwise("flags"),
        )

    def run_log(self, source: str, warnings: Iterable[str]) -> RunLog:
        """The whole, to be written."""
        runs, intervals = self.runs(), self._intervals.frame()
        return RunLog(
            source=source,
            rows_in=self.rows_in,
            runs=runs,
            rejects=self.verdicts.rejects(),
            excluded=self.verdicts.excluded,
            intervals=intervals,
            details={table: rows.frame() for table, rows in self._details.items()},
            places=self._told_places(),
            aliases=self._lane_of,
            horizon=self.taken_at(),
            warnings=(*warnings, *clipping_note(source, runs, intervals, self.taken_at()), *cluster_note(source, runs)),
        )

    def _told_places(self) -> pl.DataFrame:
        """What the documents tell of servers, one row per place."""
        rows = Rows(PLACE_SCHEMA)
        rows.add([*self._places.values(), UNPLACED_SERVER])
        return rows.frame()


def _in_utc(instant: datetime | None) -> datetime | None:
    """An instant in UTC; one without zone is taken for UTC."""
    if instant is None or instant.tzinfo is None:
        return None if instant is None else instant.replace(tzinfo=UTC)
    return instant.astimezone(UTC)


def _flags_of(pieces: list[Piece]) -> list[str]:
    """What the pieces alone show."""
    flags = ["multiple_intervals"] if len(pieces) > 1 else []
    if pieces and pieces[-1].ended_at is None:
        flags.append("open_clipped")
    if pieces and all(p.ended_at == p.started_at for p in pieces):
        flags.append("zero_duration")
    return flags


def open_hours(runs: pl.DataFrame, intervals: pl.DataFrame, taken_at: datetime | None) -> float:
    """Hours held by runs that have no end, up to the moment the log was taken. [h]"""
    if taken_at is None:
        return 0.0
    last = intervals.group_by("run_id").agg(last=pl.col("started_at").max())
    still = runs.filter(pl.col("flags").fill_null("").str.contains("open_clipped")).join(
        last, on="run_id", how="left", validate="1:1"
    )
    end = pl.col("ended_at").fill_null(pl.lit(taken_at, dtype=pl.Datetime("us", "UTC")))
    seconds = still.select((end - pl.coalesce("last", "started_at")).dt.total_seconds().sum()).item()
    return float(seconds) / 3600


def clipping_note(source: str, runs: pl.DataFrame, intervals: pl.DataFrame, taken_at: datetime | None) -> list[str]:
    """A sentence on the hours that open runs are given."""
    count = int(runs["flags"].fill_null("").str.contains("open_clipped").sum())
    if not count or taken_at is None:
        return []
    hours = open_hours(runs, intervals, taken_at)
    return [
        f"{source}: {count} runs have no end and are held until {taken_at:%Y-%m-%dT%H:%M:%SZ} "
        f"or their last sign of life: {hours:.2f} h of running"
    ]


def cluster_note(source: str, runs: pl.DataFrame) -> list[str]:
    """A sentence on runs that the accounting of a cluster holds too."""
    also = runs.filter(pl.col("flags").fill_null("").str.contains("also_in_cluster"))
    if also.is_empty():
        return []
    pairs = ", ".join(f"{r['run_id']} = {r['external_ref']}" for r in also.head(5).iter_rows(named=True))
    return [
        f"{source}: {also.height} runs are also in their cluster's own accounting "
        f"({pairs}{', ...' if also.height > 5 else ''}): "
        "with that log in the same model they count twice; keep one of the two (sacct has the better clock, and energy)"
    ]
