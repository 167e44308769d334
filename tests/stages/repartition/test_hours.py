"""What the repartition takes from each server: rates that turn one unit of demand into its part of the server's carbon."""

import numpy as np
import pytest
from polars import col
from polars.testing import assert_frame_equal

from pipeline.stages.repartition import hours
from tests.frames import assert_table, frame, given


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


def test_demand_below_one_counts_like_any_other():
    # instance 1 is needed in both hours, for 3/4 in all, instance 2 in the last alone
    found = hours.tier_rate(*server([0.25, 0.5], [1, 2], 2))
    assert found == pytest.approx([1 / 2 * (1 / 0.75), 1 / 2 * (1 / 0.75 + 1 / 0.5)])


def test_a_part_of_an_instance_needs_the_whole_of_it():
    # instance 1 is needed in both hours, with a demand of 4, instance 2 in the last alone
    found = hours.tier_rate(*server([1, 3], [0.5, 1.5], 2))
    assert found == pytest.approx([1 / 2 * (1 / 4), 1 / 2 * (1 / 4 + 1 / 3)])


def test_a_part_of_an_instance_above_a_whole_one_needs_one_more():
    # instance 1 is needed in both hours, instance 2 in the last alone
    found = hours.tier_rate(*server([1, 3], [1, 1.5], 2))
    assert found == pytest.approx([1 / 2 * (1 / 4), 1 / 2 * (1 / 4 + 1 / 3)])


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


def test_carbon_per_demand_is_none_where_nobody_demands():
    rows = frame("""
        | demand_sum | fabrication | idle | load |
        |          4 |           2 |    1 |    8 |
        |          0 |           2 |    1 |    8 |
    """)
    found = rows.select(
        fabrication=hours.fabrication_per_demand(), idle=hours.idle_per_demand(), load=hours.load_per_demand()
    )
    assert_table(found, "| fabrication | idle | load |\n| 2/4 | 1/4 | 8/4 |\n| 0 | 0 | 0 |")


def test_base_consumption_weighs_by_the_whole_instance_and_demands_of_what_is_left_of_it():
    rows = frame("""
        | base_compute_consumption | base_ram_consumption | compute | ram | available_compute_per_instance | available_ram_per_instance |
        |                        1 |                    4 |       4 |  16 |                              3 |                         11 |
    """)
    found = rows.select(weight=hours.base_weight(), compute=hours.base_compute_demand(), ram=hours.base_ram_demand())
    assert_table(found, "| weight | compute | ram |\n| 1/4 + 4/16 | 1/3 | 4/11 |")


def test_the_hours_of_a_server_are_in_their_order_whatever_the_order_of_the_rows():
    needs = given(
        "need.server",
        "| server_id | hour | ram_need | compute_need |\n| web | 01:00 | 0 | 2 |\n| web | 00:00 | 0 | 1 |",
    )
    instances = given(
        "instances.server",
        "| server_id | hour | raw_nb_of_instances | nb_of_instances |\n| web | 01:00 | 2 | 2 |\n| web | 00:00 | 1 | 1 |",
    )
    energy = given(
        "energy.server",
        "| server_id | hour | load_energy | carbon_intensity |\n| web | 00:00 | 1 | 1000 |\n| web | 01:00 | 6 | 1000 |",
    )
    servers = given("servers", "| server_id | compute | ram |\n| web | 1 | 1 |")
    capacity = given(
        "instances.capacity",
        "| server_id | available_ram_per_instance | available_compute_per_instance |\n| web | 1 | 1 |",
    )
    tables = (needs, instances, energy, given("need.service"), given("derived.service"), servers, capacity)
    made, _ = hours.of_servers(*tables, attribution_key="weight")
    assert_table(made, "| server_id | start | weight_sum | load_per_demand |\n| web | 00:00 | [1, 2] | [1/1, 6/2] |")
    weights, _ = hours.of_servers(*tables, attribution_key="weight", footprints=False)
    assert_table(weights, "| server_id | start | weight_sum |\n| web | 00:00 | [1, 2] |")
    assert "load_per_demand" not in weights.collect_schema()


