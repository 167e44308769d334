"""What a record of sacct becomes: its time, what it held, its verdict, and every field in a column."""

import csv
import gzip
import json
from contextlib import suppress
from datetime import date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.errors import InputError
from pipeline.importers import lines, slurm_fields
from pipeline.importers.slurm import import_slurm
from pipeline.tables import DETAILS, INPUTS
from tests.importers.sacct_of import HORIZON, SHARED, hourly, job, only, sacct, table, take

needs_shared = pytest.mark.skipif(not SHARED.exists(), reason="the shared samples and traces are not here")


def utc(clock: str, day: str = "2026-03-02") -> datetime:
    return datetime.fromisoformat(f"{day}T{clock}+00:00")


# ---------------------------------------------------------------- one job


def test_a_job_becomes_a_run(tmp_path: Path) -> None:
    report, model = take(tmp_path, sacct(job()))
    run = only(model)
    assert (run["run_id"], run["source"], run["server_id"]) == ("toy/900/0", "slurm", "toy/cpu")
    assert (run["application"], run["project"], run["user"]) == ("cpu", "ada-lab", "ada")
    assert (run["state"], run["state_raw"], run["flags"]) == ("completed", "COMPLETED", None)
    assert (run["submitted_at"], run["started_at"], run["ended_at"]) == (utc("07:30"), utc("08:00"), utc("09:30"))
    assert (run["cpu_cores"], run["gpus"], run["ram"], run["nodes"]) == (8, 0, 16, 1)
    assert (run["energy"], run["external_ref"], run["job_name"]) == (None, "900", "fold")
    assert (report.rejects.total(), report.flags.total()) == (0, 0)


def test_the_caller_chooses_the_application(tmp_path: Path) -> None:
    _, model = take(tmp_path, sacct(job()), application="jobname")
    assert only(model)["application"] == "fold"
    with pytest.raises(InputError, match="no field Colour"):
        take(tmp_path, sacct(job()), application="Colour")


def test_a_record_without_account_or_user_still_has_a_project_and_a_user(tmp_path: Path) -> None:
    _, model = take(tmp_path, sacct(job(Account="", User="", Partition="")))
    run = only(model)
    assert (run["project"], run["user"], run["application"], run["server_id"]) == (
        "unknown",
        "unknown",
        "unknown",
        "toy",
    )


@pytest.mark.parametrize(
    ("printed", "ours"), [*slurm_fields.STATES.items(), ("CANCELLED by 1001", "cancelled"), ("OUT_OF_ME+", "failed")]
)
def test_every_state_has_our_word(tmp_path: Path, printed: str, ours: str) -> None:
    _, model = take(tmp_path, sacct(job(State=printed)))
    assert (only(model)["state"], only(model)["state_raw"]) == (ours, printed)


def test_the_state_does_not_change_what_was_held(tmp_path: Path) -> None:
    ended = [
        job(900 + i, State=s) for i, s in enumerate(["COMPLETED", "FAILED", "TIMEOUT", "NODE_FAIL", "CANCELLED by 7"])
    ]
    _, model = take(tmp_path, sacct(*ended))
    assert table(model, "job_runs").select("started_at", "ended_at", "cpu_cores", "ram").n_unique() == 1


# ---------------------------------------------------------------- what a run held


@pytest.mark.parametrize(
    ("tres", "gpus"),
    [
        ("cpu=8,gres/gpu:a100=2,gres/gpu=2,mem=16G", 2),  # total and kind count the same cards
        ("cpu=8,gres/gpu=2,gres/gpu:a100=2,mem=16G", 2),
        ("cpu=8,gres/gpu:a100=2,gres/gpu:h100=1,mem=16G", 2 + 1),
        ("cpu=8,mem=16G", 0),
        ("", 0),
    ],
)
def test_gpus_are_counted_once(tmp_path: Path, tres: str, gpus: int) -> None:
    _, model = take(tmp_path, sacct(job(AllocTRES=tres)))
    assert only(model)["gpus"] == gpus


def test_older_logs_tell_gpus_in_alloc_gres(tmp_path: Path) -> None:
    _, model = take(tmp_path, sacct(job(AllocTRES="", AllocGRES="gpu:v100:2(IDX:0-1)")))
    assert only(model)["gpus"] == 2


@pytest.mark.parametrize(
    ("tres", "requested", "ram", "flags"),
    [
        ("cpu=8,mem=16000M", "1G", 16000 / 1024, None),
        ("cpu=8,mem=62.50G", "1G", 62.5, None),
        ("cpu=8,mem=1T", "1G", 1024, None),
        ("cpu=8", "4Gn", 4 * 1, "assumed_ram"),
        ("cpu=8", "4Gc", 4 * 8, "assumed_ram"),
        ("cpu=8", "2147486448Mn", 8 * 2800 / 1024, "assumed_ram"),  # 2^31 flags: per CPU
        ("cpu=8", "0n", 0, "assumed_ram"),
        ("cpu=8", "", 0, "assumed_ram"),
    ],
)
def test_memory_is_what_was_allocated_or_else_asked_for(
    tmp_path: Path, tres: str, requested: str, ram: float, flags: str | None
) -> None:
    _, model = take(tmp_path, sacct(job(AllocTRES=tres, ReqMem=requested)))
    assert only(model)["ram"] == pytest.approx(ram)
    assert only(model)["flags"] == flags


