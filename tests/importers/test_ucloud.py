"""What a UCloud job becomes: its running time, its machines, its verdict, and every property in a column."""

import csv
import gzip
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.errors import InputError
from pipeline.importers.base import ImportReport
from pipeline.importers.properties import column_name
from pipeline.importers.ucloud import STATE_OF, import_ucloud
from pipeline.tables import DETAILS
from tests.importers.documents_of import (
    HORIZON,
    REFERENCE,
    SAMPLES,
    Document,
    hours,
    is_balanced,
    keeps_the_dictionary,
    ms,
    only,
    product,
    refused,
    spoilt,
    table,
    ucloud_job,
    update,
    without,
    write,
)


def take(tmp_path: Path, content: object, name: str = "jobs.json", **options: Any) -> tuple[ImportReport, Path]:
    """Import documents into a fresh model."""
    model = tmp_path / "model"
    report = import_ucloud(write(tmp_path, content, name), model, **{"horizon": HORIZON, **options})
    assert is_balanced(report)
    return report, model


# ---------------------------------------------------------------- one job


def test_a_job_becomes_a_run(tmp_path: Path) -> None:
    _, model = take(tmp_path, ucloud_job())
    run = only(model)
    assert (run["run_id"], run["server_id"], run["application"]) == ("7001", "cloudy/std/std-8", "blast@2.1")
    assert (run["project"], run["user"], run["state"], run["state_raw"]) == ("proj-1", "ada#1", "completed", "SUCCESS")
    assert (run["started_at"], run["ended_at"]) == (
        datetime(2026, 3, 2, 9, tzinfo=UTC),
        datetime(2026, 3, 2, 10, 30, tzinfo=UTC),
    )
    assert (run["cpu_cores"], run["gpus"], run["ram"], run["nodes"]) == (2 * 8, 0, 2 * 32, 2)
    assert run["flags"] is None
    assert hours(model) == {"7001": 1.5}


def test_a_job_of_no_project_belongs_to_its_user(tmp_path: Path) -> None:
    _, model = take(tmp_path, ucloud_job(owner={"createdBy": "ada#1", "project": None}))
    assert only(model)["project"] == "personal:ada#1"


def test_every_piece_of_running_counts(tmp_path: Path) -> None:
    told = [
        update(s, c)
        for s, c in (("RUNNING", "08:00"), ("SUSPENDED", "09:00"), ("RUNNING", "11:00"), ("EXPIRED", "11:30"))
    ]
    _, model = take(tmp_path, ucloud_job("7001", *told))
    assert hours(model) == {"7001": 1.0 + 0.5}
    assert (only(model)["flags"], only(model)["restarts"], only(model)["state"]) == (
        "multiple_intervals",
        1,
        "timed_out",
    )


def test_a_machine_is_held_while_a_job_is_cancelled(tmp_path: Path) -> None:
    told = [update(s, c) for s, c in (("RUNNING", "09:00"), ("CANCELING", "10:00"), ("SUCCESS", "10:15"))]
    assert hours(take(tmp_path, ucloud_job("7001", *told))[1]) == {"7001": 1.25}


def test_a_running_job_is_held_until_the_horizon(tmp_path: Path) -> None:
    report, model = take(tmp_path, ucloud_job("7001", update("RUNNING", "13:00")))
    assert only(model)["ended_at"] is None
    assert only(model)["flags"] == "open_clipped"
    assert any("1.00 h of running" in warning for warning in report.warnings)
    assert table(model, "log_horizons")["horizon"].to_list() == ["2026-03-02T14:00:00.000000Z"]


def test_without_a_horizon_the_last_sign_of_life_is_it(tmp_path: Path) -> None:
    jobs = [
        ucloud_job("1", update("RUNNING", "09:00")),
        ucloud_job("2", update("RUNNING", "09:30"), update(None, "12:00")),
    ]
    _, model = take(tmp_path, jobs, horizon=None)
    assert table(model, "log_horizons")["horizon"].to_list() == ["2026-03-02T12:00:00.000000Z"]


