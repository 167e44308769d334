"""Units: what the registry refuses, and that every formula yields the unit its column declares.

The second part feeds every formula of the stages numbers in two systems of units: once as they are, once with every unit (W and kW, MB and GB,
g and kg, year, day and second) taken for something else, a random number of times larger. A formula is right in its units when its result
changes exactly as its own unit does. The constants, W_PER_KW and so on, change with their units; any other factor would show.
"""

import importlib
import inspect
import pkgutil
import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import polars as pl
import pytest

from pipeline import constants, stages, units
from pipeline.parsing import QUANTITY
from pipeline.tables import INPUTS, OUTPUTS
from pipeline.units import UnitError, conversion

ROOT = Path(__file__).parents[1]

# ---------------------------------------------------------------- the registry


@pytest.mark.parametrize(
    ("given", "canonical", "factor"),
    [
        ("kW", "W", 1000), ("GB", "MB", 1000), ("GiB_ram", "GB_ram", 2**30 / 1e9), ("kB_stored", "MB_stored", 1e-3), ("h", "s", 3600),
        ("d", "h", 24), ("day", "year", 1 / 365.25), ("kg/kWh", "g/kWh", 1000), ("kgCO2e/kWh", "g/kWh", 1000), ("Wh/MB", "kWh/GB", 1),
        ("%", "1", 0.01), ("min/day", "h/day", 1 / 60), ("Mbit", "MB", 1 / 8), ("t", "kg", 1000), ("vCPU", "cpu_core", 1), ("kW/gpu", "W/gpu", 1000),
        ("TB_ram/gpu", "GB_ram/gpu", 1000), ("kg/GB_stored", "kg/TB_stored", 1000), ("ms", "s", 1e-3), ("MJ", "kWh", 1 / 3.6),
    ],
)  # fmt: skip
def test_a_unit_of_the_same_kind_has_a_factor(given, canonical, factor):
    assert conversion(given, canonical).factor == pytest.approx(factor, rel=1e-15)


@pytest.mark.parametrize(("canonical", "given"), [(c, g) for c, of in units.COMMON_FACTORS.items() for g in of])
def test_the_common_units_have_the_factors_of_the_registry(canonical, given, monkeypatch):
    common = conversion(given, canonical)
    monkeypatch.setattr(units, "COMMON_FACTORS", {})
    assert conversion.__wrapped__(given, canonical) == common


def test_a_model_in_common_units_is_read_without_the_registry():
    loaded = "import sys; from pathlib import Path; from pipeline import model; model.load(Path('data/example')); print('pint' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", loaded], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        ("MB", "MB_stored"), ("GB_ram", "GB"), ("GB_stored", "GB_ram"), ("cpu_core", "gpu"), ("kg", "kWh"), ("W", "kWh"), ("h", "1"), ("occurrence", "concurrent"),
        ("g/kWh", "kg"), ("1", "kg"), ("kg", "1"),
    ],
)  # fmt: skip
def test_another_kind_never_passes(given, canonical):
    with pytest.raises(UnitError, match="same"):
        conversion(given, canonical)


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "KB", "kb", "kwh", "Kg", "mB_ram", "mB", "uB_stored", "5", "2 kB", "kB2", "kB**2", "kB^2", "10**9**9 kB", "1e400 kB", "e", "1e9",
        "__import__('os')", "(lambda: 1)()", "kB; import os", "kB or 1", "[kB]", "kB.__class__", "kB # x", "k B", "/kB", "kB/", "(kB", "kB)", "\u00b5s", "kB\n",
        "x" * 81, "1e3 kB", "0x10 kB", "1_0 kB", "% kB", "1.5 kB", "%%", "kB%", "None", "True",
    ],
)  # fmt: skip
def test_what_is_no_unit_is_refused_as_such(text):
    with pytest.raises(UnitError):
        conversion(text, "MB")


def test_a_misspelt_unit_is_answered_with_the_right_one():
    with pytest.raises(UnitError, match="did you mean kB"):
        conversion("KB", "MB")


@pytest.mark.parametrize(
    "cell",
    [
        "1,5 kB",
        "1.5kB",
        "1.5  kB",
        "kB 1",
        "1 000 kB",
        "0x10 kB",
        "1.5",
        "1.5 ",
        ".",
        "- kB",
        "1e kB",
        "inf kB",
        "nan kB",
    ],
)
def test_only_a_dotted_decimal_a_space_and_a_unit_is_a_quantity(cell):
    assert re.fullmatch(QUANTITY, cell) is None


@pytest.mark.parametrize("cell", ["150 kB", "1.5 kB", ".5 kB", "1e3 kB", "-1 kB", "5 %", "3 kgCO2e"])
def test_a_quantity_cell_is_read(cell):
    assert re.fullmatch(QUANTITY, cell)


