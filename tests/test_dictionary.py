"""The dictionary stays true: to itself, to the contract, and to what the stages make."""

import re
from collections import defaultdict
from pathlib import Path

import polars as pl
import pytest

from pipeline.tables import DETAILS, INPUTS, OUTPUTS, Table
from pipeline.units import conversion
from tests import models
from tests.whole import WHOLE

CONTRACT = Path(__file__).parents[2] / "shared" / "design" / "TABLES.md"
EVERY = {**INPUTS, **OUTPUTS}

SEVERAL_UNITS = {
    "compute": {
        "compute_unit",
        "gpu",
        "cpu_core",
    },  # as the server counts it; GPU servers in gpu, cloud instances in cores
    "weight": {"1", "TB_stored"},
    "weight_sum": {"1", "TB_stored"},
    "fixed_nb_of_instances": {"1"},
}
"""Columns of one name that measure different things in different tables: these and no others."""


def test_the_same_name_is_the_same_unit_in_every_table():
    found: dict[str, set[str]] = defaultdict(set)
    for table in EVERY.values():
        for column in table.columns.values():
            if column.unit:
                found[column.name].add(column.unit)
    assert {name: units for name, units in found.items() if len(units) > 1} == {
        n: u for n, u in SEVERAL_UNITS.items() if len(u) > 1
    }


def test_the_same_name_is_the_same_type_in_every_table():
    kinds: dict[str, set[str]] = defaultdict(set)
    for table in EVERY.values():
        for column in table.columns.values():
            if not column.wall_clock:
                kinds[column.name].add(str(column.dtype))
    several = {name: types for name, types in kinds.items() if len(types) > 1}
    assert set(several) <= {"fixed_nb_of_instances"}, (
        several
    )  # whole where given, a number like the others where computed with


@pytest.mark.parametrize("table", [*EVERY.values(), *DETAILS.values()], ids=lambda t: t.name)
def test_every_column_is_described_and_every_number_has_a_unit(table: Table):
    assert table.description.endswith(".")
    assert table.description.startswith("One row per"), table.description
    for column in table.columns.values():
        words = re.sub(r" \[JSON[^\]]*\]$", "", column.description)
        assert words.endswith((".", "?")), f"{table.name}.{column.name}: {words!r}"
        if column.is_number:
            assert column.unit, f"{table.name}.{column.name} is a number without a unit"
        else:
            assert column.unit is None, f"{table.name}.{column.name} is no number and has the unit {column.unit}"


@pytest.mark.parametrize("table", EVERY.values(), ids=lambda t: t.name)
def test_a_key_stands_first_is_never_empty_and_references_name_tables(table: Table):
    names = list(table.columns)
    assert names[: len(table.key)] == table.key
    assert table.key or table.name == "rejects"
    for column in table.columns.values():
        for target in column.references:
            assert column.name in INPUTS[target].columns, f"{table.name}.{column.name} refers to {target}"
        if column.key and table.name != "repartition.footprint":
            assert not column.nullable, f"{table.name}.{column.name}"


# ---------------------------------------------------------------- the contract

ROW = re.compile(r"^\| ([a-z_.]+) \| ([a-z_, ]+) \| (.+) \|$", re.MULTILINE)
COLUMN = re.compile(r"([a-z_]+)(?: \[([^\]]+)\])?(?: \{([^}]*)\})?(?: \(([^)]*)\))?")
SPELLED_IN_WORDS = {"gpu_servers", "cloud_servers"}  # "as servers, with ..."


def contract() -> dict[str, tuple[list[str], str]]:
    """Key and columns of every table of TABLES.md, as they are written there."""
    if not CONTRACT.exists():
        return {}
    text = CONTRACT.read_text(encoding="utf-8")
    return {
        name: (key.split(", "), columns) for name, key, columns in ROW.findall(text) if name not in ("table", "command")
    }


needs_contract = pytest.mark.skipif(not CONTRACT.exists(), reason="the contract is not beside the project")


@needs_contract
def test_every_table_of_the_contract_is_declared():
    assert len(contract()) > 40
    assert set(contract()) <= set(EVERY)


@needs_contract
@pytest.mark.parametrize("name", sorted(contract()))
def test_keys_columns_and_units_are_those_of_the_contract(name: str):
    key, written = contract()[name]
    table = EVERY[name]
    if name in ("need.occurrence", "need.job", "repartition.job"):
        key = [*key, "server_id"]  # an observed application may run on several servers
    if name == "repartition.footprint":
        key = [k for k in key if k not in ("source_kind", "phase", "stream")]
    if name != "countries":
        assert set(table.key) == set(key)
    unit = None
    for part in reversed(
        re.split(r", (?![^{(\[]*[})\]])", written.partition(":")[0] if name == "occurrences" else written)
    ):
        match = COLUMN.match(part.strip())
        if not match or name in SPELLED_IN_WORDS or match[1] not in table.columns:
            continue
        # within `a, b [GB_ram]` the unit is written once, after the last
        declared = table.columns[match[1]].unit
        unit = match[2] or (unit if declared == unit else None)
        if match[2]:
            spelled = {"GB_ram*h": "GB_ram*h"}.get(match[2], match[2])
            assert declared == spelled, f"{name}.{match[1]} is in {declared}, the contract says {spelled}"
        if match[3]:
            assert set(table.columns[match[1]].values) == {v.strip() for v in match[3].split(",")}
        if match[4] and match[4] != "null" and table.kind == "input" and not match[4].startswith("0 ="):
            assert str(table.columns[match[1]].default).removesuffix(".0") in (match[4], "None"), f"{name}.{match[1]}"


@needs_contract
@pytest.mark.parametrize("name", sorted(n for n in contract() if n not in SPELLED_IN_WORDS))
def test_no_column_of_the_contract_is_missing(name: str):
    _, written = contract()[name]
    plain = re.sub(r"\[[^\]]*\]|\{[^}]*\}|\([^()]*(?:\([^()]*\)[^()]*)*\)", "", written)
    for part in re.split(r",|;|:", plain):
        word = part.strip().split(" ")
        if len(word) == 1 and re.fullmatch(r"[a-z_]+", word[0]) and "_" in word[0]:
            assert word[0] in EVERY[name].columns, f"{name} lacks {word[0]}"


# ---------------------------------------------------------------- what is published


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pl.DataFrame]:
    return models.outputs(WHOLE, tmp_path_factory.mktemp("whole"))


@pytest.mark.parametrize("name", sorted(OUTPUTS))
def test_a_published_table_has_its_columns_in_order_its_types_and_its_key(found, name: str):
    table = OUTPUTS[name]
    assert found[name].schema == table.polars_schema()
    assert not found[name].is_empty(), "the whole model fills every table"
    assert not found[name].select(models.KEYS[name]).is_duplicated().any()


@pytest.mark.parametrize("name", sorted(OUTPUTS))
def test_published_numbers_keep_the_bounds_they_promise(found, name: str):
    table = OUTPUTS[name]
    for column, declared in table.schema.columns().items():
        for rule, holds in declared.validation_rules(pl.col(column)).items():
            if rule not in ("dtype",):
                kept = found[name].select(holds.fill_null(True).all()).item()
                assert kept, f"{name}.{column} breaks {rule}"


def test_canonical_units_convert_to_themselves():
    for table in EVERY.values():
        for column in table.columns.values():
            if column.unit and column.unit != "compute_unit":
                assert conversion(column.unit, column.unit).is_one
