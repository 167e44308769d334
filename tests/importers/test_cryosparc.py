"""What a CryoSPARC job becomes: its last run, its slots, its verdict, and every property in a column."""

import csv
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.errors import InputError
from pipeline.importers.base import ImportReport
from pipeline.importers.cryosparc import LISTS, import_cryosparc
from pipeline.importers.properties import column_name
from pipeline.tables import DETAILS
from tests.importers.documents_of import (
    HORIZON,
    REFERENCE,
    SAMPLES,
    Document,
    cryosparc_job,
    hours,
    is_balanced,
    keeps_the_dictionary,
    only,
    refused,
    spoilt,
    table,
    without,
    write,
)

DAY = "2026-03-02T"
UNTIMED: Document = dict.fromkeys(("started_at", "launched_at", "running_at", "completed_at"))


def take(tmp_path: Path, content: object, name: str = "jobs.json", **options: Any) -> tuple[ImportReport, Path]:
    """Import documents into a fresh model."""
    model = tmp_path / "model"
    report = import_cryosparc(write(tmp_path, content, name), model, **{"horizon": HORIZON, **options})
    assert is_balanced(report)
    return report, model


def on_cluster(uid: str = "J1", **more: object) -> Document:
    """A job that a cluster lane took at 09:00:10 and began at 10:00."""
    job = cryosparc_job(uid, launched_at=f"{DAY}10:00:00Z", running_at=f"{DAY}10:00:05Z", cluster_job_id="555", **more)
    job["resources_allocated"] |= {"lane": "slurm", "lane_type": "cluster", "hostname": "slurm", "target": None}
    return {**job, "queued_to_lane": "slurm"}


# ---------------------------------------------------------------- one job


def test_a_job_becomes_a_run(tmp_path: Path) -> None:
    _, model = take(tmp_path, cryosparc_job())
    run = only(model)
    assert (run["run_id"], run["server_id"], run["application"], run["job_name"]) == (
        "P1-J1",
        "node7",
        "homo_abinit",
        "first model",
    )
    assert (run["project"], run["user"], run["state"], run["state_raw"]) == ("P1", "u1", "completed", "completed")
    assert run["started_at"] == datetime(2026, 3, 2, 9, 0, 10, tzinfo=UTC)
    assert (run["cpu_cores"], run["gpus"], run["ram"], run["data_stored"]) == (4, 1, 2 * 8, 5)
    assert hours(model) == {"P1-J1": pytest.approx(1.5 - 10 / 3600)}


def test_a_node_is_drafted_as_one_machine_of_its_size(tmp_path: Path) -> None:
    (server,) = table(take(tmp_path, cryosparc_job())[1], "servers").to_dicts()
    assert (server["server_id"], server["compute"], server["ram [GB_ram]"], server["fixed_nb_of_instances"]) == (
        "node7",
        "16.0",
        "64.0",
        "1",
    )


def test_a_cluster_lane_is_a_server_and_its_queue_no_running(tmp_path: Path) -> None:
    report, model = take(tmp_path, on_cluster())
    run = only(model)
    assert (run["server_id"], run["external_ref"], run["flags"]) == ("slurm", "555", "also_in_cluster:555")
    assert hours(model) == {"P1-J1": 0.5}
    assert any("count twice" in warning for warning in report.warnings)


def test_a_job_in_the_queue_of_a_cluster_has_not_begun(tmp_path: Path) -> None:
    _, model = take(
        tmp_path, on_cluster() | {"status": "started", "launched_at": None, "running_at": None, "completed_at": None}
    )
    assert (only(model)["state"], only(model)["started_at"], hours(model)) == ("queued", None, {})
    waiting = table(model, "cryosparc_job_states").select("state", "waiting_for", "is_holding").rows()
    assert waiting == [("building", None, False), ("queued", "queue", False), ("started", "cluster", False)]


@pytest.mark.parametrize("status", ["failed", "killed"])
def test_the_end_is_the_stamp_of_the_status(tmp_path: Path, status: str) -> None:
    ends: Document = {"completed_at": "2026-03-01T10:00:00Z", "completed_count": 1, f"{status}_at": f"{DAY}09:30:10Z"}
    _, model = take(tmp_path, cryosparc_job(status=status, **ends))
    assert hours(model) == {"P1-J1": 0.5}
    assert (only(model)["flags"], only(model)["restarts"]) == ("earlier_runs_lost", 1)


