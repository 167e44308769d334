"""`sacct --json` to the fields that `sacct --parsable2` prints, one record at a time: jobs, each followed by its steps.

The schema changed with Slurm's versions (`state.current` a text, then a list; numbers plain, then `{set, infinite,
number}`); both are read. What no field takes is kept under `other_fields`, as JSON.
"""

import codecs
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.errors import InputError
from pipeline.importers.lines import read_blocks

Record = dict[str, str | None]
JOBS_KEY = re.compile(r'"jobs"\s*:\s*\[')
LIST = re.compile(r"\s*\[")
_HALF = re.compile("[\ud800-\udfff]")
SEPARATORS = " ,\t\r\n"
LIST_ENDED, CUT_OFF = object(), object()
LONGEST_RECORD = 64 * 2**20
LONGEST_KEY = 200
"""Characters of a block's end in which the key of the next list may begin."""
"""Characters; a job with more steps than fit is taken for a broken file."""
COMMON = {
    "exit_code": ("exit_code",),
    "elapsed_raw": ("time", "elapsed"),
    "start_time": ("time", "start"),
    "end_time": ("time", "end"),
    "suspended": ("time", "suspended"),
    "total_cpu": ("time", "total"),
    "system_cpu": ("time", "system"),
    "user_cpu": ("time", "user"),
    "alloc_tres": ("tres", "allocated"),
}
OF_JOBS = COMMON | {
    "job_name": ("name",),
    "account": ("account",),
    "user": ("user",),
    "group_name": ("group",),
    "cluster": ("cluster",),
    "partition": ("partition",),
    "qos": ("qos",),
    "state": ("state", "current"),
    "reason": ("state", "reason"),
    "submit_time": ("time", "submission"),
    "eligible_time": ("time", "eligible"),
    "time_limit_raw": ("time", "limit"),
    "planned": ("time", "planned"),
    "req_tres": ("tres", "requested"),
    "req_cpus": ("required", "CPUs"),
    "node_list": ("nodes",),
    "n_nodes": ("allocation_nodes",),
    "priority": ("priority",),
    "restarts": ("restart_cnt",),
    "sluid": ("sluid",),
    "derived_exit_code": ("derived_exit_code",),
    "reservation": ("reservation", "name"),
    "reservation_id": ("reservation", "id"),
    "wc_key": ("wckey", "wckey"),
    "constraints": ("constraints",),
    "licenses": ("licenses",),
    "flags": ("flags",),
    "failed_node": ("failed_node",),
    "container": ("container",),
    "comment": ("comment", "job"),
    "admin_comment": ("comment", "administrator"),
    "system_comment": ("comment", "system"),
    "extra": ("extra",),
    "mcs_label": ("mcs", "label"),
    "work_dir": ("working_directory",),
    "submit_line": ("submit_line",),
    "assoc_id": ("association", "id"),
    "alloc_gres": ("used_gres",),
}
OF_STEPS = COMMON | {
    "job_name": ("step", "name"),
    "state": ("state",),
    "n_nodes": ("nodes", "count"),
    "node_list": ("nodes", "range"),
    "n_tasks": ("tasks", "count"),
    "layout": ("task", "distribution"),
    "consumed_energy_raw": ("statistics", "energy", "consumed"),
    "ave_cpu_freq": ("statistics", "CPU", "actual_frequency"),
    "tres_usage_in_max": ("tres", "requested", "max"),
    "tres_usage_in_min": ("tres", "requested", "min"),
    "tres_usage_in_ave": ("tres", "requested", "average"),
    "tres_usage_in_tot": ("tres", "requested", "total"),
    "tres_usage_out_max": ("tres", "consumed", "max"),
    "tres_usage_out_min": ("tres", "consumed", "min"),
    "tres_usage_out_ave": ("tres", "consumed", "average"),
    "tres_usage_out_tot": ("tres", "consumed", "total"),
}
IDENTITY = (
    ("job_id",),
    ("array", "job_id"),
    ("array", "task_id"),
    ("het", "job_id"),
    ("het", "job_offset"),
    ("steps",),
    ("step", "id"),
)


