"""The plan of the house holds: who may import whom, where things are printed, and one formula for every column."""

import ast
import importlib
import inspect
import re
from pathlib import Path

import pytest

from pipeline import constants
from pipeline.tables import OUTPUTS
from pipeline.units import conversion

ROOT = Path(__file__).parents[1]
FILES = {
    ".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): p
    for p in (ROOT / "pipeline").rglob("*.py")
}

LAYERS = [
    ["units", "errors", "constants", "csv_text", "allocator", "collector", "crew", "engine", "whole_files"],
    ["tables"],
    ["violations", "series", "parsing", "folder", "settings", "configuration"],
    ["stages", "civil_time", "checking", "tally", "parquet", "storage", "blank", "lock", "limits", "rendering"],
    ["reading", "relations", "views", "plan"],
    ["model", "checks", "catalog", "script", "importers"],
    ["upstream", "explain", "dims"],
    ["identity", "partition", "describe", "report", "compare"],
    ["attribution", "coverage"],
    ["tasks"],
    ["worker"],
    ["hand", "remote", "distributed"],
    ["run", "objects"],
    ["cli"],
]
"""From the ground up: a module imports from its own layer and from those below it."""
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}


def imports(path: Path, *, anywhere: bool = True) -> set[str]:
    """The modules of the package that a file imports, within functions too or only as it is loaded."""
    found = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree) if anywhere else tree.body:
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("pipeline"):
            found |= {
                f"{node.module}.{a.name}" if f"{node.module}.{a.name}" in FILES else node.module for a in node.names
            }
        elif isinstance(node, ast.Import):
            found |= {a.name for a in node.names if a.name.startswith("pipeline")}
    return found