def test_cores_may_stand_in_ncpus_or_in_alloc_tres(tmp_path: Path) -> None:
    for cells in ({"NCPUS": "24"}, {"AllocTRES": "cpu=24,mem=1G"}):
        record = {k: v for k, v in job().items() if k != "AllocCPUS"} | cells
        _, model = take(tmp_path, sacct(record))
        assert only(model)["cpu_cores"] == 24


@pytest.mark.parametrize(
    ("joules", "kwh"), [("3600000", 1), ("0", None), ("", None), ("18446744073709551614", None), ("-2", None)]
)
def test_measured_energy_is_kept_where_there_is_any(tmp_path: Path, joules: str, kwh: float | None) -> None:
    _, model = take(tmp_path, sacct(job(ConsumedEnergyRaw=joules)))
    assert only(model)["energy"] == kwh


def test_energy_says_whether_the_nodes_were_the_runs_own(tmp_path: Path) -> None:
    jobs = [
        job(1, ConsumedEnergyRaw="3600", AllocCPUS="64", SubmitLine="sbatch --exclusive run.sh"),
        job(2, ConsumedEnergyRaw="3600", AllocCPUS="64", SubmitLine="sbatch run.sh"),
        job(3, ConsumedEnergyRaw="3600", AllocCPUS="8"),
        job(4),
    ]
    _, model = take(tmp_path, sacct(*jobs))
    assert table(model, "job_runs")["energy_scope"].to_list() == ["exclusive", "unclear", "shared", None]


def test_suspended_time_is_spread_over_the_run(tmp_path: Path) -> None:
    """1 h of 3 h suspended: the cores are held for 2/3 of the time; memory stays."""
    _, model = take(tmp_path, sacct(job(End="2026-03-02T11:00:00", ElapsedRaw="7200", Suspended="01:00:00")))
    run = only(model)
    assert (run["started_at"], run["ended_at"]) == (utc("08:00"), utc("11:00"))
    assert run["cpu_cores"] * 3 == pytest.approx(8 * 2)
    assert (run["ram"], run["flags"]) == (16, "suspended")


def test_elapsed_that_does_not_fit_is_flagged(tmp_path: Path) -> None:
    _, model = take(tmp_path, sacct(job(ElapsedRaw="5402")))
    assert only(model)["flags"] == "elapsed_mismatch"


# ---------------------------------------------------------------- when


def test_a_running_job_is_open_until_the_horizon(tmp_path: Path) -> None:
    running = job(State="RUNNING", End="Unknown", ElapsedRaw="7200")
    report, model = take(tmp_path, sacct(running))
    assert (only(model)["ended_at"], only(model)["flags"]) == (None, "open_clipped")
    assert report.flags == {"open_clipped": 1}
    assert (model / "log_horizons.csv").read_text().splitlines()[1] == "slurm,2026-03-02T14:00:00.000000Z"


def test_without_a_horizon_the_elapsed_time_of_running_jobs_tells_it(tmp_path: Path) -> None:
    _, model = take(tmp_path, sacct(job(), job(901, State="RUNNING", End="Unknown", ElapsedRaw="7200")), horizon=None)
    assert (model / "log_horizons.csv").read_text().splitlines()[1] == "slurm,2026-03-02T10:00:00.000000Z"


@pytest.mark.parametrize(
    "cells",
    [
        {"State": "PENDING", "Start": "Unknown", "End": "Unknown", "AllocCPUS": "0", "AllocTRES": ""},
        {"State": "PENDING", "Start": "2026-03-09T08:00:00", "End": "Unknown"},  # an estimate
        {"State": "CANCELLED by 7", "Start": "None", "AllocCPUS": "0"},
        {"State": "CANCELLED by 7", "Start": "2026-03-02T09:30:00", "NodeList": "None assigned"},  # older Slurm
        {"State": "REVOKED"},
    ],
)
def test_a_job_that_never_started_is_a_run_without_time(tmp_path: Path, cells: dict[str, str]) -> None:
    _, model = take(tmp_path, sacct(job(**{"ElapsedRaw": "0", **cells})))
    run = only(model)
    assert (run["started_at"], run["cpu_cores"], run["ram"], run["flags"]) == (None, 0, 0, None)


@pytest.mark.parametrize(
    ("printed", "zone"),
    [
        ("2026-03-02T08:00:00", "Europe/Copenhagen"),
        ("1772434800", None),
        ("2026-03-02T08:00:00+0100", None),
        ("2026-03-02T07:00:00Z", None),
    ],
)
def test_times_in_any_form_are_one_instant(tmp_path: Path, printed: str, zone: str | None) -> None:
    cells = dict.fromkeys(("Submit", "Eligible", "Start", "End"), printed)
    _, model = take(tmp_path, sacct(job(**cells, ElapsedRaw="0")), timezone=zone)
    assert only(model)["started_at"] == utc("07:00")


