"""What every log importer needs: a `RunLog` in; job_runs, its companions, rejects and drafted servers out.

An importer reads its records and says of each: a run, refused (why), or excluded (why). It hands the whole over as one
`RunLog`, whose runs name a `place` (partition, lane, product) in the stead of `server_id`; `write_runs` maps places to
servers, holds the books (`rows_in = runs + rejects + excluded`) and writes. Importing a source again replaces what was
imported from it before.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path

import polars as pl
import pyarrow as pa

from pipeline.errors import InputError, PipelineError
from pipeline.importers.base import Frame, ImportReport
from pipeline.tables import INPUTS, Table
from pipeline.tables.inputs import SERVER_TABLES

REJECTS = INPUTS["rejects"]
PATTERN_COLUMNS = ("place", "partition", "lane", "product", "pattern")
"""Names that the first column of a `--servers` table may have."""
DRAFTED = (
    "server_id",
    "name",
    "server_type",
    "compute_unit",
    "compute",
    "ram",
    "power",
    "idle_power",
    "carbon_footprint_fabrication",
    "lifespan",
    "average_carbon_intensity",
    "zone",
    "power_usage_effectiveness",
    "fixed_nb_of_instances",
)
"""Columns of a drafted `servers` table: what the records do not tell stays empty for a person to fill in."""
SCHEDULER = "slurm"
"""The source whose runs other systems' `external_ref` may name."""
SHOWN = 5
"""Refused records named in an error message; the rest are counted."""


@dataclass
class Verdicts:
    """Books on records that became no runs, for importers that go record by record."""

    rejected: list[dict[str, object]] = field(default_factory=list)
    excluded: Counter[str] = field(default_factory=Counter)

    def reject(self, *, row: int, record_id: str | None, code: str, field: str, value: object, message: str) -> None:
        """Refuse a record: `row` counts from 1 in the source, `value` is what stood in `field`."""
        shown = None if value is None else str(value)
        self.rejected.append(
            {"row": row, "record_id": record_id, "code": code, "field": field, "value": shown, "message": message}
        )

    def exclude(self, reason: str, count: int = 1) -> None:
        """Count records that are no runs."""
        self.excluded[reason] += count

    def rejects(self) -> pl.DataFrame:
        """The refused records as a frame, without their source."""
        schema = {n: c.dtype for n, c in REJECTS.columns.items() if n != "source"}
        return pl.DataFrame(self.rejected, schema=schema)


