"""What every log importer shares: books that balance, places mapped to servers, drafts that keep what people wrote."""

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from pipeline.errors import InputError, PipelineError
from pipeline.importers.runs import RunLog, Verdicts, double_counted, write_runs
from pipeline.model import load
from pipeline.tables import DETAILS
from tests.importers.sacct_of import table

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def runs(*places: str, **columns: object) -> pl.DataFrame:
    """One finished run per place."""
    n = len(places)
    cells = {
        "run_id": [f"r{i}" for i in range(n)],
        "place": list(places),
        "submitted_at": [NOON] * n,
        "started_at": [NOON] * n,
    }
    words = dict.fromkeys(("application", "project", "user"), ["x"] * n)
    return pl.DataFrame({**cells, "ended_at": [NOON] * n, **words, "cpu_cores": [4.0] * n, **columns})


def log(*places: str, **more: object) -> RunLog:
    """A log of one run per place."""
    told = {"source": "slurm", "rows_in": len(places), "runs": runs(*places), "rejects": Verdicts().rejects()} | more
    return RunLog(**told)  # type: ignore[arg-type]


def mapping(tmp_path: Path, text: str) -> Path:
    """A --servers table."""
    path = tmp_path / "map.csv"
    path.write_text(text)
    return path


def servers(model: Path) -> list[dict[str, str | None]]:
    """The rows of servers.csv, as text."""
    return pl.read_csv(model / "servers.csv", infer_schema=False).to_dicts()


# ---------------------------------------------------------------- the books


def test_every_record_is_a_run_or_refused_or_excluded(tmp_path: Path) -> None:
    verdicts = Verdicts()
    verdicts.reject(row=3, record_id="x", code="unknown_state", field="State", value=7, message="no such state")
    verdicts.exclude("step", 2)
    told = log("a", rows_in=1 + 1 + 2, rejects=verdicts.rejects(), excluded=verdicts.excluded)
    report = write_runs(tmp_path, told)
    assert (report.rows_in, report.tables["job_runs"], report.rejects, report.excluded) == (
        4,
        1,
        {"unknown_state": 1},
        {"step": 2},
    )
    assert table(tmp_path, "rejects").rows() == [("slurm", 3, "x", "unknown_state", "State", "7", "no such state")]


def test_books_that_do_not_balance_are_our_fault(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="2 records read, but 1 runs, 0 refused and 0 excluded make 1"):
        write_runs(tmp_path, log("a", rows_in=2))


def test_strict_names_the_first_refused_records_and_writes_nothing(tmp_path: Path) -> None:
    verdicts = Verdicts()
    for i in range(7):
        verdicts.reject(row=i, record_id=f"x{i}", code="zero_cores", field="AllocCPUS", value=0, message="none held")
    with pytest.raises(InputError) as caught:
        write_runs(tmp_path / "model", log("a", rows_in=8, rejects=verdicts.rejects()), strict=True)
    lines = str(caught.value).splitlines()
    assert lines[0] == "row 0, record x0: zero_cores, AllocCPUS = '0': none held"
    assert lines[-1] == "7 of 8 records refused (7 zero_cores); nothing written"
    assert len(lines) == 5 + 1
    assert not (tmp_path / "model").exists()


def test_flags_are_counted_by_code(tmp_path: Path) -> None:
    flagged = runs("a", "a", "a", flags=["restarted;open_clipped", None, "also_in_cluster:7"])
    report = write_runs(tmp_path, log("a", "a", "a", runs=flagged))
    assert report.flags == {"also_in_cluster": 1, "open_clipped": 1, "restarted": 1}


def test_importing_again_replaces_what_the_source_had_given(tmp_path: Path) -> None:
    header = pl.DataFrame({"trace": ["t"], "line": [1]})
    write_runs(tmp_path, log("a", "b", details={DETAILS["swf_headers"]: header}))
    write_runs(tmp_path, log("a", source="swf"))
    report = write_runs(tmp_path, log("a", details={DETAILS["swf_headers"]: header.clear()}))
    assert report.tables["swf_headers"] == 0
    assert sorted(p.name for p in (tmp_path / "job_runs.parquet").iterdir()) == ["slurm.parquet", "swf.parquet"]
    assert table(tmp_path, "job_runs").height == 2
    assert pl.read_parquet(tmp_path / "swf_headers.parquet" / "slurm.parquet").is_empty()


