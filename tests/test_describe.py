"""The dictionary in a terminal, in JSON and in docs/tables.md says what the schemas and stages say."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipeline import cli, describe
from pipeline.describe import column_told, known, markdown_tables, readme_tables
from pipeline.errors import InputError
from pipeline.tables import INPUTS, OUTPUTS

ROOT = Path(__file__).parents[1]


def test_docs_tables_are_those_of_the_dictionary():
    committed = (ROOT / "docs" / "tables.md").read_text(encoding="utf-8")
    assert committed == markdown_tables(), "run: .venv/bin/python -m pipeline.describe"


def test_the_readme_has_the_tables_of_the_dictionary():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    begin, end = describe.README_MARKS
    told = text.partition(begin)[2].partition(end)[0].strip()
    if not told:
        pytest.skip("README.md has no table of tables yet")
    assert told == readme_tables().strip(), "run: .venv/bin/python -m pipeline.describe"


def test_every_table_and_column_is_told():
    text = markdown_tables()
    for name, table in known().items():
        assert f"\n## {name}\n" in text
        told = text.split(f"\n## {name}\n")[1].split("\n## ")[0]
        for column in table.columns:
            assert f"| {column} |" in told or f"| **{column}** |" in told


def test_markdown_tables_have_as_many_cells_in_every_row():
    for text in (markdown_tables(), readme_tables()):
        for line in (line for line in text.splitlines() if line.startswith("|")):
            cells = line.replace("\\|", "").count("|") - 1
            assert cells in (3, 4), line


def test_a_column_is_told_with_formula_stage_and_views():
    told = column_told("energy.server", "energy_footprint")
    assert told.unit == "kg"
    assert told.stage == "pipeline/stages/energy/server.py"
    assert [h.formula for h in told.how] == ["instances_energy × carbon_intensity / (1000 g/kg)"]
    assert told.how[0].words == "Energy * carbon intensity."
    assert all((ROOT / "sql" / f"{view.replace('.', '/')}.sql").exists() for view in told.views)
    names = column_told("energy.server", "idle_energy").names
    assert names["nb_of_instances"] == "instances.server.nb_of_instances"


def test_every_figure_of_an_output_table_has_words():
    silent = [
        f"{name}.{column.name}"
        for name, table in OUTPUTS.items()
        for column in table.columns.values()
        if column.is_number and not column.key and not column_told(name, column.name).how
    ]
    assert silent == []


def test_an_input_column_tells_its_default_and_unit():
    text = describe.describe("servers.power_usage_effectiveness")
    assert "when absent: 1.0" in text
    assert "servers.power_usage_effectiveness [1]" in text
    assert describe.describe("input.servers.power") == describe.describe("servers.power")
    assert "stands in: servers, gpu_servers, cloud_servers" in describe.describe("jobs.server_id")


@pytest.mark.parametrize("format", describe.FORMATS)
@pytest.mark.parametrize(
    "name", [None, *OUTPUTS, *list(INPUTS)[:3], "need.job.ram_need", "servers.power", "job_runs.user"]
)
def test_everything_can_be_told_in_every_form(name: str | None, format: str):
    told = describe.describe(name, format)
    assert told.endswith("\n")
    if format == "json":
        json.loads(told)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("energy.sever", "did you mean energy.server"),
        ("need.job.ram_ned", r"did you mean need\.job\.ram_need"),
        ("power", r"say which: .*servers\.power"),
        ("nonsense", "wattrow describe lists them"),
        ("servrs", "did you mean servers"),
    ],
)
def test_typos_are_answered_with_what_is_near(asked: str, told: str):
    with pytest.raises(InputError, match=told):
        describe.describe(asked)


def test_the_command_describes():
    done = CliRunner().invoke(cli.app, ["describe", "energy.server.energy_footprint"])
    assert done.exit_code == 0
    assert "instances_energy × carbon_intensity" in done.output
    assert isinstance(CliRunner().invoke(cli.app, ["describe", "-f", "pdf"]).exception, InputError)