def test_servers_without_services_are_as_with_services_that_nobody_uses():
    unused = given("need.service", "| service_id | hour | job_volume |\n| video | 00:00 | 0 |")
    for key in hours.PROVISION_RATES:
        made, rates = hours.of_servers(*ONE_HOUR, None, **HOST, attribution_key=key)
        same, none = hours.of_servers(*ONE_HOUR, unused, **HOST, attribution_key=key)
        assert_frame_equal(made.collect(), same.collect())
        assert_frame_equal(rates.collect(), none.collect())


def test_with_the_key_binding_the_base_consumption_of_services_counts_of_the_resource_that_binds():
    rows = frame("""
        | compute_binds | raw_nb_of_instances | services_compute_demand | services_ram_demand | base_compute_demand | base_ram_demand | nb_of_instances | job_volume |
        |             1 |                   3 |                       1 |                  10 |                   2 |              20 |               4 |          5 |
        |             0 |                   3 |                       1 |                  10 |                   2 |              20 |               4 |          5 |
    """)
    found = rows.select(demand=hours.binding_demand_sum(), rate=hours.base_demand_rate())
    assert_table(found, "| demand | rate |\n| 3 + 1 | 2 * 4/5 |\n| 3 + 10 | 20 * 4/5 |")


ONE_HOUR = (
    given("need.server", "| server_id | hour | ram_need | compute_need |\n| web | 00:00 | 4 | 0 |"),
    given("instances.server", "| server_id | hour | raw_nb_of_instances | nb_of_instances |\n| web | 00:00 | 1 | 2 |"),
    given("energy.server", "| server_id | hour | load_energy |\n| web | 00:00 | 3 |"),
)
"""A server in an hour in which its RAM binds: what is needed, on and spent."""
HOST = {
    "services": given(
        "derived.service",
        """
        | service_id | server_id | base_ram_consumption | base_compute_consumption |
        | video      | web       |                    2 |                        2 |
        | api        | web       |                    3 |                        1 |
        | chat       | web       |                    2 |                        0 |
    """,
    ),
    "servers": given("servers", "| server_id | compute | ram |\n| web | 4 | 8 |"),
    "capacity": given(
        "instances.capacity",
        "| server_id | available_ram_per_instance | available_compute_per_instance |\n| web | 4 | 3 |",
    ),
}


@pytest.mark.parametrize(
    ("key", "demand_sum"),
    [
        ("weight", "[3/4 + 2 * (3/4 + 5/8), 1/4 + 1 * 1/4]"),
        ("binding", "[3/3 + 2 * (2/3 + 1/3), 1/3 + 1 * 0]"),
    ],
)
def test_all_services_of_a_server_count_in_every_hour_and_all_hours_in_the_period(key: str, demand_sum: str):
    needs = given(
        "need.server",
        "| server_id | hour | ram_need | compute_need |\n| web | 00:00 | 0 | 3 |\n| web | 01:00 | 0 | 1 |",
    )
    instances = given(
        "instances.server",
        """
        | server_id | hour  | raw_nb_of_instances | nb_of_instances |
        | web       | 00:00 |                 3/3 |               2 |
        | web       | 01:00 |                 1/3 |               1 |
    """,
    )
    energy = given("energy.server", "| server_id | hour |\n| web | 00:00 |\n| web | 01:00 |")
    volumes = given(
        "need.service",
        """
        | service_id | hour  | job_volume |
        | video      | 00:00 |          1 |
        | api        | 00:00 |          2 |
        | api        | 01:00 |          0 |
        | chat       | 01:00 |          4 |
    """,
    )
    made, rates = hours.of_servers(needs, instances, energy, volumes, **HOST, attribution_key=key)
    assert_table(made, f"| server_id | start | demand_sum |\n| web | 00:00 | {demand_sum} |")
    assert made.select(col.period_demand == col.demand_sum.list.sum()).collect().item()
    assert_table(
        rates.filter(col.service_id == "chat"),
        "| service_id | start | base_weight_rate | base_demand_rate |\n| chat | 01:00 | [1/4 * 1/4] | [0] |",
    )


def test_where_ram_binds_the_ram_of_all_services_counts():
    volumes = given("need.service", "| service_id | hour | job_volume |\n| video | 00:00 | 1 |\n| api | 00:00 | 2 |")
    made, _ = hours.of_servers(*ONE_HOUR, volumes, **HOST, attribution_key="binding")
    assert_table(made, "| server_id | start | demand_sum |\n| web | 00:00 | [1 + 2 * (2/4 + 3/4)] |")