def test_local_times_need_a_zone(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"zone_missing.*--timezone"):
        take(tmp_path, sacct(job()), timezone=None)
    with pytest.raises(InputError, match="no time zone"):
        take(tmp_path, sacct(job()), timezone="Europe/Kopenhagen")


def autumn(start: str, end: str, elapsed: int, submit: str = "00:30") -> dict[str, str]:
    """A job on the day Copenhagen's clocks go back: 02:00 to 03:00 come twice (00:00 and 01:00 UTC)."""
    clocks = {"Submit": submit, "Eligible": submit, "Start": start, "End": end}
    return job(ElapsedRaw=str(elapsed), **{n: f"2026-10-25T{t}:00" for n, t in clocks.items()})


@pytest.mark.parametrize(
    ("record", "started", "ended", "flags"),
    [
        (autumn("01:30", "02:30", 3600), "23:30 24", "00:30 25", None),
        (autumn("01:30", "02:30", 7200), "23:30 24", "01:30 25", None),
        (autumn("02:30", "04:00", 9000), "00:30 25", "03:00 25", None),
        (autumn("02:30", "04:00", 5400), "01:30 25", "03:00 25", None),
        (autumn("02:50", "02:10", 1200), "00:50 25", "01:10 25", None),
        (autumn("02:10", "02:40", 1800), "00:10 25", "00:40 25", "ambiguous_time"),
        (autumn("03:30", "04:00", 1800, submit="02:30"), "02:30 25", "03:00 25", "ambiguous_time"),
    ],
)
def test_a_civil_time_that_comes_twice_is_decided_by_the_elapsed_time(
    tmp_path: Path, record: dict[str, str], started: str, ended: str, flags: str | None
) -> None:
    _, model = take(tmp_path, sacct(record), timezone="Europe/Copenhagen", horizon=None)
    run = only(model)
    assert [f"{run[n]:%H:%M %d}" for n in ("started_at", "ended_at")] == [started, ended]
    assert run["flags"] == flags


def test_a_civil_time_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    record = job(Start="2026-03-29T02:30:00", End="2026-03-29T04:00:00")
    _, model = take(tmp_path, sacct(record), timezone="Europe/Copenhagen")
    assert table(model, "rejects").select("code", "field", "value").rows() == [
        ("bad_timestamp", "Start", "2026-03-29T02:30:00")
    ]


def test_a_run_over_the_change_of_clocks_lasts_as_long_as_it_did(tmp_path: Path) -> None:
    record = job(
        Submit="2026-03-29T00:00:00", Start="2026-03-29T00:30:00", End="2026-03-29T04:30:00", ElapsedRaw="10800"
    )
    _, model = take(tmp_path, sacct(record), timezone="Europe/Copenhagen", horizon=None)
    run = only(model)
    assert (run["ended_at"] - run["started_at"]).total_seconds() == 10800
    assert run["flags"] is None


# ---------------------------------------------------------------- arrays, het jobs, requeues, steps


def test_tasks_of_arrays_and_parts_of_het_jobs_are_runs_of_their_own(tmp_path: Path) -> None:
    jobs = [job(910, JobID="909_1"), job(909, JobID="909_2"), job(920, JobID="920+0"), job(921, JobID="920+1")]
    _, model = take(tmp_path, sacct(*jobs))
    assert table(model, "job_runs")["run_id"].to_list() == ["toy/909/0", "toy/910/0", "toy/920/0", "toy/921/0"]


def test_every_attempt_of_a_requeued_job_is_a_run(tmp_path: Path) -> None:
    again = {"Submit": "2026-03-02T10:00:00", "Start": "2026-03-02T10:10:00", "End": "2026-03-02T11:40:00"}
    report, model = take(tmp_path, sacct(job(State="NODE_FAIL"), job(Restarts="1", **again)))
    runs = table(model, "job_runs")
    assert runs.select("run_id", "attempt", "flags").rows() == [("toy/900/0", 0, None), ("toy/900/1", 1, "restarted")]
    assert report.flags == {"restarted": 1}


def test_attempts_are_told_by_their_submission_where_restarts_is_not_printed(tmp_path: Path) -> None:
    again = {"Submit": "2026-03-02T10:00:00", "Start": "2026-03-02T10:10:00", "End": "2026-03-02T11:40:00"}
    log = [{k: v for k, v in j.items() if k != "Restarts"} for j in (job(**again), job(State="PREEMPTED"))]
    _, model = take(tmp_path, sacct(*log))
    runs = table(model, "job_runs").select("run_id", "state", "flags").rows()
    assert runs == [("toy/900/0", "preempted", None), ("toy/900/1", "completed", "restarted")]


