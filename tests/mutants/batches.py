"""The random whole models of tests/test_properties.py as a few model folders, with what the pipeline makes of them without any mutation.

A mutant under which a run over one of these folders comes to anything else is one that `test_whole_models_agree_with_the_naive_reference`
notices: the models are the ones it draws, with the attribution key it draws, and each folder is held against the reference when it is made.
Ten models in a folder take little longer than one.
"""

import pickle
import shutil
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import polars as pl

from pipeline import dims, run, settings, storage, tasks
from pipeline.attribution import attribute
from pipeline.errors import InputError
from pipeline.folder import known_tables
from pipeline.model import load
from pipeline.partition import Work, needs_to_energy
from pipeline.tables import OUTPUTS
from pipeline.upstream import prepare
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
        read = load(models.write(merged.merge(batch), own / "model"))
        every = [read[name] for name in known_tables()]
        held = replace(read, tables=dict(zip(known_tables(), pl.collect_all(every), strict=True)))  # type: ignore[arg-type]
        (own / "model.pickle").write_bytes(pickle.dumps(held))
        for table, rows in computed(own).items():
            rows.write_parquet(own / f"{table}.parquet")


def difference(folder: Path) -> str:
    """The first of the folders of which the stages do not make the same, and the table; nothing where all are the same."""
    for own in sorted(folder.iterdir()):
        try:
            found = computed(own)
        except Exception as error:  # noqa: BLE001  (whatever a mutant comes to)
            return f"{own.name}: {type(error).__name__}"
        for table in OUTPUTS:
            if differs(table, pl.read_parquet(own / f"{table}.parquet"), found[table]):
                return f"{own.name}: {table}"
    return ""


def computed(own: Path) -> dict[str, pl.DataFrame]:
    """The output tables of a folder that was read before; as a run makes them, but none is written."""
    held = pickle.loads((own / "model.pickle").read_bytes())
    model = replace(held, tables={name: rows.lazy() for name, rows in held.tables.items()})
    chosen = settings.load(None, {"attribution_key": own.name.split("-")[1]})
    made: dict[str, list[pl.DataFrame]] = {name: [] for name in OUTPUTS}

    def keep(table: str, rows: Any, name: str) -> None:
        for part in rows if isinstance(rows, list) else [rows]:
            made[table].append(part.collect().with_columns(pl.col(pl.Categorical, pl.Enum).cast(pl.String)))

    with (
        mock.patch.object(tasks, "writer", return_value=keep),
        mock.patch.object(storage, "write_rows", return_value=0),
        mock.patch.object(dims, "write_input_copies"),
    ):
        up = prepare(model)
        for part in run.partitions_of(up, chosen):
            work = Work(up, part, chosen, keep)
            attribute(work, needs_to_energy(work))
        run.compute_rest(model, up, chosen, own)
    return {
        name: pl.concat([OUTPUTS[name].empty(), *parts], how="diagonal_relaxed").select(list(OUTPUTS[name].columns))
        for name, parts in made.items()
    }


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
