"""Every table with its formulas and its lineage: what the stages and the dictionary say, in one place for explain and describe."""

import functools
import importlib
import inspect
import pkgutil
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType

import polars as pl

from pipeline import stages
from pipeline.explain import symbols
from pipeline.stages.lineage import At, Formula, Lineage, Made, Way
from pipeline.tables import INPUTS, OUTPUTS, Column

PARAMETERS = frozenset({"attribution_key", "rate"})
"""What a formula may be asked for beside its columns."""
_UNIT = re.compile(r"\s*\[([^\[\]]+)\]\s*$")


@dataclass(frozen=True)
class Entry:
    """A table with the formulas of its stage and its lineage; `written` says whether runs publish it."""

    table: str
    key: tuple[str, ...]
    lineage: Lineage
    formulas: Mapping[str, Formula]
    columns: Mapping[str, Column]
    written: bool
    module: str = ""

    @property
    def is_input(self) -> bool:
        """Whether users give this table."""
        return self.table in INPUTS

    def offers(self, name: str) -> bool:
        """Whether a row of this table can be asked for this name."""
        return name in self.columns or name in self.formulas or name in self.lineage.made or name in self.key

    def read_from(self, name: str) -> tuple[At, ...]:
        """The rows of other tables that have this name, the first that is not empty counts."""
        found = []
        for row in self.lineage.reads:
            column = row.columns.get(name) if row.columns is not None else name
            if column and (row.columns is not None or (entries()[row.table].offers(column) and name not in row.on)):
                found.append(At(row, column))
        return tuple(found)

    def ways(self, name: str, within: str | None = None) -> tuple[Way, ...]:
        """The ways in which a name comes about: declared, by the formula of its name, looked up, by another formula of the stage.

        `within` is the column whose formula asks: its own name there means what is looked up.
        """
        if name != within:
            declared = self.lineage.made.get(name)
            if declared is not None:
                return declared if isinstance(declared, tuple) else (declared,)
            if name in self.formulas and (name in self.columns or not self.written):
                return (Made(self.formulas[name]),)
        if looked_up := self.read_from(name):
            return looked_up
        return (Made(self.formulas[name]),) if name in self.formulas and name != within else ()

    def words(self, name: str) -> str:
        """What a name means, in words, without its unit."""
        if name in self.formulas:
            return words_of(self.formulas[name])
        return self.columns[name].description if name in self.columns else ""

    def unit(self, name: str) -> str:
        """The unit of a name."""
        if name in self.columns:
            return self.columns[name].unit or ""
        if name in self.formulas:
            return unit_of(self.formulas[name])
        ways = self.ways(name)
        return next((found for way in ways if (found := unit_of_way(way))), "")


def unit_of_way(way: Way) -> str:
    """The unit that a way of coming about leads to."""
    if isinstance(way, Made):
        return unit_of(way.by)
    if isinstance(way, At):
        return entries()[way.row.table].unit(way.column)
    if getattr(way, "unit", "") and not hasattr(way, "lasts"):
        return str(way.unit)
    of = getattr(way, "of", None)
    if of is None:
        return ""
    return unit_of(of) if callable(of) else entries()[way.table].unit(of)  # type: ignore[union-attr]


def _plain(formula: Formula) -> Formula:
    return formula.func if isinstance(formula, functools.partial) else formula


def name_of(formula: Formula) -> str:
    """The name of a formula's function."""
    return str(_plain(formula).__name__)


def words_of(formula: Formula) -> str:
    """The first paragraph of a formula's docstring, without the unit."""
    told = (inspect.getdoc(_plain(formula)) or "").split("\n\n")[0].replace("\n", " ")
    return _UNIT.sub("", told)


def unit_of(formula: Formula) -> str:
    """The unit in brackets at the end of a formula's docstring."""
    match = _UNIT.search((inspect.getdoc(_plain(formula)) or "").split("\n\n")[0])
    return match[1] if match else ""


def modules() -> dict[str, ModuleType]:
    """Every module of the stages by its dotted name."""
    found = {}
    for info in pkgutil.walk_packages(stages.__path__, "pipeline.stages."):
        if not info.ispkg:
            found[info.name] = importlib.import_module(info.name)
    return found


def formulas_in(module: ModuleType) -> dict[str, Formula]:
    """The formulas of a stage: its public functions that give an expression and ask for nothing but settings."""
    return {
        name: value
        for name, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == module.__name__ and not name.startswith("_")
        if inspect.signature(value).return_annotation is pl.Expr
        if set(inspect.signature(value).parameters) <= PARAMETERS
    }


@functools.cache
def entries() -> dict[str, Entry]:
    """Every table that explanations know: outputs, inputs, and tables that are never written."""
    found: dict[str, Entry] = {}
    for module_name, module in modules().items():
        for lineage in (value for value in vars(module).values() if isinstance(value, Lineage)):
            if lineage.table in found:
                continue
            own = OUTPUTS.get(lineage.table)
            listed = {name_of(f): f for f in lineage.formulas}
            if own is not None:
                listed = formulas_in(module) | listed
            columns = own.columns if own else INPUTS[lineage.table].columns if lineage.table in INPUTS else {}
            key = lineage.key or tuple(c.name for c in columns.values() if c.key)
            found[lineage.table] = Entry(lineage.table, key, lineage, listed, columns, own is not None, module_name)
    for name, table in {**OUTPUTS, **INPUTS}.items():
        if name not in found:
            found[name] = Entry(name, tuple(table.key), Lineage(name), {}, table.columns, name in OUTPUTS)
    return found


def formula_symbols(formula: Formula, settings: Mapping[str, str]) -> symbols.Symbols:
    """A formula in symbols, as these settings make it."""
    return symbols.of_formula(formula, **given(settings))


def given(settings: Mapping[str, str]) -> dict[str, str]:
    """The parameters of formulas that follow from the settings of a run."""
    key = settings.get("attribution_key", "weight")
    return {"attribution_key": key, "rate": "base_weight_rate" if key == "weight" else "base_demand_rate"}