def test_a_decimal_point_that_moves_leaves_the_same_digits():
    given = pl.DataFrame({"x": [0.1, 0.3, 1.1, 123.456, 85.3]})
    moved = given.select(conversion("kW", "W")(pl.col("x")))["x"].to_list()
    back = given.select(conversion("W", "kW")(pl.col("x")))["x"].to_list()
    assert moved == [100, 300, 1100, 123456, 85300]
    assert back == [0.1 / 1000, 0.3 / 1000, 1.1 / 1000, 123.456 / 1000, 85.3 / 1000]


@pytest.mark.parametrize(("given", "canonical", "divisor"), [("W", "kW", 1000), ("s", "h", 3600), ("h", "year", 8766)])
def test_a_conversion_to_a_larger_unit_is_the_nearest_number_there_is(given, canonical, divisor):
    chance = random.Random(4)
    values = [123.456, None, float("nan"), *(chance.uniform(-1e6, 1e6) for _ in range(2000))]
    made = pl.DataFrame({"x": values}).select(conversion(given, canonical)(pl.col("x")))["x"].to_list()
    assert made[0] == 123.456 / divisor
    assert made[1] is None
    assert made[3:] == [v / divisor for v in values[3:] if v is not None]
    assert pl.DataFrame({"x": [1.0]}).clear().select(conversion(given, canonical)(pl.col("x"))).is_empty()


def test_every_unit_of_the_dictionary_is_known():
    for table in {**INPUTS, **OUTPUTS}.values():
        for column in table.columns.values():
            if column.unit and column.unit != "compute_unit":
                assert conversion(column.unit, column.unit).is_one
                assert units.registry().parse_expression(column.unit) is not None, f"{table.name}.{column.name}"


# ---------------------------------------------------------------- the formulas

SIZES = random.Random(7)
LARGER = {
    name: SIZES.uniform(1.5, 9)
    for name in (
        "W",
        "kW",
        "kg",
        "g",
        "MB",
        "GB",
        "MB_ram",
        "GB_ram",
        "MB_stored",
        "TB_stored",
        "s",
        "day",
        "year",
        "bit",
        "core",
    )
}
"""How many times larger each unit is taken for. One row is one hour: the hour stays, and kWh are kW."""
LARGER |= {
    "h": 1.0,
    "kWh": LARGER["kW"],
    "cpu_core": LARGER["core"],
    "gpu": LARGER["core"],
    "compute_unit": LARGER["core"],
    "occurrence": 1.0,
}

IN_BETWEEN = {
    "boxed_starts": "1", "triggers": "1", "under_way": "1", "fleet": "1", "journeys_per_start": "1", "times_through": "1", "in_step": "1", "count": "1",
    "services_ram": "GB_ram", "services_compute": "compute_unit", "held": "TB_stored", "peak_nb_of_instances": "1", "number_of_jobs": "1",
    "hourly_carbon_intensity": "g/kWh", "period_sum": "1", "fabrication_period_sum": "1", "usage_period_sum": "g/kWh", "base_weight_rate": "1",
    "base_demand_rate": "1", "compute_binds": "1", "ram_binds": "1", "demand": "1", "own_demand": "1", "load_per_demand": "kg",
    "fabrication_per_demand": "kg", "idle_per_demand": "kg", "retention_per_tb": "kg/TB_stored", "footprint": "kg", "size": "1", "base_weight": "1",
    "time": "s", "time_before": "s", "overlap": "h", "total": "h", "pieces": "1", "services_weight": "1", "services_compute_demand": "1",
    "services_ram_demand": "1", "demand_sum": "1", "base_compute_demand": "1", "base_ram_demand": "1", "fabrication": "kg", "idle": "kg",
    "job_volume": "1", "capacity": "TB_stored", "used_capacity": "TB_stored",
    "job_size": "1", "server_size": "1", "demand_held": "1", "demanded": "1", "job_demanded": "1", "provision_rate": "1", "compute": "compute_unit",
    "given": "occurrence", "triggered": "occurrence", "applications": "1", "modelled_jobs": "1", "siblings": "1", "number_of_cells": "1", "any_demand": "1",
}  # fmt: skip
"""Units of names that stand in no table: made on the way from one stage's table to the next."""
WORDS = {
    "server_type": ["autoscaling", "serverless", "on-premise"], "kind": ["servers", "gpu_servers", "video_streaming_jobs"], "service_id": ["a", None],
    "compute_unit": ["cpu_core", "gpu"], "resolution": ["(1920 x 1080)"],
}  # fmt: skip


def modules() -> Iterator[ModuleType]:
    for found in pkgutil.walk_packages(stages.__path__, "pipeline.stages."):
        if not found.ispkg and not found.name.endswith(("expressions", "lineage")):
            yield importlib.import_module(found.name)