@pytest.mark.parametrize("status", ["launched", "started", "running", "waiting"])
def test_a_job_that_runs_is_held_until_the_horizon(tmp_path: Path, status: str) -> None:
    _, model = take(
        tmp_path, cryosparc_job(status=status, started_at=f"{DAY}13:00:00Z", completed_at=None, completed_count=0)
    )
    assert (only(model)["state"], only(model)["flags"], hours(model)) == ("running", "open_clipped", {"P1-J1": 1.0})


def test_a_job_without_heartbeat_is_held_three_minutes_longer(tmp_path: Path) -> None:
    job = cryosparc_job(
        status="running",
        started_at=f"{DAY}09:30:00Z",
        completed_at=None,
        heartbeat_at=f"{DAY}10:27:00Z",
        completed_count=0,
    )
    _, model = take(tmp_path, job)
    assert (only(model)["flags"], hours(model)) == ("open_clipped;heartbeat_lost", {"P1-J1": 1.0})


@pytest.mark.parametrize(
    ("status", "state"), [("building", "queued"), ("queued", "queued"), ("killed", "cancelled"), ("failed", "failed")]
)
def test_a_job_that_never_began_is_a_run_without_start(tmp_path: Path, status: str, state: str) -> None:
    job = cryosparc_job(
        status=status, resources_allocated=None, queued_to_lane=None, killed_at=f"{DAY}09:20:00Z", **UNTIMED
    )
    _, model = take(
        tmp_path, {**job, "completed_count": 0, "killed_at": None if status != "killed" else job["killed_at"]}
    )
    run = only(model)
    assert (run["state"], run["started_at"], run["server_id"], run["cpu_cores"]) == (state, None, "unplaced", 0)


def test_a_job_that_waits_for_a_lane_stands_at_its_first_machine(tmp_path: Path) -> None:
    waiting = cryosparc_job("J2", status="queued", resources_allocated=None, completed_count=0, **UNTIMED)
    _, model = take(tmp_path, [waiting, cryosparc_job()])
    assert table(model, "job_runs")["server_id"].to_list() == ["node7", "node7"]


def test_lanes_and_machines_map_to_servers(tmp_path: Path) -> None:
    rules = write(tmp_path, "lane,server_id\nfast,rack\nslurm,hall\n", "servers_of.csv")
    _, model = take(tmp_path, [cryosparc_job(), on_cluster("J2")], servers=rules)
    assert table(model, "job_runs")["server_id"].to_list() == ["rack", "hall"]


def test_a_run_on_another_instance_is_none_of_this_one(tmp_path: Path) -> None:
    here = cryosparc_job("J2", imported_at=f"{DAY}08:30:00Z")
    report, model = take(tmp_path, [cryosparc_job(imported_at=f"{DAY}11:00:00Z"), here])
    assert report.excluded == {"imported_from_other_instance": 1}
    assert only(model)["run_id"] == "P1-J2"
    assert table(model, "cryosparc_jobs").select("run_id", "excluded").rows() == [
        ("P1-J1", "imported_from_other_instance"),
        ("P1-J2", None),
    ]


def test_a_deleted_job_has_run(tmp_path: Path) -> None:
    assert only(take(tmp_path, cryosparc_job(deleted=True))[1])["flags"] == "deleted"


def test_two_instances_fit_in_one_model(tmp_path: Path) -> None:
    for instance in ("lab/a", "lab b"):
        _, model = take(tmp_path, [cryosparc_job(), on_cluster("J2")], instance=instance)
    runs = table(model, "job_runs").sort("run_id").select("run_id", "source", "project", "server_id").rows()
    assert runs == [
        ("lab b:P1-J1", "cryosparc-lab%20b", "lab b:P1", "node7"),
        ("lab b:P1-J2", "cryosparc-lab%20b", "lab b:P1", "lab b/slurm"),
        ("lab/a:P1-J1", "cryosparc-lab%2Fa", "lab/a:P1", "node7"),
        ("lab/a:P1-J2", "cryosparc-lab%2Fa", "lab/a:P1", "lab/a/slurm"),
    ]
    with pytest.raises(InputError, match="instance"):
        take(tmp_path, [], instance="")