def test_attempts_that_the_log_lacks_are_reported_lost(tmp_path: Path) -> None:
    _, model = take(tmp_path, sacct(job(Restarts="2")))
    assert (only(model)["run_id"], only(model)["flags"]) == ("toy/900/2", "restarted;earlier_runs_lost")


def test_steps_are_no_runs_and_follow_their_job(tmp_path: Path) -> None:
    again = {
        "Submit": "2026-03-02T10:00:00",
        "Start": "2026-03-02T10:10:00",
        "End": "2026-03-02T11:40:00",
        "Restarts": "1",
    }

    def step(name: str, number: int = 900) -> dict[str, str]:
        return job(JobID=f"{number}.{name}", JobIDRaw=f"{number}.{name}", Partition="", MaxRSS="2097152K")

    log = [
        job(State="NODE_FAIL"),
        step("batch"),
        job(**again),
        step("batch"),
        step("0"),
        step("0"),
        step("extern", 899),
    ]
    report, model = take(tmp_path, sacct(*log))
    assert report.excluded == {"step": 5}
    steps = table(model, "slurm_steps").sort("run_id", "step_id").select("run_id", "step_id", "max_rss").rows()
    assert steps == [
        ("toy/899/0", "extern", 2.0),
        ("toy/900/0", "batch", 2.0),
        ("toy/900/1", "0", 2.0),
        ("toy/900/1", "batch", 2.0),
    ]


# ---------------------------------------------------------------- refused


@pytest.mark.parametrize(
    ("cells", "code", "field", "value"),
    [
        ({"State": "FOO"}, "unknown_state", "State", "FOO"),
        ({"State": ""}, "unknown_state", "State", None),
        ({"JobIDRaw": "", "JobID": ""}, "bad_record_id", "JobIDRaw", None),
        ({"End": "2026-03-02T07:59:59"}, "end_before_start", "End", "2026-03-02T07:59:59"),
        ({"AllocCPUS": "0"}, "zero_cores", "AllocCPUS", "0"),
        ({"AllocCPUS": "many", "AllocTRES": ""}, "zero_cores", "AllocCPUS", "many"),
        ({"Start": "yesterday"}, "bad_timestamp", "Start", "yesterday"),
        ({"Submit": "1772434800000"}, "bad_timestamp", "Submit", "1772434800000"),  # milliseconds
        ({"Submit": "0001-01-01T00:00:00"}, "bad_timestamp", "Submit", "0001-01-01T00:00:00"),
        ({"Start": "Unknown"}, "bad_timestamp", "Start", "Unknown"),  # yet it ran for 5400 s
        ({"End": "Unknown"}, "bad_timestamp", "End", "Unknown"),  # yet it completed
        (
            {"State": "RUNNING", "End": "Unknown", "Start": "2026-03-02T14:00:01"},
            "start_after_snapshot",
            "Start",
            "2026-03-02T14:00:01",
        ),
    ],
)
def test_a_record_that_breaks_a_rule_is_refused(
    tmp_path: Path, cells: dict[str, str], code: str, field: str, value: str | None
) -> None:
    report, model = take(tmp_path, sacct(job(899), job(**cells)))
    refused = table(model, "rejects").row(0, named=True)
    assert (refused["row"], refused["code"], refused["field"], refused["value"]) == (3, code, field, value)
    assert report.rejects == {code: 1}
    assert only(model)["run_id"] == "toy/899/0"


def test_a_bar_in_a_name_is_refused_with_its_line(tmp_path: Path) -> None:
    report, model = take(tmp_path, sacct(job(JobName="a|b"), job(901)))
    refused = table(model, "rejects").row(0, named=True)
    assert (refused["row"], refused["record_id"], refused["code"]) == (2, "900", "wrong_field_count")
    assert report.tables["job_runs"] == 1


def test_a_repeated_line_is_counted_once(tmp_path: Path) -> None:
    report, model = take(tmp_path, sacct(job(), job(901), job(), job()))
    assert report.rejects == {"duplicate_line": 2}
    assert table(model, "rejects").select("row", "record_id").rows() == [(4, "toy/900/0"), (5, "toy/900/0")]


def test_records_that_contradict_each_other_are_both_refused(tmp_path: Path) -> None:
    report, model = take(tmp_path, sacct(job(), job(901), job(AllocCPUS="9")))
    assert report.rejects == {"duplicate_id_conflict": 2}
    assert only(model)["run_id"] == "toy/901/0"


def test_of_a_run_seen_running_and_later_ended_the_end_is_kept(tmp_path: Path) -> None:
    report, model = take(tmp_path, sacct(job(State="RUNNING", End="Unknown", ElapsedRaw="60"), job()))
    assert report.rejects == {"duplicate_id_conflict": 1}
    assert only(model)["ended_at"] == utc("09:30")


def test_strict_writes_nothing_when_a_record_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"row 2, record toy/900/0: unknown_state, State = 'FOO'.*\n.*1 of 2 records refused"
    ):
        take(tmp_path, sacct(job(State="FOO"), job(901)), strict=True)
    assert not (tmp_path / "model").exists()