def formulas() -> Iterator[tuple[ModuleType, str, Callable[[], pl.Expr], str]]:
    """Every function of a stage that makes an expression from nothing but columns, and the unit its docstring ends in."""
    for module in modules():
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if function.__module__ != module.__name__ or inspect.signature(function).parameters:
                continue
            unit = re.search(r"\[([^\]]*)\]\.?\s*$", (function.__doc__ or "").split("\n\n")[0].strip())
            if unit and inspect.signature(function).return_annotation in (pl.Expr, "pl.Expr"):
                yield module, name, function, unit[1]


FORMULAS = {
    f"{module.__name__.removeprefix('pipeline.stages.')}.{name}": (module, name, f, u)
    for module, name, f, u in formulas()
}


def size_of(unit: str | None) -> float:
    """How many times larger a unit is taken for."""
    if unit in (None, "", "1"):
        return 1.0
    product = re.sub(r"[A-Za-z_]+", lambda m: repr(LARGER[m[0]]), unit)
    return float(eval(product, {"__builtins__": {}}))


def unit_of(module: ModuleType, name: str) -> str | None:
    """The unit of a name in a formula: of the stage's own table or formulas, else of whatever table has it, where all agree."""
    own = getattr(module, "TABLE", None)
    if own is not None and name in own.columns:
        return own.columns[name].unit
    for made in (m for m, n, _, _ in FORMULAS.values() if n == name and m is module):
        return next(u for m, n, _, u in FORMULAS.values() if n == name and m is made)
    if name in IN_BETWEEN:
        return IN_BETWEEN[name]
    declared = {t.columns[name].unit for t in {**INPUTS, **OUTPUTS}.values() if name in t.columns}
    declared |= {u for _, n, _, u in FORMULAS.values() if n == name}
    assert len(declared) == 1, f"the unit of {name} in {module.__name__} is one of {declared}: say which in IN_BETWEEN"
    return declared.pop()


def values(module: ModuleType, names: list[str], *, larger: bool) -> pl.DataFrame:
    """Forty rows of numbers, larger by their units where asked for."""
    rows = 40
    made = {}
    for name in names:
        draw = random.Random(name)
        if name in WORDS:
            made[name] = [draw.choice(WORDS[name]) for _ in range(rows)]
            continue
        size = size_of(unit_of(module, name)) if larger else 1.0
        made[name] = [
            draw.choice([0.0, draw.uniform(0.1, 50)]) * size if i % 5 == 0 else draw.uniform(0.1, 50) * size
            for i in range(rows)
        ]
        if name == "any_demand":
            made[name] = [draw.random() < 0.5 for _ in range(rows)]
        if name.endswith("_binds"):
            made[name] = [float(draw.random() < 0.5) for _ in range(rows)]
    kinds = {"any_demand": pl.Boolean} | dict.fromkeys(WORDS, pl.String)
    return pl.DataFrame(made, schema={n: kinds.get(n, pl.Float64) for n in names})


@pytest.mark.parametrize("name", sorted(FORMULAS))
def test_a_formula_yields_the_unit_it_declares(name: str, monkeypatch: pytest.MonkeyPatch):
    module, column, formula, unit = FORMULAS[name]
    names = sorted(set(formula().meta.root_names()))
    plain = values(module, names, larger=False).select(formula().alias("x"))["x"].cast(pl.Float64)
    for constant, size in constant_sizes().items():
        for stage in modules():
            if hasattr(stage, constant):
                monkeypatch.setattr(stage, constant, getattr(constants, constant) * size)
    scaled = values(module, names, larger=True).select(formula().alias("x"))["x"].cast(pl.Float64)
    assert scaled.is_null().to_list() == plain.is_null().to_list()
    expected = (plain * size_of(unit)).drop_nulls().to_list()
    assert scaled.drop_nulls().to_list() == pytest.approx(expected, rel=1e-9, nan_ok=True), f"{column} is not in {unit}"


def constant_sizes() -> dict[str, float]:
    """How each constant changes with its units."""
    source = inspect.getsource(constants)
    found = re.findall(r"^([A-Z_]+) = .*\n\"\"\"\[([^\]]+)\]", source, re.MULTILINE)
    return {name: size_of(unit) for name, unit in found}


@pytest.mark.parametrize(
    "name", sorted(n for n, (m, c, _, _) in FORMULAS.items() if hasattr(m, "TABLE") and c in m.TABLE.columns)
)
def test_the_unit_in_a_formula_s_docstring_is_the_column_s(name: str):
    module, column, _, unit = FORMULAS[name]
    assert unit == module.TABLE.columns[column].unit
