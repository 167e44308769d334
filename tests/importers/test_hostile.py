"""Files that no log is: every importer names what is wrong in one line, exits with 2, and writes nothing."""

import gzip
import json
import os
import re
import sys
from pathlib import Path

import pytest

from pipeline import cli
from pipeline.importers import documents, lines
from tests.importers import documents_of, sacct_of, test_efootprint, test_slurm, test_swf

READERS = {
    "efootprint": ("system.json", lambda: json.dumps(test_efootprint.system_27())),
    "slurm": ("sacct.txt", lambda: sacct_of.sacct(sacct_of.job(), sacct_of.job(901))),
    "slurm --json": ("sacct.json", lambda: json.dumps({"jobs": [test_slurm.json_job()], "errors": []})),
    "swf": ("toy.swf", lambda: f"{test_swf.HEADER}{test_swf.line()}\n"),
    "ucloud": ("jobs.json", lambda: json.dumps([documents_of.ucloud_job()])),
    "cryosparc": ("jobs.json", lambda: json.dumps([documents_of.cryosparc_job()])),
}
JSON = ("efootprint", "slurm --json", "ucloud", "cryosparc")
LOGS = ("slurm", "slurm --json", "swf", "ucloud", "cryosparc")
TEXT_LOGS = ("slurm", "slurm --json", "swf")


