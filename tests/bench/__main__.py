"""`make bench`: generated models of growing size as whole processes, beside the bounds measured in the same run. Results as JSON and a table.

usage: python -m tests.bench [--small] [--only NAME,...] [--repeat N] [--out FILE.json]
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import duckdb

from tests.bench import logs, measure, models

ROOT = Path(__file__).parents[2]
WATTROW = [str(Path(sys.executable).parent / "wattrow")]
ONE_THREAD = {"POLARS_MAX_THREADS": "1"}


@dataclass
class Result:
    """One line of the table."""

    name: str
    rows: int
    wall: float
    cpu: float
    peak_mb: float
    target: str
    bounds: dict[str, float] = field(default_factory=dict)
    ratio: float | None = None


def _run(
    name: str, model: Path, work: Path, flags: list[str], rows: int, target: str, bounds: dict[str, float]
) -> Result:
    out = work / f"out-{name}"
    shutil.rmtree(out, ignore_errors=True)
    cost = measure.run([*WATTROW, "run", str(model), "--out", str(out), "--quiet", *flags])
    if cost.code:
        raise SystemExit(f"{name}: wattrow run ended with {cost.code}")
    return Result(name, rows, cost.wall, cost.cpu, cost.peak_mb, target, bounds)


def _arithmetic(jobs: int, hours: int, servers: int) -> float:
    command = [sys.executable, "-m", "tests.bench.bounds", "arithmetic", str(jobs), str(hours), str(servers)]
    return round(float(subprocess.run(command, check=True, capture_output=True, text=True).stdout), 3)


def _writing(work: Path, name: str, tables: list[str]) -> dict[str, float]:
    command = [
        sys.executable,
        "-m",
        "tests.bench.bounds",
        "writing",
        str(work / f"out-{name}" / "current"),
        str(work),
        ",".join(tables),
    ]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, **ONE_THREAD})
    by_polars, as_we_do = done.stdout.split()
    return {"write": round(float(by_polars), 3), "write with our encodings": round(float(as_we_do), 3)}


def _held(result: Result, work: Path, tables: list[str]) -> Result:
    """The result with the write bounds of its tables, also per job-hour as PERFORMANCE.md has them, and the ratio to what Polars' writer takes."""
    result.bounds |= _writing(work, result.name, tables)
    result.bounds["write, ns a job-hour"] = round(result.bounds["write"] / result.rows * 1e9)
    result.ratio = round(result.wall / result.bounds["write"], 2)
    return result


CORE = ["need.job", "need.server", "instances.server", "energy.server", "repartition.server"]
ALL = [*CORE, "need.occurrence", "repartition.job", "repartition.footprint", "energy.network"]


def size(name: str, work: Path, servers: int, jobs: int, hours: int, targets: dict[str, str]) -> list[Result]:
    """Core tables with all and with base columns, with the attribution per month, and everything hourly, as far as targets are named."""
    model = work / f"model-{name}"
    models.write_model(model, servers=servers, jobs=jobs, hours=hours)
    rows = jobs * hours
    arithmetic = {"numpy": _arithmetic(jobs, hours, servers)}
    core, attributed = (
        ["--tables", "core"],
        ",".join([*CORE, "need.service", "instances.capacity", "repartition.job", "repartition.footprint"]),
    )
    variants = {
        "core": (core, CORE),
        "base": ([*core, "--columns", "base"], CORE),
        "month": (
            ["--tables", attributed, "--attribution-grain", "month"],
            [*CORE, "repartition.job", "repartition.footprint"],
        ),
        "everything": ([], ALL),
    }
    made = []
    for variant, (flags, tables) in variants.items():
        if variant in targets:
            result = _run(f"{name} {variant}", model, work, flags, rows, targets[variant], dict(arithmetic))
            made.append(_held(result, work, tables))
            if variant == "core":
                made += queries(f"{name} query", work / f"out-{name} core" / "current")
            shutil.rmtree(work / f"out-{name} {variant}", ignore_errors=True)
    shutil.rmtree(model)
    return made


def queries(name: str, current: Path) -> list[Result]:
    """One job's and one day's rows of need.job, in DuckDB."""
    made = []
    glob = str(current / "need" / "job" / "*.parquet")
    for what, where in (
        ("one job", "job_id = 'job-000042'"),
        ("one day", "hour >= '2026-03-01' AND hour < '2026-03-02'"),
    ):
        connection = duckdb.connect(config={"threads": 2})
        began = time.monotonic()
        rows = connection.execute(
            f"SELECT sum(avg_occurrences), count(*) FROM read_parquet($1) WHERE {where}", [glob]
        ).fetchall()[0][1]
        made.append(Result(f"{name} {what}", rows, round(time.monotonic() - began, 3), 0.0, 0.0, "0.3 s"))
    return made


