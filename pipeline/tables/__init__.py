"""THE dictionary: every table and column, what it means, in which unit, and what it promises. Start here.

A table is a dataframely schema in `inputs`, `outputs` or one of the detail modules; this module reads them into `Table` records, from
which schemas, CSV reading, unit conversion, validation, Parquet metadata, DuckDB comments and the README's tables are made.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType
from typing import Any, Literal

import dataframely as dy
import polars as pl
import pyarrow as pa

from pipeline.tables import cryosparc, inputs, outputs, schedulers, ucloud
from pipeline.tables.columns import Promise

Kind = Literal["input", "detail", "output"]


@dataclass(frozen=True)
class Column:
    """One column of a table, as the dictionary declares it."""

    table: str
    name: str
    dtype: pl.DataType
    unit: str | None
    description: str
    key: bool
    required: bool
    nullable: bool
    default: object
    references: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    wall_clock: bool = False

    @property
    def is_number(self) -> bool:
        """Whether the column holds numbers, whole or not."""
        return self.dtype in (pl.Float64, pl.Int64)

    def arrow_field(self) -> pa.Field:
        """The column as an Arrow field that carries `unit` and `description`."""
        kinds: dict[Any, pa.DataType] = {
            pl.String: pa.large_string(),
            pl.Float64: pa.float64(),
            pl.Int64: pa.int64(),
            pl.Boolean: pa.bool_(),
        }
        kind = kinds.get(self.dtype.base_type())
        if kind is None:
            assert isinstance(self.dtype, pl.Datetime)
            kind = pa.timestamp("us", self.dtype.time_zone)
        return pa.field(self.name, kind, self.nullable, {"unit": self.unit or "", "description": self.description})


@dataclass(frozen=True)
class Table:
    """One table of the dictionary."""

    name: str
    kind: Kind
    schema: type[dy.Schema]

    @property
    def description(self) -> str:
        """What one row is."""
        return (self.schema.__doc__ or "").strip().split("\n\n")[0]

    @cached_property
    def columns(self) -> dict[str, Column]:
        """The columns by name: the key first, then as declared."""
        declared = {}
        for name, column in self.schema.columns().items():
            meta = column.metadata or {}
            declared[name] = Column(
                table=self.name,
                name=name,
                dtype=column.dtype,
                unit=meta.get("unit"),
                description=column.description or "",
                key=column.primary_key or bool(meta.get("key")),
                required=bool(meta["required"]),
                nullable=column.nullable,
                default=meta.get("default"),
                references=meta.get("references", ()),
                values=meta.get("values", ()),
                wall_clock=bool(meta.get("wall_clock")),
            )
        return dict(sorted(declared.items(), key=lambda item: not item[1].key))

    @cached_property
    def key(self) -> list[str]:
        """The columns that together name a row."""
        return [c.name for c in self.columns.values() if c.key]

    @cached_property
    def promises(self) -> dict[str, Promise]:
        """Row rules by name, with what they expect."""
        found: dict[str, Promise] = {}
        for cls in self.schema.__mro__:
            for name, value in vars(cls).items():
                if hasattr(value, "promise"):
                    found.setdefault(name, value.promise)
        return found

    def row_rule(self, name: str) -> pl.Expr:
        """The row rule of this name as an expression: true where the row keeps it."""
        rule: pl.Expr = getattr(self.schema, name).make(self.schema).expr
        return rule

    def polars_schema(self) -> pl.Schema:
        """Column names and types."""
        return pl.Schema({c.name: c.dtype for c in self.columns.values()})

    def units(self) -> dict[str, str]:
        """Unit by column, for the columns that have one."""
        return {c.name: c.unit for c in self.columns.values() if c.unit}

    def empty(self) -> pl.DataFrame:
        """The table without rows."""
        return pl.DataFrame(schema=self.polars_schema())


def _words(class_name: str) -> list[str]:
    return [w.lower() for w in re.findall(r"[A-Z][a-z0-9]*", class_name)]


def declared_in(module: ModuleType, kind: Kind) -> dict[str, Table]:
    """The tables that a module declares: its public schemas, `GpuServers` as gpu_servers, an output `NeedJob` as need.job."""
    tables = {}
    for name, value in vars(module).items():
        if isinstance(value, type) and issubclass(value, dy.Schema) and value.__module__ == module.__name__:
            if name.startswith("_"):
                continue
            words = _words(name)
            table_name = f"{words[0]}.{'_'.join(words[1:])}" if kind == "output" else "_".join(words)
            tables[table_name] = Table(table_name, kind, value)
    return tables


INPUTS: dict[str, Table] = declared_in(inputs, "input")
"""Tables that a model folder may hold and the pipeline computes with."""

DETAILS: dict[str, Table] = {
    name: table for module in (ucloud, cryosparc, schedulers) for name, table in declared_in(module, "detail").items()
}
"""Tables that importers write beside `job_runs`: every property of the source's records. Published as they are, in family `source`."""

OUTPUTS: dict[str, Table] = declared_in(outputs, "output")
"""Tables that a run publishes."""


def families() -> Iterable[str]:
    """The output families in the order of the pipeline."""
    return dict.fromkeys(name.split(".")[0] for name in OUTPUTS)
