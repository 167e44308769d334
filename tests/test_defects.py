"""The known defects of the reference implementation (MODEL.md, ATTRIBUTION.md): ours does not have them."""

import math

import polars as pl
import pytest

from pipeline.tables import OUTPUTS
from tests import models
from tests.frames import assert_table, computed
from tests.whole import WHOLE

HOUR_OF = pl.col("hour").dt.hour()


def drawings(server_type: str = "autoscaling", compute: str = "1", **tables: str) -> dict[str, str]:
    return {
        "servers": f"""
            | server_id | server_type   | carbon_footprint_fabrication | power | idle_power | lifespan | ram | compute   | average_carbon_intensity |
            | web       | {server_type} |                          600 |   300 |         50 |        6 |  16 | {compute} |                      100 |
        """,
        "jobs": """
            | job_id | server_id | data_stored | request_duration | compute_needed | ram_needed |
            | get    | web       |     1000000 |             3600 |              1 |          0 |
        """,
        "occurrences": """
            | job_id | usage_pattern_id | container_id | hour  | occurrences |
            | get    | csv              | tray         | 00:00 |       0.001 |
            | get    | csv              | tray         | 01:00 |           0 |
            | get    | csv              | tray         | 02:00 |       85000 |
            | get    | csv              | tray         | 03:00 |           0 |
        """,
    } | tables  # fmt: skip


def test_no_noise_of_a_fourier_transform_in_what_is_in_flight(tmp_path):
    # the reference prints 0.000999 for 0.001, 84700 for 85000 and 8.6e-7 where nothing runs
    found = computed(tmp_path, drawings())["need.job"].sort("hour")["avg_occurrences"].to_list()
    assert found == [0.001, 0.0, 85000.0, 0.0]


def test_no_ghost_buys_an_instance(tmp_path):
    found = computed(tmp_path, drawings())["instances.server"].sort("hour")
    assert found["raw_nb_of_instances"].to_list() == [0.001, 0.0, 85000.0, 0.0]
    assert found["nb_of_instances"].to_list() == [1, 0, 85000, 0]


def test_rounding_noise_never_buys_an_instance(tmp_path):
    tenths = "\n".join(f"| get | csv | tray{i} | 00:00 | 0.1 |" for i in range(10))
    occurrences = "| job_id | usage_pattern_id | container_id | hour | occurrences |\n" + tenths
    found = computed(tmp_path, drawings(compute="0.3333333333333333", occurrences=occurrences))["instances.server"]
    assert found["nb_of_instances"].to_list() == [
        3
    ]  # ten tenths are not quite one, and a third of a core not quite a third


SERVICE = {
    "services": "| service_id | server_id | base_compute_consumption |\n| search | web | 0.25 |",
    "jobs": """
        | job_id | server_id | service_id | request_duration | compute_needed | ram_needed |
        | find   | -         | search     |             3600 |            0.5 |          0 |
        | own    | web       | -          |             3600 |            0.5 |          0 |
    """,
    "occurrences": """
        | job_id | usage_pattern_id | container_id | hour  | occurrences |
        | find   | csv              | tray         | 00:00 |           1 |
        | own    | csv              | tray         | 01:00 |           1 |
        | find   | csv              | tray         | 03:00 |           1 |
    """,
}


def test_a_service_without_volume_weighs_nothing_instead_of_nan(tmp_path):
    # the reference divides 0 by 0 at 01:00 and 02:00: NaN weights, and a share of 1 for everybody
    found = computed(tmp_path, drawings(**SERVICE))["repartition.server"]
    assert_table(
        found.filter(HOUR_OF == 1),
        """
        | job_id | hour  | weight | weight_sum | share |
        | find   | 01:00 |      0 |        0.5 |     0 |
        | own    | 01:00 |    0.5 |        0.5 |     1 |
    """,
    )


def test_no_output_ever_holds_nan_or_infinity_or_a_forgotten_null(tmp_path):
    found = models.outputs(WHOLE, tmp_path)
    for name, frame in found.items():
        for column, dtype in frame.schema.items():
            if dtype == pl.Float64:
                assert frame[column].is_finite().fill_null(True).all(), f"{name}.{column}"
            if not OUTPUTS[name].columns[column].nullable:
                assert frame[column].null_count() == 0, f"{name}.{column}"


STORAGE = {
    "storages": """
        | storage_id | storage_capacity | carbon_footprint_fabrication_per_storage_capacity | data_storage_duration | lifespan |
        | disks      |               10 |                                               160 |                     3 |        6 |
    """,
    "jobs": """
        | job_id | server_id | data_stored | request_duration | compute_needed | ram_needed |
        | get    | web       |     1000000 |             3600 |              1 |          0 |
        | long   | web       |           0 |            14400 |              1 |          0 |
    """,
    "occurrences": """
        | job_id | usage_pattern_id | container_id | hour  | occurrences |
        | get    | csv              | tray         | 00:00 |           2 |
        | long   | csv              | tray         | 01:00 |           1 |
    """,
}  # fmt: skip