# ---------------------------------------------------------------- every field is kept


def test_every_field_that_sacct_prints_has_a_column(tmp_path: Path) -> None:
    _, model = take(
        tmp_path, sacct(job(QOS="high", TimelimitRaw="60", Timelimit="01:00:00", UID="1001", WorkDir="/home/ada"))
    )
    row = only(model, "slurm_jobs")
    assert (row["qos"], row["time_limit_raw"], row["time_limit"], row["uid"], row["work_dir"]) == (
        "high",
        60,
        3600,
        1001,
        "/home/ada",
    )
    assert (row["job_id_raw"], row["alloc_tres"], row["exit_code"]) == ("900", "billing=8,cpu=8,mem=16G,node=1", "0:0")
    assert (row["start_time"], row["elapsed_raw"], row["source_row"], row["other_fields"]) == (
        utc("08:00"),
        5400,
        2,
        None,
    )


def test_fields_without_a_column_and_texts_that_cannot_be_read_are_kept_as_json(tmp_path: Path) -> None:
    jobs = [job(900, Colour='bl"ue', Timelimit="Partition_Limit"), job(901, Timelimit="UNLIMITED"), job(902)]
    _, model = take(tmp_path, sacct(*jobs))
    told = [json.loads(t) if t else None for t in table(model, "slurm_jobs")["other_fields"]]
    assert told == [
        {"Colour": 'bl"ue', "time_limit": "Partition_Limit"},
        {"Colour": None, "time_limit": "UNLIMITED"},
        None,
    ]


def test_what_is_written_keeps_the_dictionary(tmp_path: Path) -> None:
    step = job(JobID="900.batch", JobIDRaw="900.batch", MaxRSS="1G")
    _, model = take(tmp_path, sacct(job(ConsumedEnergyRaw="3600"), step))
    for name in ("job_runs", "slurm_jobs", "slurm_steps"):
        written, declared = table(model, name), (INPUTS | DETAILS)[name]
        assert set(written.columns) <= set(declared.columns)
        absent = [pl.lit(None, dtype=c.dtype).alias(n) for n, c in declared.columns.items() if n not in written.columns]
        filled = [
            pl.lit(c.default, dtype=c.dtype).alias(n)
            for n, c in declared.columns.items()
            if n not in written.columns and c.default is not None
        ]
        declared.schema.validate(
            written.with_columns(absent).with_columns(filled).select(declared.schema.column_names())
        )


# ---------------------------------------------------------------- forms of a log


def test_a_log_without_header_needs_its_columns(tmp_path: Path) -> None:
    log = sacct(job(), header=False)
    with pytest.raises(InputError, match="--columns"):
        take(tmp_path, log)
    _, model = take(tmp_path, log, columns=", ".join(f"{n}%30" for n in job()))
    assert only(model)["run_id"] == "toy/900/0"


@pytest.mark.parametrize(
    "change",
    [
        lambda log: log.replace("\n", "\r\n"),
        lambda log: "\ufeff" + log,
        lambda log: log.replace("\n", "|\n"),  # sacct --parsable
        lambda log: log.rstrip("\n"),
        lambda log: log.lower().replace("completed", "COMPLETED").replace("t0", "T0").replace("16g", "16G"),
        lambda log: "\n\n" + log + "\n\n",
        lambda log: log + log.splitlines()[0] + "\n",  # two dumps in one file
    ],
)
def test_the_form_of_a_log_does_not_matter(tmp_path: Path, change: Any) -> None:
    take(tmp_path / "plain" if (tmp_path / "plain").mkdir() is None else tmp_path, sacct(job()))
    _, model = take(tmp_path, change(sacct(job())))
    assert table(model, "job_runs").equals(table(tmp_path / "plain" / "model", "job_runs"))


def test_a_gzipped_log_and_a_folder_of_logs_are_read(tmp_path: Path) -> None:
    folder = tmp_path / "dumps"
    folder.mkdir()
    (folder / "2026-02.txt").write_text(sacct(job(900)))
    (folder / "2026-03.txt.gz").write_bytes(gzip.compress(sacct({**job(901), "QOS": "high"}).encode()))
    report = import_slurm(folder, tmp_path / "model", timezone="UTC")
    assert (report.rows_in, report.tables["job_runs"]) == (2, 2)
    assert table(tmp_path / "model", "slurm_jobs")["qos"].to_list() == [None, "high"]


def test_the_size_of_the_batches_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = [job(JobID=f"{n}.batch", JobIDRaw=f"{n}.batch", MaxRSS="1G") for n in range(900, 910)]
    log = sacct(
        *(j for n, s in zip(range(900, 910), steps, strict=True) for j in (job(n), s)), job(903), job(904, Restarts="1")
    )
    (tmp_path / "whole").mkdir()
    whole, one = take(tmp_path / "whole", log)
    monkeypatch.setattr(lines, "CHUNK_BYTES", 100)
    parts, other = take(tmp_path, log)
    assert whole == parts or whole.rejects == parts.rejects
    for name in ("job_runs", "slurm_jobs", "slurm_steps"):
        assert table(one, name).equals(table(other, name))


