"""Small sacct logs for tests, made up, and ways to import them."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.importers.base import ImportReport
from pipeline.importers.slurm import import_slurm

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
HORIZON = datetime(2026, 3, 2, 14, tzinfo=UTC)
JOB = {
    "JobID": "900",
    "JobIDRaw": "900",
    "Cluster": "toy",
    "Partition": "cpu",
    "Account": "ada-lab",
    "User": "ada",
    "JobName": "fold",
    "State": "COMPLETED",
    "Submit": "2026-03-02T07:30:00",
    "Eligible": "2026-03-02T07:30:00",
    "Start": "2026-03-02T08:00:00",
    "End": "2026-03-02T09:30:00",
    "ElapsedRaw": "5400",
    "Suspended": "00:00:00",
    "Restarts": "0",
    "NNodes": "1",
    "AllocCPUS": "8",
    "ReqMem": "16G",
    "AllocTRES": "billing=8,cpu=8,mem=16G,node=1",
    "NodeList": "n1",
    "ConsumedEnergyRaw": "0",
    "ExitCode": "0:0",
}


def job(number: int = 900, **cells: str) -> dict[str, str]:
    """A job of 8 CPUs and 16 GiB from 08:00 to 09:30 UTC, with other cells."""
    return {**JOB, "JobID": str(number), "JobIDRaw": str(number), **cells}


def sacct(*jobs: dict[str, str], header: bool = True) -> str:
    """Jobs as sacct --parsable2 prints them."""
    names = list(dict.fromkeys(n for j in jobs for n in j)) or list(JOB)
    lines = ["|".join(j.get(n, "") for n in names) for j in jobs]
    return "\n".join([*(["|".join(names)] if header else []), *lines]) + "\n"


def take(tmp_path: Path, log: str | bytes, **options: Any) -> tuple[ImportReport, Path]:
    """Import a log into a fresh model; the books must balance."""
    source = tmp_path / "sacct.txt"
    source.write_bytes(log.encode() if isinstance(log, str) else log)
    model = tmp_path / "model"
    report = import_slurm(source, model, **{"timezone": "UTC", "horizon": HORIZON, **options})
    runs = report.tables.get("job_runs", 0)
    assert report.rows_in == runs + report.rejects.total() + report.excluded.total()
    assert report.tables.get("slurm_jobs", 0) == runs
    return report, model


def table(model: Path, name: str) -> pl.DataFrame:
    """An imported table, in order of its first column; without rows where there is none."""
    if (model / f"{name}.csv").is_dir():
        return pl.read_csv(
            model / f"{name}.csv" / "*.csv", schema_overrides={"value": pl.String, "record_id": pl.String}
        )
    files = sorted((model / f"{name}.parquet").glob("*.parquet"))
    return pl.concat(pl.read_parquet(f) for f in files).sort("run_id") if files else pl.DataFrame()


def only(model: Path, name: str = "job_runs") -> dict[str, Any]:
    """The one row of a table."""
    rows = table(model, name).to_dicts()
    assert len(rows) == 1
    return rows[0]


def hourly(runs: pl.DataFrame, zone: str = "UTC", horizon: datetime = HORIZON) -> pl.DataFrame:
    """Core and GPU seconds of every hour, run by run and hour by hour: slow and plain."""
    cells: dict[datetime, list[float]] = {}
    for run in runs.filter(pl.col("started_at").is_not_null()).iter_rows(named=True):
        begin, end = run["started_at"].timestamp(), (run["ended_at"] or horizon).timestamp()
        hour = begin - begin % 3600
        while begin < end and hour < end:
            overlap = min(end, hour + 3600) - max(begin, hour)
            cell = cells.setdefault(datetime.fromtimestamp(hour, UTC), [0.0, 0.0])
            cell[0] += overlap * run["cpu_cores"]
            cell[1] += overlap * run.get("gpus", 0)
            hour += 3600
    rows = [(h, cores, gpus) for h, (cores, gpus) in sorted(cells.items())]
    frame = pl.DataFrame(rows, schema=["hour", "core_seconds", "gpu_seconds"], orient="row")
    return frame.with_columns(pl.col("hour").dt.convert_time_zone(zone).dt.replace_time_zone(None))
