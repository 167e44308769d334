"""A model with something of everything, runs of it in any split of the work, and results to compare."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
from polars import col
from polars.testing import assert_frame_equal

from tests.bench.models import FIRST_HOUR, write_model

ROOT = Path(__file__).parents[1]


def write_everything(folder: Path, *, servers: int = 8, jobs: int = 24, hours: int = 60) -> Path:
    """Modelled jobs on all servers, storages, direct occurrences and observed runs on some."""
    write_model(folder, servers=servers, jobs=jobs, hours=hours, patterns=3)
    table = pl.read_csv(folder / "servers.csv")
    backed = pl.when(pl.int_range(pl.len()) < 3).then(pl.format("disk-{}", pl.int_range(pl.len())))
    table.with_columns(storage_id=backed).write_csv(folder / "servers.csv")
    pl.DataFrame(
        {
            "storage_id": [f"disk-{i}" for i in range(4)],
            "storage_capacity": [1.0, 2.0, 0.5, 1.0],
            "carbon_footprint_fabrication_per_storage_capacity": [160.0] * 4,
            "data_replication_factor": [3.0] * 4,
            "data_storage_duration": [24.0, 5.0, 100.0, 1.0],
            "base_storage_need": [0.0, 0.1, 0.0, 0.0],
            "lifespan": [6.0] * 4,
            "fixed_nb_of_instances": [None, None, None, 2],
        }
    ).write_csv(folder / "storages.csv")
    moments = [FIRST_HOUR + timedelta(hours=h) for h in range(0, 40, 3)]
    pl.DataFrame(
        {
            "job_id": [f"job-{j:06}" for j in (0, 5) for _ in moments],
            "usage_pattern_id": "direct",
            "container_id": "tray",
            "hour": moments * 2,
            "occurrences": [float(i % 7) for i in range(2 * len(moments))],
        }
    ).write_parquet(folder / "occurrences.parquet")
    began = datetime(2025, 1, 1, 3, 20, tzinfo=UTC)
    pl.DataFrame(
        [
            {
                "run_id": f"run-{i}",
                "source": "slurm",
                "server_id": f"server-{i % 2:05}",
                "application": f"app-{i % 3}",
                "project": "physics",
                "user": f"user-{i % 4}",
                "submitted_at": began + timedelta(minutes=7 * i),
                "started_at": began + timedelta(minutes=9 * i),
                "ended_at": began + timedelta(minutes=9 * i, hours=i % 5, seconds=1 + i),
                "cpu_cores": float(i % 8),
                "ram": 2.5,
            }
            for i in range(30)
        ]
    ).write_parquet(folder / "job_runs.parquet")
    return folder


def change(file: Path, key: str, row: str, **values: object) -> None:
    """Change one row of a CSV table."""
    table = pl.read_csv(file)
    new = [pl.when(col(key) == row).then(pl.lit(v)).otherwise(col(c)).alias(c) for c, v in values.items()]
    table.with_columns(new).write_csv(file)


def tables_of(run: Path) -> dict[str, pl.DataFrame]:
    """Every table of a run, its files one after the other."""
    folders = {p.parent for p in run.rglob("*.parquet")}
    return {f"{f.parent.name}.{f.name}": pl.read_parquet(sorted(f.glob("*.parquet"))) for f in sorted(folders)}


def assert_same(found: Path, expected: Path) -> None:
    """Both runs have the same rows, to 1e-12; their order may differ only by where one partition ends and the next begins."""
    left, right = tables_of(found), tables_of(expected)
    assert list(left) == list(right)
    for name, rows in right.items():
        largest = rows.select(pl.selectors.float().abs().max()).rows()
        scale = max((v for row in largest for v in row if v is not None), default=1.0)
        by = [c for c, dtype in rows.schema.items() if not dtype.is_float()]
        try:
            assert_frame_equal(left[name].sort(by), rows.sort(by), rel_tol=1e-12, abs_tol=scale * 1e-15)
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from error


def keys_in_order(run: Path) -> dict[str, pl.DataFrame]:
    """Every table of a run without its numbers, in the order of its rows."""
    return {name: rows.select(~pl.selectors.float()) for name, rows in tables_of(run).items()}


def assert_no_rests(out: Path) -> None:
    """Nothing of a broken-off task, a temporary file or a lock is left under OUT."""
    assert {p.name for p in out.iterdir()} <= {"runs", "current", ".staging"}
    assert not list((out / ".staging").glob("*"))
    for path in (out / "current").resolve().rglob("*"):
        assert path.is_dir() or path.suffix == ".parquet" or path.name in ("run.json", "views.sql"), path


PATCHED = """
import sys
from pathlib import Path
from pipeline import plan, run
plan.LARGEST_CHUNK = plan.SMALLEST_CHUNK = {chunk}
run.SMALL_ROWS = {small}
{more}
from pipeline.cli import main
sys.argv[0] = "wattrow"
if __name__ == "__main__":
    main()
"""
"""The command with partitions so small that a test has many, and a pool of processes for a small model."""


def started(
    folder: Path, *args: object, chunk: int = 300, pool: bool = False, more: str = "", **env: str
) -> "subprocess.Popen[str]":
    """A real `wattrow` process, its script in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    script = folder / "wattrow_patched.py"
    script.write_text(PATCHED.format(chunk=chunk, small=0 if pool else 10**9, more=more), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **env}
    command = [sys.executable, str(script), *map(str, args)]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finished(process: "subprocess.Popen[str]", code: int = 0) -> tuple[str, str]:
    """What the process printed, out and err; it must end with `code`."""
    out, err = process.communicate(timeout=120)
    assert process.returncode == code, f"exit {process.returncode}\n{out}\n{err}"
    return out, err