def test_the_first_terminal_state_ends_the_time_and_the_last_is_the_label(tmp_path: Path) -> None:
    told = [
        update("RUNNING", "09:00"),
        update("RUNNING", "09:01"),
        update("SUCCESS", "10:00"),
        update(None, "10:01"),
        update("FAILURE", "10:02"),
    ]
    _, model = take(tmp_path, ucloud_job("7001", *told))
    assert hours(model) == {"7001": 1.0}
    assert only(model)["state"] == "failed"
    assert only(model)["flags"] == "duplicate_state;update_after_terminal;state_after_terminal"


def test_a_job_cancelled_in_the_queue_is_a_run_that_never_started(tmp_path: Path) -> None:
    _, model = take(tmp_path, ucloud_job("7001", update("IN_QUEUE", "09:00"), update("SUCCESS", "09:05")))
    assert (only(model)["started_at"], only(model)["flags"], hours(model)) == (None, None, {})


def test_a_job_in_the_queue_has_no_updates_yet(tmp_path: Path) -> None:
    _, model = take(tmp_path, ucloud_job(updates=[], status={"state": "IN_QUEUE"}))
    assert (only(model)["state"], only(model)["started_at"]) == ("queued", None)


# ---------------------------------------------------------------- machines


@pytest.mark.parametrize(
    ("described", "cores", "gpus", "ram"),
    [
        (product(), 2 * 8, 0, 2 * 32),
        (product(fraction={"numerator": 1, "denominator": 2}), 2 * 8 / 2, 0, 2 * 32),
        (product(gpu=1, fraction={"numerator": 1, "denominator": 7}), 2 * 8, 2 * 1 * 1 / 7, 2 * 32),
        (product(gpu=4, cpu=0), 0, 2 * 4, 2 * 32),
        (without(product(gpu=3), "cpu", "memoryInGigs"), 0, 2 * 3, 0),
    ],
)
def test_a_fraction_divides_gpus_or_else_cores_and_never_memory(
    tmp_path: Path, described: Document, cores: float, gpus: float, ram: float
) -> None:
    run = only(take(tmp_path, ucloud_job(frozen=described))[1])
    assert (run["cpu_cores"], run["gpus"], run["ram"]) == (cores, gpus, ram)


def test_the_product_frozen_at_submission_goes_before_the_one_of_today(tmp_path: Path) -> None:
    status = {"state": "SUCCESS", "resolvedProduct": product(cpu=64)}
    frozen = ucloud_job()["status"]["jobParametersJson"]
    jobs = [ucloud_job("old", status={**status, "jobParametersJson": frozen}), ucloud_job("new", status=status)]
    _, model = take(tmp_path, jobs)
    assert table(model, "job_runs").select("run_id", "cpu_cores", "flags").rows() == [
        ("old", 16, None),
        ("new", 128, "product_of_today"),
    ]
    assert sorted(table(model, "ucloud_job_products").select("run_id", "origin", "cpu").rows()) == [
        ("new", "current", 64),
        ("old", "current", 64),
        ("old", "frozen", 8),
    ]


def test_a_drafted_server_is_as_large_as_the_product(tmp_path: Path) -> None:
    _, model = take(tmp_path, ucloud_job())
    (server,) = table(model, "servers").to_dicts()
    assert (server["server_id"], server["compute"], server["ram [GB_ram]"]) == ("cloudy/std/std-8", "8.0", "32.0")


def test_products_map_to_servers_by_pattern(tmp_path: Path) -> None:
    rules = write(tmp_path, "product,server_id\ncloudy/std/*,rack\n", "servers_of.csv")
    assert only(take(tmp_path, ucloud_job(), servers=rules)[1])["server_id"] == "rack"


# ---------------------------------------------------------------- refused


