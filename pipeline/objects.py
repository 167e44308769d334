"""MODEL and OUT on an object store, `s3://bucket/prefix` (extra `wattrow[s3]`): fetched, computed here, uploaded, published by one put.

    OUT/runs/RUN_ID/...    a run's files, run.json last; never changed afterwards
    OUT/current.json       which run is current: what readers follow
    OUT/.lock              who is at work; renewed while it lives, taken over when it was not renewed for a while
    OUT/.staging/ID/...    partitions of `wattrow run --partition I/N`, until `wattrow publish`

Region, credentials and endpoint (AWS_ENDPOINT_URL) are those of every AWS tool. Nothing here is reached unless an s3 address is given.
"""

import json
import logging
import os
import re
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import InputError, PipelineError

if TYPE_CHECKING:
    from pipeline.run import How, Progress, Report
    from pipeline.settings import Settings

log = logging.getLogger("wattrow")

POINTER, LOCK, FETCHED = "current.json", ".lock", ".fetched.json"
AT_ONCE = 8
"""Files sent or fetched at a time."""
RENEW_SECONDS, STALE_SECONDS = 30.0, 300.0
"""How often a lock is renewed, and after how long without that its holder is taken to be gone."""


@dataclass(frozen=True)
class Store:
    """A prefix in a bucket; names are relative to it."""

    bucket: str
    prefix: str

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    def key(self, name: str) -> str:
        """The object's key in the bucket."""
        return f"{self.prefix}/{name}".lstrip("/")

    @cached_property
    def client(self) -> Any:
        """The connection to the store."""
        return _client()

    def list(self, below: str = "") -> dict[str, dict[str, Any]]:
        """Size, ETag and time of every object whose name starts with `below`."""
        start = self.key("")
        with told(self):
            pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self.key(below))
            every = [o for page in pages for o in page.get("Contents", [])]
        return {o["Key"][len(start) :]: o for o in every if not o["Key"].endswith("/")}

    def read(self, name: str) -> tuple[dict[str, Any], str] | None:
        """A small JSON object and its ETag; None where there is none."""
        with told(self):
            try:
                found = self.client.get_object(Bucket=self.bucket, Key=self.key(name))
            except self.client.exceptions.NoSuchKey:
                return None
            return dict(json.loads(found["Body"].read())), str(found["ETag"])

    def write(self, name: str, content: object, **condition: str) -> str | None:
        """Put a small JSON object in one step; its ETag, or None where the condition (IfMatch, IfNoneMatch) does not hold."""
        body = json.dumps(content, indent=2).encode()
        with told(self):
            try:
                put = self.client.put_object(
                    Bucket=self.bucket, Key=self.key(name), Body=body, ContentType="application/json", **condition
                )
            except self.client.exceptions.ClientError as error:
                if error.response["Error"]["Code"] in (
                    "PreconditionFailed",
                    "ConditionalRequestConflict",
                    "412",
                    "409",
                ):
                    return None
                raise
        return str(put["ETag"])

    def delete(self, names: Iterable[str]) -> None:
        """Remove objects, one after the other."""
        with told(self):
            for name in names:
                self.client.delete_object(Bucket=self.bucket, Key=self.key(name))


def store_of(place: Path | str) -> Store | None:
    """The store that an address names (a Path has lost one of its slashes); None for a local path."""
    found = re.fullmatch(r"s3:/+([^/]+)/*(.*?)/*", str(place))
    return Store(found[1], found[2]) if found else None


@cache
def _client() -> Any:
    try:
        boto3, config = import_module("boto3"), import_module("botocore.config")
    except ImportError as error:
        raise InputError("s3:// needs boto3: install wattrow[s3]") from error
    retries = {"max_attempts": 5, "mode": "standard"}
    return boto3.client("s3", config=config.Config(retries=retries, max_pool_connections=2 * AT_ONCE))


