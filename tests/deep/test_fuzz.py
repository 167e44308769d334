"""Every fuzzer for an hour, or WATTROW_MINUTES: nothing found."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.deep.asked import MINUTES, SEED

pytestmark = [
    pytest.mark.deep,
    pytest.mark.timeout(0),
    pytest.mark.skipif(find_spec("atheris") is None, reason="atheris is not here (Linux on x86_64: make test-deep)"),
]
TARGETS = ["efootprint", "slurm", "slurm-json", "swf", "ucloud", "cryosparc", "csv", "units"]


@pytest.mark.parametrize("target", TARGETS)
def test_no_bytes_do_what_no_bytes_may(target: str, tmp_path: Path):
    minutes = 60 if MINUTES is None else MINUTES
    command = [sys.executable, "-m", "tests.deep.fuzz", target, "--minutes", str(minutes), "--seed", str(SEED)]
    done = subprocess.run([*command, "--findings", str(tmp_path)], capture_output=True, text=True, check=False)
    found = [path.read_text() for path in sorted(tmp_path.rglob("*.txt"))]
    assert not found, "\n".join(found)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
