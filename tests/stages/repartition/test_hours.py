"""What the repartition takes from each server: rates that turn one unit of demand into its part of the server's carbon."""

import numpy as np
import pytest

from pipeline.stages.repartition import hours


def server(demand: list[float], raw: list[float], instances: float):
    return np.array(demand, dtype=float), np.array(raw, dtype=float), instances


def test_by_weight_an_hour_counts_as_a_part_of_the_period():
    assert hours.period_rate(*server([1, 0, 3], [1, 0, 3], 3)).tolist() == [1 / 4] * 3
    assert hours.period_rate(*server([0.125, 0.125], [1, 1], 1)).tolist() == [4, 4]
    assert hours.period_rate(*server([0, 0], [0, 0], 2)).tolist() == [0, 0]


def test_by_binding_every_instance_is_paid_by_the_hours_that_need_it():
    # instance 1 is needed in the first and last hour, instances 2 and 3 in the last alone
    assert hours.tier_rate(*server([1, 0, 3], [1, 0, 3], 3)) == pytest.approx(
        [1 / 3 * (1 / 4), 0, 1 / 3 * (1 / 4 + 1 / 3 + 1 / 3)]
    )


def test_instances_above_the_peak_are_paid_by_the_whole_period():
    assert hours.tier_rate(*server([2, 6], [1, 1], 10)) == pytest.approx([1 / 8, 1 / 8])


@pytest.mark.parametrize("instances", [3, 10, 100_000])
def test_the_rates_of_all_hours_pass_on_exactly_one_whole(instances):
    demand, raw = [1.5, 0.0, 2.25, 0.5], [1.5, 0.0, 2.25, 0.5]
    rates = hours.tier_rate(*server(demand, raw, instances))
    assert sum(d * r for d, r in zip(demand, rates, strict=True)) == pytest.approx(1, rel=1e-12)


def test_nobody_pays_at_a_server_without_demand():
    assert hours.tier_rate(*server([0, 0], [0, 0], 5)).tolist() == [0, 0]


def test_an_instance_that_is_on_for_no_demand_is_paid_by_the_whole_period():
    assert hours.tier_rate(*server([1, 0], [1, 2], 2)) == pytest.approx([1 / 2 * (1 / 1 + 1 / 1)] * 2)


def test_without_a_single_instance_an_hour_counts_as_a_part_of_the_period():
    assert hours.tier_rate(*server([1, 3], [0.2, 0.6], 0)).tolist() == [1 / 4, 1 / 4]


def test_a_peak_of_very_many_instances_takes_no_more_room_than_its_hours():
    # tiers 1 to 4 have all the demand, 16; those up to 4e12 that of the peak, 8
    rates = hours.tier_rate(*server([8, 8], [4, 4e12], 4e12))
    assert rates == pytest.approx([4 / 16 / 4e12, (4 / 16 + (4e12 - 4) / 8) / 4e12])
