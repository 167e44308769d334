"""Small documents of UCloud and CryoSPARC for tests, made up, and ways to write, import and spoil them."""

import json
from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
from hypothesis import strategies as st

from pipeline.importers.base import ImportReport
from pipeline.tables import DETAILS, INPUTS

HORIZON = datetime(2026, 3, 2, 14, tzinfo=UTC)
SAMPLES = Path(__file__).resolve().parents[3] / "shared" / "data" / "samples"
REFERENCE = SAMPLES.parents[1] / "reference"
Document = dict[str, Any]


def ms(clock: str, day: str = "2026-03-02") -> int:
    """Unix milliseconds of a time of day in UTC."""
    return int(datetime.fromisoformat(f"{day}T{clock}+00:00").timestamp() * 1000)


def update(state: str | None, clock: str | None, **more: object) -> Document:
    """A status update of a UCloud job."""
    return {"state": state, "status": None, "timestamp": None if clock is None else ms(clock), **more}


def product(**more: object) -> Document:
    """A UCloud product: 8 vCPUs, 32 GB, no GPU."""
    category = {"name": "std", "provider": "cloudy", "productType": "COMPUTE", "freeToUse": False}
    return {"type": "compute", "category": category, "name": "std-8", "cpu": 8, "memoryInGigs": 32, **more}


def ucloud_job(job_id: str = "7001", *updates: Document, **more: object) -> Document:
    """A UCloud job on two machines of std-8, by default run from 09:00 to 10:30; `state` is its status."""
    told = list(updates) or [update("IN_QUEUE", "08:50"), update("RUNNING", "09:00"), update("SUCCESS", "10:30")]
    states = [u["state"] for u in told if u.get("state")]
    state = more.pop("state", states[-1] if states else "IN_QUEUE")
    frozen = more.pop("frozen", product())
    job: Document = {
        "id": job_id,
        "createdAt": ms("06:00"),
        "owner": {"createdBy": "ada#1", "project": "proj-1"},
        "permissions": {"myself": ["READ"], "others": []},
        "updates": told,
        "specification": {
            "product": {"id": "std-8", "category": "std", "provider": "cloudy"},
            "application": {"name": "blast", "version": "2.1"},
            "replicas": 2,
            "parameters": {"depth": 3},
            "timeAllocation": {"hours": 2, "minutes": 0, "seconds": 0},
        },
        "status": {
            "state": state,
            "jobParametersJson": {"siteVersion": 3, "request": {"replicas": 2, "resolvedProduct": frozen}},
            "startedAt": None,
        },
        "output": {"outputFolder": "/out"},
    }
    return {**job, **more}


def cryosparc_job(uid: str = "J1", **more: object) -> Document:
    """A CryoSPARC job on a node, by default run from 09:00:10 to 10:30 with 4 cores, 1 GPU, 2 RAM slots."""
    slots = {"CPU": [0, 1, 2, 3], "GPU": [2], "RAM": [0, 5]}
    target = {
        "lane": "fast",
        "name": "node7",
        "hostname": "node7",
        "config": {"type": "node", "resource_slots": {"CPU": list(range(16)), "GPU": [0, 1, 2], "RAM": list(range(8))}},
    }
    job: Document = {
        "_id": f"65{uid}",
        "uid": uid,
        "project_uid": "P1",
        "workspace_uids": ["W1", "W2"],
        "spec": {
            "type": "homo_abinit",
            "params": {"k": 2},
            "resource_spec": {"cpu": 4, "gpu": 1, "ram": 2, "ssd": False},
        },
        "title": "first model",
        "status": "completed",
        "created_by_user_id": "u1",
        "created_at": "2026-03-02T08:00:00Z",
        "queued_at": "2026-03-02T09:00:00Z",
        "queued_to_lane": "fast",
        "started_at": "2026-03-02T09:00:10Z",
        "launched_at": "2026-03-02T09:00:15Z",
        "running_at": "2026-03-02T09:00:20Z",
        "completed_at": "2026-03-02T10:30:00Z",
        "completed_count": 1,
        "job_dir_size": 5_000_000,
        "resources_allocated": {
            "lane": "fast",
            "lane_type": "node",
            "hostname": "node7",
            "target": target,
            "slots": slots,
            "fixed": {"SSD": False},
        },
    }
    return {**job, **more}


