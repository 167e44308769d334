"""Small models are worked out in memory, whatever Polars does elsewhere in the process."""

import os

import polars as pl
import pytest

from pipeline import engine

AFFINITY = "POLARS_ENGINE_AFFINITY"


@pytest.mark.parametrize(("size", "named"), [(engine.SMALL_INPUTS, "in-memory"), (engine.SMALL_INPUTS + 1, None)])
def test_the_engine_is_chosen_by_the_size_of_the_inputs(size: int, named: str | None, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv(AFFINITY, raising=False)
    with engine.for_inputs(size):
        assert os.environ.get(AFFINITY) == named


def failing() -> None:
    with engine.in_memory():
        assert pl.LazyFrame({"x": [1]}).select(pl.col("x") + 1).collect().item() == 2
        raise ZeroDivisionError


def test_the_engine_is_put_back_one_level_after_the_other(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv(AFFINITY, raising=False)
    with engine.for_inputs(1):
        with pytest.raises(ZeroDivisionError):
            failing()
        assert os.environ.get(AFFINITY) == "in-memory"
    assert os.environ.get(AFFINITY) is None
