"""The run of `python -m tests.deep.numbers` as a test: WATTROW_EXAMPLES models, 100,000 where nothing else is asked."""

import pytest

from tests.deep import numbers
from tests.deep.asked import EXAMPLES, MINUTES, SEED


def test_batches_tell_whose_row_is_wrong(monkeypatch):
    drawn = [one.tables for one in numbers.rounds(20, 3)]
    drawn = [tables for tables in drawn if numbers.starts_at(tables) == numbers.starts_at(drawn[-1])]
    split = numbers.merged.split

    def spoilt(found, count):
        several = split(found, count)
        rows = next(o["energy.server"] for o in several if o["energy.server"])
        rows[-1]["energy_footprint"] += 1.0
        return several

    monkeypatch.setattr(numbers.merged, "split", spoilt)
    told = numbers.problems_of(drawn, numbers.How())
    assert len(told) == 1
    assert "energy_footprint" in next(iter(told.values()))[0]


@pytest.mark.deep
@pytest.mark.timeout(0)
def test_models_by_the_hundred_thousand_agree_with_the_naive_reference():
    tally = numbers.compare_many(EXAMPLES, SEED, MINUTES)
    assert not tally.failures, "\n\n".join(tally.failures)
    assert tally.models == EXAMPLES or MINUTES is not None
