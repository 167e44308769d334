"""The command line: what is printed where, exit codes, settings, and that no mistake of a user ends in a traceback."""

import io
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import typer

from pipeline import cli
from pipeline.configuration import Configuration
from pipeline.errors import PipelineError

ROOT = Path(__file__).parents[1]
WORKED_HOUR = ROOT / "tests/golden/worked_hour"
SAMPLES = ROOT / "data/observed"


@dataclass
class Done:
    code: int
    out: str
    err: str


Wattrow = Callable[..., Done]


@pytest.fixture
def wattrow(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Wattrow:
    """The console script's main, with arguments; what it printed and its exit code."""

    def call(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["wattrow", *map(str, arguments)])
        monkeypatch.setattr(cli, "DEBUG", False)
        code = 0
        try:
            cli.main()
        except SystemExit as end:
            code = int(end.code or 0)
        printed = capsys.readouterr()
        return Done(code, printed.out, printed.err)

    return call


@pytest.fixture
def model(tmp_path: Path) -> Path:
    shutil.copytree(WORKED_HOUR, tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def broken(model: Path) -> Path:
    """A model with eight negative counts and a job that nobody declared."""
    rows = [f"search,shop,browse,2026-03-02T{hour:02}:00Z,-1" for hour in range(8)]
    header = "job_id,usage_pattern_id,container_id,hour,occurrences"
    lines = [header, *rows, "serch,shop,browse,2026-03-02T10:00Z,1"]
    (model / "occurrences.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return model


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli") / "out"
    command = [sys.executable, "-m", "pipeline.cli", "run", WORKED_HOUR, "--out", folder]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    return folder


def settings_of(out: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((out / "current/run.json").read_text(encoding="utf-8"))["settings"]
    return told


# ---------------------------------------------------------------- help

COMMANDS = dict(typer.main.get_command(cli.app).commands)  # type: ignore[attr-defined]
ALL_COMMANDS = {name: c for name, c in COMMANDS.items() if name != "import"} | {
    f"import {name}": c for name, c in COMMANDS["import"].commands.items()
}


def test_help_says_what_there_is_and_gives_examples(wattrow: Wattrow) -> None:
    done = wattrow("--help")
    assert done.code == 0
    assert "Exit codes: 0 done, 2 the input is wrong, 1 anything else." in done.out
    for command in COMMANDS:
        assert re.search(rf"^  {command} ", done.out, re.MULTILINE)


def test_help_is_fast_and_loads_nothing_heavy() -> None:
    code = (
        "import sys, pipeline.cli; sys.argv = ['wattrow', '--help']\n"
        "try: pipeline.cli.main()\n"
        "except SystemExit: pass\n"
        "print(sorted({'polars', 'duckdb', 'pint', 'pyarrow', 'numpy', 'pydantic'} & set(sys.modules)))"
    )
    best = 10.0
    for _ in range(3):
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
        )
        best = min(best, time.monotonic() - began)
        assert done.stdout.splitlines()[-1] == "[]"
    assert best < 1


def test_version_is_printed(wattrow: Wattrow) -> None:
    assert re.fullmatch(r"wattrow \d+\.\d+\.\d+\n", wattrow("--version").out)


@pytest.mark.parametrize("command", ALL_COMMANDS)
def test_help_of_a_command_teaches_by_examples_that_hold(command: str, wattrow: Wattrow) -> None:
    done = wattrow(*command.split(), "--help")
    examples = re.findall(r"wattrow ((?:import )?[a-z]+)(.*)", done.out.split("Examples:")[1])
    assert examples
    for named, rest in examples:
        options = {option for p in ALL_COMMANDS[named].params for option in (*p.opts, *p.secondary_opts)}
        assert set(re.findall(r"(?<= )--[a-z-]+", rest)) <= options


@pytest.mark.parametrize("command", ["run", "publish"])
def test_every_setting_is_a_flag_with_the_same_meaning(command: str, wattrow: Wattrow) -> None:
    helps = {p.name: p.help for p in ALL_COMMANDS[command].params}
    assert {n: helps.get(n) for n in Configuration.model_fields} == {
        n: f.description for n, f in Configuration.model_fields.items()
    }
    assert tuple(Configuration.model_fields) == cli.SETTINGS


def test_no_command_prints_help(wattrow: Wattrow) -> None:
    done = wattrow()
    assert done.code == 2
    assert "Commands:" in done.out + done.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("rnu",), "No such command 'rnu'"),
        (("run",), "Missing"),
        (("run", "m"), "--out"),
        (("run", "m", "--out", "o", "--colums", "base"), "--colums"),
        (("run", "m", "--out", "o", "--keep-runs", "many"), "--keep-runs"),
        (("import", "excel", "x", "--model", "m"), "No such command 'excel'"),
        (("query",), "Missing"),
    ],
)
def test_wrong_usage_exits_2_and_says_what(arguments: tuple[str, ...], told: str, wattrow: Wattrow) -> None:
    done = wattrow(*arguments)
    assert done.code == 2
    assert told in done.err
    assert "Traceback" not in done.err