def is_json(head: bytes) -> bool:
    """Whether a file that begins so is JSON."""
    return head.lstrip()[:1] in (b"{", b"[")


def json_records(path: Path) -> Iterator[Record]:
    """Jobs, each followed by its steps, as columns of the detail tables to text."""
    for job in _jobs(path):
        if not isinstance(job, dict):
            raise InputError(f"{path}: expected a list of jobs that are objects, found {str(job)[:80]!r}")
        try:
            records = list(_job_and_steps(job))
        except RecursionError:
            raise InputError(f"{path}: a job is nested too deeply: not of sacct --json") from None
        yield from map(_writable, records)


def _writable(record: Record) -> Record:
    """The record without halves of surrogate pairs, which no table can hold; they become U+FFFD as broken UTF-8 does."""
    return {name: text and _HALF.sub("\ufffd", text) for name, text in record.items()}


class _Twice(Exception):
    """A name stands twice in an object."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; _Twice where it does not say which of two values holds."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise _Twice(next(name for name in names if names.count(name) > 1))
    return found


DECODER = json.JSONDecoder(object_pairs_hook=_once)


def _jobs(path: Path) -> Iterator[Any]:
    """The elements of the top list, or of the list under `jobs`, decoded one by one; of every document, where several follow."""
    decode = codecs.getincrementaldecoder("utf-8")("replace").decode
    text, at, opened, lists = "", 0, False, 0
    for block in read_blocks(path):
        text, at = text[at:] + decode(block), 0
        while True:
            if not opened:
                start = LIST.match(text, at) or JOBS_KEY.search(text, at)
                if start is None:
                    break
                opened, at, lists = True, start.end(), lists + 1
            try:
                element, at = _next_element(text, at)
            except _Twice as name:
                raise InputError(f"{path}: {str(name)[:80]!r} stands twice in one object of a job") from None
            if element is CUT_OFF:
                break
            if element is LIST_ENDED:
                opened = False
            else:
                yield element
        if lists and not opened:
            at = max(at, len(text) - LONGEST_KEY)
        if len(text) - at > LONGEST_RECORD:
            raise InputError(
                f"{path}: no list of jobs, or a job of more than {LONGEST_RECORD} characters: not of sacct --json"
            )
    if opened or not lists:
        raise InputError(f"{path}: the JSON is broken or cut off, after {text[max(0, at - 40) : at + 40]!r}")


def _next_element(text: str, at: int) -> tuple[Any, int]:
    """The element of a list that begins at a position, and where it ends."""
    while text[at : at + 1] in SEPARATORS and at < len(text):
        at += 1
    if text[at : at + 1] == "]":
        return LIST_ENDED, at + 1
    try:
        return DECODER.raw_decode(text, at)
    except (ValueError, RecursionError):
        return CUT_OFF, at


def _job_and_steps(job: dict[str, Any]) -> Iterator[Record]:
    """A job's fields, then those of each of its steps."""
    record = _fields(job, OF_JOBS)
    raw, association = _plain(job.get("job_id")), _object(job.get("association"))
    for name in ("cluster", "account", "user"):
        record[name] = record[name] or _plain(association.get(name))
    record |= {
        "job_id": _printed_id(job),
        "job_id_raw": raw,
        "req_mem": _requested_memory(_object(job.get("required"))),
    }
    yield record
    steps = job.get("steps")
    for step in steps if isinstance(steps, list) else []:
        if isinstance(step, dict):
            name = _step_name(step)
            shared = {n: record[n] for n in ("cluster", "account", "user", "submit_time")}
            yield (
                _fields(step, OF_STEPS)
                | shared
                | {"job_id": f"{record['job_id']}.{name}", "job_id_raw": f"{raw}.{name}"}
            )