UNREACHABLE = {
    "NoSuchBucket": "no such bucket",
    "AccessDenied": "access denied",
    "403": "access denied",
    "InvalidAccessKeyId": "these credentials are not known there",
    "SignatureDoesNotMatch": "these credentials are refused",
}


@contextmanager
def told(store: Store) -> Iterator[None]:
    """Errors of the store in words: InputError where the address or the credentials are wrong, else PipelineError."""
    exceptions = import_module("botocore.exceptions")
    try:
        yield
    except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError, exceptions.ProfileNotFound) as error:
        raise InputError(
            f"{store}: no credentials ({error}); set AWS_PROFILE, or AWS_ACCESS_KEY_ID and _SECRET_ACCESS_KEY"
        ) from error
    except exceptions.ClientError as error:
        code = error.response["Error"]["Code"]
        if code in UNREACHABLE:
            raise InputError(f"{store}: {UNREACHABLE[code]}") from error
        raise PipelineError(f"{store}: {error}") from error
    except (exceptions.BotoCoreError, import_module("boto3.exceptions").Boto3Error) as error:
        raise PipelineError(f"{store}: {error}") from error


# ---------------------------------------------------------------- the working folder of this machine


def workspace(store: Store) -> Path:
    """This user's folder for a store: what was fetched, and OUT as it is computed. Kept, so that a run can go on; safe to remove."""
    root = Path(tempfile.gettempdir()) / f"wattrow-{os.getuid()}"
    root.mkdir(mode=0o700, exist_ok=True)
    if root.is_symlink() or root.stat().st_uid != os.getuid():
        raise InputError(f"{root} belongs to someone else; set TMPDIR to a folder of your own")
    folder = root / sha256(str(store).encode()).hexdigest()[:20]
    folder.mkdir(exist_ok=True)
    return folder


