"""MODEL and OUT on an object store, against a local server: the same values, one put that publishes, nothing lost by a kill."""

import json
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipeline import cli, objects, plan, run
from pipeline.errors import InputError, PipelineError
from pipeline.objects import Store, store_of
from pipeline.run import How
from pipeline.settings import Settings
from tests.splits import assert_same, change, finished, started, write_everything

pytest.importorskip("boto3")
moto = pytest.importorskip("moto.server")
BUCKET = "wattrow-test"
FEW = Settings(tables="core", keep_runs=2)


@pytest.fixture(scope="module")
def server() -> Iterator[dict[str, str]]:
    """A local object store, and the environment that leads to it."""
    started_server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    started_server.start()
    port = started_server.get_host_and_port()[1]
    yield {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "someone",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }
    started_server.stop()


@pytest.fixture
def s3(server: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """An empty store; this machine's working folders lie under tmp_path."""
    for name, value in server.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.setattr(plan, "LARGEST_CHUNK", 300)
    monkeypatch.setattr(plan, "SMALLEST_CHUNK", 300)
    objects._client.cache_clear()
    store = Store(BUCKET, "some/place")
    client = store.client
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    yield store
    for held in client.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        client.delete_object(Bucket=BUCKET, Key=held["Key"])
    client.delete_bucket(Bucket=BUCKET)
    objects._client.cache_clear()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_everything(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def whole(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole")
    run.run(model, out, FEW)
    return out / "current"


@pytest.fixture
def out(s3: Store) -> Path:
    return Path(f"s3://{BUCKET}/some/place/out")


def uploaded(model: Path, prefix: str = "some/place/model") -> Path:
    objects.send(Store(BUCKET, prefix), model, "")
    return Path(f"s3://{BUCKET}/{prefix}")


def compute(model: Path, out: Path, **how: Any) -> run.Report:
    return objects.run(objects.local_model(model), out, FEW, None, How(**how))


def pointer(out: Path) -> dict[str, Any]:
    store = store_of(out)
    assert store is not None
    found = store.read("current.json")
    return found[0] if found else {}


def names(out: Path) -> set[str]:
    store = store_of(out)
    assert store is not None
    return set(store.list())


def forget(out: Path) -> None:
    """As if on another machine."""
    store = store_of(out)
    assert store is not None
    shutil.rmtree(objects.workspace(store))


def test_addresses():
    assert store_of(Path("s3://bucket/a/b/")) == store_of("s3://bucket/a/b/") == Store("bucket", "a/b")
    assert store_of(Path("s3://bucket")) == Store("bucket", "")
    assert store_of(Path("out")) is None
    assert str(Store("bucket", "a")) == "s3://bucket/a"
    assert Store("bucket", "").key("runs/x") == "runs/x"
    assert cli.named(Path("s3://bucket/a")) == "s3://bucket/a"


@pytest.fixture
def filled(model: Path, out: Path) -> Path:
    """OUT with a run, seen from another machine."""
    compute(uploaded(model), out)
    forget(out)
    return out


def test_model_and_out_on_a_store(whole: Path, filled: Path):
    assert {n.split("/")[0] for n in names(filled)} == {"runs", "current.json"}
    fetched = objects.local_run(filled)
    assert_same(fetched, whole)
    told = json.loads((fetched / "run.json").read_text())
    assert told["model"] == f"s3://{BUCKET}/some/place/model"
    assert told["rows"] == pointer(filled)["rows"]
    again = compute(Path(f"s3://{BUCKET}/some/place/model"), filled)
    assert again.unchanged
    assert again.run_id == told["run_id"]
    address = f"s3://{BUCKET}/some/place/out/{pointer(filled)['path']}/energy/server/*.parquet"
    options = {"aws_endpoint_url": os.environ["AWS_ENDPOINT_URL"], "aws_allow_http": "true", "aws_region": "eu-west-1"}
    options |= {"aws_access_key_id": "someone", "aws_secret_access_key": "secret"}
    by_polars = (
        pl.scan_parquet(address, storage_options=options).select(pl.col("energy_footprint").sum()).collect().item()
    )
    assert by_polars == pytest.approx(
        pl.read_parquet(whole / "energy/server/*.parquet")["energy_footprint"].sum(), rel=1e-12
    )


def test_out_on_a_store_and_the_model_here_then_the_reverse(model: Path, whole: Path, out: Path, tmp_path: Path):
    compute(model, out)
    assert_same(objects.local_run(out), whole)
    compute(uploaded(model), tmp_path / "out")
    assert_same(tmp_path / "out/current", whole)


def test_only_changed_partitions_are_computed_and_the_last_runs_are_kept(model: Path, out: Path, tmp_path: Path):
    edited = Path(shutil.copytree(model, tmp_path / "model"))
    ids = []
    for power in (100.0, 200.0, 300.0):
        change(edited / "servers.csv", "server_id", "server-00003", power=power)
        ids.append(objects.run(edited, out, FEW, None, How()).run_id)
    about = json.loads((objects.local_run(out) / "run.json").read_text())
    assert [p["how"] for p in about["partitions"]].count("computed") == 1
    assert {n.split("/")[1] for n in names(out) if n.startswith("runs/")} == set(ids[1:])


def test_files_of_the_model_are_fetched_again_only_when_they_changed(
    model: Path, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    address = uploaded(model)
    folder = objects.local_model(address)
    stamps = {p.name: p.stat().st_mtime_ns for p in folder.glob("*.*sv")}
    other = Path(shutil.copytree(model, tmp_path / "other"))
    change(other / "servers.csv", "server_id", "server-00003", power=321.0)
    Store(BUCKET, "some/place/model").delete(["storages.csv", "servers.csv"])
    (other / "storages.csv").unlink()
    uploaded(other)
    objects.local_model(address)
    assert not (folder / "storages.csv").exists()
    assert (folder / "servers.csv").read_bytes() == (other / "servers.csv").read_bytes()
    assert {n for n, t in stamps.items() if (folder / n).exists() and (folder / n).stat().st_mtime_ns != t} == {
        "servers.csv"
    }


def test_shares_of_other_machines_are_published(model: Path, whole: Path, out: Path):
    for part in (1, 2):
        assert compute(model, out, share=(part, 2)).published is None
        forget(out)
    assert pointer(out) == {}
    compute(model, out, only_publish=True)
    forget(out)
    assert_same(objects.local_run(out), whole)
    assert {n.split("/")[0] for n in names(out)} == {"runs", "current.json"}


# ---------------------------------------------------------------- broken off


KILLED = """
import os, signal
from pipeline import objects
upload, sent = objects.Store.client.func, []
class Dying:
    def __init__(self, client): self.client = client
    def __getattr__(self, name): return getattr(self.client, name)
    def upload_file(self, *args):
        sent.append(args)
        if len(sent) > 20: os.kill(os.getpid(), signal.SIGKILL)
        self.client.upload_file(*args)
made = objects._client
objects._client = lambda: Dying(made())
"""


def test_a_run_killed_in_mid_upload_leaves_the_pointer_and_the_next_one_goes_on(model: Path, out: Path, tmp_path: Path):
    compute(model, out)
    before, there = pointer(out), names(out)
    edited = Path(shutil.copytree(model, tmp_path / "model"))
    change(edited / "servers.csv", "server_id", "server-00003", power=555.0)
    address = f"s3://{BUCKET}/some/place/out"
    process = started(tmp_path, "run", edited, "--out", address, "--tables", "core", chunk=300, more=KILLED)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert pointer(out) == before
    sent = names(out) - there
    assert ".lock" in sent
    assert 10 <= len(sent) <= 22
    assert not any(n.endswith("run.json") for n in sent)
    shown, err = finished(started(tmp_path, "run", edited, "--out", address, "--tables", "core", chunk=300))
    assert "partition=" not in err, "what was computed is not computed again"
    assert f"{address}/runs/" in shown
    assert pointer(out)["run_id"] != before["run_id"]
    assert ".lock" not in names(out)
    run.run(edited, tmp_path / "anew", FEW)
    forget(out)
    assert_same(objects.local_run(out), tmp_path / "anew/current")


def test_a_run_published_meanwhile_is_not_overwritten(model: Path, out: Path, monkeypatch: pytest.MonkeyPatch):
    store = store_of(out)
    assert store is not None
    send = objects.send

    def other_first(*args: Any, **kwargs: Any) -> None:
        send(*args, **kwargs)
        store.write("current.json", {"run_id": "of someone else"})

    monkeypatch.setattr(objects, "send", other_first)
    with pytest.raises(PipelineError, match="another run was published meanwhile"):
        compute(model, out)
    assert pointer(out) == {"run_id": "of someone else"}


def test_the_run_that_was_replaced_is_kept_whatever_the_clock_said(s3: Store):
    first, second, replaced, current = (f"{year}0101T000000.000000Z-aaaaaa" for year in (2030, 2031, 2027, 2026))
    for name in (first, second, replaced, current):
        s3.write(f"runs/{name}/run.json", {})
    objects.clean(s3, current, 3, replaced)
    assert {n.split("/")[1] for n in s3.list("runs/")} == {second, replaced, current}
    objects.clean(s3, current, 1, replaced)
    assert {n.split("/")[1] for n in s3.list("runs/")} == {current}


def test_the_lock(out: Path, s3: Store, monkeypatch: pytest.MonkeyPatch):
    store = store_of(out)
    assert store is not None
    with (
        objects.locked(store),
        pytest.raises(InputError, match=rf"another run is at work .process {os.getpid()} on "),
        objects.locked(store),
    ):
        pass
    assert names(out) == set()
    store.write(".lock", {"host": "elsewhere", "pid": 1})
    with pytest.raises(InputError, match="process 1 on elsewhere"), objects.locked(store):
        pass
    assert not objects._gone({"host": "elsewhere"}, datetime.now(UTC))
    assert objects._gone({"host": "elsewhere"}, datetime.now(UTC) - timedelta(seconds=301))
    monkeypatch.setattr(objects, "STALE_SECONDS", -10.0)
    monkeypatch.setattr(objects, "RENEW_SECONDS", 0.05)
    with objects.locked(store):
        first = store.list(".lock")[".lock"]["ETag"]
        deadline = datetime.now(UTC) + timedelta(seconds=20)
        while "renewed" not in (store.read(".lock") or ({}, ""))[0] and datetime.now(UTC) < deadline:
            pass
        assert store.list(".lock")[".lock"]["ETag"] != first
    assert names(out) == set()


# ---------------------------------------------------------------- the command, and what it says


def invoked(*args: object) -> int:
    import sys

    before = sys.argv
    sys.argv = ["wattrow", *map(str, args)]
    try:
        cli.main()
    except SystemExit as end:
        return int(end.code or 0)
    finally:
        sys.argv = before
    return 0


def test_commands_take_addresses(model: Path, out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    uploaded(model)
    place = f"s3://{BUCKET}/some/place"
    assert invoked("check", f"{place}/model") == 0
    assert invoked("run", f"{place}/model", "--out", f"{place}/out", "--tables", "core", "--quiet") == 0
    assert capsys.readouterr().err == ""
    assert invoked("query", f"{place}/out", "SELECT count(*) AS n FROM energy.server", "--format", "csv") == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(pointer(out)["rows"]["energy.server"])
    assert invoked("run", f"{place}/model", "--out", f"{place}/out", "--tables", "core") == 0
    assert f"unchanged: {place}/out/runs/" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("run", "s3://no-such-bucket/model", "--out", "out"), "s3://no-such-bucket/model: no such bucket"),
        (("check", f"s3://{BUCKET}/nothing"), f"s3://{BUCKET}/nothing: nothing there"),
        (("query", f"s3://{BUCKET}/nothing", "SELECT 1"), f"s3://{BUCKET}/nothing: no run is published here"),
        (("import", "swf", "x", "--model", f"s3://{BUCKET}/m"), "an import writes into a folder on this machine"),
    ],
)
def test_errors_are_told_in_a_line(args: tuple[str, ...], said: str, s3: Store, capsys: pytest.CaptureFixture[str]):
    assert invoked(*args) == 2
    err = capsys.readouterr().err.splitlines()
    assert len(err) == 1
    assert said in err[0]


def test_no_server_there(s3: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    objects._client.cache_clear()
    try:
        assert invoked("check", f"s3://{BUCKET}/model") == 1
    finally:
        objects._client.cache_clear()
    assert "Could not connect to the endpoint" in capsys.readouterr().err