def test_a_table_that_is_a_file_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "job_runs.parquet").write_bytes(b"mine")
    with pytest.raises(InputError, match="is a file"):
        write_runs(tmp_path, log("a"))


# ---------------------------------------------------------------- places and servers


@pytest.mark.parametrize(
    ("rule", "server"),
    [
        ("hpc/gpu,big", "big"),
        ("gpu,big", "big"),  # without a slash: the last part
        ("*/gpu,big", "big"),
        ("g?u,big", "big"),
        ("hpc/*,big", "big"),
        ("GPU,big", "hpc/gpu"),
        ("other,big", "hpc/gpu"),
    ],
)
def test_a_mapping_may_use_patterns(tmp_path: Path, rule: str, server: str) -> None:
    report = write_runs(tmp_path, log("hpc/gpu"), servers=mapping(tmp_path, f"partition,server_id\n{rule}\n"))
    assert table(tmp_path, "job_runs")["server_id"].to_list() == [server]
    assert any("has no row for hpc/gpu" in w for w in report.warnings) == (server == "hpc/gpu")


def test_the_first_rule_that_fits_holds(tmp_path: Path) -> None:
    rules = mapping(tmp_path, "place,server_id\nhpc/gpu,big\nhpc/*,small\n")
    write_runs(tmp_path / "m", log("hpc/gpu", "hpc/cpu", "hpc/long"), servers=rules)
    assert table(tmp_path / "m", "job_runs")["server_id"].to_list() == ["big", "small", "small"]
    assert [s["server_id"] for s in servers(tmp_path / "m")] == ["small", "big"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,server_id\na,b\n", "expected the columns"),
        ("partition,server_id\n,b\n", "1 of 1 rows have an empty"),
        ("", "cannot be read"),
    ],
)
def test_a_mapping_that_cannot_be_used_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        write_runs(tmp_path / "m", log("a"), servers=mapping(tmp_path, text))
    with pytest.raises(InputError, match="no such file"):
        write_runs(tmp_path / "m", log("a"), servers=tmp_path / "none.csv")


def test_a_drafted_server_has_what_the_records_tell_and_the_rest_empty(tmp_path: Path) -> None:
    told = pl.DataFrame({"place": ["a", "b"], "compute": [64.0, 32.0], "ram": [256.0, None]})
    write_runs(tmp_path, log("a", "b", places=told, capacity_source=("the trace's header", "medium")))
    first, second = servers(tmp_path)
    assert (first["server_id"], first["compute"], first["ram [GB_ram]"], first["power [W]"]) == (
        "a",
        "64.0",
        "256.0",
        None,
    )
    assert second["ram [GB_ram]"] is None
    sources = pl.read_csv(tmp_path / "sources.csv").select("row_id", "column", "confidence").rows()
    assert sources == [("a", "compute", "medium"), ("a", "ram", "medium"), ("b", "compute", "medium")]


def test_places_of_one_server_give_it_the_largest_figures(tmp_path: Path) -> None:
    told = pl.DataFrame({"place": ["a", "b"], "compute": [64.0, 128.0]})
    write_runs(tmp_path / "m", log("a", "b", places=told), servers=mapping(tmp_path, "place,server_id\n*,one\n"))
    assert [(s["server_id"], s["compute"]) for s in servers(tmp_path / "m")] == [("one", "128.0")]


def test_a_draft_keeps_what_people_wrote(tmp_path: Path) -> None:
    (tmp_path / "servers.csv").write_text("server_id,power [kW],ram,zone\na,0.4,256,DK-DK1\n")
    told = pl.DataFrame({"place": ["a", "b"], "ram": [1.0, 512.0]})
    write_runs(tmp_path, log("a", "b", places=told))
    assert (tmp_path / "servers.csv").read_text() == "server_id,power [kW],ram,zone\na,0.4,256,DK-DK1\nb,,512.0,\n"