# ---------------------------------------------------------------- check


def test_check_says_ok_and_counts_rows(wattrow: Wattrow) -> None:
    done = wattrow("check", WORKED_HOUR)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"ok: {WORKED_HOUR}: 4 tables, 9 rows\n")
    assert re.search(r"^  occurrences +5$", done.out, re.MULTILINE)


def test_check_names_every_broken_rule_on_its_own_line(broken: Path, wattrow: Wattrow) -> None:
    done = wattrow("check", broken)
    assert (done.code, done.out) == (2, "")
    first, *lines = done.err.splitlines()
    assert first == f"error: {broken}: 9 broken rules"
    assert "row 1, column occurrences: found '-1" in lines[0]
    assert any("3 more" in line for line in lines)
    assert lines[-1] == "  all of them: wattrow check MODEL --violations FILE.csv"
    assert any("'serch'" in line and "jobs" in line for line in lines)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_all_violations_go_to_a_file(ending: str, broken: Path, tmp_path: Path, wattrow: Wattrow) -> None:
    file = tmp_path / "reports" / f"all.{ending}"
    assert wattrow("check", broken, "--violations", file).code == 2
    found = pl.read_csv(file) if ending == "csv" else pl.read_parquet(file)
    assert found.columns == ["table", "rule", "file", "row", "column", "value", "expected"]
    assert len(found) == 9
    assert found.filter(table="occurrences", column="occurrences")["row"].to_list() == list(range(1, 9))


def test_violations_of_a_run_go_to_a_file_too(broken: Path, tmp_path: Path, wattrow: Wattrow) -> None:
    assert wattrow("run", broken, "--out", tmp_path / "out", "--violations", tmp_path / "all.csv").code == 2
    assert len(pl.read_csv(tmp_path / "all.csv")) == 9
    assert not (tmp_path / "out/current").exists()


def test_no_violations_make_an_empty_file(tmp_path: Path, wattrow: Wattrow) -> None:
    assert wattrow("check", WORKED_HOUR, "--violations", tmp_path / "all.csv").code == 0
    assert (tmp_path / "all.csv").read_text(encoding="utf-8") == "table,rule,file,row,column,value,expected\n"


def test_violations_in_an_unknown_format_are_refused_first(tmp_path: Path, wattrow: Wattrow) -> None:
    done = wattrow("check", tmp_path / "nowhere", "--violations", tmp_path / "all.xlsx")
    assert done.code == 2
    assert "expected the name of a .csv or .parquet file" in done.err


def test_a_missing_model_is_the_users_mistake(tmp_path: Path, wattrow: Wattrow) -> None:
    for command in (("check", tmp_path / "modle"), ("run", tmp_path / "modle", "--out", tmp_path / "out")):
        done = wattrow(*command)
        assert done.code == 2
        assert "modle: no such folder" in done.err