# ---------------------------------------------------------------- forms of old


def test_mongo_and_v4_documents_read_like_those_of_today(tmp_path: Path) -> None:
    job = without(cryosparc_job(), "spec", "resources_allocated.target.config")
    job |= {
        "_id": {"$oid": "65J1"},
        "type": "homo_abinit",
        "job_type": "homo_abinit",
        "params_spec": {"k": 2},
        "queued_to_gpu": False,
    }
    job |= {
        "queued_to_hostname": False,
        "completed_at": {"$date": f"{DAY}10:30:00Z"},
        "job_dir_size": {"$numberLong": "5000000"},
    }
    job["created_at"] = {"$date": {"$numberLong": str(int(datetime(2026, 3, 2, 8, tzinfo=UTC).timestamp() * 1000))}}
    job["resources_allocated"]["target"] |= {"type": "node", "resource_slots": {"CPU": [0, 1], "GPU": [], "RAM": [0]}}
    _, model = take(tmp_path, job)
    today = {k: v for k, v in only(model).items() if k != "server_id"}
    (tmp_path / "v5").mkdir()
    assert today == {k: v for k, v in only(take(tmp_path / "v5", cryosparc_job())[1]).items() if k != "server_id"}
    assert table(model, "servers")["compute"].to_list() == ["2.0"]
    assert only(model, "cryosparc_jobs")["params_spec"] == '{"k":2}'


def test_year_one_and_the_epoch_mean_never(tmp_path: Path) -> None:
    _, model = take(
        tmp_path, cryosparc_job(updated_at="1970-01-01T00:00:00Z", heartbeat_at="0001-01-01T00:00:00+00:00")
    )
    kept = only(model, "cryosparc_jobs")
    assert (kept["updated_at"], kept["heartbeat_at"]) == (None, None)


# ---------------------------------------------------------------- refused

EMPTY: Document = {"lane": None, "lane_type": None, "hostname": "master", "slots": {"CPU": [], "GPU": [], "RAM": []}}


@pytest.mark.parametrize(
    ("job", "code", "field"),
    [
        (cryosparc_job(resources_allocated=None), "no_allocation", "resources_allocated"),
        (
            cryosparc_job(type="snowflake", resources_allocated=None, started_at=None),
            "no_allocation",
            "resources_allocated",
        ),
        (cryosparc_job(resources_allocated=EMPTY), "zero_cores", "resources_allocated.slots.CPU"),
        (cryosparc_job(status="paused"), "unknown_state", "status"),
        (without(cryosparc_job(), "status"), "unknown_state", "status"),
        (cryosparc_job(completed_at=None), "bad_timestamp", "completed_at"),
        (cryosparc_job(completed_at=f"{DAY}09:00:05Z"), "end_before_start", "completed_at"),
        (cryosparc_job(started_at=None, launched_at=None, running_at=None), "bad_timestamp", "started_at"),
        (cryosparc_job(started_at=f"{DAY}09:00:10"), "zone_missing", "started_at"),
        (cryosparc_job(started_at="yesterday"), "bad_timestamp", "started_at"),
        (cryosparc_job(started_at=1_772_439_130), "wrong_type", "started_at"),
        (cryosparc_job(completed_at="2026-03-03T00:00:00Z"), "end_in_future", "ended_at"),
        (cryosparc_job(job_dir_size=-1), "bad_value", "job_dir_size"),
        (cryosparc_job(job_dir_size=2**70), "bad_value", "job_dir_size"),
        (cryosparc_job(deleted="no"), "wrong_type", "deleted"),
        (cryosparc_job(tags=[{}]), "wrong_type", "tags.0"),
        (cryosparc_job(errors_run=["boom"]), "wrong_type", "errors_run.0"),
        (cryosparc_job(bench_timings={"io": [[f"{DAY}09:00:00Z"]]}), "wrong_type", "bench_timings.io.0"),
        (without(cryosparc_job(), "uid"), "missing_field", "uid"),
        (without(cryosparc_job(), "resources_allocated.hostname"), "missing_field", "resources_allocated.hostname"),
        (42, "not_an_object", ""),
    ],
)
def test_what_cannot_be_told_is_refused(tmp_path: Path, job: Any, code: str, field: str) -> None:
    _, model = take(tmp_path, [job, cryosparc_job("J9")])
    assert [(c, f or "") for c, f in refused(model)] == [(code, field)]
    assert table(model, "job_runs")["run_id"].to_list() == ["P1-J9"]


