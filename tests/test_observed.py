"""Observed runs from their logs to published hours: nothing of a run is lost or invented, and real logs give their known answers."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import settings as run_settings
from pipeline.errors import InputError
from pipeline.importers.slurm import import_slurm
from pipeline.importers.swf import import_swf
from pipeline.run import run
from pipeline.stages.need import run as need_run
from pipeline.tables import INPUTS

TRACES = Path(__file__).parents[2] / "shared" / "data" / "traces"
needs_traces = pytest.mark.skipif(not TRACES.exists(), reason="no ../shared beside the project")
FIRST = datetime(2026, 3, 1, tzinfo=UTC)
ZONES = ("UTC", "Europe/Copenhagen", "Asia/Kolkata", "Australia/Lord_Howe", "America/St_Johns")


def runs_table(rows: list[dict[str, object]]) -> pl.LazyFrame:
    """job_runs with what a run needs, everything else empty."""
    held = {"source": "test", "server_id": "s", "application": "a", "project": "p", "user": "u"}
    columns = [c for c in INPUTS["job_runs"].columns if any(c in row for row in rows) or c in held]
    schema = {c: INPUTS["job_runs"].columns[c].dtype for c in columns}
    made = pl.DataFrame([{**held, **row} for row in rows], schema=schema)
    return pl.concat([INPUTS["job_runs"].empty(), made], how="diagonal").lazy()


def published(rows: list[dict[str, object]]) -> pl.DataFrame:
    """Rows of need.run for these runs."""
    filled = runs_table(rows).with_columns(
        pl.col("cpu_cores", "gpus", "ram", "data_transferred", "data_stored").fill_null(0.0)
    )
    intervals = need_run.held_intervals(
        filled, INPUTS["job_run_intervals"].empty().lazy(), INPUTS["log_horizons"].empty().lazy()
    )
    return need_run.build(intervals).collect()


spans = st.tuples(
    st.integers(0, 60 * 24 * 3_600_000),
    st.integers(0, 9 * 24 * 3_600_000),
    st.sampled_from([1.0, 0.5, 3.0, 64.0, 1 / 7]),
    st.sampled_from(ZONES),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(spans, min_size=1, max_size=8))
def test_overlap_summed_over_hours_is_the_duration_whatever_the_zone(drawn: list[tuple[int, int, float, str]]) -> None:
    rows: list[dict[str, object]] = []
    for i, (begin, length, cores, zone) in enumerate(drawn):
        start = (FIRST + timedelta(milliseconds=begin)).astimezone(ZoneInfo(zone))
        end = (start.astimezone(UTC) + timedelta(milliseconds=length)).astimezone(ZoneInfo(zone))
        rows.append(
            {
                "run_id": f"r{i}",
                "started_at": start.astimezone(UTC),
                "ended_at": end.astimezone(UTC),
                "cpu_cores": cores,
            }
        )
    hours = published(rows)
    assert hours["run_hours"].sum() == pytest.approx(
        sum(length for _, length, _, _ in drawn) / 3_600_000, rel=1e-12, abs=1e-12
    )
    assert hours["core_hours"].sum() == pytest.approx(
        sum(length * cores for _, length, cores, _ in drawn) / 3_600_000, rel=1e-12, abs=1e-12
    )
    assert (hours["runs_started"].sum(), hours["runs_ended"].sum()) == (len(drawn), len(drawn))
    assert hours.group_by("hour").len()["len"].max() == 1


def test_an_idle_hour_between_two_runs_has_no_row_and_leaves_no_residue() -> None:
    long, short = timedelta(hours=2, minutes=20), timedelta(minutes=10)
    hours = published(
        [
            {"run_id": "a", "started_at": FIRST, "ended_at": FIRST + long, "cpu_cores": 3.0, "ram": 15.625},
            {
                "run_id": "b",
                "started_at": FIRST + 4 * timedelta(hours=1),
                "ended_at": FIRST + 4 * timedelta(hours=1) + short,
                "cpu_cores": 1 / 7,
            },
        ]
    )
    assert hours["hour"].dt.hour().to_list() == [0, 1, 2, 4]
    assert hours["core_hours"].to_list() == [3.0, 3.0, pytest.approx(3 * 20 / 60), pytest.approx(1 / 7 * 10 / 60)]
    assert hours["ram_hours"].to_list() == [15.625, 15.625, pytest.approx(15.625 * 20 / 60), 0.0]


def test_a_run_in_two_pieces_counts_once_in_the_hour_they_share() -> None:
    pieces = pl.LazyFrame(
        {
            "run_id": ["a", "a"],
            "interval_no": [0, 1],
            "started_at": [FIRST, FIRST + timedelta(minutes=40)],
            "ended_at": [FIRST + timedelta(minutes=10), FIRST + timedelta(minutes=70)],
        }
    ).with_columns(pl.col("started_at", "ended_at").dt.cast_time_unit("us"))
    row = {
        "run_id": "a",
        "submitted_at": FIRST - timedelta(hours=1),
        "started_at": FIRST,
        "ended_at": FIRST + timedelta(minutes=70),
        "cpu_cores": 2.0,
    }
    filled = runs_table([row]).with_columns(pl.col("gpus", "ram", "data_transferred", "data_stored").fill_null(0.0))
    hours = need_run.build(need_run.held_intervals(filled, pieces, INPUTS["log_horizons"].empty().lazy())).collect()
    assert hours["runs_running"].to_list() == [1, 1]
    assert hours["core_hours"].to_list() == [pytest.approx(2 * 30 / 60), pytest.approx(2 * 10 / 60)]
    assert hours["wait_hours"].to_list() == [1.0, 0.0]


def complete(model: Path, *, compute: float, fixed: int | None) -> None:
    """Fill in the figures that a log cannot tell."""
    drafted = pl.read_csv(model / "servers.csv", infer_schema=False)
    pl.DataFrame(
        {
            "server_id": drafted["server_id"],
            "server_type": ["on-premise"] * len(drafted),
            "carbon_footprint_fabrication": [1000.0] * len(drafted),
            "power": [300.0] * len(drafted),
            "idle_power": [100.0] * len(drafted),
            "lifespan": [5.0] * len(drafted),
            "ram": [1e6] * len(drafted),
            "compute": [compute] * len(drafted),
            "average_carbon_intensity": [50.0] * len(drafted),
            "fixed_nb_of_instances": [fixed] * len(drafted),
        }
    ).write_csv(model / "servers.csv")


@needs_traces
def test_nasa_gives_its_known_hours_and_128_nodes_are_too_few(tmp_path: Path) -> None:
    model, out = tmp_path / "model", tmp_path / "out"
    import_swf(TRACES / "NASA-iPSC-1993-3.1-cln.swf", model)
    complete(model, compute=1.0, fixed=None)
    tables = "need.run,need.server,instances.server"
    run(model, out, run_settings.load(model, {"tables": tables}))
    known = pl.read_csv(TRACES / "expected_hourly_nasa.csv", try_parse_dates=True).select(
        pl.col("hour").dt.cast_time_unit("us"), "core_seconds"
    )
    rows = pl.read_parquet(out / "current" / "need" / "run" / "*.parquet").filter(pl.col("core_hours") > 0)
    seconds = rows.group_by("hour").agg((pl.col("core_hours").sum() * 3600).round(6)).sort("hour")
    assert seconds["core_hours"].to_list() == known.filter(pl.col("core_seconds") > 0)["core_seconds"].to_list()
    complete(model, compute=1.0, fixed=128)
    with pytest.raises(InputError) as refused:
        run(model, out, run_settings.load(model, {"tables": tables}))
    assert "1993-11-05 03:00" in refused.value.violations["expected"][0]


@needs_traces
def test_phillips_gives_its_known_local_hours(tmp_path: Path) -> None:
    model, out = tmp_path / "model", tmp_path / "out"
    columns = (
        "JobID,JobIDRaw,Cluster,Partition,QOS,Account,Group,GID,User,UID,Submit,Eligible,Start,End,Elapsed,ExitCode,State,NNodes,"
        "NCPUS,ReqCPUS,ReqMem,ReqTRES,AllocTRES,Timelimit,NodeList,JobName"
    )
    import_slurm(TRACES / "sacct_phillips.log.gz", model, columns=columns, timezone="America/New_York")
    complete(model, compute=24.0, fixed=None)
    run(model, out, run_settings.load(model, {"tables": "need.run,need.server,instances.server"}))
    known = pl.read_csv(TRACES / "expected_hourly_phillips.csv", try_parse_dates=True)
    rows = pl.read_parquet(out / "current" / "need" / "run" / "*.parquet")
    local = rows.with_columns(pl.col("hour").dt.convert_time_zone("America/New_York").dt.replace_time_zone(None))
    seconds = (
        local.group_by("hour")
        .agg((pl.col("core_hours").sum() * 3600).round(6), (pl.col("gpu_hours").sum() * 3600).round(6))
        .sort("hour")
    )
    both = known.with_columns(pl.col("hour").dt.cast_time_unit("us")).join(seconds, on="hour", how="left").fill_null(0)
    assert both["core_hours"].to_list() == both["core_seconds"].to_list()
    assert both["gpu_hours"].to_list() == both["gpu_seconds"].to_list()