def test_nothing_in_a_message_moves_the_cursor(model: Path, wattrow: Wattrow) -> None:
    with (model / "occurrences.csv").open("a", encoding="utf-8") as opened:
        opened.write("\x1b[2Jsearch,shop,x,2026-03-02T10:00Z,1\n")
    done = wattrow("check", model)
    assert done.code == 2
    assert "\x1b" not in done.err
    assert r"\x1b[2Jsearch" in done.err


def test_very_many_messages_are_cut(model: Path, wattrow: Wattrow) -> None:
    for n in range(300):
        (model / f"tabel_{n}.csv").write_text("a\n1\n", encoding="utf-8")
    done = wattrow("check", model)
    assert done.code == 2
    assert len(done.err.splitlines()) <= cli.MOST_LINES + 2


# ---------------------------------------------------------------- run


def test_a_run_says_what_it_made_and_where(model: Path, tmp_path: Path, wattrow: Wattrow) -> None:
    out = tmp_path / "out"
    done = wattrow("run", model, "--out", out)
    assert done.code == 0
    assert re.search(rf"^\d+ rows in \d+ tables, \d+\.\d s: {re.escape(str(out))}/current$", done.out, re.MULTILINE)
    assert re.search(r"^  manufacturing +0\.040 kg CO2e$", done.out, re.MULTILINE)
    assert re.search(r"^  usage +0\.263 kg CO2e$", done.out, re.MULTILINE), "125 g + 137.5 g"
    assert f"next: wattrow query {out} " in done.out


def test_the_same_run_again_does_nothing_and_says_so(model: Path, tmp_path: Path, wattrow: Wattrow) -> None:
    wattrow("run", model, "--out", tmp_path / "out")
    before = (tmp_path / "out/current").resolve()
    done = wattrow("run", model, "--out", tmp_path / "out")
    assert done.code == 0
    assert done.out.startswith("unchanged: ")
    assert (tmp_path / "out/current").resolve() == before


def test_fresh_computes_the_same_run_again(model: Path, tmp_path: Path, wattrow: Wattrow) -> None:
    wattrow("run", model, "--out", tmp_path / "out")
    before = (tmp_path / "out/current").resolve()
    assert wattrow("run", model, "--out", tmp_path / "out", "--fresh").code == 0
    assert (tmp_path / "out/current").resolve() != before


def test_a_quiet_run_prints_nothing(model: Path, tmp_path: Path, wattrow: Wattrow) -> None:
    done = wattrow("run", model, "--out", tmp_path / "out", "--quiet")
    assert (done.code, done.out, done.err) == (0, "", "")
    assert (tmp_path / "out/current/run.json").exists()


def test_a_quiet_run_still_tells_what_is_wrong(broken: Path, tmp_path: Path, wattrow: Wattrow) -> None:
    done = wattrow("run", broken, "--out", tmp_path / "out", "--quiet")
    assert (done.code, done.out) == (2, "")
    assert "9 broken rules" in done.err


def test_log_lines_are_keys_and_values(model: Path, tmp_path: Path, wattrow: Wattrow) -> None:
    lines = wattrow("run", model, "--out", tmp_path / "out").err.splitlines()
    assert lines
    for line in lines:
        assert re.fullmatch(r"time=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ level=info( [a-z_]+=\S+)+", line)
    assert any("partition=" in line and "rows=" in line and "seconds=" in line for line in lines)


def test_log_lines_may_be_json(model: Path, tmp_path: Path, wattrow: Wattrow) -> None:
    done = wattrow("run", model, "--out", tmp_path / "out", "--log-format", "json")
    lines = [json.loads(line) for line in done.err.splitlines()]
    assert all(line["level"] == "info" and line["time"].endswith("Z") for line in lines)
    assert any("partition" in line and "rows" in line for line in lines)


def test_an_unknown_log_format_is_refused(model: Path, tmp_path: Path, wattrow: Wattrow) -> None:
    done = wattrow("run", model, "--out", tmp_path / "out", "--log-format", "xml")
    assert done.code == 2
    assert done.err == "error: --log-format: found 'xml'; expected text or json\n"


