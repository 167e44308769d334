"""The devices in users' hands, split over the steps of the journeys."""

import numpy as np
import pytest

from pipeline.series import box_values
from pipeline.stages.repartition.device import in_step_values
from tests.frames import assert_table, computed
from tests.stages.repartition.test_job import STEPS, WORLD


@pytest.mark.parametrize(("begin", "end"), [(0, 0.25), (0.25, 0.5), (0.5, 1.25), (1.0, 3.0), (0.75, 4.5), (2.0, 2.0)])
def test_a_step_holds_what_has_begun_it_and_not_ended_it(begin, end):
    starts = np.array([4.0, 0.0, 1.0, 7.0])

    def box(hours: float) -> np.ndarray:
        values = box_values(starts, int(hours), hours % 1)
        return np.concatenate([values, np.zeros(len(starts) + int(end) + 1 - len(values))])

    assert in_step_values(starts, begin, end) == pytest.approx(box(end) - box(begin), abs=1e-12)


def test_each_step_takes_its_own_time_without_whole_hours(tmp_path):
    drawings = WORLD | STEPS | {
        "usage_steps": "| usage_journey_step_id | user_time_spent |\n| search | 900 |\n| watch | 1350 |",
        "usage_pattern_devices": "| usage_pattern_id | device_id | count |\n| home | phone | 2 |",
        "devices": """
            | device_id | carbon_footprint_fabrication | power | lifespan | fraction_of_usage_time |
            | phone     |                           30 |  1000 |        3 |                      6 |
        """,
    }  # fmt: skip
    found = computed(tmp_path, drawings)
    rows = found["repartition.footprint"]
    # 4 journeys: 1/4 h of search, then 2 * 3/8 h of watch; 2 devices of 1 kW, 50 g/kWh; a device lives 3 * 365.25 * 6 hours of use
    assert_table(rows.filter(rows["source_kind"] == "device"), """
        | source_id | phase         | stream      | job_id | container_id | usage_pattern_id | hour  | footprint                           |
        | phone     | manufacturing | provisioned | -      | search       | home             | 00:00 | 4 * 1/4 * 2 * 30 / (3 * 365.25 * 6) |
        | phone     | manufacturing | provisioned | -      | watch        | home             | 00:00 | 4 * 3/4 * 2 * 30 / (3 * 365.25 * 6) |
        | phone     | usage         | use         | -      | search       | home             | 00:00 | 4 * 1/4 * 2 * 50 / 1000             |
        | phone     | usage         | use         | -      | watch        | home             | 00:00 | 4 * 3/4 * 2 * 50 / 1000             |
    """)  # fmt: skip
