"""The random whole models of tests/test_properties.py as a few model folders, with what the pipeline makes of them without any mutation.

A mutant under which a run over one of these folders comes to anything else is one that `test_whole_models_agree_with_the_naive_reference`
notices: the models are the ones it draws, with the attribution key it draws, and each folder is held against the reference when it is made.
Ten models in a folder take little longer than one.
"""

import shutil
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any
from unittest import mock

import polars as pl

from pipeline.errors import InputError
from pipeline.tables import OUTPUTS
from tests import models


def drawn() -> list[tuple[models.Tables, str]]:
    """The models and attribution keys of the test; it sees each of them refused, on both sides."""
    from tests import reference, test_properties

    seen: list[tuple[models.Tables, str]] = []

    def reckon(tables: models.Tables, attribution_key: str) -> Any:
        seen.append((tables, attribution_key))
        raise reference.ModelError("drawn")

    refusal = InputError("drawn", violations=pl.DataFrame({"rule": sorted(test_properties.TOO_SMALL)}))
    with mock.patch.object(reference, "compute", reckon), mock.patch.object(models, "outputs", side_effect=refusal):
        test_properties.test_whole_models_agree_with_the_naive_reference()
    return seen


def refused(tables: models.Tables, key: str) -> bool:
    from tests import reference

    try:
        reference.compute(tables, attribution_key=key)
    except reference.ModelError:
        return True
    return False


def make(folder: Path) -> None:
    """Write the models into folders `KEY-MONTH`, the fullest first, each with its tables beside it."""
    from tests.deep import merged, numbers

    shutil.rmtree(folder, ignore_errors=True)
    groups = defaultdict[str, list[models.Tables]](list)
    for tables, key in drawn():
        if not refused(tables, key):
            groups[f"{key}-{numbers.starts_at(tables)}"].append(tables)
    for number, (name, batch) in enumerate(sorted(groups.items(), key=lambda g: -len(g[1]))):
        key = name.partition("-")[0]
        if problems := numbers.problems_of(batch, numbers.How(key)):
            raise AssertionError(problems)
        own = folder / f"{number}-{name}"
        model = models.write(merged.merge(batch), own / "model")
        for table, rows in models.run_folder(model, own / "out", attribution_key=key).items():
            rows.write_parquet(own / f"{table}.parquet")
        shutil.rmtree(own / "out")


def difference(folder: Path) -> str:
    """The first of the folders of which a run does not make the same, and the table; nothing where all are the same."""
    for own in sorted(folder.iterdir()):
        with tempfile.TemporaryDirectory(dir=folder.parent) as out:
            try:
                found = models.run_folder(own / "model", Path(out), attribution_key=own.name.split("-")[1])
            except Exception as error:  # noqa: BLE001  (whatever a mutant comes to)
                return f"{own.name}: {type(error).__name__}"
            for table in OUTPUTS:
                if differs(table, pl.read_parquet(own / f"{table}.parquet"), found[table]):
                    return f"{own.name}: {table}"
    return ""


def differs(table: str, expected: pl.DataFrame, found: pl.DataFrame) -> bool:
    try:
        return not alike(expected, found) and bool(
            models.differences(table, expected.iter_rows(named=True), found.iter_rows(named=True))
        )
    except AssertionError:  # a key that stands twice
        return True


def alike(expected: pl.DataFrame, found: pl.DataFrame) -> bool:
    """The same rows in the same order; numbers to the last bit or so."""
    if expected.shape != found.shape or expected.columns != found.columns:
        return False
    floats = [c for c, kind in expected.schema.items() if kind.is_float()]
    texts = [c for c in expected.columns if c not in floats]
    for column in texts:
        if not expected[column].cast(pl.String).equals(found[column].cast(pl.String)):
            return False
    for column in floats:
        a, b = expected[column], found[column]
        if not (((a - b).abs() <= 1e-12 * a.abs()) | (a.is_null() & b.is_null())).fill_null(False).all():
            return False
    return True
