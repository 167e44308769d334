"""Every wrong model is refused with exactly the messages it deserves and publishes nothing; every odd but right one runs."""

from pathlib import Path

import polars as pl
import pytest

from pipeline import run, settings
from pipeline.errors import InputError
from pipeline.violations import lines
from tests.door import (
    corpus_files,
    corpus_ids,
    corpus_parquet,
    corpus_relations,
    corpus_times,
    corpus_units,
    corpus_values,
)
from tests.door.models import Broken, Case, full, small, write

MODULES = [corpus_values, corpus_files, corpus_units, corpus_times, corpus_relations, corpus_ids, corpus_parquet]
CASES: list[Case] = [case for module in MODULES for case in module.CASES]


def compute(folder: Path, out: Path) -> None:
    run.run(folder, out, settings.load(folder, {"workers": 1}))


@pytest.mark.parametrize("base", [small, full])
def test_the_unbroken_models_run(base, tmp_path):
    write(base(), tmp_path / "model")
    compute(tmp_path / "model", tmp_path / "out")
    assert (tmp_path / "out/current/run.json").exists()


def found_in(violations: pl.DataFrame) -> list[Broken]:
    columns = ["table", "row", "column", "value", "expected"]
    return [Broken(*row) for row in violations.select(columns).iter_rows()]


def matches(expected: Broken, found: Broken) -> bool:
    same = (expected.table, expected.row, expected.column, expected.value) == (found.table, found.row, found.column, found.value)  # fmt: skip
    return same and expected.expected in found.expected


@pytest.mark.parametrize("case", [c for c in CASES if c.broken], ids=lambda c: c.name.replace(" ", "-"))
def test_wrong_input_is_refused(case, tmp_path):
    model, out = tmp_path / "model", tmp_path / "out"
    case.build(model)
    with pytest.raises(InputError) as refusal:
        compute(model, out)
    found = found_in(refusal.value.violations)
    text = "\n".join(lines(refusal.value.violations))
    assert len(found) == len(case.broken), text
    assert all(any(matches(b, f) for f in found) for b in case.broken), text
    for line in [str(refusal.value), *lines(refusal.value.violations)]:
        assert line.isprintable(), line
        assert len(line) < 1000
    assert not (out / "current").exists()
    assert not list(out.glob("runs/*"))


def test_case_names_are_distinct():
    names = [c.name for c in CASES]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("case", [c for c in CASES if not c.broken], ids=lambda c: c.name.replace(" ", "-"))
def test_right_input_is_accepted(case, tmp_path):
    case.build(tmp_path / "model")
    assert case.check is not None
    case.check(tmp_path / "model")
