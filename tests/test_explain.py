"""Every number of a run can be computed again from its explanation, and the explanation can be read."""

import json
import math
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from pipeline import cli, run, settings
from pipeline.errors import InputError
from pipeline.explain import as_dict, explain, render, root, symbols
from pipeline.explain.registry import Entry, entries, formula_symbols, formulas_in, modules, name_of, words_of
from pipeline.explain.source import Source
from pipeline.explain.tree import Node, Tree, merged
from pipeline.explain.values import Book, Rows
from pipeline.importers.efootprint import import_efootprint
from pipeline.stages import expressions
from pipeline.stages.lineage import At, Box, Made, Rule, Total, Way
from pipeline.tables import OUTPUTS
from tests.declared import NOTHING, differences, values_of
from tests.explain_model import write_model
from tests.explained import close, nodes, recomputed

CASES = Path(__file__).parents[2] / "shared" / "cases"
SETTINGS: dict[str, dict[str, Any]] = {
    "weight by hour": {},
    "binding by month, base columns": {"attribution_key": "binding", "attribution_grain": "month", "columns": "base"},
    "binding by day": {"attribution_key": "binding", "attribution_grain": "day"},
}
WEB = ["server_id=web", "hour=2025-03-29T21"]


@pytest.fixture(scope="module")
def outs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run of the model of all kinds of tables per SETTINGS; the model folder stays as it was."""
    folder = tmp_path_factory.mktemp("explain")
    model = write_model(folder / "model")
    made = {}
    for number, (name, flags) in enumerate(SETTINGS.items()):
        made[name] = folder / f"out{number}"
        run.run(model, made[name], settings.load(None, flags))
    return made


@pytest.fixture(scope="module")
def out(outs: dict[str, Path]) -> Path:
    return outs["weight by hour"]


def sampled(book: Book, entry: Entry, rows: int, seed: int) -> Iterator[Rows]:
    """Some rows of an output table, rows of one key as one."""
    scanned = book.source.scan(entry.table)
    assert scanned is not None
    frame = scanned.collect()
    names = [n for n in frame.columns if entry.columns[n].key or not entry.columns[n].is_number]
    for row in random.Random(seed).sample(range(len(frame)), min(rows, len(frame))):
        own = frame.join(frame[row : row + 1].select(names), on=names, how="semi", nulls_equal=True)
        yield Rows(book, entry, merged(entry, own))


def explained(rows: Rows, column: str) -> tuple[Node, dict[str, Any]]:
    node = root(Tree(rows.book), rows, column)
    return node, json.loads(json.dumps(as_dict(node), allow_nan=False))


def recompute_all(current: Path, rows: int, seed: int = 0) -> set[str]:
    """Recompute random cells of every column of every output table; the columns that were seen."""
    book = Book(Source(current))
    seen = set()
    for entry in (e for e in entries().values() if e.written):
        for row in sampled(book, entry, rows, seed):
            for column in (c for c in entry.columns if c not in entry.key):
                node, told = explained(row, column)
                published = row.frame[column][0] if column in row.frame.columns else node.value
                assert close(recomputed(told), published), f"{node.id}: {recomputed(told)} is not {published}"
                seen.add(f"{entry.table}.{column}")
    return seen


# ---------------------------------------------------------------- the numbers


@pytest.mark.parametrize("name", SETTINGS)
def test_every_cell_can_be_computed_again_from_its_explanation(outs: dict[str, Path], name: str):
    seen = recompute_all(outs[name] / "current", rows=1)
    assert seen == {f"{t}.{c}" for t in OUTPUTS for c, told in OUTPUTS[t].columns.items() if not told.key}


@pytest.mark.parametrize(
    ("case", "key"),
    [
        ("v21-1", "weight"),
        pytest.param("v21-4", "weight", marks=pytest.mark.deep),
        pytest.param("v27-1", "weight", marks=pytest.mark.deep),
        ("v27-4", "binding"),
    ],
)
def test_cells_of_imported_systems_can_be_computed_again(tmp_path: Path, case: str, key: str):
    if not (CASES / case).is_dir():
        pytest.skip(f"{CASES / case} is not here")
    import_efootprint(CASES / case / "system.json", tmp_path / "model")
    run.run(tmp_path / "model", tmp_path / "out", settings.load(None, {"attribution_key": key}))
    assert recompute_all(tmp_path / "out" / "current", rows=1)


def test_rows_of_every_kind_of_source_and_stream_can_be_computed_again(outs: dict[str, Path]):
    for name in ("weight by hour", "binding by day"):
        book = Book(Source(outs[name] / "current"))
        entry = entries()["repartition.footprint"]
        frame = book.source.rows("repartition.footprint")
        for _, rows in frame.group_by("source_kind", "phase", "stream", maintain_order=True):
            row = Rows(book, entry, rows[len(rows) // 2 :][:1])
            assert close(recomputed(explained(row, "footprint")[1]), row.frame["footprint"][0])


WAYS = [
    "need.job job_id=relion server_id=gpus hour=30T02",  # observed, in GPUs
    "need.job job_id=relion server_id=cluster hour=30T01",  # observed, in cores
    "need.job job_id=ping usage_pattern_id=paris hour=29T20",  # of no duration
    "need.occurrence container_id=home job_id=search usage_pattern_id=paris hour=30T03",  # triggered and given
    "need.occurrence container_id=nightly hour=30T02",  # given alone
    "need.occurrence container_id=weekly job_id=batch hour=29T15",
    "need.occurrence container_id=bob hour=30T01",
    "need.usage_pattern usage_pattern_id=meters hour=29T16",
    "need.service service_id=video hour=29T22",  # no volume
    "instances.storage storage_id=vault hour=29T20",  # fixed, and nobody's
    "instances.storage storage_id=disk hour=29T23",
    "repartition.job container_id=nightly hour=30T02",  # given weights
    "repartition.job container_id=nightly hour=29T15",  # given, but not for this hour
    "repartition.job container_id=weekend hour=30T02",  # direct, none given
    "repartition.job container_id=closed hour=30T02",  # direct, zeros given
    "repartition.job container_id=sofa job_id=film hour=29T22",  # one journey under way, of two
    "repartition.job container_id=ann job_id=relion hour=30T01",
    "repartition.server job_id=film hour=29T22",  # its service has no volume
    "repartition.server job_id=look hour=29T23",
    "repartition.footprint source_id=disk stream=retention job_id=upload usage_pattern_id=delhi hour=30T00",
    "repartition.footprint source_id=tape stream=retention container_id=ann job_id=relion hour=30T01",
    "repartition.footprint source_id=tape stream=baseline container_id=bob hour=30T02",
    "repartition.footprint source_id=wired container_id=ann job_id=fluent hour=30T03",
    "repartition.footprint source_id=gpus stream=load container_id=eve hour=30T02",
    "repartition.footprint source_id=own stream=idle container_id=home usage_pattern_id=paris hour=29T21",
]


@pytest.mark.parametrize("told", WAYS)
def test_of_several_ways_to_a_number_the_explanation_takes_its_own(out: Path, told: str):
    table, *keys = told.split()
    book = Book(Source(out / "current"))
    frame, entry = book.source.rows(table), entries()[table]
    for name, _, value in (key.partition("=") for key in keys):
        frame = frame.filter((pl.col(name).dt.strftime("%dT%H") if name == "hour" else pl.col(name)) == value)
    rows = Rows(book, entry, merged(entry, frame))
    assert len(rows.frame) == 1
    for column in (c for c in entry.columns if c not in entry.key):
        assert close(recomputed(explained(rows, column)[1]), rows.frame[column][0]), column


@pytest.mark.parametrize("name", [n for n, how in SETTINGS.items() if "attribution_grain" in how])
def test_of_a_period_a_job_s_weights_are_those_of_its_hours(outs: dict[str, Path], name: str):
    assert list(differences(outs[name] / "current", only="repartition.job")) == []


# ---------------------------------------------------------------- the declarations


@pytest.mark.parametrize("key", ["weight", "binding"])
def test_every_column_of_every_row_is_what_is_declared_of_it(tmp_path: Path, key: str):
    run.run(write_model(tmp_path / "model"), tmp_path / "out", settings.load(None, {"attribution_key": key}))
    assert list(differences(tmp_path / "out/current")) == []


def test_occurrences_are_what_triggers_them_where_none_are_given(tmp_path: Path):
    model = write_model(tmp_path / "model")
    for given in ("occurrences", "container_weights"):
        for file in model.glob(f"{given}.*"):
            file.unlink()
    run.run(model, tmp_path / "out", settings.load(None, {}))
    assert list(differences(tmp_path / "out/current", only="need.occurrence")) == []


@pytest.mark.parametrize("told", NOTHING)
def test_where_there_is_nothing_tables_that_are_never_written_have_zeros(out: Path, told: str):
    values = values_of(out / "current", told)
    assert values == dict.fromkeys(values, 0.0)


def test_every_output_column_says_how_it_comes_about():
    given = {"kind", "source_kind", "phase", "stream"}
    silent = [f"{t}.{c}" for t in OUTPUTS for c, told in OUTPUTS[t].columns.items()
              if not told.key and c not in given and not entries()[t].ways(c)]  # fmt: skip
    assert silent == []


def test_every_name_in_a_formula_is_found_somewhere():
    known = set(settings.Settings.__annotations__)
    lost = []
    for entry in entries().values():
        begin = (
            [c for c in entry.columns if c not in entry.key]
            if entry.written
            else [*entry.formulas, *entry.lineage.made]
        )
        waiting, reached = list(begin), set(begin)
        while waiting:
            name = waiting.pop()
            asked = {n for way in entry.ways(name) for n in names_in(entry, name, way)} - known
            lost += [f"{entry.table}.{name}: {n}" for n in asked if not found(entry, name, n)]
            waiting += sorted(asked - reached)
            reached |= asked
    assert sorted(set(lost)) == []


def names_in(entry: Entry, name: str, way: Way) -> list[str]:
    own = way.when.meta.root_names() if way.when is not None else []
    if isinstance(way, Made):
        own += symbols.names(formula_symbols(way.by, {}))
    if isinstance(way, At):
        own += [*way.row.on.values(), *([way.row.earlier] if way.row.earlier else [])]
        assert entries()[way.row.table].offers(way.column)
    if isinstance(way, Total | Box):
        own += [n for n in way.on.values() if not (isinstance(way, Total) and way.through and n in way.through[2])]
        inner = entries()[way.table]
        assert not isinstance(way.of, str) or inner.offers(way.of) or inner.ways(way.of)
    return own


def found(entry: Entry, name: str, asked: str) -> bool:
    return (
        asked in entry.key
        or asked in entry.columns
        or bool(entry.ways(asked, name if asked == name else None))
        or entry.offers(asked)
    )


def test_a_column_of_its_own_function_is_explained_by_no_other():
    for name, module in modules().items():
        for formula in formulas_in(module).values():
            assert words_of(formula), f"{name}.{name_of(formula)} says nothing in words"


def numeric_formulas() -> list[tuple[str, Any]]:
    made = {}
    for module in modules().values():
        for name, formula in formulas_in(module).items():
            made[f"{module.__name__}.{name}"] = formula
    return sorted(made.items())


@pytest.mark.parametrize(("name", "formula"), numeric_formulas())
def test_symbols_come_to_what_polars_makes_of_the_formula(name: str, formula: Any):
    told = {"attribution_key": "binding", "rate": "base_demand_rate", "stream": "idle"}
    import inspect

    flags = {n: v for n, v in told.items() if n in inspect.signature(formula).parameters}
    made = symbols.of_formula(formula, **flags)
    expression = formula(**flags)
    kinds = {"kind": ["jobs", "gpu_servers", "video_streaming_jobs"], "server_type": ["serverless", "autoscaling", "on-premise"],
             "resolution": ["HD (1280 x 720)", "x"], "any_demand": [True, False]}  # fmt: skip
    drawn = random.Random(name)
    for _ in range(40):
        row = {n: drawn.choice(kinds.get(n, [0.0, 1.0, 2.0, 3.0000000001, drawn.random(), drawn.random() * 100, None] if not n.endswith(("_id", "unit")) else ["gpu", None]))
               for n in expression.meta.root_names()}  # fmt: skip
        frame = pl.DataFrame(
            {
                n: pl.Series(
                    [v],
                    dtype=pl.String
                    if isinstance(v, str) or n.endswith(("_id", "unit"))
                    else pl.Boolean
                    if isinstance(v, bool)
                    else pl.Float64,
                )
                for n, v in row.items()
            }
        )
        expected = frame.select(expression.alias("v")).item() if row else pl.select(expression).item()
        value = symbols.value_of(made, row.__getitem__)
        assert value == expected or both_nan(value, expected) or close(value, expected), (symbols.text(made), row)


def both_nan(a: Any, b: Any) -> bool:
    return isinstance(a, float) and isinstance(b, float) and math.isnan(a) and math.isnan(b)


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (pl.col("a") * (pl.col("b") + 1) / pl.col("c"), "a × (b + 1) / c"),
        (pl.col("a") / (pl.col("b") / pl.col("c")), "a / (b / c)"),
        (pl.col("a") - (pl.col("b") - pl.col("c")), "a − (b − c)"),
        (pl.coalesce("a", "b"), "first given of(a, b)"),
        (expressions.ceil_guarded(pl.col("a")), "ceil(guarded(a))"),
        (pl.when(pl.col("a") == "x").then(pl.col("b")), 'b if a = "x"'),
        (pl.when(pl.col("a").is_not_null()).then(1.5).otherwise(pl.col("b")), "1.5 if a is given, else b"),
        (pl.max_horizontal("a", pl.col("b").clip(0)), "max(a, max(b, 0))"),
    ],
)
def test_formulas_are_written_in_signs_that_people_know(expression: pl.Expr, text: str):
    assert symbols.text(symbols.of_expression(expression)) == text


def test_constants_carry_their_unit():
    from pipeline.stages.energy import server

    told = symbols.text(formula_symbols(server.energy_footprint, {}))
    assert told == "instances_energy × carbon_intensity / (1000 g/kg)"


# ---------------------------------------------------------------- what is said


def test_a_number_is_explained_down_to_cells_with_their_sources(out: Path):
    told = as_dict(explain(out, "energy.server.load_energy", WEB))
    cells = {n["id"]: n for n in nodes(told) if n["kind"] == "cell"}
    power = cells["servers.power[server_id=web]"]
    assert power["value"] == 300
    assert power["unit"] == "W"
    assert power["source"]["source"] == "data sheet <v2>"
    assert power["source"]["confidence"] == "medium"
    ram = cells["jobs.ram_needed[job_id=search]"]
    assert ram["source"]["comment"] == "nobody knows"


def test_a_sum_shows_its_largest_addends_and_the_rest(out: Path):
    keys = ["server_id=web", "hour=2025-03-29T23"]
    whole = explain(out, "need.server.ram_need", keys, largest=100)
    short = explain(out, "need.server.ram_need", keys, largest=2)
    assert [t.node.value for t in short.terms] == sorted((t.node.value for t in whole.terms), reverse=True)[:2]
    assert short.rest_count == len(whole.terms) - 2
    assert "others, together" in render(short, "tree")


def test_a_box_filter_weighs_the_hour_before(out: Path):
    told = explain(out, "need.job.avg_occurrences", ["job_id=train", "usage_pattern_id=paris", "hour=2025-03-30T01"])
    assert {t.weight for t in told.terms} <= {1.0, 0.5}
    assert told.inputs["request_duration"].value == 5400


def test_only_the_branch_that_counts_is_explained(out: Path):
    told = explain(out, "instances.server.nb_of_instances", WEB)
    assert set(told.inputs) == {"server_type", "raw_nb_of_instances"}
    assert told.filled.startswith("ceil(guarded(")


def test_civil_hours_say_when_they_were_given(out: Path):
    told = explain(out, "need.usage_pattern.starts", ["usage_pattern_id=delhi", "hour=2025-03-29T17"])
    assert "civil time of Asia/Kolkata: 2025-03-29 22:30" in render(told, "tree")


def test_an_observed_hour_names_its_runs(out: Path):
    keys = ["server_id=cluster", "application=relion", "project=physics", "user=ann", "hour=2025-03-30T01"]
    told = explain(out, "need.run.core_hours", keys)
    assert {t.node.key["run_id"] for t in told.terms} == {"r1", "r4"}
    assert "piece 1 of the run" in render(told, "tree")


def test_depth_ends_the_explanation(out: Path):
    flat = explain(out, "energy.server.energy_footprint", WEB, depth=1)
    assert all(not inner.inputs for inner in flat.inputs.values())
    assert "--depth" in render(flat, "tree")
    assert len(render(flat, "tree")) < len(render(explain(out, "energy.server.energy_footprint", WEB), "tree"))


def test_what_was_said_once_is_not_said_again(out: Path):
    told = [
        n["id"]
        for n in nodes(as_dict(explain(out, "energy.server.energy_footprint", WEB)))
        if n["kind"] not in ("cell", "same", "key", "missing", "value", "setting")
    ]
    assert len(told) == len(set(told))


def test_a_run_explains_itself_after_its_model_has_changed(out: Path, tmp_path: Path):
    shutil.copytree(out.resolve(), tmp_path / "out", symlinks=True)
    told = json.loads((tmp_path / "out/current/run.json").read_text())
    (tmp_path / "out/current/run.json").write_text(json.dumps({**told, "model": str(tmp_path / "gone")}))
    before, after = (as_dict(explain(o, "energy.server.energy_footprint", WEB)) for o in (out, tmp_path / "out"))
    assert before == after
    keys = ["server_id=cluster", "application=relion", "project=physics", "user=ann", "hour=2025-03-30T01"]
    with pytest.raises(InputError, match="job_runs: the run does not keep a copy"):
        explain(tmp_path / "out", "need.run.core_hours", keys)


def test_tables_that_a_run_left_out_are_named(tmp_path: Path):
    run.run(write_model(tmp_path / "model"), tmp_path / "out", settings.load(None, {"tables": "core"}))
    told = explain(tmp_path / "out", "energy.server.idle_energy", WEB, depth=1)
    assert close(recomputed(as_dict(told)), told.value)
    with pytest.raises(InputError, match=r"need\.storage was not made in this run"):
        explain(tmp_path / "out", "need.storage.full_cumulative_storage_need", ["storage_id=disk"])


def test_input_cells_can_be_asked_for(out: Path):
    assert explain(out, "input.servers.power", ["server_id=web"]).value == 300


# ---------------------------------------------------------------- how it is written


@pytest.mark.parametrize("format", ["tree", "json", "markdown", "html"])
def test_what_users_wrote_is_made_harmless(out: Path, format: str):
    told = render(explain(out, "energy.server.load_energy", WEB), format)
    assert ("<script>" in told) == (format in ("json", "tree"))
    assert all(c.isprintable() or c == "\n" for c in told)
    if format == "html":
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in told
        assert "http" not in told.replace("https://example.org/web", "")


def test_the_tree_reads_from_the_number_to_the_cells(out: Path):
    told = render(explain(out, "derived.server.ram", ["server_id=gpus"]), "tree")
    assert told == (
        "derived.server.ram  server_id=gpus\n"
        "= 320 GB_ram\n"
        "    Memory of an instance; GPU servers: memory per GPU times the GPUs of an instance.\n"
        '    = ram_per_gpu × compute if kind = "gpu_servers", else ram\n'
        "    = 80 × 4\n"
        "  kind = gpu_servers   [derived.server.kind]\n"
        "      The table the server was given in.\n"
        "  ram_per_gpu = 80 GB_ram/gpu\n"
        "      Memory per GPU.\n"
        "      given in gpu_servers, row gpus, column ram_per_gpu\n"
        "  compute = 4 gpu\n"
        "      GPUs of one instance.\n"
        "      given in gpu_servers, row gpus, column compute\n"
    )


# ---------------------------------------------------------------- what users get wrong


@pytest.mark.parametrize(
    ("address", "keys", "told"),
    [
        ("energy.server.energy_footprin", WEB, "did you mean energy_footprint"),
        ("energy.sever.energy_footprint", WEB, "did you mean energy.server.COLUMN"),
        ("energy_footprint", WEB, "did you mean energy.server.energy_footprint"),
        ("energy.server.idle_energy", ["server_id=wep", "hour=2025-03-29T21"], "did you mean web"),
        ("energy.server.idle_energy", ["server=web"], "did you mean server_id"),
        ("energy.server.idle_energy", ["server_id"], "expected key=value"),
        ("energy.server.idle_energy", ["server_id=web", "hour=noon"], "expected an hour in UTC"),
        ("energy.server.idle_energy", ["server_id=web", "hour=2020-01-01T00"], "its hours are 2025-03-29"),
        ("energy.server.idle_energy", ["server_id=web"], r"\d+ rows match; add hour to say which"),
        ("energy.server.idle_energy", ["hour=2025-03-29T21"], r"rows match; add server_id to say which: server_id=\("),
        ("repartition.footprint.footprint", ["source_id=web", "hour=2025-03-29T21"], "add .*stream"),
        ("need.service.job_volume", ["service_id=chat", "hour=2025-03-29T21", "job_id=x"], "no key 'job_id'"),
        ("derived.cell.times", ["position=first"], "expected a whole number"),
    ],
)
def test_mistakes_are_answered_with_what_to_do(out: Path, address: str, keys: list[str], told: str):
    with pytest.raises(InputError, match=told):
        explain(out, address, keys)


def test_no_run_is_said_so(tmp_path: Path):
    with pytest.raises(InputError, match="make one with: wattrow run"):
        explain(tmp_path, "energy.server.idle_energy", [])


def test_the_command_prints_every_form(out: Path):
    for form in ("tree", "json", "markdown", "html"):
        done = CliRunner().invoke(
            cli.app, ["explain", str(out), "energy.server.energy_footprint", *WEB, "--format", form, "--depth", "2"]
        )
        assert done.exit_code == 0, done.output
        assert "instances_energy" in done.output
    done = CliRunner().invoke(cli.app, ["explain", str(out), "energy.server.energy_footprint", *WEB, "--format", "pdf"])
    assert isinstance(done.exception, InputError)


def test_rules_are_all_known():
    rules = {
        w.name
        for e in entries().values()
        for ways in e.lineage.made.values()
        for w in (ways if isinstance(ways, tuple) else (ways,))
        if isinstance(w, Rule)
    }
    pieces = {"overlap", "time_held", "pieces", "run_started", "run_ended", "run_running", "run_waited"}
    computed = {
        "provision_rate",
        "weekly_volume",
        "in_step",
        "hours_of_period",
        "given_occurrences",
        "any_given",
        "is_direct",
        "unit_written",
        "starts",
    }
    assert rules == pieces | computed