@pytest.mark.parametrize(
    ("job", "code", "field"),
    [
        (ucloud_job(updates=[]), "updates_missing", "updates"),
        (ucloud_job("7001", update("RUNNING", "09:00"), state="SUCCESS"), "updates_missing", "updates"),
        (ucloud_job("7001", update("IN_QUEUE", "09:00"), state="RUNNING"), "updates_missing", "updates"),
        (ucloud_job("7001", update("PAUSED", "09:00")), "unknown_state", "updates.0.state"),
        (ucloud_job(state="DONE"), "unknown_state", "status.state"),
        (
            ucloud_job("7001", update("RUNNING", "09:00"), update("SUCCESS", "08:59")),
            "updates_not_ascending",
            "updates.1.timestamp",
        ),
        (ucloud_job("7001", update("RUNNING", None)), "bad_timestamp", "updates.0.timestamp"),
        (ucloud_job(createdAt=1_772_439_130), "bad_timestamp", "createdAt"),
        (ucloud_job(createdAt="today"), "wrong_type", "createdAt"),
        (ucloud_job(frozen=None), "no_machine_type", "status.jobParametersJson.request.resolvedProduct"),
        (ucloud_job(frozen=product(cpu=0)), "zero_cores", "status.jobParametersJson.request.resolvedProduct"),
        (
            ucloud_job(frozen=product(fraction={"numerator": 1, "denominator": 0})),
            "bad_value",
            "resolvedProduct.fraction",
        ),
        (ucloud_job("7001", update("RUNNING", "14:30")), "start_after_snapshot", "started_at"),
        (ucloud_job("7001", update("RUNNING", "09:00"), update("SUCCESS", "14:30")), "end_in_future", "ended_at"),
        (ucloud_job(owner=["ada"]), "wrong_type", "owner"),
        (ucloud_job(updates={"state": "RUNNING"}), "wrong_type", "updates"),
        (without(ucloud_job(), "specification.product"), "missing_field", "specification.product.category"),
        (without(ucloud_job(), "id"), "missing_field", "id"),
        (without(ucloud_job(), "status"), "missing_field", "status.state"),
        (["no job"], "not_an_object", ""),
    ],
)
def test_what_cannot_be_told_is_refused(tmp_path: Path, job: Any, code: str, field: str) -> None:
    report, model = take(tmp_path, [job, ucloud_job("fine")])
    assert [(c, f or "") for c, f in refused(model)] == [(code, field)]
    assert table(model, "job_runs")["run_id"].to_list() == ["fine"]
    assert report.rejects.total() == 1


def test_strict_refuses_the_whole_log(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="updates_missing"):
        take(tmp_path, [ucloud_job(updates=[]), ucloud_job("fine")], strict=True)
    assert not (tmp_path / "model").exists()


def test_a_repeated_record_is_dropped_and_a_contradicting_one_refused(tmp_path: Path) -> None:
    report, model = take(tmp_path, [ucloud_job(), ucloud_job(), ucloud_job(createdAt=ms("08:40"))])
    assert report.excluded == {"identical_record": 1}
    assert refused(model) == [("duplicate_id_conflict", "id")]


def test_one_slurm_job_registered_twice_counts_once(tmp_path: Path) -> None:
    jobs = [ucloud_job(f"{n}", providerGeneratedId=f"acc/991/{n}") for n in (1, 2)]
    report, model = take(tmp_path, jobs)
    assert refused(model) == [("duplicate_provider_job", "providerGeneratedId")]
    assert (only(model)["external_ref"], only(model)["flags"]) == ("acc/991", "also_in_cluster:991")
    assert any("count twice" in warning for warning in report.warnings)


# ---------------------------------------------------------------- files