# ---------------------------------------------------------------- broken files


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no record"),
        (b"\n\n\n", "holds no record"),
        (b"hello\n", "no header"),
        (b"JobID|State|Start\n1|COMPLETED|2026-03-02T08:00:00\n", "lacks end_time, alloc_cpus or n_cpus or alloc_tres"),
        (b"JobID|JobID|State|Start|End|AllocCPUS\n", "has job_id twice"),
        (bytes(range(256)) * 4, "zero bytes"),
        (b"JobID|State\n".decode().encode("utf-16"), "zero bytes"),
        (gzip.compress(sacct(job()).encode())[:-12], "cut off"),
        (b"\x1f\x8b\x08garbage that is no gzip at all", "gzip"),
        (b'{"jobs": [{"job_id": 1,', "broken or cut off"),
        (b'{"jobs": [1, 2]}', "objects"),
        (b'{"nodes": []}', "broken or cut off|no list of jobs"),
        (b"[" * 100_000, "broken or cut off"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        take(tmp_path, content)


def test_a_gzip_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "FREE_EXPANSION_BYTES", 2**20)
    monkeypatch.setattr(lines, "CHUNK_BYTES", 2**18)
    with pytest.raises(InputError, match="expand to more than"):
        take(tmp_path, gzip.compress(b"\n" * 2**24))
    monkeypatch.setattr(lines, "LONGEST_LINE_BYTES", 2**19)
    with pytest.raises(InputError, match="not a text log"):
        take(tmp_path, gzip.compress(b"x" * 2**24))


def test_bytes_that_are_no_utf8_do_not_stop_the_import(tmp_path: Path) -> None:
    _, model = take(tmp_path, sacct(job(JobName="r\u00f8d")).encode("latin-1"))
    assert only(model)["job_name"] == "r\ufffdd"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        import_slurm(tmp_path / "none.txt", tmp_path / "model")


# ---------------------------------------------------------------- sacct --json


def wrapped(number: int | None) -> dict[str, Any]:
    return {"set": number is not None, "infinite": False, "number": number or 0}


def resource(kind: str, count: int, name: str = "") -> dict[str, Any]:
    return {"type": kind, "name": name, "id": 1, "count": count}


def json_job(**more: Any) -> dict[str, Any]:
    """The job of `sacct_of`, as the newer schema tells it."""
    held = [
        resource("cpu", 8),
        resource("mem", 16384),
        resource("energy", -2),
        resource("node", 1),
        resource("gres", 2, "gpu"),
    ]
    begin = int(utc("08:00").timestamp())
    times = {
        "elapsed": 5400, "eligible": begin - 1800, "submission": begin - 1800, "start": begin, "end": begin + 5400,
        "suspended": 0, "limit": wrapped(60), "total": {"seconds": 12, "microseconds": 500000},
    }  # fmt: skip
    step = {
        "step": {"id": "900.batch", "name": "batch"}, "state": ["COMPLETED"], "tres": {"allocated": held[:2]},
        "time": {"elapsed": 5400, "start": wrapped(begin), "end": wrapped(begin + 5400)}, "pid": "77",
        "statistics": {"energy": {"consumed": wrapped(3600)}},
    }  # fmt: skip
    return {
        "job_id": 900, "array": {"job_id": 0, "task_id": wrapped(None)},
        "het": {"job_id": 0, "job_offset": wrapped(None)},
        "cluster": "toy", "partition": "cpu", "account": "ada-lab", "user": "ada", "group": "lab", "qos": "high",
        "association": {"account": "ada-lab", "cluster": "toy", "partition": "", "user": "ada", "id": 16},
        "name": "fold", "nodes": "n1", "allocation_nodes": 1, "state": {"current": ["COMPLETED"], "reason": "None"},
        "time": times, "tres": {"allocated": held, "requested": held[:1]}, "steps": [step], "restart_cnt": 0,
        "required": {"CPUs": 8, "memory_per_cpu": wrapped(None), "memory_per_node": wrapped(16384)},
        "exit_code": {"status": ["SUCCESS"], "return_code": wrapped(0), "signal": {"id": wrapped(None), "name": ""}},
        "flags": ["STARTED_ON_SUBMIT"], "colour": "blue", **more,
    }  # fmt: skip


def older(record: dict[str, Any]) -> dict[str, Any]:
    """The same in the older schema: plain texts and numbers."""
    step = record["steps"][0] | {
        "state": "COMPLETED",
        "step": {"id": {"job_id": 900, "step_id": "batch"}, "name": "batch"},
    }
    step["time"] = {n: t["number"] if isinstance(t, dict) else t for n, t in step["time"].items()}
    times = record["time"] | {"limit": 60}
    return record | {"state": {"current": "COMPLETED", "reason": "None"}, "time": times, "steps": [step]}