def test_a_terminal_sees_a_bar_and_no_log_lines(
    model: Path, tmp_path: Path, wattrow: Wattrow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    done = wattrow("run", model, "--out", tmp_path / "out")
    assert done.code == 0
    assert "level=info" not in done.err


def test_parts_are_computed_one_by_one_and_published_together(model: Path, tmp_path: Path, wattrow: Wattrow) -> None:
    out = tmp_path / "out"
    for part in ("1/2", "2/2"):
        done = wattrow("run", model, "--out", out, "--partition", part)
        assert done.code == 0
        assert "not published" in done.out
        assert not (out / "current").exists()
    assert wattrow("publish", model, "--out", out).code == 0
    assert (out / "current/run.json").exists()


def test_publish_without_all_parts_fails(model: Path, tmp_path: Path, wattrow: Wattrow) -> None:
    done = wattrow("publish", model, "--out", tmp_path / "out")
    assert done.code == 1
    assert done.err.splitlines()[-1].startswith("failed: ")
    assert not (tmp_path / "out/current").exists()


@pytest.mark.parametrize("part", ["0/3", "4/3", "a/b", "3", "1/0"])
def test_a_wrong_part_is_refused(part: str, model: Path, tmp_path: Path, wattrow: Wattrow) -> None:
    done = wattrow("run", model, "--out", tmp_path / "out", "--partition", part)
    assert done.code == 2
    assert "expected I/N such as 3/10" in done.err


# ---------------------------------------------------------------- failures that are not the input's


def fail_with(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("pipeline.run.run", run)


def test_a_bug_is_one_line_and_a_hint(
    model: Path, tmp_path: Path, wattrow: Wattrow, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_with(KeyError("x"), monkeypatch)
    done = wattrow("run", model, "--out", tmp_path / "out")
    assert done.code == 1
    assert done.err == "failed: unexpected KeyError: 'x'; this is a bug of wattrow, --debug shows where\n"


def test_debug_shows_the_traceback(
    model: Path, tmp_path: Path, wattrow: Wattrow, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_with(KeyError("x"), monkeypatch)
    for arguments in (("--debug", "run", model), ("run", model, "--debug")):
        done = wattrow(*arguments, "--out", tmp_path / "out")
        assert done.code == 1
        assert "Traceback (most recent call last)" in done.err


def test_a_failing_pipeline_exits_1(
    model: Path, tmp_path: Path, wattrow: Wattrow, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_with(PipelineError("check a: no\ncheck b: no"), monkeypatch)
    done = wattrow("run", model, "--out", tmp_path / "out")
    assert (done.code, done.err) == (1, "failed: check a: no\nfailed: check b: no\n")


def test_an_out_that_cannot_be_written_is_one_line(model: Path, tmp_path: Path, wattrow: Wattrow) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    done = wattrow("run", model, "--out", tmp_path / "file/out")
    assert done.code == 2, "what stands after --out has to be changed"
    assert done.err.splitlines()[-1] == (
        f"error: {tmp_path}/file/out: cannot be written ({tmp_path}/file/out: Not a directory); "
        "make it a folder that this user may write to, or give another --out"
    )


# ---------------------------------------------------------------- settings


def test_flags_go_before_the_environment_and_that_before_the_file(
    model: Path, tmp_path: Path, wattrow: Wattrow, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    (model / "wattrow.toml").write_text(
        'attribution_grain = "day"\nkeep_runs = 5\ncolumns = "base"\n', encoding="utf-8"
    )
    monkeypatch.setenv("WATTROW_KEEP_RUNS", "7")
    monkeypatch.setenv("WATTROW_COLUMNS", "all")
    assert wattrow("run", model, "--out", out, "--columns", "base", "--attribution-key", "binding").code == 0
    told = settings_of(out)
    assert told["attribution_grain"] == "day", "the file"
    assert told["keep_runs"] == 7, "the environment before the file"
    assert told["columns"] == "base", "the flag before the environment"
    assert told["attribution_key"] == "binding"
    assert told["memory"] == Configuration.model_fields["memory"].default


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (("--attribution-key", "weights"), "attribution_key"),
        (("--attribution-grain", "week"), "attribution_grain"),
        (("--columns", "some"), "columns"),
        (("--tables", "need.sever"), "need.sever"),
        (("--keep-runs", "0"), "keep_runs"),
        (("--workers", "0"), "workers"),
        (("--memory", "2 parrots"), "2GB"),
    ],
)
def test_a_wrong_setting_is_named(
    flags: tuple[str, ...], told: str, model: Path, tmp_path: Path, wattrow: Wattrow
) -> None:
    done = wattrow("run", model, "--out", tmp_path / "out", *flags)
    assert done.code == 2
    assert told in done.err
    assert "Traceback" not in done.err
    assert not (tmp_path / "out").exists()


def test_an_unknown_key_of_the_file_is_an_error(model: Path, tmp_path: Path, wattrow: Wattrow) -> None:
    (model / "wattrow.toml").write_text('attribution_ky = "binding"\n', encoding="utf-8")
    for command in (("run", model, "--out", tmp_path / "out"), ("check", model)):
        done = wattrow(*command)
        assert done.code == 2
        assert "attribution_ky" in done.err
        assert "attribution_key" in done.err, "the known ones are listed"


def test_a_file_that_is_no_toml_is_an_error(model: Path, wattrow: Wattrow) -> None:
    (model / "wattrow.toml").write_text("columns: base\n", encoding="utf-8")
    done = wattrow("check", model)
    assert done.code == 2
    assert "wattrow.toml" in done.err


def test_an_unknown_variable_is_an_error(model: Path, wattrow: Wattrow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATTROW_ATRIBUTION_KEY", "binding")
    done = wattrow("check", model)
    assert done.code == 2
    assert "WATTROW_ATRIBUTION_KEY" in done.err


def test_only_the_tables_that_are_wanted_are_made(model: Path, tmp_path: Path, wattrow: Wattrow) -> None:
    assert wattrow("run", model, "--out", tmp_path / "out", "--tables", "energy.server").code == 0
    assert len(pl.read_parquet(tmp_path / "out/current/energy/server/*.parquet")) == 3
    assert len(pl.read_parquet(tmp_path / "out/current/repartition/footprint/*.parquet")) == 0


# ---------------------------------------------------------------- query


def test_a_query_prints_csv_where_nobody_looks(out: Path, wattrow: Wattrow) -> None:
    done = wattrow("query", out, "SELECT server_id, nb_of_instances FROM instances.server ORDER BY hour")
    assert (done.code, done.err) == (0, "")
    assert done.out == "server_id,nb_of_instances\nweb,2.0\nweb,2.0\nweb,0.0\n"


def test_a_query_may_be_a_file_or_come_from_standard_input(
    out: Path, tmp_path: Path, wattrow: Wattrow, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "question.sql").write_text("SELECT 1 AS one; SELECT 2 AS two;", encoding="utf-8")
    assert wattrow("query", out, tmp_path / "question.sql").out == "two\n2\n"
    monkeypatch.setattr(sys, "stdin", io.StringIO("SELECT 3 AS three"))
    assert wattrow("query", out).out == "three\n3\n"


def test_a_query_is_written_as_its_file_is_called(out: Path, tmp_path: Path, wattrow: Wattrow) -> None:
    for name in ("a.csv", "a.json", "a.parquet"):
        done = wattrow("query", out, "SELECT 1 AS one", "--output", tmp_path / "answers" / name)
        assert (done.code, done.out) == (0, "")
    assert (tmp_path / "answers/a.csv").read_text(encoding="utf-8") == "one\n1\n"
    assert json.loads((tmp_path / "answers/a.json").read_text(encoding="utf-8")) == [{"one": 1}]
    assert pl.read_parquet(tmp_path / "answers/a.parquet").rows() == [(1,)]


def test_a_query_may_be_a_table_of_text(out: Path, wattrow: Wattrow) -> None:
    done = wattrow("query", out, "SELECT 'web' AS server", "--format", "table")
    assert done.out.splitlines()[0].strip() == "server"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("SELEC 1",), "SELEC"),
        (("SELECT nonsense FROM energy.server",), "nonsense"),
        (("FROM energy.servers",), "servers"),
        (("",), "empty"),
        (("nowhere.sql",), "nowhere.sql"),
        (("SELECT 1", "--format", "xml"), "xml"),
    ],
)
def test_a_wrong_query_is_one_line(arguments: tuple[str, ...], told: str, out: Path, wattrow: Wattrow) -> None:
    done = wattrow("query", out, *arguments)
    assert (done.code, done.out) == (2, "")
    assert told in done.err
    assert len(done.err.splitlines()) == 1


def test_a_query_without_a_run_says_how_to_make_one(tmp_path: Path, wattrow: Wattrow) -> None:
    done = wattrow("query", tmp_path, "SELECT 1")
    assert done.code == 2
    assert "wattrow run MODEL" in done.err


def test_a_reader_that_stops_reading_is_no_error(out: Path) -> None:
    command = f"{sys.executable} -m pipeline.cli query {out} 'SELECT range AS n FROM range(1000000)' | head -1"
    done = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert (done.stdout, done.stderr) == ("n\n", "")


def test_the_prompt_answers_goes_on_after_a_mistake_and_ends(
    out: Path, wattrow: Wattrow, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = iter(["SELECT 1", "AS one;", "SELEC;", "SELECT 2 AS two;"])

    def answer(_: str) -> str:
        try:
            return next(typed)
        except StopIteration:
            raise EOFError from None

    monkeypatch.setattr("builtins.input", answer)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    done = wattrow("query", out)
    assert done.code == 0
    assert [word for word in done.out.split() if word in ("one", "1", "two", "2")] == ["one", "1", "two", "2"]
    assert "SELEC" in done.err


# ---------------------------------------------------------------- import


def test_an_import_accounts_for_every_record(tmp_path: Path, wattrow: Wattrow) -> None:
    done = wattrow(
        "import", "slurm", SAMPLES / "sacct.txt", "--model", tmp_path / "m", "--timezone", "Europe/Copenhagen"
    )
    assert done.code == 0
    assert done.out.startswith("12 records in = 10 runs + 1 rejected + 1 excluded\n")
    assert re.search(r"^  rejected  end_before_start +1$", done.out, re.MULTILINE)
    assert f"next: wattrow check {tmp_path}/m" in done.out
    assert "warning: " in done.err


def test_a_strict_import_writes_nothing_where_a_record_is_refused(tmp_path: Path, wattrow: Wattrow) -> None:
    done = wattrow(
        "import", "slurm", SAMPLES / "sacct.txt", "--model", tmp_path / "m", "--timezone", "Europe/Copenhagen", "--strict"
    )  # fmt: skip
    assert (done.code, done.out) == (2, "")
    assert "end_before_start" in done.err
    assert not list((tmp_path / "m").rglob("*.parquet"))


def test_a_quiet_import_prints_nothing(tmp_path: Path, wattrow: Wattrow) -> None:
    done = wattrow("import", "ucloud", SAMPLES / "ucloud_jobs.jsonl", "--model", tmp_path / "m", "--quiet")
    assert (done.code, done.out, done.err) == (0, "", "")


@pytest.mark.parametrize("kind", COMMANDS["import"].commands)
def test_a_missing_source_is_the_users_mistake(kind: str, tmp_path: Path, wattrow: Wattrow) -> None:
    done = wattrow("import", kind, tmp_path / "nowhere", "--model", tmp_path / "m")
    assert done.code == 2
    assert "nowhere" in done.err
    assert not (tmp_path / "m").exists() or not list((tmp_path / "m").iterdir())


@pytest.mark.parametrize("horizon", ["yesterday", "2026-03-02", "2026-03-02T14:00:00"])
def test_a_horizon_needs_its_zone(horizon: str, tmp_path: Path, wattrow: Wattrow) -> None:
    done = wattrow(
        "import", "ucloud", SAMPLES / "ucloud_jobs.jsonl", "--model", tmp_path / "m", "--horizon", horizon
    )  # fmt: skip
    assert done.code == 2
    assert "expected an instant with its zone" in done.err