def test_every_form_of_export_reads_the_same(tmp_path: Path) -> None:
    jobs = [ucloud_job("a"), ucloud_job("b"), ucloud_job("c")]
    lines = "\n".join(json.dumps(job) for job in jobs)
    forms: dict[str, object] = {
        "list.json": jobs,
        "page.json": {"items": jobs, "itemsPerPage": 50, "next": None},
        "pages.json": [{"items": jobs[:2], "next": "x"}, {"items": jobs[2:], "next": None}],
        "lines.jsonl": lines,
        "lines.json": lines,
        "one after another.json": "\n".join(json.dumps(job, indent=1) for job in jobs),
    }
    for name, content in forms.items():
        (tmp_path / name).mkdir()
        _, model = take(tmp_path / name, content, name)
        assert table(model, "job_runs")["run_id"].to_list() == ["a", "b", "c"], name
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    (folder / "1.json.gz").write_bytes(gzip.compress(json.dumps(jobs[:1]).encode()))
    write(folder / "sub", jobs[1:])
    write(folder, "not read", ".hidden.json")
    import_ucloud(folder, tmp_path / "of folder", horizon=HORIZON)
    assert table(tmp_path / "of folder", "job_runs")["run_id"].to_list() == ["a", "b", "c"]


def test_a_listing_that_stops_too_early_is_noticed(tmp_path: Path) -> None:
    report, _ = take(tmp_path, {"items": [ucloud_job()], "next": "token"})
    assert any("the last pages of the listing are missing" in warning for warning in report.warnings)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "holds no JSON"),
        ('{"id": ', "not JSON"),
        ("[" * 100_000, "nested deeper"),
        ('{"id": "1"} rest', "not JSON"),
    ],
)
def test_a_broken_document_is_an_error_that_says_so(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        take(tmp_path, content)


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    for source in (tmp_path / "none.json", tmp_path / ("x" * 300), tmp_path):
        with pytest.raises(InputError):
            import_ucloud(source, tmp_path / "model")


def test_a_gzip_bomb_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "bomb.json.gz").write_bytes(gzip.compress(b" " * 2**27))
    with pytest.raises(InputError, match="grows to more than"):
        import_ucloud(tmp_path / "bomb.json.gz", tmp_path / "model")
    (tmp_path / "half.json.gz").write_bytes(gzip.compress(b"[]" * 1000)[:-9])
    with pytest.raises(InputError, match="gzip"):
        import_ucloud(tmp_path / "half.json.gz", tmp_path / "model")


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ('{"id": "1", "id": "2"}', "duplicate_key"),
        ('{"id": "1", "price": NaN}', "bad_number"),
        ('{"id": "1", "price": 1e999}', "bad_number"),
        (f'{{"id": "1", "price": {"9" * 5000}}}', "bad_number"),
        ('{"id": "\\ud800"}', "bad_text"),
        ('{"id": "1", "deep": ' + "[" * 100 + "]" * 100 + "}", "too_deep"),
        ('{"id": ' + "[" * 5000, "too_deep"),
        ('{"id": "1"', "bad_json"),
        ("null", "not_an_object"),
        ("[[[]]]", "not_an_object"),
    ],
)
def test_a_hostile_line_is_one_record_refused(tmp_path: Path, line: str, code: str) -> None:
    _, model = take(tmp_path, f"{json.dumps(ucloud_job())}\n{line}\n", "jobs.jsonl")
    assert [c for c, _ in refused(model)] == [code]
    assert table(model, "rejects")["row"].to_list() == ["2"]


def test_bytes_that_are_no_text_refuse_the_record_that_holds_them(tmp_path: Path) -> None:
    (tmp_path / "jobs.jsonl").write_bytes(json.dumps(ucloud_job()).encode() + b'\n{"id": "\xff"}\n')
    import_ucloud(tmp_path / "jobs.jsonl", tmp_path / "model", horizon=HORIZON)
    assert refused(tmp_path / "model") == [("bad_text", "id")]


# ---------------------------------------------------------------- every property

PROPERTIES = [
    "id",
    "owner",
    "updates",
    "specification",
    "status",
    "createdAt",
    "output",
    "permissions",
    "acl",
    "billing",
    "providerGeneratedId",
]
PLACES = {"acl": "ucloud_job_permissions"}
"""Properties that a table of another name holds."""


