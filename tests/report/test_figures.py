"""What the report sums must be what the tables hold."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import polars as pl
import pytest

from pipeline.report import figures, flow, quality
from pipeline.report.published import opened
from tests.report.models import journey, published, smallest


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return figures.gathered(opened(published(tmp_path_factory.mktemp("figures"), journey())))


def total(made, table, column):
    return made.run.scan(table).select(pl.col(column).sum()).collect().item()


def test_totals_are_the_sums_of_the_energy_tables(made):
    assert made.of(kind="server", phase="usage") == pytest.approx(total(made, "energy.server", "energy_footprint"))
    assert made.of(kind="device", phase="manufacturing") == pytest.approx(
        total(made, "energy.device", "instances_fabrication_footprint")
    )
    assert made.kwh == pytest.approx(
        total(made, "energy.server", "instances_energy")
        + total(made, "energy.network", "energy")
        + total(made, "energy.device", "energy")
    )


def test_every_gram_of_the_totals_falls_to_someone(made):
    assert made.jobs["kg"].sum() == pytest.approx(made.kg)
    assert pl.concat([made.patterns, made.projects])["kg"].sum() == pytest.approx(made.kg)
    drawn = flow.flows(made)
    for choice, wanted in (("all", made.kg), ("usage", made.of(phase="usage"))):
        assert sum(kg for *_, kg in drawn.links[choice]) == pytest.approx(wanted)


def test_observed_projects_and_users_stand_apart_from_patterns(made):
    assert made.projects["id"].unique().to_list() == ["proj"]
    assert made.users["id"].unique().to_list() == ["user"]
    assert made.patterns["id"].unique().to_list() == ["visitors"]


def test_boxes_of_a_flow_hold_what_flows_through_them(made):
    drawn = flow.flows(made)
    placed = flow.nodes(drawn, drawn.links["all"], 480)
    for column in range(3):
        boxes = sorted((n for (c, _), n in placed.items() if c == column), key=lambda n: n.top)
        assert sum(n.kg for n in boxes) == pytest.approx(made.kg)
        assert all(a.top + a.height <= b.top for a, b in pairwise(boxes))
        assert boxes[-1].top + boxes[-1].height <= 480 + len(boxes)


def test_mean_instances_of_a_period_are_over_its_hours(tmp_path):
    made = figures.gathered(opened(published(tmp_path, smallest(5 * 24 + 6))))
    assert made.every == "1d"
    days = made.timelines.filter(server_id="web")
    assert days["nb"].to_list() == pytest.approx([1.0] * 6)
    needed = (1 + 2 + 3 + 4) / 4 / 4
    assert days["raw"].to_list()[:5] == pytest.approx([needed] * 5)
    assert days["raw"].to_list()[5] == pytest.approx((1 + 2 + 3 + 4 + 1 + 2) / 6 / 4)


def test_periods_suit_the_length_of_the_model():
    start = datetime(2025, 1, 1, tzinfo=UTC)
    days = (1, 30, 366 * 3, 366 * 80)
    assert [figures.period_of((start, start + timedelta(days=d))) for d in days] == ["1h", "1d", "1mo", "1y"]


def test_quality_knows_what_rests_on_what(made):
    found = quality.assessed(made)
    assert [(d.table, d.column, d.values) for d in found.low] == [("servers", "power", 1)]
    web = made.sources.filter(kind="server", id="web")["kg"].sum()
    assert found.low_kg == pytest.approx(web)
    assert ("servers", "power_usage_effectiveness", 2) in [(d.table, d.column, d.values) for d in found.defaults]
    assert found.average_share == pytest.approx(1)
    assert found.flags == [("late", 1), ("odd", 1)]
    assert found.rejects == [("slurm", "no_end", 1)]
    assert found.unsourced == 1