def called(*arguments: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Exit code of `wattrow` and what it printed on stderr."""
    monkeypatch.setattr(sys, "argv", ["wattrow", *map(str, arguments)])
    monkeypatch.setattr(cli, "DEBUG", False)
    code = 0
    try:
        cli.main()
    except SystemExit as end:
        code = int(end.code or 0)
    return code, capsys.readouterr().err


@pytest.fixture
def refused(tmp_path, monkeypatch, capsys):
    """Import what `make` leaves at the path it is given, and hold that the message is the one expected."""

    def check(reader: str, message: str, content: bytes | None = None, make=None) -> None:
        path = tmp_path / READERS[reader][0]
        if content is not None:
            path.write_bytes(content)
        if make is not None:
            make(path)
        zone = ["--timezone", "UTC"] if reader == "slurm" else []
        model = tmp_path / "model"
        arguments = ["import", reader.split(maxsplit=1)[0], path, "--model", model, *zone]
        code, said = called(*arguments, monkeypatch=monkeypatch, capsys=capsys)
        assert code == 2, said
        assert "Traceback" not in said
        assert re.search(message, said), said
        assert str(path) in said.replace("\n", "") or path.name in said
        assert not model.exists() or not list(model.iterdir())

    return check


def whole(reader: str) -> bytes:
    return READERS[reader][1]().encode()


def with_entry(reader: str, entry: str) -> bytes:
    """The document with another entry in its first object (of sacct --json: in its first job)."""
    text = whole(reader).decode()
    at = text.index("{", text.index("[") if reader == "slurm --json" else 0) + 1
    return f"{text[:at]}{entry}, {text[at:]}".encode()


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (os.mkfifo, "a pipe or a device, not a file"),
        (lambda path: path.symlink_to("/dev/zero"), "a pipe or a device, not a file"),
        (lambda path: path.mkdir(), "empty folder|cannot be read|no file named"),
        (lambda path: path.symlink_to(path.name), "cannot be read|no such file"),
    ],
    ids=["a FIFO", "a device", "an empty folder", "a link to itself"],
)
def test_what_is_no_file_is_not_waited_for(refused, reader, make, message):
    refused(reader, message, make=make)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda text: b"", "holds no|not JSON"),
        (lambda text: text.decode().encode("utf-16"), "zero bytes|not JSON|not UTF-8"),
        (lambda text: text.decode().encode("utf-16-be"), "zero bytes|not JSON|not UTF-8"),
        (lambda text: text[:60] + b"\0" + text[60:], "zero bytes|not JSON"),
        (lambda text: text + bytes(4), "zero bytes|not JSON"),
        (lambda text: gzip.compress(text)[:-9], "cut off|not a whole gzip|not UTF-8"),
        (lambda text: gzip.compress(text)[:4], "cut off|not a whole gzip|not UTF-8"),
        (lambda text: gzip.compress(text) + b"more", "broken|not a whole gzip|not UTF-8"),
        (lambda text: b"[" * 200_000, "broken or cut off|nested|UnixStartTime"),
        (lambda text: b"[" * 2_000 + b"]" * 2_000, "broken or cut off|nested|UnixStartTime"),
        (lambda text: b'{"jobs":' * 100_000, "broken or cut off|nested|UnixStartTime"),
        (lambda text: b"PK\x03\x04 a workbook", "no header|not JSON|UnixStartTime"),
    ],
    ids=["nothing", "UTF-16", "UTF-16 without mark", "a NUL", "NULs at the end", "half a gzip", "a head of gzip", "gzip and more",
         "brackets without end", "brackets in brackets", "objects in objects", "a workbook"],
)  # fmt: skip
def test_other_contents_get_one_clear_line(refused, reader, content, message):
    refused(reader, message, content(whole(reader)))


@pytest.mark.parametrize("reader", ["slurm", "swf"])
def test_lines_that_end_in_cr_alone_are_one_line(refused, reader):
    refused(reader, "no header|holds no job", whole(reader).replace(b"\n", b"\r"))


@pytest.mark.parametrize("reader", LOGS)
def test_a_gzip_bomb_is_expanded_no_further_than_a_log(refused, reader, monkeypatch):
    monkeypatch.setattr(lines, "FREE_EXPANSION_BYTES", 2**20)
    monkeypatch.setattr(lines, "CHUNK_BYTES", 2**18)
    monkeypatch.setattr(documents, "FREE_EXPANSION", 2**20)
    refused(reader, "expand to more than|grows to more than", gzip.compress(b"\n" * 2**24))


@pytest.mark.parametrize("reader", ["efootprint", "slurm --json"])
def test_a_name_that_stands_twice_is_refused(refused, reader):
    refused(reader, "stands twice", with_entry(reader, '"a": 1, "a": 2'))


@pytest.mark.parametrize("reader", ["ucloud", "cryosparc"])
@pytest.mark.parametrize(
    ("entry", "code"),
    [
        ('"id": "7001", "id": "7002"', "duplicate_key"),
        ('"x": NaN', "bad_number"),
        ('"x": -Infinity', "bad_number"),
        ('"x": 1e999', "bad_number"),
        (f'"x": {"9" * 5000}', "bad_number"),
        (f'"x": {"[" * 90}{"]" * 90}', "too_deep"),
    ],
)
def test_a_record_that_json_lets_pass_is_refused_and_with_strict_the_file(tmp_path, reader, entry, code, monkeypatch, capsys):  # fmt: skip
    path = tmp_path / READERS[reader][0]
    path.write_bytes(with_entry(reader, entry))
    arguments = ["import", reader, path, "--model", tmp_path / "model"]
    ended, said = called(*arguments, "--strict", monkeypatch=monkeypatch, capsys=capsys)
    assert ended == 2
    assert code in said
    ended, _ = called(*arguments, monkeypatch=monkeypatch, capsys=capsys)
    assert ended == 0
    assert code in (tmp_path / "model" / "rejects.csv" / f"{reader}.csv").read_text()


@pytest.mark.parametrize("reader", JSON)
@pytest.mark.parametrize("depth", [600, 975, 990])
@pytest.mark.parametrize("ends", ["[]", ('{"a":', "}")], ids=["lists", "objects"])
def test_values_nested_hundreds_deep_are_no_reason_to_crash(tmp_path, reader, depth, ends, monkeypatch, capsys):
    path = tmp_path / READERS[reader][0]
    inner = "1" if ends[1] == "}" else ""
    path.write_bytes(with_entry(reader, f'"x": {ends[0] * depth}{inner}{ends[1] * depth}'))
    arguments = ["import", reader.split(maxsplit=1)[0], path, "--model", tmp_path / "model"]
    code, said = called(*arguments, monkeypatch=monkeypatch, capsys=capsys)
    assert "Traceback" not in said
    assert code == 0 or (code == 2 and ("nested" in said or "broken or cut off" in said))


@pytest.mark.parametrize(
    "changed",
    [
        {"steps": True},
        {"steps": {"a": 1}},
        {"required": {"memory_per_node": "\u0661", "CPUs": "\u0668"}},
        {"time": 5},
        {"tres": [1]},
    ],
)
def test_values_of_another_kind_in_sacct_json_are_no_reason_to_crash(tmp_path, changed):
    report, _ = sacct_of.take(tmp_path, json.dumps({"jobs": [test_slurm.json_job(**changed)]}), timezone=None)
    assert report.rows_in >= 1


@pytest.mark.parametrize("field", ["ReqMem", "AllocTRES", "Suspended", "JobID", "ConsumedEnergyRaw", "AllocCPUS"])
def test_digits_of_other_scripts_are_no_digits(tmp_path, field):
    spoilt = sacct_of.JOB[field].translate({ord("0") + n: 0x660 + n for n in range(10)})
    report, _ = sacct_of.take(tmp_path, sacct_of.sacct(sacct_of.job(901), {**sacct_of.JOB, field: spoilt}))
    assert report.rows_in == 2


def test_half_a_surrogate_pair_in_sacct_json_becomes_the_mark_of_broken_text(tmp_path):
    _, model = sacct_of.take(
        tmp_path, json.dumps({"jobs": [test_slurm.json_job(name="a\ud800b", steps=[])]}), timezone=None
    )
    assert sacct_of.only(model)["job_name"] == "a\ufffdb"


def test_a_second_document_of_sacct_json_is_read_too(tmp_path):
    two = [json.dumps({"jobs": [test_slurm.json_job(job_id=n, steps=[])], "errors": []}) for n in (900, 901)]
    report, _ = sacct_of.take(tmp_path, "\n".join(two), timezone=None)
    assert report.tables["job_runs"] == 2


def test_a_second_document_of_sacct_json_that_is_cut_off_is_noticed(refused):
    text = whole("slurm --json")
    refused("slurm --json", "broken or cut off", text + text[: len(text) // 2])


@pytest.mark.parametrize("folder", [False, True])
def test_a_pipe_in_a_folder_of_logs_is_passed_over(tmp_path: Path, folder):
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "a.txt").write_text(sacct_of.sacct(sacct_of.job()))
    os.mkfifo(logs / "b.txt")
    if folder:
        (logs / "c").mkdir()
    report = sacct_of.import_slurm(logs, tmp_path / "model", timezone="UTC")
    assert report.tables["job_runs"] == 1
