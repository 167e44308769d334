"""The records of data/observed, by hand but for their long form: `python data/make_observed.py [FOLDER]` (a test holds that they are these).

The night that summer time begins, seen by three systems of one invented university: Slurm on the cluster `fjord` (local
time of Copenhagen), a CryoSPARC installation with a workstation and a lane on that cluster, and UCloud. Among them are a run that is
still open, one suspended, one that ran in two pieces, one requeued, one cancelled in the queue, one refused, and a CryoSPARC job that
is a Slurm job too. Names, ids and figures are invented.
"""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

DAYS = {"fri": 27, "sat": 28, "sun": 29, "mon": 30}


def instant(at: str) -> datetime:
    """`sat 21:30` as an instant in UTC, March 2026."""
    day, clock = at.split()
    hour, minute = map(int, clock.split(":"))
    return datetime(2026, 3, DAYS[day], hour, minute, tzinfo=UTC)


# ---------------------------------------------------------------- UCloud

STANDARD = {"id": "u1-standard-16", "category": "u1-standard", "provider": "ucloud"}
GPU = {"id": "u2-gpu-1", "category": "u2-gpu", "provider": "ucloud"}
SIZES: dict[str, dict[str, Any]] = {
    "u1-standard-16": {"cpu": 16, "memoryInGigs": 96, "cpuModel": "AMD EPYC 7543"},
    "u2-gpu-1": {"cpu": 24, "memoryInGigs": 180, "gpu": 1, "gpuModel": "NVIDIA A100"},
}


def millis(at: str) -> int:
    return int(instant(at).timestamp() * 1000)


def ucloud_job(
    id: str, user: str, project: str | None, app: str, product: dict[str, str], states: list[tuple[str, str]]
) -> dict[str, Any]:
    """A job as UCloud's API lists it; the first state is its creation."""
    (created, _), *_ = states
    resolved = {
        "type": "compute",
        "category": {"name": product["category"], "provider": product["provider"], "productType": "COMPUTE"},
        "name": product["id"],
        "fraction": {"numerator": 1, "denominator": 1},
        **SIZES[product["id"]],
    }
    name, version = app.split("@")
    application = {"name": name, "version": version}
    updates = [{"state": state, "status": None, "timestamp": millis(at)} for at, state in states]
    starts = [millis(at) for at, state in states if state == "RUNNING"]
    request = {"application": application, "product": product, "replicas": 1, "resolvedProduct": resolved}
    return {
        "id": id,
        "createdAt": millis(created),
        "owner": {"createdBy": user, "project": project},
        "permissions": {"myself": ["READ"], "others": []},
        "updates": updates,
        "specification": {"product": product, "application": application, "replicas": 1, "parameters": {}},
        "status": {
            "state": states[-1][1],
            "jobParametersJson": {"siteVersion": 3, "request": request},
            "startedAt": starts[-1] if starts else None,
        },
        "output": {"outputFolder": f"/work/Jobs/{name}/{id}"},
    }


UCLOUD = [
    ucloud_job(
        "910001", "ida#0001", "genomics", "jupyter@4.1", STANDARD,
        [("sat 20:58", "IN_QUEUE"), ("sat 21:15", "RUNNING"), ("sun 02:15", "SUCCESS")],
    ),
    ucloud_job(
        "910002", "jens#0002", "genomics", "rstudio@2025.9", STANDARD,
        [("sat 22:00", "IN_QUEUE"), ("sat 22:05", "RUNNING"), ("sat 23:05", "SUSPENDED"), ("sun 06:00", "RUNNING"), ("sun 07:30", "SUCCESS")],
    ),
    ucloud_job(
        "910003", "ida#0001", None, "pytorch@2.9", GPU,
        [("sat 21:30", "IN_QUEUE"), ("sat 21:40", "RUNNING"), ("sun 05:40", "EXPIRED")],
    ),
    ucloud_job("910004", "kim#0003", "climate", "jupyter@4.1", STANDARD, [("sun 08:00", "IN_QUEUE"), ("sun 08:02", "RUNNING")]),
    ucloud_job("910005", "kim#0003", "climate", "jupyter@4.1", STANDARD, [("sun 08:10", "IN_QUEUE"), ("sun 08:11", "SUCCESS")]),
]  # fmt: skip

# ---------------------------------------------------------------- CryoSPARC

