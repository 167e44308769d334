"""A process that reads OUT/current all the while, each way the docs name, and notes whatever is not one whole run.

    python -m tests.faults.reader OUT KNOWN.json NOTES STOP

It ends when the file STOP appears; the last line of NOTES says how many queries it made.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from pipeline import catalog
from tests.faults.models import SUMMED, Sums, different, model_of, sums_of

REST_SECONDS = 0.1


def by_files(out: Path) -> tuple[str, Sums]:
    """Resolve the pointer once, then DuckDB over the files of each table."""
    run = (out / "current").resolve(strict=True)
    return model_of(run), sums_of(run)


def by_arrow(out: Path) -> tuple[str, Sums]:
    """The same with pyarrow."""
    run = (out / "current").resolve(strict=True)
    read = {t: pq.read_table(run / t.replace(".", "/"), columns=[c], partitioning=None) for t, c in SUMMED.items()}
    return model_of(run), {t: float(sum(v for v in rows.column(0).to_pylist() if v)) for t, rows in read.items()}


def by_query(out: Path) -> tuple[str, Sums]:
    """One query over several views, as `wattrow query` asks it."""
    sums = ", ".join(f"(SELECT sum({column}) FROM {table}) AS t{i}" for i, (table, column) in enumerate(SUMMED.items()))
    with catalog.opened(out, comments=False) as con:
        row = catalog.run_sql(con, f"SELECT {sums}").to_pylist()[0]
        power = row[f"t{list(SUMMED).index('derived.server')}"]
    return f"power {power}", dict(zip(SUMMED, row.values(), strict=True))


def by_script(out: Path) -> tuple[str, Sums]:
    """The views of views.sql, as `duckdb -init OUT/current/views.sql` makes them."""
    script = (out / "current/views.sql").read_text(encoding="utf-8")
    with duckdb.connect() as con:
        con.execute(script)
        sums = {t: float(con.sql(f"SELECT sum({c}) FROM {t}").fetchall()[0][0]) for t, c in SUMMED.items()}
    return f"power {sums['derived.server']}", sums


WAYS: tuple[Callable[[Path], tuple[str, Sums]], ...] = (by_files, by_arrow, by_query, by_script)


def wrong(said: str, sums: Sums, known: dict[str, Sums]) -> str | None:
    """What is not of the run that was said, or of any one run."""
    if said.startswith("power "):
        fitting = [m for m, s in known.items() if not different({"derived.server": sums["derived.server"]}, s)]
        said = fitting[0] if fitting else said
    if said not in known:
        return f"{said} is no known run"
    off = different(sums, known[said])
    return f"{said}: {', '.join(off)} are of another run: {sums}" if off else None


def main(out: Path, known: dict[str, Sums], notes: Path, stop: Path) -> None:
    """Read until told to stop, or left alone."""
    queries, turns, parent = 0, 0, os.getppid()
    with notes.open("a", encoding="utf-8", buffering=1) as noted:
        while not stop.exists() and os.getppid() == parent:
            way = WAYS[turns % len(WAYS)]
            began = time.time()
            try:
                finding = wrong(*way(out), known)
            except Exception as error:  # noqa: BLE001 - whatever a reader meets is a finding
                finding = f"{type(error).__name__}: {error}"
            turns += 1
            queries += len(SUMMED)
            if finding:
                told = {"finding": f"{way.__name__}: {finding}"[:600], "seconds": round(time.time() - began, 2)}
                noted.write(json.dumps(told) + "\n")
            time.sleep(REST_SECONDS)
        noted.write(json.dumps({"turns": turns, "queries": queries}) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text(encoding="utf-8")), *map(Path, sys.argv[3:5]))
