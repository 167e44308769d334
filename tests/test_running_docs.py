"""docs/running.md, beyond the commands that tests/test_docs.py runs: units, cron lines, array scripts, manifests and snippets are valid."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs/running.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
FIELD = {"minute": 59, "hour": 23, "day": 31, "month": 12, "weekday": 7}


def blocks(language: str) -> list[str]:
    return [text for name, text in BLOCKS if name == language]


def named(language: str) -> dict[str, str]:
    """The blocks whose first line is a comment with a file name."""
    return {text.split("\n", 1)[0].removeprefix("# "): text for text in blocks(language)}


def executable(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/bash\n{script}\n")
    path.chmod(0o755)


# ---------------------------------------------------------------- cron and systemd


def test_the_cron_line_has_five_fields_in_range_and_a_command_with_known_flags():
    (table,) = blocks("cron")
    (line,) = [row for row in table.splitlines() if not re.match(r"\w+=", row)]
    *fields, command = line.split(None, 5)
    for field, most in zip(fields, FIELD.values(), strict=True):
        assert field == "*" or 0 <= int(field) <= most
    assert "%" not in command, "cron reads % as a new line"
    assert_known_flags(command)


def assert_known_flags(command: str) -> None:
    """Every flag of a wattrow command is in its help."""
    words = shlex.split(command)
    at = next(i for i, w in enumerate(words) if Path(w).name == "wattrow")
    shown = subprocess.run(
        [sys.executable, "-m", "pipeline.cli", words[at + 1], "--help"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    ).stdout
    for word in words[at + 2 :]:
        if word.startswith("--"):
            assert re.search(rf"{re.escape(word)}\b", shown), word


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_systemd_takes_the_units(tmp_path: Path):
    units = named("ini")
    assert set(units) == {"wattrow.service", "wattrow.timer"}
    for name, text in units.items():
        (tmp_path / name).write_text(
            text.replace("/opt/wattrow/.venv/bin/wattrow", sys.executable).replace("User=wattrow", "User=root")
        )
    done = subprocess.run(
        ["systemd-analyze", "verify", *map(str, tmp_path.iterdir())], capture_output=True, text=True, check=False
    )
    said = [line for line in done.stderr.splitlines() if str(tmp_path) in line or "wattrow" in line]
    assert said == []
    (when,) = re.findall(r"^OnCalendar=(.*)$", units["wattrow.timer"], re.MULTILINE)
    assert subprocess.run(["systemd-analyze", "calendar", when], capture_output=True, check=False).returncode == 0


# ---------------------------------------------------------------- snippets


@pytest.mark.parametrize("name", list(named("python")))
def test_snippets_are_python(name: str):
    compile(named("python")[name], name, "exec", dont_inherit=True)


def test_the_commands_of_the_airflow_tasks_have_known_flags():
    found = [
        c
        for name, text in named("python").items()
        if name.startswith("dags/")
        for c in re.findall(r'"(wattrow [^"]*)"', text)
    ]
    assert len(found) == 4
    for command in found:
        assert_known_flags(command)


# ---------------------------------------------------------------- Slurm and Kubernetes


SBATCH = """
args=("$@"); array=; wrap=
while [ $# -gt 0 ]; do case $1 in --array=*) array=${1#--array=};; --wrap) wrap=$2; shift;; esac; shift; done
echo "${args[*]%%wattrow*}" >> "$LOG"
if [ -n "$array" ]; then for i in $(seq ${array%-*} ${array#*-}); do SLURM_ARRAY_TASK_ID=$i bash -c "$wrap" >&2 || exit 1; done
else bash -c "$wrap" >&2 || exit 1; fi
echo 4711
"""


def test_the_slurm_array_computes_and_publishes(tmp_path: Path):
    """submit.sh with an sbatch that does the jobs at once."""
    (script,) = (text for text in blocks("bash") if "sbatch" in text)
    executable(tmp_path, "sbatch", SBATCH)
    executable(tmp_path, "wattrow", f'exec {sys.executable} -m pipeline.cli "$@" --tables need.server --quiet')
    script = script.replace("/shared/model", str(ROOT / "data/example")).replace("/shared/out", str(tmp_path / "out"))
    environment = {
        **os.environ,
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "LOG": str(tmp_path / "log"),
    }
    done = subprocess.run(
        ["bash", "-e", "-c", script.replace("PARTS=16", "PARTS=2")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/current/run.json").exists()
    first, second = (tmp_path / "log").read_text().splitlines()
    assert "--array=1-2" in first
    assert "--dependency=afterok:4711" in second


def test_commands_of_the_bash_blocks_have_known_flags():
    for text in blocks("bash"):
        assert subprocess.run(["bash", "-n"], input=text, text=True, check=False).returncode == 0
        for line in text.splitlines():
            if line.startswith("wattrow "):
                assert_known_flags(line)


def test_kubernetes_jobs_cover_every_part():
    (manifest,) = blocks("yaml")
    jobs: dict[str, Any] = {job["metadata"]["name"]: job for job in yaml.safe_load_all(manifest)}
    spec = jobs["wattrow-parts"]["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    (command,) = container["args"]
    parts = []
    for index in range(spec["completions"]):
        shown = subprocess.run(
            ["sh", "-c", f'wattrow() {{ echo "$@"; }}; {command}'],
            env={"JOB_COMPLETION_INDEX": str(index)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        parts.append(shown.split()[-1])
    assert parts == [f"{i}/16" for i in range(1, 17)]
    assert spec["completionMode"] == "Indexed"
    assert_known_flags(command.replace("$((JOB_COMPLETION_INDEX + 1))/16", "1/16"))
    assert_known_flags(shlex.join(jobs["wattrow-publish"]["spec"]["template"]["spec"]["containers"][0]["command"]))