def is_kept(name: str) -> bool:
    """Whether a property of Job has a column, columns of its parts, or a table."""
    column = column_name(name)
    columns = DETAILS["ucloud_jobs"].columns
    return (
        any(c == column or c.startswith(f"{column}_") for c in columns)
        or PLACES.get(name, f"ucloud_job_{column}") in DETAILS
    )


def test_every_property_of_the_reference_pages_is_kept() -> None:
    assert [name for name in PROPERTIES if not is_kept(name)] == []


@pytest.mark.skipif(not REFERENCE.exists(), reason="the reference pages are not here")
@pytest.mark.parametrize("page", ["ucloud_job_a.txt", "ucloud_job_b.txt"])
def test_every_property_named_on_a_reference_page_is_kept(page: str) -> None:
    named = re.findall(r"^\s*val (\w+):", (REFERENCE / page).read_text(), re.MULTILINE)
    assert len(named) >= 9
    assert set(named) <= set(PROPERTIES)
    assert [name for name in named if not is_kept(name)] == []


def test_every_value_can_be_found_again(tmp_path: Path) -> None:
    other = {"entity": {"type": "user", "username": "bob"}, "permissions": ["READ", "EDIT"]}
    acl = [{"entity": {"type": "project_group", "projectId": "p", "group": "g"}, "permissions": ["ADMIN"]}]
    told = [
        update("RUNNING", "09:00", newMounts=["/x"]),
        update(None, "09:10", newTimeAllocation=7_200_000, color="red"),
        update("SUCCESS", "10:00"),
    ]
    job = ucloud_job(
        "7001", *told, permissions={"myself": ["READ"], "others": [other]}, acl=acl, billing={}, shade={"a": 1}
    )
    job["status"]["mood"] = None
    _, model = take(tmp_path, job)
    kept = only(model, "ucloud_jobs")
    assert json.loads(kept["other"]) == {"shade": {"a": 1}, "status.mood": None}
    assert (kept["billing"], kept["specification_parameters"], kept["permissions_myself"]) == (
        "{}",
        '{"depth":3}',
        '["READ"]',
    )
    assert kept["specification_time_allocation_hours"] == 2
    updates = table(model, "ucloud_job_updates")
    assert updates["new_time_allocation"].to_list() == [None, 7200, None]
    assert updates["new_mounts"].to_list() == ['["/x"]', None, None]
    assert updates["other"].to_list() == [None, '{"color":"red"}', None]
    grants = (
        table(model, "ucloud_job_permissions").select("origin", "entity_username", "entity_group", "permission").rows()
    )
    assert grants == [
        ("permissions.others", "bob", None, "READ"),
        ("permissions.others", "bob", None, "EDIT"),
        ("acl", None, "g", "ADMIN"),
    ]
    states = table(model, "ucloud_job_states").select("state", "previous_state", "is_running", "is_allowed").rows()
    assert states == [("RUNNING", "IN_QUEUE", True, True), ("SUCCESS", "RUNNING", False, True)]


def test_a_transition_that_no_server_makes_is_marked(tmp_path: Path) -> None:
    told = [update("SUCCESS", "09:00"), update("RUNNING", "09:10"), update("SUCCESS", "10:00")]
    _, model = take(tmp_path, ucloud_job("7001", *told))
    states = table(model, "ucloud_job_states").select("is_allowed", "flags").rows()
    assert states == [(True, None), (False, "state_after_terminal;bad_transition"), (True, "state_after_terminal")]
    assert hours(model) == {}


# ---------------------------------------------------------------- samples, and anything at all