# ---------------------------------------------------------------- every property

OF_A_JOB = [
    "PID_main",
    "PID_monitor",
    "PID_workers",
    "attach_status",
    "bench",
    "bench_timings",
    "build_errors",
    "children",
    "cloned_from",
    "cluster_job_custom_vars",
    "cluster_job_id",
    "cluster_job_monitor_event_id",
    "cluster_job_monitor_last_run_at",
    "cluster_job_monitor_retries",
    "cluster_job_status",
    "cluster_job_status_code",
    "cluster_job_submission_script",
    "completed_at",
    "completed_count",
    "created_at",
    "created_by_job_uid",
    "created_by_user_id",
    "deleted",
    "deleted_at",
    "deleting",
    "description",
    "dumped_at",
    "enable_bench",
    "failed_at",
    "has_error",
    "has_warning",
    "heartbeat_at",
    "id",
    "import_status",
    "imported_at",
    "instance_information",
    "interactive_port",
    "intermediate_results_size_bytes",
    "intermediate_results_size_last_updated",
    "is_ancestor_of_final_result",
    "is_experiment",
    "is_final_result",
    "job_dir",
    "job_dir_size",
    "job_dir_size_last_updated",
    "job_sig",
    "killed_at",
    "last_accessed",
    "last_dumped_version",
    "last_exported_at",
    "last_exported_location",
    "last_exported_version",
    "last_intermediate_data_cleared_amount",
    "last_intermediate_data_cleared_at",
    "last_scheduled_at",
    "launched_at",
    "no_check_inputs_ready",
    "num_tokens",
    "parents",
    "priority",
    "progress",
    "project_uid",
    "project_uid_num",
    "queue_message",
    "queue_status",
    "queued_at",
    "queued_by_user_id",
    "queued_job_hash",
    "queued_to_gpu",
    "queued_to_hostname",
    "queued_to_lane",
    "requeue_windows_ends_at",
    "resources_allocated",
    "run_as_user",
    "running_at",
    "starred_by",
    "started_at",
    "status",
    "status_num",
    "tags",
    "title",
    "tokens_acquired_at",
    "tokens_requested_at",
    "ui_tile_images",
    "uid",
    "uid_num",
    "updated_at",
    "version",
    "version_created",
    "waiting_at",
    "workflow",
    "workspace_uids",
    "errors_run",
    "spec",
    "autodump",
    "oversubscribe_gpus",
]
OF_RESOURCES = ["fixed", "hostname", "lane", "lane_type", "licenses_acquired", "slots", "target"]
TABLES_OF = {
    "resources_allocated": "cryosparc_job_resources",
    "errors_run": "cryosparc_job_errors",
    "build_errors": "cryosparc_job_build_errors",
    "ui_tile_images": "cryosparc_job_tile_images",
    "bench_timings": "cryosparc_job_bench_timings",
    **dict.fromkeys(LISTS, "cryosparc_job_links"),
}
"""Properties that are tables of their own."""


def is_kept(name: str, of: str = "cryosparc_jobs") -> bool:
    """Whether a property has a column, columns of its parts, or a table."""
    column = column_name(name)
    return any(c == column or c.startswith(f"{column}_") for c in DETAILS[of].columns) or TABLES_OF.get(name) in DETAILS


def test_every_property_is_kept() -> None:
    assert [name for name in OF_A_JOB if not is_kept(name)] == []
    assert [name for name in OF_RESOURCES if not is_kept(name, "cryosparc_job_resources")] == []
    assert {"name", "fileid", "num_rows", "num_cols"} <= DETAILS["cryosparc_job_tile_images"].columns.keys()
    assert {"message", "warning"} <= DETAILS["cryosparc_job_errors"].columns.keys()