def test_servers_of_other_kinds_are_known(tmp_path: Path) -> None:
    (tmp_path / "gpu_servers.csv").write_text("server_id,gpu_power [W/gpu]\na,300\n")
    write_runs(tmp_path, log("a"))
    assert not (tmp_path / "servers.csv").exists()


def test_check_names_exactly_the_figures_to_fill_in(tmp_path: Path) -> None:
    told = pl.DataFrame({"place": ["a"], "compute": [64.0], "ram": [256.0]})
    write_runs(tmp_path, log("a", places=told))
    with pytest.raises(InputError) as caught:
        load(tmp_path)
    missing = sorted(caught.value.violations.select("table", "column").unique().rows())
    asked = ["average_carbon_intensity", "carbon_footprint_fabrication", "idle_power", "lifespan", "power"]
    assert missing == [("servers", column) for column in asked]
    figures = {
        "power [W]": "400",
        "idle_power [W]": "100",
        "lifespan [year]": "5",
        "average_carbon_intensity [g/kWh]": "120",
    }
    figures["carbon_footprint_fabrication [kg]"] = "1300"
    filled = pl.read_csv(tmp_path / "servers.csv", infer_schema=False).with_columns(
        **{n: pl.lit(v) for n, v in figures.items()}
    )
    filled.write_csv(tmp_path / "servers.csv")
    assert load(tmp_path).rows["job_runs"] == 1


def test_refused_records_do_not_stop_a_model(tmp_path: Path) -> None:
    verdicts = Verdicts()
    verdicts.reject(row=3, record_id="x", code="unknown_state", field="State", value=7, message="no such state")
    write_runs(tmp_path, log("a", rows_in=2, rejects=verdicts.rejects()))
    with pytest.raises(InputError) as caught:
        load(tmp_path)
    assert set(caught.value.violations["table"]) == {"servers"}


# ---------------------------------------------------------------- the horizon


def horizons(model: Path) -> list[tuple[str, str]]:
    """The rows of log_horizons."""
    return pl.read_csv(model / "log_horizons.csv", infer_schema=False).rows()  # type: ignore[return-value]


def test_every_source_has_its_horizon(tmp_path: Path) -> None:
    write_runs(tmp_path, log("a", horizon=NOON))
    write_runs(tmp_path, log("a", source="swf"))
    write_runs(tmp_path, log("a", horizon=NOON.replace(hour=14)))
    assert sorted(horizons(tmp_path)) == [
        ("slurm", "2026-03-02T14:00:00.000000Z"),
        ("swf", "2026-03-02T12:00:00.000000Z"),
    ]


def test_open_runs_without_a_horizon_are_warned_of(tmp_path: Path) -> None:
    still = runs("a").with_columns(ended_at=pl.lit(None, dtype=pl.Datetime("us", "UTC")))
    report = write_runs(tmp_path, log("a", runs=still))
    assert any("1 runs have no end and no horizon was given" in w for w in report.warnings)


def test_runs_that_end_after_the_horizon_are_warned_of(tmp_path: Path) -> None:
    report = write_runs(tmp_path, log("a", horizon=NOON.replace(hour=11)))
    assert any("1 runs end after the horizon" in w for w in report.warnings)


# ---------------------------------------------------------------- the same work in two logs


@pytest.mark.parametrize(("ref", "later"), [("4410", 0), ("proj/4410", 0), ("4411", 0), ("4410", 60)])
def test_a_run_that_is_also_in_the_schedulers_log_is_reported(tmp_path: Path, ref: str, later: int) -> None:
    """Same number at the same time; the number alone may come from another cluster."""
    other = runs("lane", external_ref=[ref]).with_columns(pl.col("started_at", "ended_at") + pl.duration(minutes=later))
    write_runs(tmp_path, log("lane", source="cryosparc", runs=other.with_columns(run_id=pl.lit("P3-J15"))))
    report = write_runs(tmp_path, log("hpc/gpu", runs=runs("hpc/gpu", external_ref=["4410"])))
    twice = ref.endswith("4410") and not later
    assert double_counted(tmp_path).rows() == ([("P3-J15", "cryosparc", ref, "r0")] if twice else [])
    assert any("count twice (P3-J15 = r0)" in w for w in report.warnings) == twice