@dataclass(frozen=True)
class RunLog:
    """What an importer made of its records."""

    source: str
    """ucloud, cryosparc, slurm or swf; names the parts that are written."""
    rows_in: int
    """Records read."""
    runs: Frame
    """Columns of job_runs, with `place` instead of `server_id`; `source` may be missing; `flags` are codes joined by
    `;`.
    """
    rejects: Frame
    """Columns of rejects; `source` may be missing."""
    excluded: Mapping[str, int] = field(default_factory=dict)
    """Records that are no runs, by reason."""
    intervals: Frame | None = None
    """job_run_intervals, of the runs that ran in several pieces only."""
    details: Mapping[Table, Frame] = field(default_factory=dict)
    """Detail tables of the source (tables of `DETAILS`)."""
    places: Frame | None = None
    """`place` and whatever columns of `servers` the records tell of it (compute, ram, server_type, name ...), in
    canonical units.
    """
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Another name that a `--servers` table may know a place by: the lane that a machine belongs to."""
    capacity_source: tuple[str, str] | None = None
    """Where the figures of `places` come from, and the confidence in them (low, medium, high): noted in `sources`."""
    horizon: datetime | None = None
    """When the log was taken; without it, the latest instant of its runs."""
    warnings: tuple[str, ...] = ()


def write_runs(model: Path, log: RunLog, *, servers: Path | None = None, strict: bool = False) -> ImportReport:
    """Map places to servers, check the books, write every table of the log; `strict`: nothing if one is refused."""
    runs = _typed(log.runs.lazy().with_columns(source=pl.lit(log.source)), INPUTS["job_runs"], also=("place",))
    rejects = _typed(log.rejects.lazy().with_columns(source=pl.lit(log.source)), REJECTS)
    report = _report(log, runs, rejects)
    if strict and report.rejects:
        raise InputError(_strict_message(report, rejects))
    places = [str(p) for p in runs.select(pl.col("place").unique().sort()).collect().to_series()]
    server_of = servers_of_places(places, servers, report, log.aliases)
    known = pl.LazyFrame(
        {"place": list(server_of), "server_id": list(server_of.values())},
        schema={"place": pl.String, "server_id": pl.String},
    )
    mapped = runs.join(
        known, on="place", how="left", maintain_order="left"
    )  # replace_strict and validate= would not stream
    tables: dict[Table, Frame] = {INPUTS["job_runs"]: mapped}
    tables[INPUTS["job_run_intervals"]] = (
        INPUTS["job_run_intervals"].empty() if log.intervals is None else log.intervals
    )
    for table, frame in {**tables, **log.details}.items():
        report.tables[table.name] = write_part(model, table, frame, part=log.source)
    report.tables["rejects"] = write_part(model, REJECTS, rejects, part=log.source, as_csv=True)
    _write_horizon(model, log, runs, report)
    _draft_servers(model, log, server_of, report)
    _warn_of_pairs(model, report)
    return report


def _typed(frame: pl.LazyFrame, table: Table, *, also: tuple[str, ...] = ()) -> pl.LazyFrame:
    """The table's columns that the frame has, in the dictionary's types."""
    names = frame.collect_schema().names()
    typed = [pl.col(c.name).cast(c.dtype) for c in table.columns.values() if c.name in names]
    return frame.select(*typed, *(pl.col(name).cast(pl.String) for name in also))


def _report(log: RunLog, runs: pl.LazyFrame, rejects: pl.LazyFrame) -> ImportReport:
    """The books of the log, balanced."""
    report = ImportReport(rows_in=log.rows_in, excluded=Counter(dict(log.excluded)), warnings=list(log.warnings))
    report.rejects.update(_counts(rejects.select(pl.col("code"))))
    if "flags" in runs.collect_schema().names():
        codes = pl.col("flags").drop_nulls().str.split(";").explode().str.extract("^([^:]+)")
        report.flags.update(_counts(runs.select(codes.alias("code"))))
    kept = int(runs.select(pl.len()).collect().item())
    accounted = kept + report.rejects.total() + report.excluded.total()
    if accounted != log.rows_in:
        raise PipelineError(
            f"{log.source}: {log.rows_in} records read, but {kept} runs, {report.rejects.total()} refused "
            f"and {report.excluded.total()} excluded make {accounted}"
        )
    return report


def _counts(codes: pl.LazyFrame) -> dict[str, int]:
    """Rows by code, codes in order of the alphabet."""
    counted = codes.drop_nulls().group_by("code").len().sort("code").collect()
    return dict(zip(counted["code"].to_list(), counted["len"].to_list(), strict=True))


def _strict_message(report: ImportReport, rejects: pl.LazyFrame) -> str:
    """The first refused records and how many there are of each kind."""
    first = rejects.head(SHOWN).collect().iter_rows(named=True)
    lines = [
        f"row {r['row']}, record {r['record_id']}: {r['code']}, {r['field']} = {r['value']!r}: {r['message']}"
        for r in first
    ]
    counts = ", ".join(f"{count} {code}" for code, count in report.rejects.items())
    return "\n".join(
        [*lines, f"{report.rejects.total()} of {report.rows_in} records refused ({counts}); nothing written"]
    )


def write_part(model: Path, table: Table, frame: Frame, *, part: str, as_csv: bool = False) -> int:
    """Write the part of a table that comes from one source, `NAME.parquet/PART.parquet`, in one step; rows written."""
    ending = "csv" if as_csv else "parquet"
    folder = model / f"{table.name}.{ending}"
    if folder.is_file():
        raise InputError(
            f"{folder} is a file; imported {table.name} go into a folder of that name: move it away, or into {folder}/"
        )
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{part}.{ending}"
    partial = target.with_name(f".{target.name}.partial")
    rows = _sink(_typed(frame.lazy(), table), table, partial, as_csv=as_csv)
    partial.replace(target)
    return rows


def _sink(frame: pl.LazyFrame, table: Table, target: Path, *, as_csv: bool) -> int:
    """Write a table's columns to a file; rows written."""
    if as_csv:
        frame.sink_csv(target, datetime_format="%Y-%m-%dT%H:%M:%S%.fZ")
        return int(frame.select(pl.len()).collect().item())
    schema = pa.schema([table.columns[n].arrow_field() for n in frame.collect_schema().names()])
    frame.sink_parquet(target, compression="zstd", compression_level=1, arrow_schema=schema)
    return int(pl.scan_parquet(target).select(pl.len()).collect().item())