@pytest.mark.skipif(not REFERENCE.exists(), reason="the reference page is not here")
def test_every_property_named_on_the_reference_page_is_kept() -> None:
    classes = re.split(r"^- class (\w+)#$", (REFERENCE / "cryosparc_job.txt").read_text(), flags=re.MULTILINE)
    named = {
        name: re.findall(r"^- (\w+): ", body, re.MULTILINE)
        for name, body in zip(classes[1::2], classes[2::2], strict=True)
    }
    assert len(named["Job"]) > 90
    assert [n for n in named["Job"] if not is_kept(n)] == []
    assert set(named["Job"]) <= set(OF_A_JOB)
    assert [n for n in named["AllocatedResources"] if not is_kept(n, "cryosparc_job_resources")] == []
    assert [n for n in named["JobLastAccessed"] if not is_kept(f"last_accessed.{n}")] == []
    assert [n for n in named["JobWorkflowInfo"] if not is_kept(f"workflow.{n}")] == []


def test_every_value_can_be_found_again(tmp_path: Path) -> None:
    image = {"name": "2d", "fileid": "f1", "num_rows": 2, "num_cols": 3, "hue": 1}
    job = cryosparc_job(
        errors_run=[{"message": "no memory", "warning": False}],
        build_errors=[{"type": "missing", "loc": ["params", 0], "input": None, "input_type": "dict", "ctx": {}}],
        ui_tile_images=[image],
        last_accessed={"name": "bob", "accessed_at": f"{DAY}12:00:00Z"},
        workflow={"id": "w", "jobId": "n3", "run": 4},
        bench_timings={"io": [[f"{DAY}09:10:00Z", None]]},
        instance_information={
            "CUDA_version": "12.8",
            "gpu_info": [{"id": 0, "name": "A40", "mem": 48, "power_limit": 300.0}],
        },
        PID_workers=[11, 12],
        shade={"a": 1},
    )
    _, model = take(tmp_path, job)
    kept = only(model, "cryosparc_jobs")
    assert (kept["workflow_job_id"], kept["last_accessed_name"], kept["instance_information_cuda_version"]) == (
        "n3",
        "bob",
        "12.8",
    )
    assert (kept["spec_params"], kept["other"], kept["id"]) == ('{"k":2}', '{"shade":{"a":1}}', "65J1")
    assert only(model, "cryosparc_job_errors")["message"] == "no memory"
    assert only(model, "cryosparc_job_build_errors")["loc"] == '["params",0]'
    assert (
        only(model, "cryosparc_job_tile_images")["num_cols"],
        only(model, "cryosparc_job_tile_images")["other"],
    ) == (3, '{"hue":1}')
    assert only(model, "cryosparc_job_gpus")["power_limit"] == 300
    assert only(model, "cryosparc_job_bench_timings")["ended_at"] is None
    links = table(model, "cryosparc_job_links").group_by("property", maintain_order=True).agg("value").rows()
    assert links == [("workspace_uids", ["W1", "W2"]), ("PID_workers", ["11", "12"])]
    resources = only(model, "cryosparc_job_resources")
    assert (resources["cpu_slots"], resources["slots_ram"], resources["target_name"]) == (4, "[0,5]", "node7")


def test_the_states_tell_what_a_job_waited_for(tmp_path: Path) -> None:
    times = {
        "tokens_requested_at": f"{DAY}09:00:01Z",
        "tokens_acquired_at": f"{DAY}09:00:05Z",
        "waiting_at": f"{DAY}09:30:00Z",
    }
    stale: Document = {"failed_at": f"{DAY}08:30:00Z", "completed_count": 1}
    _, model = take(tmp_path, cryosparc_job(**times, **stale))
    states = table(model, "cryosparc_job_states").select("state", "waiting_for", "is_holding", "flags").rows()
    assert states == [
        ("building", None, False, None),
        ("failed", None, False, "earlier_run"),
        ("queued", "queue", False, None),
        ("queued", "licenses", False, None),
        ("queued", "resources", False, None),
        ("started", None, True, None),
        ("launched", None, True, None),
        ("running", None, True, None),
        ("waiting", "interaction", True, None),
        ("completed", None, False, None),
    ]


