"""data/example gives the values printed on the reference pages, and the exact ones where the pages show noise."""

import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from data.make_example import main as make_example
from data.print_example import Attribute, attributes
from pipeline.run import check, run
from pipeline.settings import load

DATA = Path(__file__).parents[1] / "data"

NOISE = """
    | attribute                                     | of            | where the page prints noise of its FFT, and what is exact              |
    | hourly_occurrences_per_usage_pattern          | edge          | 7: 0.000999 0.001, 18: 0.000997 0.001                                  |
    | hourly_avg_occurrences_per_usage_pattern      | edge          | 7: 0.000277 0.000278, 8: 0.000555 0.000556, 16: 0.000832 0.000833, 17: 0.000555 0.000556, 18: 0.000277 0.000278 |
    | hourly_data_transferred_per_usage_pattern     | edge          | 11: 0.000749 0.00075, 12: 0.000749 0.00075, 15: 0.000599 0.0006, 16: 0.000449 0.00045, 17: 0.000299 0.0003 |
    | hourly_data_stored_per_usage_pattern          | edge          | 7: 0.0000999 0.0001, 18: 0.0000997 0.0001                              |
    | hourly_avg_occurrences_across_usage_patterns  |               | 8: 0.000559 0.00056, 9: 0.000835 0.000836, 16: 0.000832 0.000833, 17: 0.000555 0.000556, 18: 0.000277 0.000278 |
    | hourly_data_transferred_across_usage_patterns |               | 11: 0.000749 0.00075, 12: 0.000749 0.00075, 15: 0.000599 0.0006, 16: 0.000449 0.00045, 17: 0.000299 0.0003 |
    | hourly_data_stored_across_usage_patterns      |               | 8: 0.000201 0.000202, 18: 0.0000997 0.0001                             |
    | fabrication_impact_repartition_weights        | server-need   | 7: 0.000999 0.001, 18: 0.000997 0.001                                  |
    | fabrication_impact_repartition_weight_sum     |               | 8: 0.002 0.00201, 18: 0.000997 0.001                                   |
    | usage_impact_repartition_weights              | server-need   | 7: 84900 85000, 18: 84700 85000                                        |
    | usage_impact_repartition_weight_sum           |               | 7: 85100 85200, 18: 84700 85000                                        |
    | hour_by_hour_ram_need                         |               | 7: 0.0806 0.0807, 15: 0.0555 0.0556, 16: 0.0416 0.0417, 17: 0.0277 0.0278, 18: 0.0138 0.0139 |
    | hour_by_hour_compute_need                     |               | 8: 0.0642 0.0643, 9: 0.0887 0.0888, 16: 0.0832 0.0833, 17: 0.0555 0.0556, 18: 0.0277 0.0278 |
    | raw_nb_of_instances                           |               | 10: 0.00708 0.00709, 11: 0.00708 0.00709, 12: 0.00708 0.00709, 13: 0.00708 0.00709, 14: 0.00708 0.00709, 15: 0.00566 0.00567, 18: 0.00141 0.00142 |
    | instances_energy                              |               | 17: 0.0608 0.0609                                                      |
    | energy_footprint                              |               | 17: 6.08 6.09                                                          |
    | job_repartition_weights                       | manual-job    | 7: 0.00127 0.00128, 11: 0.00632 0.00633, 16: 0.00379 0.0038, 18: 0.00126 0.00127 |
    | fabrication_impact_repartition_weight_sum     | server        | 11: 0.00632 0.00633, 16: 0.00379 0.0038, 18: 0.00126 0.00127           |
    | fabrication_impact_repartition                | manual-job    | 7: 0.0724 0.0725                                                       |
    | fabrication_impact_repartition                | streaming-job | 7: 0.928 0.927                                                         |
    | usage_impact_repartition_weight_sum           | server        | 11: 0.00632 0.00633, 16: 0.00379 0.0038, 18: 0.00126 0.00127           |
    | usage_impact_repartition                      | manual-job    | 7: 0.0724 0.0725                                                       |
    | usage_impact_repartition                      | streaming-job | 7: 0.928 0.927                                                         |
"""
"""Positions 0 to 9 are the first ten hours, 10 to 19 the last ten. The reference computes the hourly average by a float32 FFT."""


def cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip().strip("|").split("|")]


def noise() -> dict[tuple[str, str], str]:
    _, *rows = map(cells, NOISE.strip().splitlines())
    return {(attribute, of): places for attribute, of, places in rows}


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("example")
    run(DATA / "example", folder, load(DATA / "example", {}))
    return folder


@pytest.fixture(scope="module")
def found(out: Path) -> list[Attribute]:
    return list(attributes(out))


def test_every_attribute_of_both_pages_is_printed(found: list[Attribute]) -> None:
    assert len(found) == 41
    assert len({(a.page, a.name) for a in found}) == 30


def test_values_are_as_printed_but_where_the_page_shows_noise(found: list[Attribute]) -> None:
    places = {
        (a.name, a.of or ("server" if a.page == "Server" and a.name.endswith("weight_sum") else "")): ", ".join(
            f"{at}: {theirs} {ours}" for at, theirs, ours in a.differences
        )
        for a in found
        if a.differences
    }
    assert places == noise()


def test_noise_is_small(found: list[Attribute]) -> None:
    for a in found:
        for _, theirs, ours in a.differences:
            assert float(theirs) == pytest.approx(float(ours), rel=0.01)


def test_series_are_as_long_as_printed(found: list[Attribute]) -> None:
    for a in found:
        assert a.hours == a.page_hours, a.name
        assert a.beyond == 0, a.name


def test_edge_fleets_are_whole_numbers(out: Path) -> None:
    rows = pl.read_parquet(out / "current/need/job/*.parquet").filter(usage_pattern_id="edge")
    assert rows.select((pl.col("occurrences") % 1000 == 0).all()).item()
    assert rows.sort("hour")["occurrences"].head(10).to_list() == [0, 0, 0, 0, 0, 0, 0, 1000, 2000, 3000]


def test_committed_tables_are_those_of_the_script(tmp_path: Path) -> None:
    make_example(tmp_path)
    written = sorted(p.name for p in tmp_path.iterdir())
    assert written == ["edge_usage_pattern_starts.csv", "server_need_volumes.csv", "usage_pattern_starts.csv"]
    for name in written:
        assert (tmp_path / name).read_bytes() == (DATA / "example" / name).read_bytes()


def test_example_passes_the_checks_without_a_warning() -> None:
    assert check(DATA / "example", load(DATA / "example", {})).warnings == []


def test_make_run_prints_the_values(out: Path) -> None:
    printed = subprocess.run(
        [sys.executable, DATA / "print_example.py", out], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    assert "Server.available_ram_per_instance [GB ram]" in printed
    assert "681 printed values as on the reference pages, 67 exact where the pages show noise." in printed
