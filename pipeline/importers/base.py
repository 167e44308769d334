"""What every importer returns and how it writes: foreign records to the input tables of a model folder."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import pyarrow as pa

from pipeline.tables import Table

Frame = pl.DataFrame | pl.LazyFrame


@dataclass
class ImportReport:
    """What an importer read, kept and left out: `rows_in = runs + rejects + excluded` holds for logs."""

    rows_in: int = 0
    tables: dict[str, int] = field(default_factory=dict)
    """Rows written, by input table."""
    rejects: Counter[str] = field(default_factory=Counter)
    """Refused records, by code."""
    excluded: Counter[str] = field(default_factory=Counter)
    """Records that are no runs, by reason."""
    flags: Counter[str] = field(default_factory=Counter)
    """Noticed on runs that were kept, by code."""
    warnings: list[str] = field(default_factory=list)


def write_table(model: Path, table: Table, frame: Frame, *, as_csv: bool) -> int:
    """Write one input table into the model folder, in canonical units, and return its rows.

    Columns the dictionary declares and the frame lacks are left out (their defaults hold). CSV is for tables that people edit, its
    header carries the units; Parquet carries them in the Arrow metadata. The file appears in one step.
    """
    names = [n for n in table.columns if n in frame.lazy().collect_schema().names()]
    chosen = frame.lazy().select(names)
    target = model / f"{table.name}.{'csv' if as_csv else 'parquet'}"
    partial = target.with_name(f".{target.name}.partial")
    model.mkdir(parents=True, exist_ok=True)
    if as_csv:
        header = {n: f"{n} [{u}]" for n in names if (u := table.columns[n].unit) not in (None, "1", "compute_unit")}
        chosen.rename(header).sink_csv(partial, datetime_format="%Y-%m-%dT%H:%M:%S%.fZ")
        rows = int(pl.scan_csv(partial, infer_schema=False).select(pl.len()).collect().item())
    else:
        schema = pa.schema([table.columns[n].arrow_field() for n in names])
        chosen.cast({n: table.columns[n].dtype for n in names}).sink_parquet(
            partial, compression="zstd", compression_level=1, arrow_schema=schema
        )
        rows = int(pl.scan_parquet(partial).select(pl.len()).collect().item())
    partial.replace(target)
    return rows


def write_tables(model: Path, tables: Mapping[Table, Frame], *, as_csv: bool) -> dict[str, int]:
    """Write several tables; rows by table name."""
    return {table.name: write_table(model, table, frame, as_csv=as_csv) for table, frame in tables.items()}
