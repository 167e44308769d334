"""OUT -> Published: one run, pinned, whose tables are scanned and never read whole."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from pipeline import storage
from pipeline.errors import InputError
from pipeline.settings import chosen_tables
from pipeline.tables import DETAILS, INPUTS, OUTPUTS, Table

RUN_FILE = "run.json"


@dataclass(frozen=True)
class Published:
    """A complete run: what it says of itself, and its tables."""

    root: Path
    about: dict[str, Any]

    @property
    def run_id(self) -> str:
        """The run's own id."""
        return str(self.about.get("run_id", self.root.name))

    @property
    def model_name(self) -> str:
        """The model folder's name."""
        return Path(str(self.about.get("model", ""))).name or "model"

    def files(self, table: str) -> list[Path]:
        """The Parquet files of FAMILY.TABLE; none where it was not published."""
        return sorted(storage.table_folder(self.root, table).glob("*.parquet"))

    def made(self, table: str) -> bool:
        """Whether the run was asked to make this output table."""
        return table in chosen_tables(str(self.about.get("settings", {}).get("tables", "all")))

    def scan(self, table: str) -> pl.LazyFrame:
        """The rows of FAMILY.TABLE, lazily; none where it was not published."""
        files = self.files(table)
        if not files:
            return declared(table).empty().lazy()
        found = pl.scan_parquet(files, glob=False, hive_partitioning=False)
        missing = [c for c in declared(table).columns.values() if c.name not in found.collect_schema()]
        return found.with_columns(pl.lit(None, c.dtype).alias(c.name) for c in missing)


def declared(table: str) -> Table:
    """The dictionary's entry of FAMILY.TABLE, inputs and details included."""
    family, name = table.split(".")
    tables = {"input": INPUTS, "source": DETAILS}.get(family)
    return OUTPUTS[table] if tables is None else tables[name]


def run_folder(out: Path) -> Path:
    """The run that OUT (or a run folder itself) means now, resolved, so that a later publication changes nothing."""
    found = storage.current(out)
    if found is None and (out / RUN_FILE).is_file():
        found = out.resolve()
    if found is None or not (found / RUN_FILE).is_file():
        raise InputError(f"{out}: no run is published here; make one with `wattrow run MODEL --out {out}`")
    return found


def opened(out: Path) -> Published:
    """The current run of OUT; InputError where there is none."""
    root = run_folder(out)
    try:
        about = json.loads((root / RUN_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{root / RUN_FILE}: {error}") from error
    if not isinstance(about, dict):
        raise InputError(f"{root / RUN_FILE}: not a description of a run")
    return Published(root, about)