def _fields(source: dict[str, Any], paths: dict[str, tuple[str, ...]]) -> Record:
    """Columns to text, with the rest of the record as JSON."""
    record: Record = {}
    for column, path in paths.items():
        value: Any = source
        for key in path:
            value = _object(value).get(key)
        record[column] = _exit_code(value) if column.endswith("exit_code") else _plain(value)
    rest = _rest(source, {*paths.values(), *IDENTITY}, ())
    record["other_fields"] = json.dumps(rest, ensure_ascii=False, sort_keys=True) if rest else None
    return record


def _object(value: Any) -> dict[str, Any]:
    """The value, if it is an object; else an empty one."""
    return value if isinstance(value, dict) else {}


def _plain(value: Any) -> str | None:
    """A value as sacct prints it; None where it is not set."""
    if isinstance(value, dict):
        return _plain_object(value)
    if isinstance(value, list):
        if value and all(isinstance(v, dict) and "type" in v for v in value):
            return ",".join(_resource(v) for v in value)
        return "+".join(str(v) for v in value) or None
    return None if value is None or value == "" else str(value)


def _plain_object(value: dict[str, Any]) -> str | None:
    """A wrapped number, a time in two parts, or else JSON."""
    if "number" in value:
        return "UNLIMITED" if value.get("infinite") else _plain(value["number"]) if value.get("set", True) else None
    if "seconds" in value:
        seconds, micros = _plain(value["seconds"]) or "0", _plain(value.get("microseconds")) or "0"
        return f"{seconds}.{micros:0>6}"
    return json.dumps(value, ensure_ascii=False, sort_keys=True) if value else None


def _resource(item: dict[str, Any]) -> str:
    """A trackable resource as in `mem=256M` or `gres/gpu:a100=2`."""
    name = f"{item['type']}/{item['name']}" if item.get("name") else str(item["type"])
    return f"{name}={_plain(item.get('count'))}{'M' if item['type'] == 'mem' else ''}"


def _exit_code(value: Any) -> str | None:
    """`CODE:SIGNAL`."""
    code, signal = _plain(_object(value).get("return_code")), _object(_object(value).get("signal"))
    return (
        f"{code or 0}:{_plain(signal.get('id') or signal.get('signal_id')) or 0}"
        if isinstance(value, dict)
        else _plain(value)
    )


def _printed_id(job: dict[str, Any]) -> str | None:
    """`A_T` of an array's task, `H+O` of a het job's part, else the number."""
    array, het = _object(job.get("array")), _object(job.get("het"))
    task, offset = _plain(array.get("task_id")), _plain(het.get("job_offset"))
    if _plain(array.get("job_id")) not in (None, "0") and task is not None:
        return f"{_plain(array['job_id'])}_{task}"
    if _plain(het.get("job_id")) not in (None, "0") and offset is not None:
        return f"{_plain(het['job_id'])}+{offset}"
    return _plain(job.get("job_id"))


def _step_name(step: dict[str, Any]) -> str:
    """batch, extern, 0, 1 ..."""
    told = _object(step.get("step")).get("id")
    name = _plain(told.get("step_id")) if isinstance(told, dict) else _plain(told)
    return (name or "?").split(".")[-1]


def _requested_memory(required: dict[str, Any]) -> str | None:
    """ReqMem: MiB per node or per CPU."""
    per_node, per_cpu = _plain(required.get("memory_per_node")), _plain(required.get("memory_per_cpu"))
    if per_cpu not in (None, "0"):
        return f"{per_cpu}Mc"
    return f"{per_node}Mn" if per_node not in (None, "0") else None


def _rest(value: Any, used: set[tuple[str, ...]], path: tuple[str, ...]) -> Any:
    """What no field took of a value, without what is not set."""
    if path in used:
        return None
    if not isinstance(value, dict) or "number" in value:
        return (
            value
            if path and value not in ("", [], {}) and not (isinstance(value, dict) and not value.get("set", True))
            else None
        )
    kept = {key: _rest(item, used, (*path, key)) for key, item in value.items()}
    return {key: item for key, item in kept.items() if item is not None} or None