def servers_of_places(
    places: Iterable[str], mapping: Path | None, report: ImportReport, aliases: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The server of every place, by the first row of the mapping that fits; without one, a server of its own name."""
    rules = [] if mapping is None else _mapping_rules(mapping)
    names = {place: (place, (aliases or {}).get(place, place)) for place in places}
    found = {
        place: next((server for pattern, server in rules if any(_fits(name, pattern) for name in known)), None)
        for place, known in names.items()
    }
    unmapped = [place for place, server in found.items() if server is None]
    if rules and unmapped:
        report.warnings.append(f"{mapping} has no row for {', '.join(unmapped)}: each is a server of its own name")
    return {place: server or place for place, server in found.items()}


def _fits(place: str, pattern: str) -> bool:
    """Whether a glob pattern fits a place, or, where it has no slash, the place's last part."""
    return fnmatchcase(place, pattern) or ("/" not in pattern and fnmatchcase(place.rsplit("/", 1)[-1], pattern))


def _mapping_rules(mapping: Path) -> list[tuple[str, str]]:
    """Pattern and server of every row of a `--servers` table, in its order."""
    table = _read_text_table(mapping)
    pattern = next((name for name in PATTERN_COLUMNS if name in table.columns), None)
    if pattern is None or "server_id" not in table.columns:
        raise InputError(
            f"{mapping}: expected the columns {' or '.join(PATTERN_COLUMNS)} and server_id, "
            f"found {', '.join(table.columns)}"
        )
    empty = table.filter(pl.any_horizontal(pl.col(pattern, "server_id").fill_null("") == ""))
    if not empty.is_empty():
        raise InputError(f"{mapping}: {empty.height} of {table.height} rows have an empty {pattern} or server_id")
    return list(zip(table[pattern].to_list(), table["server_id"].to_list(), strict=True))


def _read_text_table(path: Path) -> pl.DataFrame:
    """A CSV or Parquet table, everything as text."""
    try:
        if path.suffix == ".parquet":
            return pl.read_parquet(path).cast(pl.String)
        return pl.read_csv(path, infer_schema=False)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (pl.exceptions.PolarsError, OSError) as problem:
        raise InputError(f"{path}: cannot be read as a table: {str(problem).splitlines()[0]}") from None


def _write_horizon(model: Path, log: RunLog, runs: pl.LazyFrame, report: ImportReport) -> None:
    """Note when the log was taken: as told, else the latest instant of its runs."""
    instants = [
        n for n in ("submitted_at", "queued_at", "started_at", "ended_at") if n in runs.collect_schema().names()
    ]
    seen = runs.select(
        latest=pl.max_horizontal(pl.col(instants).max()),
        still_open=(pl.col("started_at").is_not_null() & pl.col("ended_at").is_null()).sum(),
        later=(pl.col("ended_at") > pl.lit(log.horizon, dtype=pl.Datetime("us", "UTC"))).sum(),
    ).collect()
    latest, still_open, later = seen.row(0)
    if later:
        report.warnings.append(
            f"{later} runs end after the horizon {log.horizon:%Y-%m-%dT%H:%M:%SZ}: are the clocks right?"
        )
    if log.horizon is None and still_open:
        report.warnings.append(
            f"{still_open} runs have no end and no horizon was given: held until {latest}, the log's latest instant"
        )
    horizon = log.horizon or latest
    if horizon is not None:
        row = pl.DataFrame({"source": [log.source], "horizon": [f"{horizon:%Y-%m-%dT%H:%M:%S.%fZ}"]})
        report.tables["log_horizons"] = add_rows(model, INPUTS["log_horizons"], row, replace=True)


def _draft_servers(model: Path, log: RunLog, server_of: Mapping[str, str], report: ImportReport) -> None:
    """Add a row to servers.csv for every server that the model does not know yet."""
    places = pl.DataFrame(
        {"place": list(server_of), "server_id": list(server_of.values())},
        schema={"place": pl.String, "server_id": pl.String},
    )
    known = pl.DataFrame({"server_id": _known_servers(model)}, schema={"server_id": pl.String})
    new = places.join(known, on="server_id", how="anti", maintain_order="left")
    if new.is_empty():
        return
    told = log.places.lazy().collect() if log.places is not None else pl.DataFrame(schema={"place": pl.String})
    new = new.join(
        told.unique("place", keep="first", maintain_order=True),
        on="place",
        how="left",
        validate="m:1",
        maintain_order="left",
    )
    draft = new.group_by("server_id", maintain_order=True).agg(_of_one_server(new.columns))
    empty = {name: pl.lit(None, dtype=pl.String) for name in DRAFTED if name not in draft.columns}
    draft = draft.with_columns(**empty).with_columns(
        pl.col("name").fill_null(pl.col("server_id")),
        pl.col("server_type").fill_null("on-premise"),
        pl.col("compute_unit").fill_null("cpu_core"),
    )
    report.tables["servers"] = add_rows(
        model, INPUTS["servers"], draft.select(pl.col(DRAFTED).cast(pl.String)), replace=False
    )
    _note_sources(model, log, draft, report)
    report.warnings.append(
        f"{draft.height} servers drafted in {model / 'servers.csv'}: "
        "fill in the empty figures (wattrow check names them)"
    )


def _note_sources(model: Path, log: RunLog, draft: pl.DataFrame, report: ImportReport) -> None:
    """Note where the drafted figures come from."""
    if log.capacity_source is None:
        return
    source, confidence = log.capacity_source
    figures = draft.select("server_id", pl.col("compute", "ram").cast(pl.String)).unpivot(
        index="server_id", variable_name="column"
    )
    told = figures.filter(pl.col("value").is_not_null()).sort("server_id", "column")
    if not told.is_empty():
        rows = told.select(
            table=pl.lit("servers"),
            row_id="server_id",
            column="column",
            source=pl.lit(source),
            confidence=pl.lit(confidence),
        )
        report.tables["sources"] = add_rows(model, INPUTS["sources"], rows, replace=True)


def _of_one_server(columns: Iterable[str]) -> list[pl.Expr]:
    """One row for several places of one server: the largest figure, the first word."""
    numbers = {n for n, c in INPUTS["servers"].columns.items() if c.is_number}
    kept = [n for n in columns if n in DRAFTED and n != "server_id"]
    return [pl.col(n).max() if n in numbers else pl.col(n).drop_nulls().first() for n in kept]


def _known_servers(model: Path) -> list[str]:
    """Ids of the servers that the model folder holds already, of any kind."""
    known: list[str] = []
    for name in SERVER_TABLES:
        for path in (*model.glob(f"{name}.csv"), *model.glob(f"{name}.parquet")):
            files = [path] if path.is_file() else sorted(path.rglob("[!.]*"))
            known += [i for f in files for i in _read_text_table(f).rename(_bare)["server_id"].to_list()]
    return known


def _bare(header: str) -> str:
    """A CSV header without its unit."""
    return header.split(" [", 1)[0].strip()


def add_rows(model: Path, table: Table, rows: pl.DataFrame, *, replace: bool) -> int:
    """Add rows of text to a table that people edit; those of the same key are replaced, or else kept. Rows then in it.

    Headers, units and cells that stand there stay as they are. A figure whose column has been given another unit is
    left empty.
    """
    target = model / f"{table.name}.csv"
    old = _read_text_table(target) if target.exists() else rows.rename(_with_unit(table), strict=False).clear()
    canonical = set(_with_unit(table).values()) | set(table.columns)
    new = rows.rename({_bare(h): h for h in old.columns if _bare(h) in rows.columns and h in canonical})
    new = new.select(n for n in new.columns if n in old.columns)
    headers = {_bare(h): h for h in old.columns}
    key = [headers[name] for name in table.key]
    kept, added = (
        (old.join(new, on=key, how="anti", maintain_order="left"), new)
        if replace
        else (old, new.join(old, on=key, how="anti"))
    )
    model.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.partial")
    pl.concat([kept, added], how="diagonal").write_csv(partial)
    partial.replace(target)
    return kept.height + added.height


def _with_unit(table: Table) -> dict[str, str]:
    """Column names as headers that carry the canonical unit."""
    return {n: f"{n} [{c.unit}]" if c.unit not in (None, "1", "compute_unit") else n for n, c in table.columns.items()}


def double_counted(model: Path) -> pl.DataFrame:
    """Runs of one system that are a scheduler's run as well: same `external_ref`, at the same time. One row per pair.

    A reference may be a path that ends in the scheduler's number (`ACCOUNT/NUMBER`). The scheduler's run is the one to keep: it has the
    better clock, and energy.
    """
    parts = sorted((model / "job_runs.parquet").glob("[!.]*.parquet"))
    wanted = INPUTS["job_runs"].empty().lazy().select("run_id", "source", "external_ref", "started_at", "ended_at")
    told = pl.concat([wanted, *(_typed(pl.scan_parquet(p), INPUTS["job_runs"]) for p in parts)], how="diagonal")
    known = told.select(wanted.collect_schema().names()).filter(
        pl.col("external_ref").is_not_null() & pl.col("started_at").is_not_null()
    )
    known = known.with_columns(number=pl.col("external_ref").str.extract(r"([^/]+)$"))
    ours, theirs = known.filter(pl.col("source") != SCHEDULER), known.filter(pl.col("source") == SCHEDULER)
    pairs = ours.join(theirs, on="number", suffix="_of_scheduler")
    together = (pl.col("started_at") <= pl.col("ended_at_of_scheduler").fill_null(pl.col("started_at"))) & (
        pl.col("started_at_of_scheduler") <= pl.col("ended_at").fill_null(pl.col("started_at_of_scheduler"))
    )
    chosen = pairs.filter(together).select("run_id", "source", "external_ref", "run_id_of_scheduler")
    return chosen.sort("run_id", "run_id_of_scheduler").collect()


def _warn_of_pairs(model: Path, report: ImportReport) -> None:
    """Tell of runs that the model would count twice."""
    if len(list((model / "job_runs.parquet").glob("[!.]*.parquet"))) < 2:
        return
    pairs = double_counted(model)
    if not pairs.is_empty():
        named = ", ".join(
            f"{p['run_id']} = {p['run_id_of_scheduler']}" for p in pairs.head(SHOWN).iter_rows(named=True)
        )
        more = ", ..." if pairs.height > SHOWN else ""
        report.warnings.append(
            f"{pairs.height} runs are also in the scheduler's log and count twice ({named}{more}); keep the scheduler's"
        )