def top(module: str) -> str:
    """The part of the package a module belongs to."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "pipeline"


@pytest.mark.parametrize("module", sorted(m for m in FILES if m != "pipeline"))
def test_imports_go_one_way(module: str):
    assert top(module) in LEVEL, f"{module} has no place in the house: put it into LAYERS"
    for target in imports(FILES[module]) - {"pipeline"}:
        if top(target) != top(module):
            assert LEVEL[top(target)] <= LEVEL[top(module)], f"{module} imports {target}, which stands above it"


def test_no_modules_need_each_other_to_be_loaded():
    graph = {m: {t for t in imports(p, anywhere=False) if t in FILES and t != m} for m, p in FILES.items()}
    state: dict[str, str] = {}

    def visit(module: str, path: list[str]) -> None:
        assert state.get(module) != "open", f"a cycle: {' -> '.join([*path, module])}"
        if module not in state:
            state[module] = "open"
            for target in sorted(graph[module]):
                visit(target, [*path, module])
            state[module] = "done"

    for module in sorted(graph):
        visit(module, [])


ALLOWED_BELOW_STAGES = {"stages", "series", "civil_time", "constants", "tables", "units"}
STAGES = sorted(m for m in FILES if m.startswith("pipeline.stages."))
TABLE_STAGES = [m for m in STAGES if (name := m.removeprefix("pipeline.stages.")).count(".") == 1 and name in OUTPUTS]


@pytest.mark.parametrize("module", STAGES)
def test_a_stage_does_no_input_or_output_keeps_no_clock_and_collects_nothing(module: str):
    tree = ast.parse(FILES[module].read_text(encoding="utf-8"))
    assert {top(t) for t in imports(FILES[module])} <= ALLOWED_BELOW_STAGES
    outside = {
        n.module if isinstance(n, ast.ImportFrom) else a.name
        for n in ast.walk(tree)
        if isinstance(n, (ast.Import, ast.ImportFrom))
        for a in n.names
    }
    assert not {m.partition(".")[0] for m in outside if m} & {
        "os",
        "pathlib",
        "time",
        "datetime",
        "io",
        "random",
        "pyarrow",
        "duckdb",
        "logging",
    }
    called = [n.func for n in ast.walk(tree) if isinstance(n, ast.Call)]
    methods = [f.attr for f in called if isinstance(f, ast.Attribute)]
    banned = {
        "sink_parquet",
        "write_parquet",
        "read_parquet",
        "scan_parquet",
        "read_csv",
        "scan_csv",
        "write_csv",
        "collect_all",
        "open",
    }
    assert not banned & set(methods)
    collects = sum(m == "collect" for m in methods)
    in_a_kernel = {"pipeline.stages.need.occurrence": 1}  # the typical weeks, within a step of the plan
    assert collects <= in_a_kernel.get(module, 0), f"{module} collects"


@pytest.mark.parametrize("module", sorted(FILES))
def test_only_the_command_line_prints(module: str):
    if module == "pipeline.cli":
        return
    tree = ast.parse(FILES[module].read_text(encoding="utf-8"))
    calls = [n.func for n in ast.walk(tree) if isinstance(n, ast.Call)]
    assert not any(isinstance(f, ast.Name) and f.id == "print" for f in calls)
    assert not any(isinstance(f, ast.Attribute) and f.attr == "echo" for f in calls)


def formulas(module: str) -> dict[str, str]:
    """The functions of a stage that make an expression from nothing, with their docstrings."""
    made = importlib.import_module(module)
    return {
        name: inspect.getdoc(f) or ""
        for name, f in inspect.getmembers(made, inspect.isfunction)
        if f.__module__ == module and not inspect.signature(f).parameters
    }


PASSED_ON = {
    "derived.cell": {"server_id", "kind", "times_in_journey", "times_in_container"},
    "derived.job": {"kind", "name", "service_id", "data_stored"},
    "derived.server": {"kind", "name", "server_type", "lifespan", "compute", "power_usage_effectiveness", "average_carbon_intensity", "zone",
                       "utilization_rate", "base_ram_consumption", "base_compute_consumption", "fixed_nb_of_instances", "storage_id"},
    "derived.service": {"kind", "name", "server_id", "base_ram_consumption"},
    "repartition.footprint": {"source_kind", "phase", "stream"},
}  # fmt: skip
"""Columns that a stage hands through under the name they came with, and the words that name a row."""


def test_every_output_table_has_its_stage():
    assert {m.removeprefix("pipeline.stages.") for m in TABLE_STAGES} == set(OUTPUTS)


@pytest.mark.parametrize("module", TABLE_STAGES)
def test_every_column_has_one_function_of_its_name_in_its_stage(module: str):
    name = module.removeprefix("pipeline.stages.")
    table = OUTPUTS[name]
    values = [c for c in table.columns if c not in table.key]
    missing = [c for c in values if c not in formulas(module) and c not in PASSED_ON.get(name, set())]
    assert not missing, f"{module} has no function for {missing}"
    twice = [c for c in values if c in PASSED_ON.get(name, set()) and c in formulas(module)]
    assert not twice, f"{twice} have a function and are said to be handed through"


@pytest.mark.parametrize("module", TABLE_STAGES)
def test_a_column_s_function_says_the_formula_in_words_and_its_unit(module: str):
    table = OUTPUTS[module.removeprefix("pipeline.stages.")]
    for name, words in formulas(module).items():
        if name in table.columns and table.columns[name].unit:
            assert re.search(r"\[[^\]]+\]\.?$", words.split("\n\n")[0]), f"{module}.{name}: {words!r}"
            assert f"[{table.columns[name].unit}]" in words


@pytest.mark.parametrize("module", STAGES)
def test_a_stage_s_first_line_says_what_it_makes(module: str):
    words = inspect.getdoc(importlib.import_module(module)) or ""
    if module.count(".") == 3:
        assert words.splitlines()[0].endswith((".", ":")), module
    if module in TABLE_STAGES:
        assert f"-> {module.removeprefix('pipeline.stages.')}" in words.splitlines()[0], words.splitlines()[0]


def test_constants_carry_their_units_and_units_are_real():
    source = inspect.getsource(constants)
    declared = re.findall(r"^([A-Z_]+) = ([^\n]+)\n\"\"\"\[([^\]]+)\]", source, re.MULTILINE)
    assert {name for name, _, _ in declared} == {n for n in vars(constants) if n.isupper()}
    for name, value, unit in declared:
        above, _, below = unit.partition("/")
        assert float(value) == pytest.approx(conversion(below, above).factor, rel=1e-15), name