WORKSTATION = {
    "lane": "workstation",
    "lane_type": "node",
    "hostname": "cryo-ws1",
    "target": {
        "lane": "workstation",
        "name": "cryo-ws1",
        "title": "cryo-ws1",
        "hostname": "cryo-ws1",
        "config": {
            "type": "node",
            "resource_slots": {"CPU": list(range(32)), "GPU": [0, 1], "RAM": list(range(16))},
            "resource_fixed": {"SSD": True},
            "gpus": [{"id": n, "name": "NVIDIA A5000", "mem": 25_425_608_704} for n in (0, 1)],
        },
    },
}
CLUSTER = {
    "lane": "fjord gpu",
    "lane_type": "cluster",
    "hostname": "fjord gpu",
    "target": {"lane": "fjord gpu", "name": "fjord gpu", "title": "fjord gpu", "hostname": "fjord gpu", "config": {"type": "cluster"}},
}  # fmt: skip


def stamp(at: str | None) -> str | None:
    return at and f"{instant(at):%Y-%m-%dT%H:%M:%SZ}"


def cryosparc_job(
    number: int, type: str, user: str, status: str, place: dict[str, Any] | None, slots: tuple[int, int, int],
    queued: str, started: str | None, ended: str | None, **more: Any,
) -> dict[str, Any]:  # fmt: skip
    """A job as a v5 installation holds it, without the properties that are null or empty."""
    cpus, gpus, ram = slots
    held = {"CPU": list(range(cpus)), "GPU": list(range(gpus)), "RAM": list(range(ram))}
    end = {"completed": "completed_at", "failed": "failed_at", "killed": "killed_at"}.get(status)
    return {
        "_id": f"69c5{number:020x}",
        "uid": f"J{number}",
        "project_uid": "P7",
        "workspace_uids": ["W1"],
        "spec": {"type": type, "params": {}, "resource_spec": {"cpu": cpus, "gpu": gpus, "ram": ram, "ssd": True}},
        "title": type,
        "status": status,
        "created_by_user_id": user,
        "created_at": stamp(queued),
        "queued_at": stamp(queued),
        "started_at": stamp(started),
        "launched_at": stamp(started),
        "running_at": stamp(started),
        "heartbeat_at": stamp(ended),
        **({end: stamp(ended)} if end else {}),
        "queued_to_lane": place and place["lane"],
        "resources_allocated": place and {**place, "slots": held, "fixed": {"SSD": True}, "licenses_acquired": gpus},
        "completed_count": 1 if status == "completed" else 0,
        "version": "v5.0.3",
        "deleted": False,
        **more,
    }


ASTRID, BO = "69c500000000000000000a", "69c500000000000000000b"
CRYOSPARC = [
    cryosparc_job(11, "import_movies", ASTRID, "completed", WORKSTATION, (2, 0, 1), "sat 20:00", "sat 20:01", "sat 20:40", job_dir_size=12_000_000),
    cryosparc_job(12, "patch_motion_correction_multi", ASTRID, "completed", WORKSTATION, (6, 2, 4), "sat 20:10", "sat 20:45", "sun 01:15", job_dir_size=900_000_000_000),
    cryosparc_job(13, "homo_refine_new", BO, "completed", CLUSTER, (4, 1, 3), "sat 21:00", "sat 22:30", "sun 03:30", job_dir_size=45_000_000_000, cluster_job_id="770005"),
    cryosparc_job(14, "select_2D", BO, "killed", WORKSTATION, (1, 1, 1), "sun 01:20", "sun 01:25", "sun 01:55"),
    cryosparc_job(15, "class_2D_new", BO, "failed", WORKSTATION, (2, 1, 3), "sun 06:00", "sun 06:01", "sun 06:31"),
    cryosparc_job(16, "nonuniform_refine_new", ASTRID, "queued", None, (4, 1, 3), "sun 09:00", None, None),
]  # fmt: skip

# ---------------------------------------------------------------- Slurm

