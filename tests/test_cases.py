"""The reference cases: importing a system file, then running, agrees with e-footprint on every quantity."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SHARED = Path(__file__).parents[2] / "shared"
CASES = sorted(p.parent for p in (SHARED / "cases").glob("*/system.json"))
WATTROW = [sys.executable, "-c", "from pipeline.cli import main; main()"]


def wattrow(*arguments: str, **environment: str) -> None:
    root = Path(__file__).parents[1]
    done = subprocess.run(
        [*WATTROW, *arguments], capture_output=True, text=True, check=False, cwd=root, env={**os.environ, **environment}, timeout=800
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]


QUICK = {"v21-4", "v27-4"}  # both formats, both with an edge usage pattern; the others in make test-deep
MARKED = [pytest.param(c, id=c.name, marks=[] if c.name in QUICK else pytest.mark.deep) for c in CASES]


@pytest.mark.timeout(900)
@pytest.mark.skipif(not CASES, reason="the reference cases are not beside the project")
@pytest.mark.parametrize("case", MARKED)
def test_every_quantity_agrees_with_the_reference(case: Path, tmp_path: Path):
    key = "binding" if case.name.startswith("v27") else "weight"
    wattrow("import", "efootprint", str(case / "system.json"), "--model", str(tmp_path / "model"))
    wattrow("run", str(tmp_path / "model"), "--out", str(tmp_path / "out"), WATTROW_ATTRIBUTION_KEY=key)
    compare = [sys.executable, str(SHARED / "tools" / "compare_case.py"), str(tmp_path / "out"), str(case), "--verbose"]
    answer = subprocess.run(compare, capture_output=True, text=True, check=False, timeout=800)
    disagreeing = [line for line in answer.stdout.splitlines() if not line.startswith("ok ")]
    assert answer.returncode == 0, "\n".join(disagreeing)