def without(document: Document, *paths: str) -> Document:
    """A copy that lacks some properties."""
    copy = deepcopy(document)
    for path in paths:
        *branches, last = path.split(".")
        node = copy
        for branch in branches:
            node = node[branch]
        node.pop(last, None)
    return copy


def write(folder: Path, content: object, name: str = "jobs.json") -> Path:
    """Write documents as JSON; text is written as it is."""
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def table(model: Path, name: str) -> pl.DataFrame:
    """A table that was imported."""
    suffix = "csv" if name in ("rejects", "servers", "log_horizons") else "parquet"
    path = model / f"{name}.{suffix}"
    files = sorted(path.glob("*")) if path.is_dir() else [path]
    read: Callable[[Path], pl.DataFrame] = (
        (lambda p: pl.read_csv(p, infer_schema=False)) if suffix == "csv" else pl.read_parquet
    )
    return pl.concat([read(file) for file in files])


def only(model: Path, name: str = "job_runs") -> dict[str, Any]:
    """The one row of a table."""
    rows = table(model, name).to_dicts()
    assert len(rows) == 1, rows
    return rows[0]


def refused(model: Path) -> list[tuple[str, str]]:
    """Code and field of every record refused."""
    return [(r["code"], r["field"]) for r in table(model, "rejects").to_dicts()]


def is_balanced(report: ImportReport) -> bool:
    """Whether every record is a run, refused or excluded."""
    return report.rows_in == report.tables["job_runs"] + report.rejects.total() + report.excluded.total()


def keeps_the_dictionary(model: Path, *sources: str) -> None:
    """Every table written keeps what the dictionary promises of it."""
    tables = {**INPUTS, **{n: t for n, t in DETAILS.items() if n.startswith(sources)}}
    for name in ("job_runs", "job_run_intervals", *(n for n in DETAILS if n.startswith(sources))):
        frame = table(model, name)
        missing = {n: pl.lit(None, dtype=d) for n, d in tables[name].polars_schema().items() if n not in frame.columns}
        _, failures = tables[name].schema.filter(
            frame.with_columns(**missing).select(tables[name].polars_schema().names())
        )
        assert not failures.counts(), (name, failures.counts())


def hours(model: Path) -> dict[str, float]:
    """Hours of running by run, open ones up to the horizon. [h]"""
    pieces = table(model, "job_run_intervals").select("run_id", "started_at", "ended_at")
    runs = table(model, "job_runs").select("run_id", "started_at", "ended_at").join(pieces, on="run_id", how="anti")
    end = pl.col("ended_at").fill_null(pl.lit(HORIZON, dtype=pl.Datetime("us", "UTC")))
    both = pl.concat([runs, pieces]).drop_nulls("started_at")
    summed = both.group_by("run_id").agg((end - pl.col("started_at")).sum().dt.total_microseconds() / 3.6e9)
    return dict(summed.iter_rows())


SCALARS: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**25), 10**25),
    st.floats(),
    st.text(st.characters(), max_size=8),
    st.sampled_from(
        ["RUNNING", "SUCCESS", "completed", "2026-03-02T09:00:00Z", "2026-03-02T09:00:00", "0001-01-01T00:00:00Z"]
    ),
    st.integers(ms("08:00"), ms("15:00")),
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def spoilt(draw: st.DrawFn, document: Document) -> Any:
    """The document with up to four of its values replaced, removed or doubled."""
    copy = deepcopy(document)
    for _ in range(draw(st.integers(0, 4))):
        node: Any = copy
        while True:
            keys = list(node) if isinstance(node, dict) else list(range(len(node)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if isinstance(node[key], dict | list) and node[key] and draw(st.integers(0, 3)):
                node = node[key]
                continue
            match draw(st.sampled_from(["replace", "replace", "remove", "add"])):
                case "replace":
                    node[key] = draw(VALUES)
                case "remove":
                    del node[key]
                case "add" if isinstance(node, list):
                    node.append(draw(VALUES))
                case _:
                    node[draw(st.text(max_size=4))] = draw(VALUES)
            break
    return copy