def each(names: Iterable[str], do: Callable[[str], None]) -> None:
    """Do something to every name, some at a time; the first error stops the rest."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        futures = [pool.submit(do, name) for name in names]
        try:
            for future in futures:
                future.result()
        except BaseException:
            for future in futures:
                future.cancel()
            raise


def fetch(store: Store, below: str, folder: Path) -> None:
    """Make `folder` hold exactly the objects under `below`, with their sizes; those it has already, by ETag, are not fetched again."""
    there = {name[len(below) :].lstrip("/"): o for name, o in store.list(below).items()}
    outside = [name for name in there if name.startswith("/") or ".." in Path(name).parts]
    if outside:
        raise InputError(f"{store}: objects whose names are no paths: {', '.join(outside[:5])}")
    record = folder / FETCHED
    folder.mkdir(parents=True, exist_ok=True)
    had = _fetched_before(record)["objects"]
    for path in [p for p in folder.rglob("*") if p.is_file() and str(p.relative_to(folder)) not in {*there, FETCHED}]:
        path.unlink()

    def one(name: str) -> None:
        target, found = folder / name, there[name]
        if had.get(name) == found["ETag"] and target.exists() and target.stat().st_size == found["Size"]:
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
        with told(store):
            store.client.download_file(store.bucket, store.key(f"{below}{name}"), str(partial))
        if partial.stat().st_size != found["Size"]:
            raise PipelineError(
                f"{store}/{below}{name}: {partial.stat().st_size} of {found['Size']} bytes were fetched"
            )
        partial.replace(target)

    each(there, one)
    etags = {name: o["ETag"] for name, o in there.items()}
    record.write_text(json.dumps({"from": f"{store}/{below}".rstrip("/"), "objects": etags}), encoding="utf-8")


def _fetched_before(record: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(record.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {"from": "", "objects": {}}


def origin(folder: Path) -> str:
    """Where a folder was fetched from; the folder itself where it was not."""
    return str(_fetched_before(folder / FETCHED)["from"] or folder)


def send(store: Store, folder: Path, below: str, last: str | None = None) -> None:
    """Upload every file of `folder` to `below`, `last` after all others; what is there in the same size is not sent again."""
    there = store.list(below)
    files = {
        str(p.relative_to(folder)): p
        for p in sorted(folder.rglob("*"))
        if p.is_file() and not p.name.endswith(".partial")
    }

    def one(name: str) -> None:
        size = files[name].stat().st_size
        if name != last and there.get(f"{below}{name}", {}).get("Size") == size:
            return
        with told(store):
            store.client.upload_file(str(files[name]), store.bucket, store.key(f"{below}{name}"))

    each([name for name in files if name != last], one)
    sent = store.list(below)
    lost = [n for n, p in files.items() if n != last and sent.get(f"{below}{n}", {}).get("Size") != p.stat().st_size]
    if lost:
        raise PipelineError(f"{store}/{below}: {len(lost)} files did not arrive whole: {', '.join(lost[:5])}")
    if last is not None:
        one(last)


# ---------------------------------------------------------------- the lock


@contextmanager
def locked(store: Store) -> Iterator[None]:
    """Hold OUT on the store for one run, and show now and then that it is still held."""
    mine = {"host": socket.gethostname(), "pid": os.getpid()}
    etag = [_taken(store, mine)]
    over = threading.Event()

    def renew() -> None:
        while not over.wait(RENEW_SECONDS):
            try:
                etag[0] = (
                    store.write(LOCK, mine | {"renewed": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"}, IfMatch=etag[0])
                    or etag[0]
                )
            except (InputError, PipelineError) as error:
                log.warning("lock=not-renewed %s", error)

    renewing = threading.Thread(target=renew, daemon=True)
    renewing.start()
    try:
        yield
    finally:
        over.set()
        renewing.join()
        found = store.read(LOCK)
        if found is not None and found[1] == etag[0]:
            store.delete([LOCK])


def _taken(store: Store, mine: dict[str, Any]) -> str:
    """Create the lock, or take over one that was not renewed; its ETag. InputError names who holds it."""
    etag = store.write(LOCK, mine, IfNoneMatch="*")
    if etag is not None:
        return etag
    held = store.list(LOCK).get(LOCK)
    holder = (store.read(LOCK) or ({}, ""))[0]
    if held is not None and _gone(holder, held["LastModified"]):
        etag = store.write(LOCK, mine, IfMatch=held["ETag"])
    if etag is None:
        raise InputError(
            f"{store}: another run is at work (process {holder.get('pid')} on {holder.get('host')}); wait for it: a lock that is "
            f"not renewed for {STALE_SECONDS:.0f} s is taken over"
        )
    return etag


def _gone(holder: dict[str, Any], renewed: datetime) -> bool:
    """Whether the holder is a dead process of this machine, or was silent for long."""
    if (
        holder.get("host") == socket.gethostname()
        and not Path(f"/proc/{holder.get('pid')}").exists()
        and Path("/proc/self").exists()
    ):
        return True
    return datetime.now(UTC) - renewed > timedelta(seconds=STALE_SECONDS)


# ---------------------------------------------------------------- reading and running


def local_model(model: Path) -> Path:
    """The model folder; one on a store is fetched first."""
    store = store_of(model)
    if store is None:
        return model
    folder = workspace(store) / "model" / (store.prefix.rsplit("/", 1)[-1] or store.bucket)
    fetch(store, "", folder)
    if not any(p.name != FETCHED for p in folder.iterdir()):
        raise InputError(
            f"{store}: nothing there; a model is a folder of tables, for a start servers, jobs and occurrences"
        )
    return folder


def local_run(out: Path) -> Path:
    """OUT, or its current run fetched where OUT is on a store."""
    store = store_of(out)
    if store is None:
        return out
    pointer = store.read(POINTER)
    if pointer is None:
        raise InputError(f"{store}: no run is published here; make one with: wattrow run MODEL --out {store}")
    run_id = str(pointer[0]["run_id"])
    own = workspace(store) / "out" / "runs" / run_id
    if own.is_dir():
        return own
    fetched = workspace(store) / "fetched"
    for other in fetched.glob("*"):
        if other.name != run_id:
            shutil.rmtree(other, ignore_errors=True)
    fetch(store, f"runs/{run_id}/", fetched / run_id)
    return fetched / run_id


def run(folder: Path, out: Path, settings: "Settings", progress: "Progress | None", how: "How") -> "Report":
    """`pipeline.run.run`, with OUT here or on a store."""
    from pipeline import run as pipeline

    store = store_of(out)
    if store is None:
        return pipeline.run(folder, out, settings, progress, how)
    local = workspace(store) / "out"
    if how.share is not None:
        report = pipeline.run(folder, local, settings, progress, how)
        send_shares(store, local)
        return report
    with locked(store):
        before = store.read(POINTER)
        if before is not None and not how.fresh and before[0].get("identity") == pipeline.identity_of(folder, settings):
            log.info("unchanged=%s", before[0]["run_id"])
            kept = local / "runs" / before[0]["run_id"]
            return pipeline.Report(before[0]["run_id"], published=kept, rows=before[0]["rows"], unchanged=True)
        if how.only_publish:
            fetch_shares(store, local)
        report = pipeline.run(folder, local, settings, progress, how)
        publish(store, local, report.run_id, settings.keep_runs, before)
    return report


def publish(store: Store, local: Path, run_id: str, keep: int, before: tuple[dict[str, Any], str] | None) -> None:
    """Upload a run that is complete here and make it the current one on the store in one put; then remove what is no longer kept."""
    folder = local / "runs" / run_id
    send(store, folder, f"runs/{run_id}/", last="run.json")
    about = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    pointer = {"run_id": run_id, "path": f"runs/{run_id}", "identity": about["identity"], "rows": about["rows"]}
    condition = {"IfMatch": before[1]} if before else {"IfNoneMatch": "*"}
    if store.write(POINTER, pointer, **condition) is None:
        raise PipelineError(f"{store}: another run was published meanwhile; this one is not")
    log.info("published=%s/runs/%s", store, run_id)
    clean(store, run_id, keep, str(before[0]["run_id"]) if before else "")
    for old in (local / "runs").iterdir():
        if old.name != run_id:
            shutil.rmtree(old, ignore_errors=True)


def clean(store: Store, current: str, keep: int, replaced: str) -> None:
    """Remove all but the last `keep` runs, run.json first: what is not whole is no run. Needs the lock.

    The current one stays, and that which it replaced goes last: names tell the time, and clocks are set back.
    """
    names = [name for name in store.list("runs/") if name.count("/") > 1]
    complete = sorted({n.split("/")[1] for n in names if n.endswith("/run.json") and n.count("/") == 2} - {current})
    complete.sort(key=lambda run: run == replaced)
    kept = {current, *complete[len(complete) - max(keep - 1, 0) :]}
    rest = [n for n in names if n.split("/")[1] not in kept]
    store.delete(sorted(rest, key=lambda n: not n.endswith("/run.json")))
    store.delete(store.list(".staging/"))


def send_shares(store: Store, local: Path) -> None:
    """Upload the partitions that were computed here; the notes that they are complete go last."""
    for staged in (local / ".staging").glob("*"):
        below = f".staging/{staged.name}/"
        for table in sorted(p for p in staged.iterdir() if p.is_dir() and p.name != "done"):
            send(store, table, f"{below}{table.name}/")
        if (staged / "done").exists():
            send(store, staged / "done", f"{below}done/")


def fetch_shares(store: Store, local: Path) -> None:
    """The partitions that were computed elsewhere, into the staging folder here."""
    fetch(store, ".staging/", local / ".staging")
    (local / ".staging" / FETCHED).unlink(missing_ok=True)
