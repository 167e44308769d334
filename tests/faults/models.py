"""Models that differ by a factor, and the sums by which a reader tells which of them a run is of."""

import json
import math
from pathlib import Path

import duckdb
import polars as pl
from polars import col

from tests.splits import write_everything

FACTORS = (1, 2, 4, 8)
SUMMED = {
    "need.job": "compute_need",
    "need.server": "compute_need",
    "instances.server": "raw_nb_of_instances",
    "energy.server": "energy_footprint",
    "repartition.footprint": "footprint",
    "derived.server": "power",
}
"""A table of every family, and a column of it that the factor changes."""

Sums = dict[str, float]


def write_models(folder: Path, *, hours: int = 200) -> list[Path]:
    """Models `times-N` of jobs and servers N times as large, all but those of the last server: its partition is the same in all."""
    made = []
    for factor in FACTORS:
        model = write_everything(folder / f"times-{factor}", servers=6, jobs=18, hours=hours)
        for name, columns in (("servers", ("power", "idle_power")), ("jobs", ("compute_needed", "data_transferred"))):
            table = pl.read_csv(model / f"{name}.csv")
            larger = (
                pl.when(col.server_id != "server-00005").then(pl.col(*columns) * factor).otherwise(pl.col(*columns))
            )
            table.with_columns(larger).write_csv(model / f"{name}.csv")
        made.append(model)
    return made


def sums_of(run: Path) -> Sums:
    """The sums of a run, file by file with DuckDB."""
    with duckdb.connect() as con:
        return {
            table: float(con.sql(f"SELECT sum({column}) FROM read_parquet('{run / table.replace('.', '/')}/*.parquet')").fetchall()[0][0])
            for table, column in SUMMED.items()
        }  # fmt: skip


def model_of(run: Path) -> str:
    """The name of the model that run.json says the run is of."""
    return Path(json.loads((run / "run.json").read_text(encoding="utf-8"))["model"]).name


def different(found: Sums, expected: Sums) -> list[str]:
    """The tables whose sums are not those expected."""
    return [t for t, value in found.items() if not math.isclose(value, expected[t], rel_tol=1e-9)]