def with_storage() -> dict[str, str]:
    tables = drawings(**STORAGE)
    tables["servers"] = (
        tables["servers"]
        .replace("server_type   |", "server_type | storage_id |")
        .replace("autoscaling |", "autoscaling | disks |")
    )
    return tables


def test_a_storage_does_not_forget_a_job_s_data_when_the_job_ends(tmp_path):
    # the reference drops the 2 TB of get after 00:00, its last hour; they stay for three hours, while the server has hours
    found = computed(tmp_path, with_storage())
    assert_table(
        found["need.storage_job"].filter(pl.col("job_id") == "get"),
        """
        | hour  | cumulative_storage_need |
        | 00:00 |                       2 |
        | 01:00 |                       2 |
        | 02:00 |                       2 |
        | 03:00 |                       0 |
        | 04:00 |                       0 |
    """,
    )


def test_the_shares_of_a_storage_are_not_a_thousand_times_off(tmp_path):
    # the reference divides gigabytes by terabytes
    rows = computed(tmp_path, with_storage())["repartition.storage"].filter(pl.col("weight_sum") > 0)
    shares = rows.group_by("hour").agg(pl.col("share").sum())["share"].to_list()
    assert shares == pytest.approx([1.0] * 3)


def test_footprints_are_conserved_where_the_printed_shares_are_not(tmp_path):
    tables = drawings("on-premise", **SERVICE)
    found = computed(tmp_path, tables)
    shares = found["repartition.server"].group_by("hour").agg(pl.col("share").sum()).sort("hour")
    assert shares["share"].to_list() == [1, 1, 2, 1]  # two siblings, each with all of an hour in which nobody runs
    kg = (
        found["repartition.footprint"]
        .group_by("hour")
        .agg(pl.col("footprint").sum())
        .sort("hour")["footprint"]
        .to_list()
    )
    energy = (
        found["energy.server"]
        .sort("hour")
        .select(pl.col("energy_footprint") + pl.col("instances_fabrication_footprint"))
        .to_series()
    )
    assert kg == pytest.approx(energy.to_list(), rel=1e-12)


@pytest.mark.parametrize("instances", [1, 1_000, 100_000])
def test_a_hundred_thousand_instances_leave_no_drift_in_the_attribution(tmp_path, instances):
    # the reference adds up share / K for every instance in float32: off by 3e-8 * K
    tables = drawings(
        "on-premise",
        occurrences=f"""
            | job_id | usage_pattern_id | container_id | hour  | occurrences     |
            | get    | csv              | tray         | 00:00 | {instances}     |
            | get    | csv              | basket       | 01:00 | {instances}     |
            | get    | csv              | shelf        | 02:00 | {instances} / 2 |
        """,
    )
    found = computed(tmp_path, tables, attribution_key="binding")
    provisioned = found["repartition.footprint"].filter(pl.col("stream") == "provisioned")
    emitted = math.fsum(found["energy.server"]["instances_fabrication_footprint"])
    assert math.fsum(provisioned["footprint"]) == pytest.approx(emitted, rel=1e-11)
    parts = dict(provisioned.group_by("container_id").agg(pl.col("footprint").sum()).iter_rows())
    assert parts["tray"] == pytest.approx(parts["basket"], rel=1e-11)


def test_large_and_small_volumes_side_by_side_keep_all_their_digits(tmp_path):
    # float32 holds seven digits: a transform over 1e8 starts drowns a start of 1 a few hours later
    occurrences = "| job_id | usage_pattern_id | container_id | hour | occurrences |\n| get | csv | tray | 00:00 | 100000001 |\n| get | csv | tray | 05:00 | 1 |"
    found = computed(tmp_path, drawings(occurrences=occurrences))["need.job"].sort("hour")["avg_occurrences"].to_list()
    assert found == [100000001, 0, 0, 0, 0, 1]


def test_clocks_are_read_hour_by_hour_and_not_by_the_first_hour_s_offset(tmp_path):
    # the reference moves a whole year by the offset of its first hour; after the clocks change its hours are one off
    world = {
        "countries": "| country_id | average_carbon_intensity | timezone |\n| fr | 50 | Europe/Paris |",
        "networks": "| network_id | bandwidth_energy_intensity |\n| wifi | 0 |",
        "usage_patterns": "| usage_pattern_id | network_id | country_id | clock |\n| home | wifi | fr | local |",
        "usage_pattern_starts": "| usage_pattern_id | hour | starts |\n| home | 12:00 | 1 |\n| home | +180 12:00 | 2 |",
    }
    found = computed(tmp_path, drawings(**world))["need.usage_pattern"].filter(pl.col("starts") > 0)
    assert_table(found, "| hour | starts |\n| 11:00 | 1 |\n| +180 10:00 | 2 |")  # UTC+1 in January, UTC+2 in July
