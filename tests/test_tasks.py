"""Partitions as tasks: the same rows whatever the split; what was done is not done again; what fails publishes nothing."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from pipeline import allocator, blank, catalog, cli, plan, run, storage, tasks
from pipeline import crew as hands
from pipeline.checks import Failure, refuse_failures
from pipeline.errors import CheckFailed, InputError, PipelineError
from pipeline.lock import locked
from pipeline.model import Model, load
from pipeline.run import How
from pipeline.settings import Settings
from pipeline.tables import INPUTS, OUTPUTS, Table
from pipeline.upstream import Upstream, least_job_hours, prepare
from tests.splits import (
    assert_no_rests,
    assert_same,
    change,
    finished,
    keys_in_order,
    started,
    tables_of,
    write_everything,
)

Json = dict[str, Any]
CORE = Settings(tables="core")
ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_everything(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def whole(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model computed in this process, in one partition."""
    out = tmp_path_factory.mktemp("whole")
    run.run(model, out, Settings())
    assert len(partitions(out)) == 1
    return out / "current"


@pytest.fixture(scope="module")
def base(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The core tables, published in many partitions."""
    out = tmp_path_factory.mktemp("base")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "LARGEST_CHUNK", 250)
        patch.setattr(plan, "SMALLEST_CHUNK", 250)
        run.run(model, out, CORE)
    return out


@pytest.fixture
def published(base: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(base, tmp_path / "out", symlinks=True))


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "LARGEST_CHUNK", 250)
    monkeypatch.setattr(plan, "SMALLEST_CHUNK", 250)


@pytest.fixture
def copied(model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(model, tmp_path / "model"))


def told(out: Path) -> Json:
    return dict(json.loads((out / "current" / "run.json").read_text()))


def partitions(out: Path) -> list[Json]:
    return list(told(out)["partitions"])


def how(out: Path) -> list[str]:
    return [p["how"] for p in partitions(out)]


def wait_until(true: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def done_files(out: Path) -> list[Path]:
    return list((out / ".staging").glob("*/done/*.json"))


# ---------------------------------------------------------------- whatever the split


def test_model_has_something_of_everything(whole: Path):
    empty = {name for name, rows in tables_of(whole).items() if not len(rows) and not name.startswith("input.")}
    assert empty <= {"need.service", "derived.service", "energy.device"}


@pytest.mark.usefixtures("small_chunks")
def test_many_partitions_in_this_process(model: Path, whole: Path, tmp_path: Path):
    run.run(model, tmp_path, Settings())
    assert len(partitions(tmp_path)) > 3
    assert_same(tmp_path / "current", whole)
    assert_no_rests(tmp_path)


def test_servers_split_into_ranges_of_jobs(model: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(plan, "LARGEST_CHUNK", 80)
    monkeypatch.setattr(plan, "SMALLEST_CHUNK", 80)
    run.run(model, tmp_path, Settings())
    assert len(list((tmp_path / "current/need/job").glob("*.parquet"))) > len(partitions(tmp_path)) == 8
    assert_same(tmp_path / "current", whole)


@pytest.mark.usefixtures("small_chunks")
def test_two_worker_processes(model: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(run, "SMALL_ROWS", 0)
    run.run(model, tmp_path, Settings(workers=2))
    assert len(partitions(tmp_path)) > 3
    assert_same(tmp_path / "current", whole)
    assert_no_rests(tmp_path)


@pytest.mark.usefixtures("small_chunks")
def test_rows_stand_in_the_same_order_each_time(model: Path, tmp_path: Path):
    once, again = (run.run(model, tmp_path / name, Settings()).published for name in ("once", "again"))
    assert once is not None
    assert again is not None
    expected = keys_in_order(again)
    for name, rows in keys_in_order(once).items():
        assert rows.equals(expected[name]), name
    assert [p["identity"] for p in partitions(tmp_path / "once")] == [
        p["identity"] for p in partitions(tmp_path / "again")
    ]


@pytest.mark.usefixtures("small_chunks")
def test_shares_then_publish(model: Path, whole: Path, tmp_path: Path):
    for part in (3, 1):
        report = run.run(model, tmp_path, Settings(workers=part), None, How(share=(part, 3)))
        assert report.published is None
    assert not (tmp_path / "current").exists()
    with pytest.raises(PipelineError, match=r"partitions are not computed yet: 1 .server server-0000"):
        run.run(model, tmp_path, Settings(), None, How(only_publish=True))
    run.run(model, tmp_path, Settings(), None, How(share=(2, 3)))
    run.run(model, tmp_path, Settings(workers=5), None, How(only_publish=True))
    assert set(how(tmp_path)) == {"resumed"}
    assert_same(tmp_path / "current", whole)
    assert_no_rests(tmp_path)
    assert run.run(model, tmp_path, Settings(), None, How(share=(1, 3))).unchanged


# ---------------------------------------------------------------- done once


@pytest.mark.usefixtures("small_chunks")
def test_second_identical_run_does_no_work(model: Path, published: Path):
    again = run.run(model, published, replace(CORE, workers=1, memory="3GB"))
    assert again.unchanged
    assert again.published == (published / "current").resolve()
    assert len(list((published / "runs").iterdir())) == 1


def test_second_identical_run_says_so(model: Path, published: Path, tmp_path: Path):
    out, err = finished(started(tmp_path / "script", "run", model, "--out", published, "--tables", "core"))
    assert out.startswith("unchanged: ")
    assert "unchanged=" in err
    assert "partition=" not in err


@pytest.mark.usefixtures("small_chunks")
def test_only_the_partition_of_a_changed_server_is_computed(copied: Path, published: Path, tmp_path: Path):
    out = published
    before, old = partitions(out), (out / "current").resolve()
    change(copied / "servers.csv", "server_id", "server-00003", power=555.5)
    run.run(copied, out, CORE)
    changed = [p["number"] for p in partitions(out) if p["how"] == "computed"]
    assert len(changed) == 1
    assert how(out).count("unchanged") == len(before) - 1
    for p in partitions(out):
        for f in p["files"]:
            inodes = {
                (storage.table_folder(r, f["table"]) / f["file"]).stat().st_ino
                for r in (old, out / "current")
                if f["rows"] and p["how"] == "unchanged"
            }
            assert len(inodes) <= 1
    run.run(copied, tmp_path / "anew", CORE)
    assert_same(out / "current", tmp_path / "anew/current")


@pytest.mark.usefixtures("small_chunks")
def test_one_more_job_leaves_the_other_partitions_as_they_were(copied: Path, published: Path, tmp_path: Path):
    out = published
    jobs = pl.read_csv(copied / "jobs.csv")
    more = jobs.filter(job_id="job-000003").with_columns(job_id=pl.col.job_id + "-b")
    pl.concat([jobs, more]).write_csv(copied / "jobs.csv")
    held = pl.read_csv(copied / "usage_step_jobs.csv")
    pl.concat([held, more.select(usage_journey_step_id=pl.lit("pattern-0"), job_id="job_id")]).write_csv(
        copied / "usage_step_jobs.csv"
    )
    run.run(copied, out, CORE)
    assert how(out).count("computed") <= 2
    assert how(out).count("unchanged") >= 3
    run.run(copied, tmp_path / "anew", CORE)
    assert_same(out / "current", tmp_path / "anew/current")


@pytest.mark.usefixtures("small_chunks")
def test_a_file_that_is_gone_from_the_current_run_is_computed_again(copied: Path, whole: Path, tmp_path: Path):
    out = tmp_path / "out"
    run.run(copied, out, Settings())
    lost = partitions(out)[1]
    next((out / "current/energy/server").glob(f"part-{lost['number']:05}-*")).unlink()
    change(copied / "servers.csv", "server_id", "server-00007", power=555.5)
    run.run(copied, out, Settings())
    assert partitions(out)[1]["how"] == "computed"


@pytest.mark.usefixtures("small_chunks")
def test_fresh_computes_everything(model: Path, published: Path):
    report = run.run(model, published, CORE, None, How(fresh=True))
    assert not report.unchanged
    assert set(how(published)) == {"computed"}
    assert len(list((published / "runs").iterdir())) == 2


# ---------------------------------------------------------------- killed


def test_a_killed_run_goes_on_with_what_is_complete(model: Path, whole: Path, tmp_path: Path):
    out = tmp_path / "out"
    process = started(tmp_path, "run", model, "--out", out, chunk=250)
    wait_until(lambda: len(done_files(out)) >= 2)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (out / "current").exists()
    complete = len(done_files(out))
    broken = next((out / ".staging").glob("*/need/job"))
    (broken / "part-00007-0badbeef-00000-000.parquet").write_bytes(b"PAR1 broken off")
    (broken / "part-00007-0badbeef-00000-000.12-34.partial").write_bytes(b"PAR1 broken off")
    _, err = finished(started(tmp_path, "run", model, "--out", out, chunk=250))
    assert how(out).count("resumed") == complete
    assert how(out).count("computed") == len(partitions(out)) - complete > 0
    assert err.count("partition=") == how(out).count("computed")
    assert_same(out / "current", whole)
    assert_no_rests(out)


@pytest.mark.usefixtures("small_chunks")
def test_staging_of_other_runs_is_swept(copied: Path, tmp_path: Path):
    out = tmp_path / "out"
    run.run(copied, out, CORE, None, How(share=(1, 2)))
    (left,) = (out / ".staging").iterdir()
    change(copied / "servers.csv", "server_id", "server-00003", power=555.5)
    run.run(copied, out, CORE)
    assert not left.exists()
    assert_no_rests(out)


@pytest.mark.usefixtures("small_chunks")
def test_a_worker_killed_in_mid_run(model: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(run, "SMALL_ROWS", 0)
    crew: list[hands.Worker] = []

    class Noted(hands.Worker):
        def __init__(self, *, warm: bool = False) -> None:
            super().__init__(warm=warm)
            crew.append(self)

        def ask(self, staged: Path, number: int) -> Json:
            wait_until(lambda: done_files(tmp_path))
            os.kill(self.process.pid, signal.SIGKILL)
            return super().ask(staged, number)

    monkeypatch.setattr(hands, "Worker", Noted)
    with pytest.raises(PipelineError, match=r"the worker at partition .* died .signal 9"):
        run.run(model, tmp_path, Settings(workers=2))
    assert not (tmp_path / "current").exists()
    assert all(w.process.wait(10) is not None for w in crew)
    complete = len(done_files(tmp_path))
    monkeypatch.setattr(hands, "Worker", Noted.__base__)
    run.run(model, tmp_path, Settings(workers=2))
    assert complete >= 1
    assert how(tmp_path).count("resumed") == complete
    assert_same(tmp_path / "current", whole)


@pytest.fixture
def crew(monkeypatch: pytest.MonkeyPatch) -> list[hands.Worker]:
    """Every worker that is started."""
    started: list[hands.Worker] = []

    class Noted(hands.Worker):
        def __init__(self, *, warm: bool = False) -> None:
            super().__init__(warm=warm)
            started.append(self)

    monkeypatch.setattr(hands, "Worker", Noted)
    return started


def test_a_small_run_starts_no_worker(model: Path, tmp_path: Path, crew: list[hands.Worker]):
    run.run(model, tmp_path, Settings(workers=2))
    assert crew == []


@pytest.mark.usefixtures("small_chunks")
def test_workers_load_while_a_large_model_is_prepared(
    model: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crew: list[hands.Worker]
):
    there_before: list[int] = []

    def noting(checked: Model) -> Upstream:
        there_before.append(len(crew))
        return prepare(checked)

    monkeypatch.setattr(run, "SMALL_ROWS", 10)
    monkeypatch.setattr(run, "prepare", noting)
    run.run(model, tmp_path, Settings(workers=2))
    assert (there_before, len(crew)) == ([1], 1)
    assert_same(tmp_path / "current", whole)


@pytest.fixture
def four_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 4)


def refused(*_: object) -> None:
    raise PermissionError("not for you")


def test_workers_are_likely_where_many_jobs_were_never_computed(
    copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    out, other = tmp_path / "out", tmp_path / "other"
    assert hands.likely_workers(copied, out, 4) == 0
    monkeypatch.setattr(hands, "MANY_JOBS_BYTES", (copied / "jobs.csv").stat().st_size)
    assert [hands.likely_workers(copied, out, n) for n in (9, 4, 3, 2, 1, 0)] == [3, 3, 2, 1, 0, 0]
    (out / ".staging").mkdir(parents=True)
    assert hands.likely_workers(copied, out, 4) == 0
    (out / ".staging").rename(out / "current")
    assert hands.likely_workers(copied, out, 4) == 0
    assert hands.likely_workers(tmp_path / "nowhere", other, 4) == 0
    with monkeypatch.context() as limited:
        limited.setattr(hands.resource, "getrlimit", lambda _: (10**9, 10**9))
        assert hands.likely_workers(copied, other, 4) == 0
    monkeypatch.setattr(Path, "glob", refused)
    assert hands.likely_workers(copied, other, 4) == 0


@pytest.mark.usefixtures("four_cores")
@pytest.mark.parametrize(
    ("said", "workers"), [("", 3), ("flag", 2), ("variable", 0), ("file", 0), ("cluster", 0), ("one", 0)]
)
def test_workers_start_before_anything_is_read_unless_settings_may_say_how_many(
    copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, workers: int
):
    monkeypatch.setattr(hands, "MANY_JOBS_BYTES", 0)
    if said == "file":
        (copied / "wattrow.toml").write_text("workers = 1\n", encoding="utf-8")
    elif said == "variable":
        monkeypatch.setenv("WATTROW_WORKERS", "2")
    flags = {"workers": {"flag": 3, "one": 1}.get(said)}
    how = {"cluster": "local"} if said == "cluster" else {}
    assert cli.early_workers(copied, tmp_path / "out", flags, how) == workers


@pytest.mark.usefixtures("small_chunks", "four_cores")
@pytest.mark.parametrize("rows", [0, 10**9])
def test_early_workers_do_the_work_or_are_stopped_where_none_is_needed(
    model: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crew: list[hands.Worker], rows: int
):
    there_before: list[int] = []
    asked: list[int] = []

    def noting(folder: Path, spill: Path | None = None) -> Model:
        there_before.append(len(crew))
        return load(folder, spill)

    def asking(worker: hands.Worker, staged: Path, number: int) -> Json:
        asked.append(number)
        return ask(worker, staged, number)

    ask = hands.Worker.ask
    monkeypatch.setattr(hands.Worker, "ask", asking)
    monkeypatch.setattr(hands, "MANY_JOBS_BYTES", 0)
    monkeypatch.setattr(run, "SMALL_ROWS", rows)
    monkeypatch.setattr(run, "load", noting)
    monkeypatch.setenv("POLARS_MAX_THREADS", "2")  # it is set where it is not
    cli.run(model, tmp_path / "out", quiet=True)
    assert there_before == [3]
    assert [w.process.wait(10) for w in crew] == [-signal.SIGKILL] * 3
    assert bool(asked) == (rows == 0)
    assert_same(tmp_path / "out" / "current", whole)


@pytest.mark.usefixtures("four_cores")
def test_a_model_that_is_refused_leaves_nothing_though_a_worker_writes(
    copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crew: list[hands.Worker]
):
    def refused(_: Model) -> Upstream:
        wait_until(lambda: any(tmp_path.glob(f"out/.staging/*/*/*/{blank.FILE}")))
        raise InputError("a model that cannot be prepared")

    monkeypatch.setattr(hands, "MANY_JOBS_BYTES", 0)
    monkeypatch.setattr(run, "prepare", refused)
    monkeypatch.setenv("POLARS_MAX_THREADS", "2")
    with pytest.raises(InputError):
        cli.run(copied, tmp_path / "out", tables="core", quiet=True)
    assert [w.process.wait(10) for w in crew] == [-signal.SIGKILL] * 3
    time.sleep(0.1)
    assert not (tmp_path / "out" / ".staging").exists()


@pytest.mark.usefixtures("four_cores")
@pytest.mark.parametrize(("memory", "times"), [(None, 1), ("2GB", 0)])
def test_memory_is_had_ready_where_workers_are_early_and_the_user_does_not_say_how_much(
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    crew: list[hands.Worker],
    memory: str | None,
    times: int,
):
    @contextmanager
    def warming_up() -> Iterator[None]:
        warmed.append(len(crew))
        yield

    warmed: list[int] = []
    monkeypatch.setattr(allocator, "warming_up", warming_up)
    monkeypatch.setattr(hands, "MANY_JOBS_BYTES", 0)
    monkeypatch.setenv("POLARS_MAX_THREADS", "2")
    cli.run(model, tmp_path / "out", memory=memory, quiet=True)
    assert warmed == [3] * times


@pytest.mark.usefixtures("four_cores")
def test_no_early_worker_outlives_a_model_that_is_refused(
    copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crew: list[hands.Worker]
):
    monkeypatch.setattr(hands, "MANY_JOBS_BYTES", 0)
    monkeypatch.setenv("POLARS_MAX_THREADS", "2")
    (copied / "servers.csv").write_text("server_id\n", encoding="utf-8")
    with pytest.raises(InputError):
        cli.run(copied, tmp_path / "out", quiet=True)
    assert [w.process.wait(10) for w in crew] == [-signal.SIGKILL] * 3


@pytest.mark.usefixtures("small_chunks")
def test_what_fails_beside_the_last_partitions_publishes_nothing(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def fails(*_: object) -> None:
        raise PipelineError("no place for the tables of no partition")

    monkeypatch.setattr(run, "SMALL_ROWS", 10)
    monkeypatch.setattr(run, "compute_rest", fails)
    with pytest.raises(PipelineError, match="no place"):
        run.run(model, tmp_path, Settings(workers=2))
    assert storage.current(tmp_path) is None


@pytest.mark.usefixtures("small_chunks")
def test_no_worker_outlives_a_model_that_is_refused(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crew: list[hands.Worker]
):
    def refused(up: Upstream) -> None:
        raise InputError("carbon_intensity: 1 broken rule")

    monkeypatch.setattr(run, "SMALL_ROWS", 10)
    monkeypatch.setattr(run.coverage, "refuse_gaps", refused)
    with pytest.raises(InputError):
        run.run(model, tmp_path, Settings(workers=2))
    assert [w.process.wait(10) for w in crew] == [-signal.SIGKILL]


# ---------------------------------------------------------------- checks


@pytest.fixture
def in_workers(monkeypatch: pytest.MonkeyPatch, small_chunks: None) -> None:
    """Models of the tests are large enough for workers."""
    monkeypatch.setattr(run, "SMALL_ROWS", 10)


def test_a_worker_writes_files_of_tables_without_rows_and_goes_on_where_it_cannot(tmp_path: Path):
    (tmp_path / "blocked").touch()
    views = ["need.service", "input.devices"]
    with hands.Crew() as crew:
        worker = crew.hire(1)[0]
        worker.write_empty(tmp_path / "blocked", views)
        worker.write_empty(tmp_path / "staged", views)
        assert "error" in worker.check(tmp_path / "nowhere", {})  # answered after what it was asked before
    for file, table in (("need/service", OUTPUTS["need.service"]), ("input/devices", INPUTS["devices"])):
        assert_frame_equal(pl.read_parquet(tmp_path / "staged" / file / blank.FILE), table.empty())


@pytest.mark.usefixtures("in_workers")
@pytest.mark.parametrize("by_worker", [False, True])
def test_tables_without_rows_are_published_whoever_writes_them(
    model: Path, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_worker: bool
):
    def written(staged: Path, views: list[str]) -> None:
        asked.extend(views)
        if by_worker:
            blank.write(staged, views)

    def here(target: Path, table: Table) -> None:
        made.append(table.name)
        write_empty(target, table)

    asked, made, write_empty = list[str](), list[str](), storage.write_empty
    monkeypatch.setattr(hands.Worker, "write_empty", lambda worker, *given: written(*given))
    monkeypatch.setattr(storage, "write_empty", here)
    run.run(model, tmp_path, replace(CORE, workers=2))
    assert {v.removeprefix(blank.INPUT) for v in asked} <= set(made)
    assert len(set(made)) == len(made)
    assert_same(tmp_path / "current", base)
    assert set(storage.current_manifest(tmp_path)["rows"]) >= set(OUTPUTS)
    assert not [v for v in blank.not_asked_for(CORE) if storage.current_manifest(tmp_path)["rows"][v]]


def not_here(*_: object) -> None:
    raise AssertionError("checked in this process")


def test_a_worker_loads_neither_what_reads_settings_nor_what_checks_take_before_it_has_to():
    command = [sys.executable, "-X", "importtime", "-m", "pipeline.hand"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert {"polars", "dataframely", "pipeline.tasks"} <= loaded
    # what is tried in vain is told, too, without its parts
    parts = {name.partition(".")[0] for name in loaded if "." in name}
    assert not {"pydantic", "pydantic_core", "typer", "duckdb"} & parts


@pytest.mark.usefixtures("in_workers")
def test_a_worker_does_the_checks(
    model: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crew: list[hands.Worker]
):
    monkeypatch.setattr(catalog, "failing_checks", not_here)
    run.run(model, tmp_path, Settings(workers=3))
    assert [w.process.wait(10) for w in crew] == [-signal.SIGKILL] * 2
    assert_same(tmp_path / "current", whole)


@pytest.mark.usefixtures("in_workers")
def test_large_runs_are_checked_when_all_workers_are_gone(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crew: list[hands.Worker]
):
    def checked(staged: Path, settings: Settings) -> dict[str, Failure]:
        assert [w.process.wait(10) for w in crew] == [-signal.SIGKILL]
        return failing_checks(staged, settings)

    failing_checks = catalog.failing_checks
    monkeypatch.setattr(catalog, "failing_checks", checked)
    monkeypatch.setattr(run, "CHECKED_BY_WORKER_ROWS", 0)
    run.run(model, tmp_path, replace(CORE, workers=2))
    assert storage.current(tmp_path) is not None


@pytest.mark.usefixtures("in_workers")
def test_what_a_worker_finds_is_told_as_this_process_would(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crew: list[hands.Worker]
):
    def settling(staged: Path, files: list[Json]) -> dict[str, int]:
        for file in (staged / "instances/server").glob("*.parquet"):
            pl.read_parquet(file).with_columns(nb_of_instances=pl.lit(1.5)).write_parquet(file)
        found.append(catalog.failing_checks(staged, CORE))
        return settle(staged, files)

    settle, found = run.settle, list[dict[str, Failure]]()
    monkeypatch.setattr(run, "settle", settling)
    with pytest.raises(CheckFailed) as by_worker:
        run.run(model, tmp_path, replace(CORE, workers=2))
    with pytest.raises(CheckFailed) as here:
        refuse_failures(found[0])
    assert str(by_worker.value) == str(here.value)
    assert "hour=" in str(here.value)
    assert storage.current(tmp_path) is None
    assert [w.process.wait(10) for w in crew] == [-signal.SIGKILL]


@pytest.mark.usefixtures("in_workers")
def test_checks_that_a_worker_does_not_finish_are_done_again(
    model: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def dying(worker: hands.Worker, staged: Path, settings: Json) -> Json:
        worker.process.kill()
        return check(worker, staged, settings)

    check = hands.Worker.check
    monkeypatch.setattr(hands.Worker, "check", dying)
    run.run(model, tmp_path, Settings(workers=2))
    assert "the worker at the checks died (signal 9" in caplog.text
    assert "done again" in caplog.text
    assert_same(tmp_path / "current", whole)


@pytest.mark.usefixtures("in_workers")
def test_checks_that_fail_in_a_worker_are_done_again(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def elsewhere(worker: hands.Worker, staged: Path, settings: Json) -> Json:
        return check(worker, tmp_path / "nowhere", {**settings, "memory": "none"})

    check = hands.Worker.check
    monkeypatch.setattr(hands.Worker, "check", elsewhere)
    run.run(model, tmp_path / "out", replace(CORE, workers=2))
    assert "checks: " in caplog.text
    assert storage.current(tmp_path / "out") is not None


@pytest.mark.usefixtures("small_chunks")
def test_what_is_done_already_starts_no_worker(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crew: list[hands.Worker]
):
    run.run(model, tmp_path, CORE)
    monkeypatch.setattr(run, "SMALL_ROWS", 10)
    run.run(model, tmp_path, replace(CORE, workers=2, keep_runs=2))
    assert crew == []


@pytest.mark.parametrize("folder", [None, ROOT / "data/example"])
def test_job_hours_at_a_glance_are_no_more_than_there_are(folder: Path | None, model: Path):
    read = load(folder or model)
    least, servers = least_job_hours(read)
    parts = run.partitions_of(prepare(read), Settings())
    assert 0 < least <= sum(p.rows for p in parts)
    assert 0 < servers <= sum(len(p.servers) for p in parts)


def test_workers_end_with_the_process_that_asked_them(model: Path, tmp_path: Path):
    out = tmp_path / "out"
    process = started(tmp_path, "run", model, "--out", out, "--workers", 2, chunk=100, pool=True)
    wait_until(lambda: done_files(out))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    needle = str(out).encode()

    def alive() -> list[Path]:
        return [p for p in Path("/proc").glob("[0-9]*/cmdline") if needle in _read(p)]

    wait_until(lambda: not alive(), seconds=10)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


# ---------------------------------------------------------------- failing


@pytest.mark.usefixtures("small_chunks")
def test_a_failing_partition_names_its_servers_and_publishes_nothing(
    copied: Path, published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    out = published
    before = (out / "current").resolve()
    kept = sorted((p, p.stat().st_mtime_ns) for p in before.rglob("*"))
    change(copied / "servers.csv", "server_id", "server-00003", power=555.5)
    attribute = tasks.attribution.attribute

    def failing(work: Any, servers: Any) -> None:
        if "server-00003" in work.part.servers:
            raise MemoryError("no more")
        attribute(work, servers)

    monkeypatch.setattr(tasks.attribution, "attribute", failing)
    with pytest.raises(PipelineError, match=r"partition \d+ .servers .*server-00003.*MemoryError: no more"):
        run.run(copied, out, CORE)
    assert (out / "current").resolve() == before
    assert sorted((p, p.stat().st_mtime_ns) for p in before.rglob("*")) == kept
    assert not (out / ".lock").exists()


@pytest.mark.parametrize("pool", [False, True])
def test_a_failing_partition_exits_1(copied: Path, tmp_path: Path, pool: bool):
    broken = "from pipeline import crew, tasks\ndef broken(*_):\n    raise tasks.PipelineError('partition 1 (servers x) failed')\n"
    broken += "crew.Worker.ask = broken" if pool else "tasks.attribution.attribute = broken"
    args = ("run", copied, "--out", tmp_path / "out", "--workers", 2, "--quiet")
    out, err = finished(started(tmp_path, *args, pool=pool, more=broken), code=1)
    assert out == ""
    assert err.splitlines() == [line for line in err.splitlines() if line.startswith("failed: partition ")]
    assert not (tmp_path / "out/current").exists()


@pytest.mark.usefixtures("small_chunks")
def test_a_capacity_error_of_a_worker_is_an_input_error_with_its_rows(
    copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(run, "SMALL_ROWS", 0)
    table = pl.read_csv(copied / "servers.csv")
    fixed = pl.when(pl.col.server_id == "server-00001").then(1)
    table.with_columns(fixed_nb_of_instances=fixed).write_csv(copied / "servers.csv")
    change(copied / "servers.csv", "server_id", "server-00001", server_type="on-premise", ram=1.0)
    with pytest.raises(InputError) as refused:
        run.run(copied, tmp_path / "out", replace(CORE, workers=2))
    assert refused.value.violations["value"].to_list() == ["1 for server-00001"]


def test_a_second_run_waits_for_nobody(model: Path, tmp_path: Path):
    with (
        locked(tmp_path),
        pytest.raises(InputError, match=rf"another run is at work \(process {os.getpid()} on "),
    ):
        run.run(model, tmp_path, CORE)


def test_a_lock_of_a_dead_process_is_taken_over(model: Path, tmp_path: Path):
    with locked(tmp_path):
        held = (tmp_path / ".lock").read_text()
    (tmp_path / ".lock").write_text(held.replace(f'"pid": {os.getpid()}', '"pid": 4194304'))
    with locked(tmp_path):
        assert json.loads((tmp_path / ".lock").read_text())["pid"] == os.getpid()
    assert not (tmp_path / ".lock").exists()