def growth(work: Path, servers: int, jobs_each: int, hours: int) -> list[Result]:
    """The same jobs per server on ten times the servers; with both, partitions are of their full size."""
    made = []
    for many in (servers, 10 * servers):
        model = work / f"model-growth-{many}"
        models.write_model(model, servers=many, jobs=many * jobs_each, hours=hours)
        made.append(_run(f"growth {many} servers", model, work, ["--tables", "core"], many * jobs_each * hours, "", {}))
        shutil.rmtree(model)
        shutil.rmtree(work / f"out-growth {many} servers")
    made[1].target = "memory <= 1.15x, time <= 11x"
    made[1].bounds = {
        "memory x": round(made[1].peak_mb / made[0].peak_mb, 2),
        "time x": round(made[1].wall / made[0].wall, 2),
    }
    return made


def special(name: str, work: Path, servers: int, jobs: int, hours: int) -> list[Result]:
    """A model that has to finish under 2 GB."""
    model = work / f"model-{name}"
    models.write_model(model, servers=servers, jobs=jobs, hours=hours)
    result = _run(name, model, work, ["--tables", "core", "--memory", "1.5GB"], jobs * hours, "under 2 GB", {})
    shutil.rmtree(model)
    shutil.rmtree(work / f"out-{name}")
    return [result]


def sacct(work: Path, rows: int) -> list[Result]:
    """Accounting rows to published hourly tables: import, then run."""
    log, model = work / "sacct.txt", work / "model-sacct"
    logs.write_sacct(log, rows)
    servers = logs.write_servers(work)
    imported = measure.run(
        [*WATTROW, "import", "slurm", str(log), "--model", str(model), "--timezone", "UTC", "--servers", str(servers)]
    )
    if imported.code:
        raise SystemExit(f"sacct: import ended with {imported.code}")
    logs.complete_servers(model)
    tables = "need.run,need.job,need.server,instances.capacity,instances.server,energy.server"
    ran = _run("sacct run", model, work, ["--tables", tables], rows, "", {})
    shutil.rmtree(model)
    total = Result(
        "sacct import + run",
        rows,
        round(imported.wall + ran.wall, 2),
        round(imported.cpu + ran.cpu, 2),
        max(imported.peak_mb, ran.peak_mb),
        "30 s, 3 GB",
    )
    return [Result("sacct import", rows, imported.wall, imported.cpu, imported.peak_mb, ""), ran, total]


def example(work: Path) -> list[Result]:
    """The worked hour from the command line to published tables."""
    return [_run("example", ROOT / "data" / "example", work, [], 0, "2 s", {})]


def suite(small: bool, work: Path) -> dict[str, object]:
    """The benchmarks by name; each returns its results when called."""
    a = {"core": "5 s, 2.2x write", "base": "2.5 s", "month": "core + 2.5 s", "everything": "2.2x write"}
    tenth = {"example": lambda: example(work), "A/10": lambda: size("A10", work, 2, 100, 26280, a)}
    if small:
        return tenth
    return {
        **tenth,
        "A": lambda: size("A", work, 20, 1000, 26280, a),
        "B": lambda: size("B", work, 50, 5000, 26280, {"core": "20 s, 1.2 GB", "base": "10 s, 1.2 GB"}),
        "growth": lambda: growth(work, 30, 50, 8760),
        "many jobs": lambda: special("100000 jobs, 1000 servers, a month", work, 1000, 100_000, 720),
        "large server": lambda: special("one server, 5000 jobs, 3 years", work, 1, 5000, 26280),
        "sacct": lambda: sacct(work, 1_000_000),
    }


def table(results: list[Result]) -> str:
    """The results as a Markdown table."""
    head = "| what | rows | wall s | CPU s | peak MB | bounds | wall / write bound | target |\n| --- | --- | --- | --- | --- | --- | --- | --- |"
    lines = [
        f"| {r.name} | {r.rows:,} | {r.wall} | {r.cpu} | {r.peak_mb:.0f} | {', '.join(f'{k} {v}' for k, v in r.bounds.items())} | {r.ratio or ''} | {r.target} |"
        for r in results
    ]
    return "\n".join([head, *lines])


def main() -> None:
    """Measure, print, and keep the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "bench.json")
    chosen = parser.parse_args()
    os.chdir(ROOT)
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="wattrow-bench-") as folder:
        for name, measured in suite(chosen.small, Path(folder)).items():
            for _ in range(chosen.repeat if not chosen.only or name in chosen.only.split(",") else 0):
                for result in measured():  # type: ignore[operator]
                    results.append(result)
                    print(table([result]).splitlines()[-1], flush=True)
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    machine = {
        "cores": os.cpu_count(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "load": os.getloadavg(),
    }
    chosen.out.write_text(json.dumps({"machine": machine, "results": [asdict(r) for r in results]}, indent=2))
    print("\n" + table(results) + f"\n\nwritten to {chosen.out}")


if __name__ == "__main__":
    main()
