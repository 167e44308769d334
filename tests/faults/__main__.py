"""Kill runs at random moments under load of readers, and print what held: `python -m tests.faults --kills 200 [--seed N]`."""

import argparse
import math
import sys
import tempfile
import time
from pathlib import Path

from tests.faults.kills import TARGETS, Tally, long_run, world
from tests.faults.victim import PHASES


def table(tally: Tally, seconds: float) -> str:
    """Kills by phase and target, what readers did, what was found."""
    lines = [f"{'phase':<12}" + "".join(f"{t:>8}" for t in TARGETS) + f"{'all':>8}"]
    for phase in ("starting", *PHASES):
        counts = [tally.kills[phase, t] for t in TARGETS]
        lines.append(f"{phase:<12}" + "".join(f"{c:>8}" for c in counts) + f"{sum(counts):>8}")
    lines.append(f"{'all':<12}" + " " * 8 * len(TARGETS) + f"{sum(tally.kills.values()):>8}")
    lines += [f"{count:>8}  {what}" for what, count in sorted(tally.finished.items())]
    lines += [f"{count:>8}  partitions {how}" for how, count in sorted(tally.partitions.items())]
    lines.append(f"{tally.queries:>8}  queries of readers, in {tally.turns} turns, in {seconds:.0f} s")
    lines.append(f"{len(tally.findings):>8}  findings")
    return "\n".join([*lines, *(f"  {f}" for f in tally.findings[:50])])


def main() -> int:
    """The long run."""
    given = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    given.add_argument("--kills", type=int, default=200)
    given.add_argument("--seed", type=int, default=1)
    given.add_argument("--minutes", type=float, default=math.inf, help="end after so long, whatever was reached")
    options = given.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="wattrow-faults-") as folder:
        tally = long_run(
            world(Path(folder)),
            options.kills,
            options.seed,
            lambda line: print(f"{time.monotonic() - began:6.0f} s  {line}", flush=True),
            options.minutes,
        )
    print(table(tally, time.monotonic() - began))
    return 1 if tally.findings else 0


if __name__ == "__main__":
    sys.exit(main())