SACCT = """\
JobID|JobIDRaw|Cluster|Partition|Account|User|JobName|State|Submit|Eligible|Start|End|ElapsedRaw|Suspended|Restarts|NNodes|AllocCPUS|ReqMem|AllocTRES|NodeList|ConsumedEnergyRaw|ExitCode
770001|770001|fjord|cpu|climate|kim|era5|COMPLETED|2026-03-28T20:00:00|2026-03-28T20:00:00|2026-03-28T20:05:00|2026-03-29T04:05:00|25200|00:00:00|0|1|64|200G|billing=64,cpu=64,energy=15900000,mem=200G,node=1|c01|15900000|0:0
770001.batch|770001.batch|fjord||climate||batch|COMPLETED|2026-03-28T20:05:00|2026-03-28T20:05:00|2026-03-28T20:05:00|2026-03-29T04:05:00|25200|00:00:00|0|1|64||cpu=64,mem=200G,node=1|c01|15900000|0:0
770002_1|770003|fjord|cpu|genomics|ida|align|COMPLETED|2026-03-28T21:00:00|2026-03-28T21:00:00|2026-03-28T21:10:00|2026-03-28T22:40:00|5400|00:00:00|0|1|16|32G|billing=16,cpu=16,mem=32G,node=1|c02|0|0:0
770002_2|770002|fjord|cpu|genomics|ida|align|FAILED|2026-03-28T21:00:00|2026-03-28T21:00:00|2026-03-28T21:10:00|2026-03-28T21:31:00|1260|00:00:00|0|1|16|32G|billing=16,cpu=16,mem=32G,node=1|c02|0|1:0
770004|770004|fjord|gpu|climate|kim|emulate|TIMEOUT|2026-03-28T19:00:00|2026-03-28T19:00:00|2026-03-28T22:30:00|2026-03-29T07:30:00|28800|00:00:00|0|1|32|256G|billing=160,cpu=32,gres/gpu=4,mem=256G,node=1|g01|0|0:0
770005|770005|fjord|gpu|cryoem|svc_cs|cryosparc_P7_J13|COMPLETED|2026-03-28T22:00:00|2026-03-28T22:00:00|2026-03-28T23:30:00|2026-03-29T05:30:00|18000|00:00:00|0|1|4|24G|billing=36,cpu=4,gres/gpu=1,mem=24G,node=1|g02|0|0:0
770006|770006|fjord|cpu|genomics|jens|assembly|NODE_FAIL|2026-03-29T00:00:00|2026-03-29T00:00:00|2026-03-29T00:10:00|2026-03-29T01:10:00|3600|00:00:00|0|1|32|128G|billing=32,cpu=32,mem=128G,node=1|c03|0|0:0
770006|770006|fjord|cpu|genomics|jens|assembly|COMPLETED|2026-03-29T01:12:00|2026-03-29T01:14:00|2026-03-29T01:20:00|2026-03-29T06:20:00|14400|00:00:00|1|1|32|128G|billing=32,cpu=32,mem=128G,node=1|c02|0|0:0
770007|770007|fjord|cpu|climate|kim|regrid|COMPLETED|2026-03-29T08:00:00|2026-03-29T08:00:00|2026-03-29T08:00:00|2026-03-29T11:00:00|7200|01:00:00|0|1|16|64G|billing=16,cpu=16,mem=64G,node=1|c01|0|0:0
770008|770008|fjord|cpu|genomics|ida|oops|CANCELLED by 1002|2026-03-29T08:30:00|2026-03-29T08:30:00|None|2026-03-29T08:45:00|0|00:00:00|0|1|0|8G||None assigned|0|0:0
770009|770009|fjord|cpu|climate|kim|backwards|COMPLETED|2026-03-29T09:00:00|2026-03-29T09:00:00|2026-03-29T10:00:00|2026-03-29T09:30:00|0|00:00:00|0|1|4|4G|billing=4,cpu=4,mem=4G,node=1|c02|0|0:0
770010|770010|fjord|cpu|climate|kim|forecast|RUNNING|2026-03-29T11:00:00|2026-03-29T11:00:00|2026-03-29T11:30:00|Unknown|9000|00:00:00|0|1|48|180G|billing=48,cpu=48,mem=180G,node=1|c03|0|0:0
"""
"""770001 spans the night in which 02:00 to 03:00 does not exist: eight hours on the clock, seven on the machine."""


def main(folder: Path) -> None:
    """Write the three logs."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = "\n".join(json.dumps(job, separators=(",", ":")) for job in UCLOUD)
    (folder / "ucloud_jobs.jsonl").write_text(lines + "\n", encoding="utf-8")
    lines = ",\n".join(json.dumps(job, separators=(",", ":")) for job in CRYOSPARC)
    (folder / "cryosparc_jobs.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    (folder / "sacct.txt").write_text(SACCT, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "observed")