@pytest.mark.skipif(not SAMPLES.exists(), reason="the samples are not here")
def test_the_samples_get_the_verdicts_expected(tmp_path: Path) -> None:
    model = tmp_path / "model"
    report = import_ucloud(SAMPLES / "ucloud_jobs.json", model, horizon=HORIZON)
    assert is_balanced(report)
    keeps_the_dictionary(model, "ucloud")
    runs = {r["run_id"]: r for r in table(model, "job_runs").to_dicts()}
    codes = {r["record_id"]: r["code"] for r in table(model, "rejects").to_dicts()}
    held = hours(model)
    with (SAMPLES / "expected_job_runs.csv").open() as file:
        expected = [row for row in csv.DictReader(file) if row["source"] == "ucloud"]
    for row in expected:
        run_id = row["run_id"]
        if row["verdict"] == "reject":
            assert codes[run_id] == row["codes"].split(":")[0]
            continue
        run = runs[run_id]
        assert (run["flags"] or "", run["state_raw"]) == (row["codes"], row["state"]), run_id
        assert (run["cpu_cores"], run["gpus"], run["ram"]) == tuple(
            float(row[c]) for c in ("cpu_cores", "gpus", "ram_gb")
        ), run_id
        assert held.get(run_id, 0.0) == pytest.approx(float(row["run_hours"]), abs=1e-6), run_id
        assert held.get(run_id, 0.0) * run["cpu_cores"] == pytest.approx(float(row["core_hours"]), abs=1e-6), run_id
    assert len(expected) == len(runs) + len(codes)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(spoilt(ucloud_job(acl=[{"entity": {"type": "user"}, "permissions": ["READ"]}])), max_size=4), st.booleans()
)
def test_any_document_ends_in_balanced_books_or_an_input_error(jobs: list[Any], as_lines: bool) -> None:
    jobs = [
        {**job, "id": str(n)} if n % 2 and isinstance(job, dict) and job.get("id") else job
        for n, job in enumerate(jobs)
    ]
    content = "\n".join(json.dumps(job) for job in jobs) if as_lines else json.dumps(jobs)
    with TemporaryDirectory() as folder:
        source = write(Path(folder), content, "jobs.jsonl" if as_lines else "jobs.json")
        try:
            report = import_ucloud(source, Path(folder) / "model", horizon=HORIZON)
        except InputError:
            return
        assert is_balanced(report)
        keeps_the_dictionary(Path(folder) / "model", "ucloud")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([*STATE_OF, None]), st.integers(0, 30)), max_size=12))
def test_running_time_is_what_ucloud_itself_would_bill(steps: list[tuple[str | None, int]]) -> None:
    """UCloud's loop, written apart: minutes between RUNNING and the next other state, up to the first terminal one."""
    clock, updates, running, since, ended = ms("06:00"), [], 0, None, False
    for state, minutes in steps:
        clock += minutes * 60_000
        updates.append({"state": state, "timestamp": clock})
        if ended or state in (None, "CANCELING"):
            continue
        if state == "RUNNING":
            since = clock if since is None else since
        elif since is not None:
            running, since = running + clock - since, None
        ended = state in ("SUCCESS", "FAILURE", "EXPIRED")
    running += 0 if since is None else int(HORIZON.timestamp() * 1000) - since
    last = next((u["state"] for u in reversed(updates) if u["state"]), "IN_QUEUE")
    with TemporaryDirectory() as folder:
        job = ucloud_job(updates=updates, createdAt=ms("05:59"))
        job["status"]["state"] = last
        model = Path(folder) / "model"
        report = import_ucloud(write(Path(folder), job), model, horizon=HORIZON)
        if not report.rejects:
            assert timedelta(hours=hours(model).get("7001", 0)) == timedelta(milliseconds=running)
        elif updates and last not in ("RUNNING", "CANCELING"):
            pytest.fail(str(table(model, "rejects").to_dicts()))


def test_a_long_log_is_read_in_pieces(tmp_path: Path) -> None:
    many = [ucloud_job(str(n)) for n in range(300)]
    from pipeline.importers import properties

    flushed, properties.FLUSHED_ROWS = properties.FLUSHED_ROWS, 64
    try:
        _, model = take(tmp_path, many)
    finally:
        properties.FLUSHED_ROWS = flushed
    assert table(model, "job_runs").height == 300
    assert table(model, "ucloud_job_updates").select(pl.len()).item() == 900
