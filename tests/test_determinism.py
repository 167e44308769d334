"""The same inputs give the same rows and values whatever the threads, the engine, the processes and the split; in the same order where the split is the same."""

from pathlib import Path
from typing import NamedTuple

import pytest

from tests.splits import assert_same, finished, keys_in_order, started, write_everything


class Combination(NamedTuple):
    """How a run is computed."""

    threads: int
    engine: str
    workers: int
    chunk: int


COMBINATIONS = {
    "one thread, in memory, one partition": Combination(1, "in-memory", 1, 10**9),
    "two threads, streaming, one partition": Combination(2, "streaming", 1, 10**9),
    "two processes, in memory, many partitions": Combination(2, "in-memory", 2, 300),
    "one thread, streaming, ranges of jobs": Combination(1, "streaming", 1, 80),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("determinism")
    model = write_everything(folder / "model")
    made = {}
    for name, how in COMBINATIONS.items():
        out = folder / f"out-{len(made)}"
        process = started(
            folder / "script", "run", model, "--out", out, "--workers", how.workers, "--quiet",
            chunk=how.chunk, pool=how.workers > 1, POLARS_MAX_THREADS=str(how.threads), POLARS_ENGINE_AFFINITY=how.engine,
        )  # fmt: skip
        finished(process)
        made[name] = (out / "current").resolve()
    return made


@pytest.mark.parametrize("name", list(COMBINATIONS)[1:])
def test_values_are_the_same(runs: dict[str, Path], name: str) -> None:
    assert_same(runs[name], next(iter(runs.values())))


def test_order_is_the_same_where_the_split_is(runs: dict[str, Path]) -> None:
    first, second = (keys_in_order(run) for run in list(runs.values())[:2])
    for table, rows in first.items():
        assert rows.equals(second[table]), table


def test_the_splits_do_differ(runs: dict[str, Path]) -> None:
    files = [len(list((run / "need" / "job").glob("*.parquet"))) for run in runs.values()]
    assert files[0] == files[1] < files[2] < files[3]