@pytest.mark.parametrize("shape", [json_job(), older(json_job())], ids=["newer", "older"])
@pytest.mark.parametrize("indent", [None, 2])
def test_json_of_either_schema_becomes_the_same_run(tmp_path: Path, shape: dict[str, Any], indent: int | None) -> None:
    report, model = take(
        tmp_path, json.dumps({"meta": {}, "jobs": [shape], "errors": []}, indent=indent), timezone=None
    )
    run = only(model)
    assert (run["run_id"], run["server_id"], run["project"], run["user"]) == ("toy/900/0", "toy/cpu", "ada-lab", "ada")
    assert (run["started_at"], run["ended_at"], run["state"]) == (utc("08:00"), utc("09:30"), "completed")
    assert (run["cpu_cores"], run["ram"], run["gpus"], run["energy"]) == (8, 16, 2, None)
    assert report.excluded == {"step": 1}
    fields, step = only(model, "slurm_jobs"), only(model, "slurm_steps")
    assert (fields["total_cpu"], fields["time_limit_raw"], fields["exit_code"], fields["qos"]) == (
        12.5,
        60,
        "0:0",
        "high",
    )
    assert json.loads(fields["other_fields"])["colour"] == "blue"
    assert (step["run_id"], step["step_id"], step["consumed_energy_raw"]) == ("toy/900/0", "batch", 3600)
    assert json.loads(step["other_fields"]) == {"pid": "77"}


def test_json_tells_arrays_het_jobs_and_jobs_that_wait(tmp_path: Path) -> None:
    array = json_job(job_id=912, array={"job_id": 911, "task_id": wrapped(3)}, steps=[])
    het = json_job(job_id=921, het={"job_id": 920, "job_offset": wrapped(1)}, steps=[])
    times = json_job()["time"] | {"start": 0, "end": 0, "elapsed": 0}
    waits = json_job(job_id=930, state={"current": ["PENDING"], "reason": "Resources"}, time=times, nodes="", steps=[])
    _, model = take(tmp_path, json.dumps({"jobs": [array, het, waits]}), timezone=None)
    assert table(model, "slurm_jobs")["job_id"].to_list() == ["911_3", "920+1", "930"]
    assert table(model, "job_runs")["started_at"].to_list() == [utc("08:00"), utc("08:00"), None]


# ---------------------------------------------------------------- any text


@given(st.integers(0, 10**6), st.integers(0, 23), st.integers(0, 59), st.integers(0, 59))
def test_durations_are_read_in_every_form(days: int, hours: int, minutes: int, seconds: int) -> None:
    total = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    forms = [
        f"{days}-{hours:02}:{minutes:02}:{seconds:02}",
        f"{days * 24 + hours}:{minutes:02}:{seconds:02}",
        str(total),
    ]
    read = pl.DataFrame({"t": forms}).select(slurm_fields.seconds(pl.col("t"))).to_series().to_list()
    assert read == [total] * 3


@given(st.decimals(0, 10**6, places=2), st.sampled_from("KMGT"))
def test_memory_is_read_in_every_unit(amount: Any, suffix: str) -> None:
    read = pl.DataFrame({"t": [f"{amount}{suffix}"]}).select(slurm_fields.memory(pl.col("t"))).item()
    assert read == pytest.approx(float(amount) * 1024.0 ** ("KMGT".index(suffix) - 2))


cell = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        [
            "Unknown",
            "None",
            "",
            "-2",
            "0",
            "1e999",
            "NaN",
            "9" * 30,
            "CANCELLED by 1",
            "COMPLETED",
            "1-0:0:0",
            "2147486448Mn",
        ]
    ),
    st.sampled_from(
        [
            "2026-03-29T02:30:00",
            "2026-10-25T02:30:00",
            "1772434800",
            "9999-12-31T23:59:59",
            "gres/gpu=1K,cpu=2,mem=5.5G",
        ]
    ),
)


@given(st.lists(st.dictionaries(st.sampled_from(list(job())), cell, max_size=8), min_size=1, max_size=4))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_text_in_any_cell_is_a_run_or_refused(cells: list[dict[str, str]]) -> None:
    with TemporaryDirectory() as folder:
        log = sacct(*(job(900 + i, **c) for i, c in enumerate(cells)))
        if "\0" in log:
            with pytest.raises(InputError, match="zero bytes"):
                take(Path(folder), log, timezone="Europe/Copenhagen")
        else:
            take(Path(folder), log, timezone="Europe/Copenhagen")


@given(st.binary(max_size=400))
@settings(max_examples=100, deadline=None)
def test_any_bytes_are_refused_kindly_or_read(content: bytes) -> None:
    for prefix in (b"", sacct(job()).encode(), b'{"jobs": [', b"\x1f\x8b\x08"):
        with TemporaryDirectory() as folder, suppress(InputError):
            take(Path(folder), prefix + content)


# ---------------------------------------------------------------- the shared samples and traces