def test_a_queued_job_tells_what_it_waits_for_now(tmp_path: Path) -> None:
    job = cryosparc_job(
        status="queued", queue_status="waiting_licenses", resources_allocated=None, completed_count=0, **UNTIMED
    )
    _, model = take(tmp_path, job)
    assert table(model, "cryosparc_job_states")["waiting_for"].to_list() == [None, "licenses"]


def test_stamps_out_of_order_are_marked(tmp_path: Path) -> None:
    _, model = take(tmp_path, cryosparc_job(running_at=f"{DAY}09:00:11Z"))
    states = table(model, "cryosparc_job_states").select("state", "is_allowed", "flags").rows()
    assert states[-2:] == [("launched", False, "out_of_order"), ("completed", True, None)]


# ---------------------------------------------------------------- samples, and anything at all


@pytest.mark.skipif(not SAMPLES.exists(), reason="the samples are not here")
def test_the_samples_get_the_verdicts_expected(tmp_path: Path) -> None:
    model = tmp_path / "model"
    report = import_cryosparc(SAMPLES / "cryosparc_jobs.json", model, horizon=HORIZON)
    assert is_balanced(report)
    keeps_the_dictionary(model, "cryosparc")
    assert table(model, "cryosparc_jobs")["other"].null_count() == table(model, "cryosparc_jobs").height
    runs = {r["run_id"]: r for r in table(model, "job_runs").to_dicts()}
    codes = {r["record_id"]: r["code"] for r in table(model, "rejects").to_dicts()}
    held = hours(model)
    with (SAMPLES / "expected_job_runs.csv").open() as file:
        expected = [row for row in csv.DictReader(file) if row["source"] == "cryosparc"]
    for row in expected:
        run_id = row["run_id"]
        if row["verdict"] == "reject":
            assert codes[run_id] in row["codes"].split(";")
        elif row["verdict"] == "exclude":
            assert report.excluded == {row["codes"]: 1}
        else:
            run = runs[run_id]
            assert (run["flags"] or "", run["state_raw"]) == (row["codes"], row["state"]), run_id
            told = tuple(float(row[c] or 0) for c in ("cpu_cores", "gpus", "ram_gb"))
            assert (run["cpu_cores"], run["gpus"], run["ram"]) == told, run_id
            assert held.get(run_id, 0.0) == pytest.approx(float(row["run_hours"]), abs=1e-6), run_id
            assert held.get(run_id, 0.0) * run["gpus"] == pytest.approx(float(row["gpu_hours"] or 0), abs=1e-6), run_id
    assert len(expected) == len(runs) + len(codes) + 1


RICH = cryosparc_job(
    errors_run=[{"message": "x", "warning": True}],
    bench_timings={"io": [[f"{DAY}09:10:00Z", None]]},
    instance_information={"gpu_info": [{"id": 0, "name": "A40", "mem": 48}]},
    heartbeat_at=f"{DAY}10:00:00Z",
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(spoilt(RICH) | spoilt(on_cluster("J2", _id={"$oid": "1"})), max_size=4), st.booleans())
def test_any_document_ends_in_balanced_books_or_an_input_error(jobs: list[Any], as_lines: bool) -> None:
    jobs = [
        {**job, "uid": f"J{n}"} if n % 2 and isinstance(job, dict) and job.get("uid") else job
        for n, job in enumerate(jobs)
    ]
    content = "\n".join(json.dumps(job) for job in jobs) if as_lines else json.dumps(jobs)
    with TemporaryDirectory() as folder:
        source = write(Path(folder), content, "jobs.jsonl" if as_lines else "jobs.json")
        try:
            report = import_cryosparc(source, Path(folder) / "model", horizon=HORIZON)
        except InputError:
            return
        assert is_balanced(report)
        keeps_the_dictionary(Path(folder) / "model", "cryosparc")
        runs = table(Path(folder) / "model", "job_runs")
        assert runs.filter(pl.col("server_id").is_null() | (pl.col("ended_at") < pl.col("started_at"))).is_empty()
