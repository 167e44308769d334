"""data/observed: records of three systems through the commands of `make run-observed`."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from data.make_observed import main as make_observed

ROOT = Path(__file__).parents[1]
OBSERVED = ROOT / "data/observed"


def wattrow(*arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.cli", *map(str, arguments)], check=False, cwd=ROOT, capture_output=True, text=True, timeout=120
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def recipe(target: str) -> list[str]:
    """The commands of a make target."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    options = re.search(r"^OBSERVED := (.*)$", text, re.MULTILINE)
    found = re.search(rf"^{target}:.*\n((?:\t.*\n)+)", text, re.MULTILINE)
    assert options
    assert found
    lines = [line.strip() for line in found[1].splitlines()]
    return [line.replace("$(OBSERVED)", options[1]) for line in lines if line.startswith("$(WATTROW)")]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The recipe of make run-observed, in a folder of its own, and what it printed."""
    folder = tmp_path_factory.mktemp("observed")
    (folder / "model").mkdir()
    for table in (OBSERVED / "model").glob("*.csv"):
        shutil.copy(table, folder / "model")
    printed = ""
    for line in recipe("run-observed"):
        words = line.removeprefix("$(WATTROW) ").split()
        places = {"build/observed": folder / "model", "out/observed": folder / "out"}
        printed += wattrow(*(places.get(word, word) for word in words))
    return folder / "out", printed


def held(out: Path, **of: str) -> float:
    rows = pl.read_parquet(out / "current/need/run/*.parquet")
    return float(rows.cast(dict.fromkeys(of, pl.String)).filter(**of)["core_hours"].sum())


def test_every_record_is_accounted_for(out: tuple[Path, str]) -> None:
    assert "12 records in = 10 runs + 1 rejected + 1 excluded" in out[1]
    assert "6 records in = 6 runs + 0 rejected + 0 excluded" in out[1]
    assert "5 records in = 5 runs + 0 rejected + 0 excluded" in out[1]
    assert "end_before_start" in out[1]


def test_a_run_counted_by_two_systems_is_told(out: tuple[Path, str]) -> None:
    assert "P7-J13" in out[1]
    assert re.search(r"cryosparc_run .*\n-.*\nP7-J13 +fjord/770005", out[1])


def test_the_hour_that_does_not_exist_is_not_counted(out: tuple[Path, str]) -> None:
    """770001 runs from 20:05 to 04:05 of a night with seven hours: 64 cores * 7 h; 770007 and 770010 are the same user's."""
    assert held(out[0], server_id="fjord-cpu", user="kim") == pytest.approx(64 * 7 + 16 * 2 + 48 * 2.5)


def test_a_suspended_ucloud_job_holds_nothing_meanwhile(out: tuple[Path, str]) -> None:
    assert held(out[0], user="jens#0002") == pytest.approx(16 * (1 + 1.5))


def test_an_open_run_is_held_until_the_log_was_taken(out: tuple[Path, str]) -> None:
    assert held(out[0], user="kim#0003") == pytest.approx(16 * (12 - (8 + 2 / 60)))


def test_energy_of_a_server_is_borne_by_its_users(out: tuple[Path, str]) -> None:
    borne = pl.read_parquet(out[0] / "current/repartition/footprint/*.parquet")["footprint"].sum()
    energy = pl.read_parquet(out[0] / "current/energy/server/*.parquet")
    spent = energy["energy_footprint"].sum() + energy["instances_fabrication_footprint"].sum()
    assert borne == pytest.approx(spent, rel=1e-9)


def test_committed_records_are_those_of_the_script(tmp_path: Path) -> None:
    make_observed(tmp_path)
    for file in tmp_path.iterdir():
        assert file.read_bytes() == (OBSERVED / file.name).read_bytes()