@needs_shared
def test_the_sample_gets_the_expected_verdicts(tmp_path: Path) -> None:
    """One by one. Codes in `job_runs.flags` or `rejects.code`; hours from start, end and what was held."""
    with (SHARED / "samples" / "expected_job_runs.csv").open() as opened:
        expected = [row for row in csv.DictReader(opened) if row["source"] == "sacct"]
    log = (SHARED / "samples" / "sacct.txt").read_bytes()
    report, model = take(tmp_path, log, timezone="Europe/Copenhagen")
    runs = {run["run_id"]: run for run in table(model, "job_runs").to_dicts()}
    refused = {(r["record_id"], r["code"]) for r in table(model, "rejects").to_dicts()}
    assert {(r["run_id"], r["codes"]) for r in expected if r["verdict"] == "reject"} == refused
    kept = [row for row in expected if row["verdict"] != "reject"]
    assert {row["run_id"] for row in kept} == set(runs)
    for row in kept:
        run = runs[row["run_id"]]
        assert (run["flags"] or "") == row["codes"], row["run_id"]
        if row["n_intervals"] == "0":
            assert run["started_at"] is None
            continue
        begin, end = (datetime.fromisoformat(t) for t in row["intervals"].split("/"))
        assert (run["started_at"], run["ended_at"] or HORIZON) == (begin, end), row["run_id"]
        hours = (end - begin).total_seconds() / 3600
        assert hours == pytest.approx(float(row["run_hours"]), abs=1e-6)
        assert run["cpu_cores"] * hours == pytest.approx(float(row["core_hours"]), abs=1e-6)
        assert run["gpus"] * hours == pytest.approx(float(row["gpu_hours"]), abs=1e-6)
        assert run["ram"] == pytest.approx(float(row["ram_gb"]))
        assert (run["energy"] or 0) * 3.6e6 == pytest.approx(float(row["energy_j"] or 0))
    assert report.excluded == {"step": 2}


PHILLIPS_COLUMNS = (
    "JobID,JobIDRaw,Cluster,Partition,QOS,Account,Group,GID,User,UID,Submit,Eligible,Start,End,Elapsed,ExitCode,State,NNodes,"
    "NCPUS,ReqCPUS,ReqMem,ReqTRES,AllocTRES,Timelimit,NodeList,JobName"
)
PHILLIPS_ZONE = "America/New_York"


@pytest.fixture(scope="module")
def phillips(tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    log = (SHARED / "traces" / "sacct_phillips.log.gz").read_bytes()
    options = {"columns": PHILLIPS_COLUMNS, "timezone": PHILLIPS_ZONE, "horizon": None}
    _, model = take(tmp_path_factory.mktemp("phillips"), log, **options)
    return table(model, "job_runs")


@needs_shared
def test_phillips_gives_the_expected_seconds_of_every_local_hour(phillips: pl.DataFrame) -> None:
    expected = pl.read_csv(SHARED / "traces" / "expected_hourly_phillips.csv", try_parse_dates=True)
    got = hourly(phillips, PHILLIPS_ZONE)
    assert (phillips.height, phillips["started_at"].null_count()) == (4285, 239)
    assert got["hour"].to_list() == expected["hour"].to_list()
    assert got["core_seconds"].to_list() == expected["core_seconds"].to_list()
    assert got["gpu_seconds"].to_list() == expected["gpu_seconds"].to_list()


@needs_shared
def test_phillips_gives_what_xdmod_published(phillips: pl.DataFrame) -> None:
    """XDMoD: hours on the local day they fell in; waits on the day of the start; jobs on that of the end; only started ones."""
    expected = pl.read_csv(SHARED / "traces" / "xdmod_daily_phillips.csv", try_parse_dates=True)
    started = phillips.filter(pl.col("started_at").is_not_null()).with_columns(
        pl.col("submitted_at", "started_at", "ended_at").dt.convert_time_zone(PHILLIPS_ZONE).dt.replace_time_zone(None)
    )
    sums: dict[tuple[str, date], float] = {}

    def add(metric: str, day: date, value: float) -> None:
        sums[metric, day] = sums.get((metric, day), 0.0) + value

    for run in started.iter_rows(named=True):
        add("job_count", run["ended_at"].date(), 1)
        add(
            "total_waitduration_hours",
            run["started_at"].date(),
            (run["started_at"] - run["submitted_at"]).total_seconds() / 3600,
        )
    weights = {
        "total_cpu_hours": "cpu_cores",
        "total_gpu_hours": "gpus",
        "total_node_hours": "nodes",
        "total_wallduration_hours": None,
    }
    local = started.with_columns(pl.col("started_at", "ended_at").dt.replace_time_zone("UTC"))
    for metric, column in weights.items():
        held = local.with_columns(cpu_cores=pl.col(column) if column else pl.lit(1.0))
        for hour, seconds, _ in hourly(held).iter_rows():
            add(metric, hour.date(), seconds / 3600)
    for metric, day, value in expected.iter_rows():
        assert sums.get((metric, day), 0.0) == pytest.approx(value, abs=5.1e-5), (metric, day)
