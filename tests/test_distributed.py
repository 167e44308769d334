"""The same tasks on Dask: a real scheduler and two worker processes, one of them killed in mid-run; and clusters that cannot do it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pipeline import distributed, identity, plan, remote, run, tasks
from pipeline.errors import InputError, PipelineError
from pipeline.model import load
from pipeline.run import How
from pipeline.settings import Settings
from pipeline.upstream import prepare
from tests.splits import ROOT, assert_no_rests, assert_same, finished, started, write_everything

pytest.importorskip("distributed")
pytestmark = pytest.mark.deep
"""Schedulers and workers as processes of their own take minutes and wait on each other: `make test-deep` runs them."""
Process = subprocess.Popen[str]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_everything(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def whole(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole")
    run.run(model, out, Settings())
    return out / "current"


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "LARGEST_CHUNK", 400)
    monkeypatch.setattr(plan, "SMALLEST_CHUNK", 400)


def dask(*args: object, path: Path = ROOT) -> Process:
    """A `dask` command in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(path)}
    environment.pop("POLARS_MAX_THREADS", None)
    command = [sys.executable, "-m", "dask", *map(str, args)]
    return subprocess.Popen(
        command, cwd=path, env=environment, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


@contextmanager
def cluster(folder: Path, workers: int = 2, path: Path = ROOT) -> Iterator[tuple[str, list[Process]]]:
    """A scheduler and workers of one thread each, without nannies: who is killed stays dead. The scheduler is the last of the processes."""
    file = folder / "scheduler.json"
    processes = [dask("scheduler", "--port", 0, "--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", file)]
    wait_until(lambda: file.exists() and file.read_text().rstrip().endswith("}"))
    address = str(json.loads(file.read_text())["address"])
    common = ("--nthreads", 1, "--no-nanny", "--no-dashboard", "--local-directory", folder)
    processes += [dask("worker", address, *common, path=path) for _ in range(workers)]
    try:
        yield address, [*processes[1:], processes[0]]
    finally:
        for process in processes:
            process.kill()
            process.wait()


def wait_until(true: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def told(out: Path) -> dict[str, Any]:
    return dict(json.loads((out / "current" / "run.json").read_text()))


def assert_no_file_twice(out: Path) -> None:
    noted = [(f["table"], f["file"]) for p in told(out)["partitions"] for f in p["files"] if f["rows"]]
    assert len(set(noted)) == len(noted)
    there = {
        (f"{p.parent.parent.name}.{p.parent.name}", p.name) for p in (out / "current").resolve().glob("*/*/*.parquet")
    }
    assert {f for f in there if not f[1].startswith(("part-all", "part-empty"))} == set(noted)


def test_a_worker_killed_in_mid_run_changes_nothing(model: Path, whole: Path, tmp_path: Path):
    out = tmp_path / "out"
    with cluster(tmp_path) as (address, workers):
        process = started(tmp_path, "run", model, "--out", out, "--cluster", address, chunk=120)
        wait_until(lambda: len(list((out / ".staging").glob("*/done/*.json"))) >= 2)
        workers[0].send_signal(signal.SIGKILL)
        _, err = finished(process)
        assert workers[1].poll() is None
    computed = [p["how"] for p in told(out)["partitions"]]
    assert len(computed) >= 8
    assert set(computed) == {"computed"}
    assert err.count("partition=") == len(computed)
    assert_same(out / "current", whole)
    assert_no_file_twice(out)
    assert_no_rests(out)


@pytest.mark.usefixtures("small_chunks")
def test_a_local_cluster(model: Path, whole: Path, tmp_path: Path):
    before = os.environ.get("POLARS_MAX_THREADS")
    run.run(model, tmp_path, Settings(workers=2), None, How(cluster="local"))
    assert len(told(tmp_path)["partitions"]) >= 3
    assert_same(tmp_path / "current", whole)
    assert_no_file_twice(tmp_path)
    assert os.environ.get("POLARS_MAX_THREADS") == before


# ---------------------------------------------------------------- clusters that cannot do it


def test_a_scheduler_killed_in_mid_run(model: Path, tmp_path: Path):
    out = tmp_path / "out"
    with cluster(tmp_path, workers=1) as (address, processes):
        process = started(tmp_path, "run", model, "--out", out, "--cluster", address, "--quiet", chunk=60)
        wait_until(lambda: len(list((out / ".staging").glob("*/done/*.json"))) >= 2)
        processes[-1].send_signal(signal.SIGKILL)
        _, err = finished(process, code=1)
    assert err.startswith("failed: the cluster was lost; complete partitions are kept")
    assert err.count("\n") == 1
    assert not (out / "current").exists()


def test_no_scheduler_there(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(distributed, "SECONDS_TO_CONNECT", 1)
    for address in ("tcp://127.0.0.1:1", "nonsense", "tcp://no-such-host.invalid:8786"):
        with pytest.raises(
            InputError, match=f"--cluster {address}: no scheduler answers there; expected local, or an address such as"
        ):
            run.run(model, tmp_path, Settings(), None, How(cluster=address))
    assert not (tmp_path / "current").exists()
    assert not (tmp_path / ".lock").exists()


def test_a_cluster_without_workers(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(distributed, "SECONDS_FOR_A_WORKER", 1)
    with cluster(tmp_path, workers=0) as (address, _), pytest.raises(PipelineError, match="it has no worker after 1 s"):
        run.run(model, tmp_path / "out", Settings(), None, How(cluster=address))


def test_a_worker_without_wattrow(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "pipeline").mkdir()
    (tmp_path / "pipeline/__init__.py").write_text("")
    with (
        cluster(tmp_path, workers=1, path=tmp_path) as (address, _),
        pytest.raises(PipelineError, match=r"the worker at .* cannot import wattrow"),
    ):
        run.run(model, tmp_path / "out", Settings(), None, How(cluster=address))


def save_plan(model: Path, folder: Path) -> None:
    up = prepare(load(model))
    parts = run.partitions_of(up, Settings())
    made_of = identity.of_partitions(up, parts, Settings())
    planned = [tasks.Task(part, name) for part, name in zip(parts, made_of, strict=True)]
    tasks.save(folder, up, planned, Settings())


@pytest.fixture
def staged(model: Path, tmp_path: Path) -> Path:
    """A staging folder with a plan."""
    save_plan(model, tmp_path)
    return tmp_path


def test_a_worker_of_another_version_says_so(staged: Path):
    answer = remote.do(str(staged), 0, "another version")
    assert "has another version of wattrow or Polars" in answer["error"]


def test_a_worker_that_does_not_see_the_folder_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(remote, "SECONDS_TO_APPEAR", 0.0)
    answer = remote.do(str(tmp_path / "elsewhere"), 0, identity.of_code())
    assert "OUT must lie on a shared file system" in answer["error"]


def test_files_that_do_not_appear_here_are_an_error(staged: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(distributed, "SECONDS_TO_SEE_FILES", 0.0)
    done = {"files": [{"table": "need.job", "file": "part-00000.parquet", "rows": 1}]}
    with pytest.raises(PipelineError, match="was written by a worker but is not seen here"):
        distributed._seen(staged, done)


def test_a_task_done_twice_leaves_the_same_files(staged: Path):
    code = identity.of_code()
    first = remote.do(str(staged), 0, code)["done"]
    again = remote.do(str(staged), 0, code)["done"]
    assert again == first
    (staged / tasks.DONE / "00000.json").unlink()
    anew = remote.do(str(staged), 0, code)["done"]
    assert anew["files"] == first["files"]
    assert not list(staged.rglob("*.partial"))


def test_polars_takes_as_many_threads_as_the_worker_does_tasks():
    script = (
        "import sys, os\nfrom distributed import LocalCluster, Client\nfrom pipeline import remote\n"
        "assert 'polars' not in sys.modules\n"
        "def threads(_):\n    from pipeline import remote\n    remote.do('/nowhere', 0, 'x')\n    import polars\n    return polars.thread_pool_size()\n"
        "if __name__ == '__main__':\n"
        "    with LocalCluster(n_workers=1, threads_per_worker=3, processes=True, dashboard_address=None) as c, Client(c) as client:\n"
        "        print(client.submit(threads, 0).result())\n"
    )
    file = Path(os.environ.get("TMPDIR", "/tmp")) / f"threads-{os.getpid()}.py"
    file.write_text(script)
    try:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        environment.pop("POLARS_MAX_THREADS", None)
        done = subprocess.run(
            [sys.executable, file], env=environment, capture_output=True, text=True, timeout=60, check=False
        )
    finally:
        file.unlink()
    assert done.stdout.strip() == "3", done.stderr


def test_a_process_that_did_one_plan_takes_the_next_one_in_the_same_folder(
    model: Path, staged: Path, monkeypatch: pytest.MonkeyPatch
):
    everything = tasks.compute_saved(str(staged), 0)
    monkeypatch.setattr(plan, "LARGEST_CHUNK", 400)
    monkeypatch.setattr(plan, "SMALLEST_CHUNK", 400)
    save_plan(model, staged)
    some = tasks.compute_saved(str(staged), 0)
    assert some["servers"] < everything["servers"]
    assert some["identity"] != everything["identity"]
