"""The files of a run as rows: output tables, copies of inputs, and inputs in the model folder where they are still those of the run."""

import json
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.errors import InputError
from pipeline.explain.registry import entries
from pipeline.folder import file_hash, find_files
from pipeline.reading import read_batches
from pipeline.settings import chosen_tables
from pipeline.storage import table_folder
from pipeline.tables import INPUTS

MOST_KEPT = 2_000


class Source:
    """A run directory; rows come as whole rows, with the hours as timestamps and ids as text."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._files: dict[str, pl.LazyFrame | None] = {}
        self._kept: dict[Any, pl.DataFrame] = {}

    @cached_property
    def told(self) -> dict[str, Any]:
        """What run.json says."""
        try:
            return dict(json.loads((self.root / "run.json").read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise InputError(f"{self.root}: run.json cannot be read ({error}); not a complete run") from error

    @property
    def settings(self) -> dict[str, str]:
        """The settings of the run."""
        return dict(self.told.get("settings", {}))

    @cached_property
    def made(self) -> frozenset[str]:
        """The output tables that the run was asked for."""
        return chosen_tables(self.settings.get("tables", "all"))

    def has(self, table: str) -> bool:
        """Whether rows of the table can be read."""
        return self.scan(table) is not None

    def scan(self, table: str) -> pl.LazyFrame | None:
        """The table's rows, lazily; None where the run did not make or keep them."""
        if table not in self._files:
            self._files[table] = self._found(table)
        return self._files[table]

    def _found(self, table: str) -> pl.LazyFrame | None:
        entry = entries().get(table)
        if entry is None or not (entry.written or entry.is_input):
            return None
        if entry.written and table not in self.made:
            return None
        stored = f"input.{table}" if entry.is_input else table
        files = sorted(table_folder(self.root, stored).glob("*.parquet"))
        if files:
            return _plain(pl.scan_parquet(files, glob=False, hive_partitioning=False))
        if entry.is_input and not self.told.get("input_rows", {}).get(table):
            return INPUTS[table].empty().lazy()
        return self._given(table) if entry.is_input else None

    def _given(self, table: str) -> pl.LazyFrame | None:
        """An input table as it lies in the model folder, if its files are those of the run."""
        folder = Path(self.told.get("model", ""))
        if not folder.is_dir():
            return None
        hashes = self.told.get("inputs", {})
        own = [f for f in find_files(folder)[0] if f.table.name == table]
        for file in own:
            known = hashes.get(str(file.path.relative_to(folder)), {}).get("sha256")
            if known is None or known != file_hash(file.path):
                return None
        batches = [batch.frame for file in own for batch in read_batches(file)]
        return _plain(pl.concat(batches, how="diagonal").lazy()) if batches else None

    def columns(self, table: str) -> list[str]:
        """The columns that the table's files have."""
        scanned = self.scan(table)
        return [] if scanned is None else scanned.collect_schema().names()

    def rows(self, table: str, where: pl.DataFrame | None = None, hours: tuple[Any, Any] | None = None) -> pl.DataFrame:
        """The rows that match one of `where` in its columns, of the hours from the first to the last of `hours`."""
        memo = (table, tuple(where.columns), where.rows(), hours) if where is not None and len(where) == 1 else None
        key = None if memo is None else (memo[0], memo[1], tuple(memo[2][0]), memo[3])
        if key is not None and key in self._kept:
            return self._kept[key]
        scanned = self.scan(table)
        if scanned is None:
            raise InputError(self.missing(table))
        found = _matching(scanned, where, hours)
        if key is not None:
            if len(self._kept) > MOST_KEPT:
                self._kept.clear()
            self._kept[key] = found
        return found

    def missing(self, table: str) -> str:
        """Why the rows of a table cannot be read, and what to do."""
        if table in INPUTS:
            return (
                f"{table}: the run does not keep a copy of this table, and {self.told.get('model')} does not hold it as it "
                "was; run the model again to explain from it"
            )
        return f"{table} was not made in this run (tables = {self.settings.get('tables')}); run again with --tables all"


def _plain(rows: pl.LazyFrame) -> pl.LazyFrame:
    """Ids as text, hours at UTC."""
    kinds = rows.collect_schema()
    text = [pl.col(n).cast(pl.String) for n, kind in kinds.items() if kind == pl.Categorical]
    naive = [
        pl.col(n).dt.replace_time_zone("UTC")
        for n, kind in kinds.items()
        if n == "hour" and isinstance(kind, pl.Datetime) and kind.time_zone is None
    ]
    return rows.with_columns(*text, *naive)


def _matching(rows: pl.LazyFrame, where: pl.DataFrame | None, hours: tuple[Any, Any] | None) -> pl.DataFrame:
    if hours is not None:
        rows = rows.filter(pl.col("hour").is_between(*hours))
    if where is None or not where.columns:
        return rows.collect()
    wanted = where.unique()
    for name in wanted.columns:
        values = wanted[name].unique()
        if name == "hour" and len(values):
            rows = rows.filter(pl.col(name).is_between(values.min(), values.max()))
        elif len(values) == 1:
            rows = rows.filter(pl.col(name).eq_missing(pl.lit(values[0], dtype=values.dtype)))
        elif len(values) <= 1000:
            rows = rows.filter(pl.col(name).is_in(values.drop_nulls().implode()) | _empty(name, values))
    found = rows.collect()
    return found if len(wanted) == 1 else found.join(wanted, on=wanted.columns, how="semi", nulls_equal=True)


def _empty(name: str, values: pl.Series) -> pl.Expr:
    return pl.col(name).is_null() if values.null_count() else pl.lit(False)
