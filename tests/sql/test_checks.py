"""Every check passes on sound runs, finds a table that was damaged, and is silent where its tables were not asked for."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars import col

from pipeline import catalog, checks, views
from pipeline.errors import CheckFailed
from pipeline.settings import Settings
from tests.sql.published import files_of, publish

Damage = Callable[[pl.DataFrame], pl.DataFrame]
HOUR = pl.duration(hours=1)


def changed(column: str, value: pl.Expr, where: pl.Expr | None = None) -> Damage:
    """One row (the first of `where`) with another value."""

    def damage(frame: pl.DataFrame) -> pl.DataFrame:
        hit = pl.lit(True) if where is None else where
        first = frame.with_row_index("at").filter(hit)["at"][0]
        return frame.with_columns(
            pl.when(pl.int_range(pl.len()) == first).then(value).otherwise(pl.col(column)).alias(column)
        )

    return damage


def without(where: pl.Expr) -> Damage:
    """Without the first row of `where`."""

    def damage(frame: pl.DataFrame) -> pl.DataFrame:
        first = frame.with_row_index("at").filter(where)["at"][0]
        return frame.filter(pl.int_range(pl.len()) != first)

    return damage


def copied(out: Path, tmp_path: Path, table: str, damage: Damage) -> Path:
    """A run directory like OUT/current with the rows of one table damaged, all in one file."""
    run = tmp_path / "run"
    shutil.copytree(out / "current", run)
    files = sorted((run / table.replace(".", "/")).glob("*.parquet"))
    frame = damage(pl.concat([pl.read_parquet(f, glob=False) for f in files]))
    for file in files:
        file.unlink()
    frame.write_parquet(files[0])
    return run


def failing(run: Path, settings: Settings | None = None) -> set[str]:
    return set(catalog.failing_checks(run, settings or Settings()))


server = col.server_id
in_use = col.raw_nb_of_instances > 0
DAMAGES: list[tuple[str, str, Damage]] = [
    ("server_need_is_the_sum_of_its_jobs", "need.server", changed("ram_need", col.ram_need + 1)),
    ("server_need_is_the_sum_of_its_jobs", "need.server", changed("compute_need", col.compute_need * 1.001, col.compute_need > 0)),
    ("server_need_is_the_sum_of_its_jobs", "need.job", without(col.compute_need > 0)),
    ("occurrences_reach_the_jobs", "need.job", changed("occurrences", col.occurrences + 1)),
    ("occurrences_reach_the_jobs", "need.occurrence", changed("hour", col.hour + HOUR, col.occurrences > 0)),
    ("occurrences_reach_the_jobs", "need.occurrence", without(col.occurrences > 0)),
    ("occurrences_last_their_duration", "need.job", changed("avg_occurrences", col.avg_occurrences * 1.01, (col.job_id == "home") & (col.avg_occurrences > 0))),
    ("occurrences_last_their_duration", "derived.job", changed("request_duration", col.request_duration + 1)),
    ("starts_reach_the_occurrences", "need.occurrence", changed("occurrences", pl.lit(0.0), (col.job_id == "home") & (col.occurrences > 0))),
    ("starts_reach_the_occurrences", "need.usage_pattern", changed("starts", col.starts + 1, col.usage_pattern_id == "in_dk")),
    ("servers_have_all_their_hours", "energy.server", without(server == "web")),
    ("servers_have_all_their_hours", "instances.server", without(server == "spare")),
    ("servers_have_all_their_hours", "need.server", changed("hour", col.hour - 100 * HOUR, server == "web")),
    ("capacity_is_positive", "instances.capacity", changed("available_ram_per_instance", pl.lit(0.0))),
    ("capacity_is_positive", "instances.capacity", changed("occupied_compute_per_instance", col.occupied_compute_per_instance + 1)),
    ("capacity_is_positive", "instances.capacity", without(server == "spare")),
    ("instances_carry_the_need", "instances.server", changed("nb_of_instances", col.raw_nb_of_instances / 2, in_use)),
    ("instances_carry_the_need", "instances.server", changed("raw_nb_of_instances", col.raw_nb_of_instances * 1.01, in_use)),
    ("serverless_runs_what_is_asked", "instances.server", changed("nb_of_instances", pl.lit(1.0), server == "api")),
    ("autoscaling_rounds_up", "instances.server", changed("nb_of_instances", pl.lit(1.5), (server == "web") & in_use)),
    ("autoscaling_rounds_up", "instances.server", changed("nb_of_instances", col.nb_of_instances + 1, server == "web")),
    ("autoscaling_rounds_up", "instances.server", changed("nb_of_instances", pl.lit(1.0), (server == "web") & (col.nb_of_instances == 0))),
    ("on_premise_is_constant", "instances.server", changed("nb_of_instances", pl.lit(2.0), server == "db")),
    ("on_premise_is_constant", "instances.server", lambda f: f.with_columns(nb_of_instances=col.nb_of_instances + 0.5)),
    ("on_premise_is_constant", "instances.server", lambda f: f.with_columns(nb_of_instances=pl.when(server == "cluster").then(3.0).otherwise(col.nb_of_instances))),
    ("on_premise_is_constant", "instances.server", lambda f: f.with_columns(nb_of_instances=pl.when(server == "db").then(col.nb_of_instances + 1).otherwise(col.nb_of_instances))),
    ("energy_is_idle_and_load", "energy.server", changed("instances_energy", col.instances_energy * 1.001, col.instances_energy > 0)),
    ("energy_is_idle_and_load", "energy.server", changed("energy_footprint", col.energy_footprint * 1.001, col.energy_footprint > 0)),
    ("energy_follows_the_instances", "energy.server", changed("idle_energy", col.idle_energy + 1, server == "web")),
    ("energy_follows_the_instances", "energy.server", changed("load_energy", col.load_energy + 1, server == "web")),
    ("energy_follows_the_instances", "energy.server", changed("instances_fabrication_footprint", pl.lit(9.0), server == "web")),
    ("server_shares_sum_to_one", "repartition.server", changed("share", col.share * 0.99, col.weight > 0)),
    ("server_shares_sum_to_one", "repartition.server", changed("share", pl.lit(None, pl.Float64), col.weight > 0)),
    ("server_shares_sum_to_one", "repartition.server", changed("weight_sum", col.weight_sum * 2, (server == "web") & (col.weight > 0))),
    ("storage_shares_sum_to_one", "repartition.storage", changed("share", col.share * 0.99)),
    ("storage_shares_sum_to_one", "repartition.storage", changed("weight", col.weight + 1)),
    ("container_shares_sum_to_one", "repartition.job", changed("fabrication_share", col.fabrication_share / 2, col.fabrication_weight > 0)),
    ("container_shares_sum_to_one", "repartition.job", changed("usage_share", col.usage_share / 2, col.usage_weight > 0)),
    ("container_shares_sum_to_one", "repartition.job", changed("usage_weight", col.usage_weight * 1.1, col.usage_weight > 0)),
    ("container_shares_sum_to_one", "repartition.job", without((server == "api") & (col.usage_weight > 0))),
    ("container_shares_sum_to_one", "repartition.job", changed("fabrication_weight", col.fabrication_weight * 1.1, server == "cluster")),
    ("container_shares_sum_to_one", "repartition.job", changed("usage_share", col.usage_share / 2, server == "cluster")),
    ("container_shares_sum_to_one", "repartition.job", changed("hour", col.hour + HOUR, (server == "api") & (col.usage_weight > 0))),
    ("container_shares_sum_to_one", "repartition.job", changed("usage_share", pl.lit(None, pl.Float64), (server == "api") & (col.usage_weight > 0))),
    ("storage_need_is_the_sum_of_its_jobs", "need.storage", changed("full_cumulative_storage_need", col.full_cumulative_storage_need + 0.001)),
    ("storage_need_is_the_sum_of_its_jobs", "need.storage_job", without(col.cumulative_storage_need > 0)),
    ("storage_instances_carry_the_need", "instances.storage", changed("raw_nb_of_instances", col.raw_nb_of_instances + 0.1)),
    ("storage_instances_carry_the_need", "instances.storage", changed("nb_of_instances", pl.lit(0.0), in_use)),
    ("storage_instances_carry_the_need", "instances.storage", changed("nb_of_instances", pl.lit(5.0), col.storage_id == "disk")),
    ("every_gram_is_attributed_once", "repartition.footprint", changed("footprint", col.footprint * 1.0001)),
    ("every_gram_is_attributed_once", "repartition.footprint", without(col.source_kind == "device")),
    ("every_gram_is_attributed_once", "repartition.footprint", changed("hour", col.hour + 1000 * HOUR)),
    ("every_gram_is_attributed_once", "repartition.footprint", changed("phase", pl.lit("usage"), col.phase == "manufacturing")),
    ("every_gram_is_attributed_once", "energy.network", changed("energy_footprint", col.energy_footprint * 1.1, col.energy_footprint > 0)),
    ("every_gram_is_attributed_once", "energy.storage", without(col.storage_id == "archive")),
    ("runs_hold_what_servers_need", "need.run", changed("core_hours", col.core_hours + 1, col.run_hours > 0)),
    ("runs_hold_what_servers_need", "need.server", changed("ram_need", col.ram_need + 1, (server == "cluster") & (col.ram_need > 0))),
    ("runs_last_their_hours", "need.run", changed("run_hours", col.run_hours * 1.1, col.run_hours > 0)),
    ("runs_last_their_hours", "need.run", changed("runs_started", col.runs_started + 1)),
    ("runs_last_their_hours", "need.job", without((server == "cluster") & (col.avg_occurrences > 0))),
    ("service_volumes_are_their_jobs", "need.service", changed("job_volume", col.job_volume + 1)),
    ("service_volumes_are_their_jobs", "need.service", without(col.job_volume > 0)),
    ("single_keys.need.job", "need.job", lambda f: pl.concat([f, f.head(1)])),
    ("single_keys.need.run", "need.run", lambda f: pl.concat([f, f.tail(1)])),
    ("single_keys.derived.server", "derived.server", lambda f: pl.concat([f, f.head(1)])),
    ("single_keys.derived.cell", "derived.cell", lambda f: pl.concat([f, f.head(1)])),
    ("single_keys.energy.network", "energy.network", lambda f: pl.concat([f, f.head(1)])),
    ("single_keys.repartition.footprint", "repartition.footprint", lambda f: pl.concat([f, f.filter(col.source_kind == "device").head(1)])),
    ("single_keys.repartition.footprint", "repartition.footprint", lambda f: pl.concat([f, f.filter(col.source_kind == "server").head(1)])),
    ("whole_rows.need.occurrence", "need.occurrence", changed("occurrences", pl.lit(None, pl.Float64))),
    ("whole_rows.need.server", "need.server", changed("ram_need", pl.lit(float("nan")))),
    ("whole_rows.energy.server", "energy.server", changed("carbon_intensity", pl.lit(float("inf")))),
    ("whole_rows.energy.server", "energy.server", changed("idle_energy", pl.lit(float("-inf")))),
    ("whole_rows.derived.job", "derived.job", changed("ram_needed", pl.lit(float("nan")))),
    ("whole_rows.derived.server", "derived.server", changed("server_type", pl.lit(None, pl.String))),
    ("whole_rows.repartition.footprint", "repartition.footprint", changed("source_id", pl.lit(None, pl.String))),
]  # fmt: skip


@pytest.mark.parametrize("settings", ["out", "base", "by_month", "empty"])
def test_sound_runs_pass(settings: str, request: pytest.FixtureRequest) -> None:
    grain = "month" if settings == "by_month" else "hour"
    root = request.getfixturevalue(settings) / "current"
    assert failing(root, Settings(attribution_grain=grain, columns="base" if settings == "base" else "all")) == set()


@pytest.mark.parametrize(
    ("check", "table", "damage"), DAMAGES, ids=[f"{c}-{t}-{i}" for i, (c, t, _) in enumerate(DAMAGES)]
)
def test_finds_the_damage(out: Path, tmp_path: Path, check: str, table: str, damage: Damage) -> None:
    failures = catalog.failing_checks(copied(out, tmp_path, table, damage), Settings())
    assert check in failures
    assert failures[check].culprits


def test_every_written_check_has_a_damage_that_it_finds() -> None:
    assert {c.name for c in checks.written()} <= {check for check, _, _ in DAMAGES}


def test_every_table_is_looked_at_for_keys_and_empty_cells(out: Path) -> None:
    tables = views.stored_in((out / "current").resolve())
    named = {c.name for c in checks.applying(tables, Settings())}
    assert all(t.rows for n, t in tables.items() if not n.startswith("input."))
    for name in (n for n in tables if not n.startswith("input.")):
        assert {f"single_keys.{name}", f"whole_rows.{name}"} <= named


def test_month_by_month_the_grams_are_looked_at_per_period(by_month: Path, tmp_path: Path) -> None:
    month = Settings(attribution_grain="month")
    damaged = copied(by_month, tmp_path, "repartition.footprint", changed("footprint", col.footprint * 1.0001))
    assert "every_gram_is_attributed_once" in failing(damaged, month)
    assert "every_gram_is_attributed_once" in failing(by_month / "current", Settings(attribution_grain="hour"))


def test_base_columns_are_looked_at_too(base: Path, tmp_path: Path) -> None:
    settings = Settings(columns="base")
    damaged = copied(base, tmp_path, "need.job", changed("avg_occurrences", col.avg_occurrences + 1))
    assert "server_need_is_the_sum_of_its_jobs" in failing(damaged, settings)


def test_tables_not_asked_for_raise_no_alarm(tmp_path: Path) -> None:
    for i, tables in enumerate(
        ["core", "need.job", "repartition.footprint", "energy.server,energy.storage", "instances.storage"]
    ):
        publish(tmp_path / str(i), tables=tables)


def test_checks_of_absent_tables_do_not_run(out: Path) -> None:
    tables = views.stored_in((out / "current").resolve())
    run = {c.name for c in checks.applying(tables, Settings(tables="core"))}
    assert "server_need_is_the_sum_of_its_jobs" in run
    assert not run & {"every_gram_is_attributed_once", "occurrences_reach_the_jobs", "single_keys.need.run"}
    for check in checks.applying(tables, Settings(tables="core")):
        assert check.tables <= Settings(tables="core").wanted


BY_HOUR = {
    "energy_follows_the_instances",
    "instances_carry_the_need",
    "server_need_is_the_sum_of_its_jobs",
    "storage_need_is_the_sum_of_its_jobs",
}


def test_checks_of_two_tables_by_the_hour_can_be_asked_side_by_side() -> None:
    assert {c.name for c in checks.written() if c.side_by_side() is not None} == BY_HOUR


class Recorded:
    """A connection that remembers what it was asked."""

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        self.con, self.asked = con, list[str]()

    def execute(self, sql: str) -> duckdb.DuckDBPyConnection:
        self.asked.append(sql)
        return self.con.execute(sql)

    def sql(self, sql: str) -> duckdb.DuckDBPyRelation:
        self.asked.append(sql)
        return self.con.sql(sql)


@pytest.mark.parametrize(("few", "laid"), [({"energy.server"}, True), ({"instances.server"}, False)])
def test_only_tables_of_few_rows_are_laid_side_by_side_and_then_not_joined(
    out: Path, few: set[str], laid: bool
) -> None:
    check = next(c for c in checks.written() if c.name == "energy_follows_the_instances")
    con: Any = Recorded(catalog.connect(catalog.run_directory(out)))
    assert catalog.culprits(con, check, frozenset(few)) == []
    assert ["POSITIONAL JOIN" in sql for sql in con.asked] == [laid]


@pytest.mark.parametrize("table", ["need.server", "instances.server", "energy.server"])
def test_rows_in_another_order_raise_no_alarm(out: Path, tmp_path: Path, table: str) -> None:
    shuffled = copied(out, tmp_path, table, lambda f: f.sample(fraction=1, shuffle=True, seed=1))
    assert failing(shuffled) == set()


KEYS = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 2)), unique=True, max_size=6)


@settings(max_examples=150, deadline=None)
@given(
    one=KEYS, other=KEYS, same=st.booleans(), of=st.sets(st.sampled_from("ab")), wrong=st.integers(0, 6),
    word=st.sampled_from(["JOIN", "FULL JOIN", "LEFT JOIN"]), dimension=st.sampled_from(["JOIN", "LEFT JOIN", ""]),
)  # fmt: skip
def test_side_by_side_nothing_is_overlooked(
    one: list[tuple[str, int]], other: list[tuple[str, int]], same: bool, of: set[str], wrong: int, word: str, dimension: str
) -> None:  # fmt: skip
    rows = {"x": one, "y": one if same else other}
    con = duckdb.connect()
    con.execute("CREATE SCHEMA t; CREATE TABLE t.of (id VARCHAR, z INTEGER)")
    for name in sorted(of):
        con.execute("INSERT INTO t.of VALUES (?, 1)", [name])
    for column, keys in rows.items():
        con.execute(f"CREATE TABLE t.of_{column} (id VARCHAR, hour INTEGER, {column} INTEGER)")
        for n, key in enumerate(keys):
            con.execute(f"INSERT INTO t.of_{column} VALUES (?, ?, ?)", [*key, 5 if column == "x" and n == wrong else 1])
    joined = f" {dimension} t.of USING (id)" if dimension else ""
    sql = f"SELECT id, hour FROM t.of_x AS a {word} t.of_y AS b USING (id, hour){joined} WHERE coalesce(x, 0) <> coalesce(y, 0)"
    quick = checks.Check("", "", frozenset(), sql).side_by_side()
    assert quick is not None
    found, looked = (con.execute(f"SELECT count(*) FROM ({q})").fetchall()[0][0] for q in (sql, quick[1]))
    assert looked > 0 or found == 0
    if same and of == {"a", "b"} and wrong >= len(one):
        assert looked == 0


def test_every_check_names_the_tables_it_reads() -> None:
    for check in checks.written():
        read = {m for m in views.LibraryView("", Path(), "", (), {}, check.sql).reads if m in views.OUTPUTS}
        totals = {f"{family}.{table}" for _, family, table in checks.TALLIED.findall(check.sql)}
        assert read | totals == check.tables, check.name


def test_many_hours_and_series_are_counted_by_sets(out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "MANY_BITS", 1)
    assert failing(out / "current") == set()
    assert "single_keys.need.job" in failing(copied(out, tmp_path, "need.job", lambda f: pl.concat([f, f.head(1)])))


def test_an_application_may_run_on_several_servers(tmp_path: Path) -> None:
    from tests.sql.published import model_tables

    tables = model_tables()
    run = "9,slurm,{},solver,in_fr,ann,2025-01-31T12:00:00Z,2025-01-31T13:00:00Z,2025-01-31T14:00:00Z,4,8,\n"
    tables["job_runs"] += run.format("cluster") + run.format("spare").replace("9,slurm", "10,slurm")
    tables["job_runs"] = "\n".join(
        f"{line},{'data_transferred' if i == 0 else 5}"
        for i, line in enumerate(tables["job_runs"].strip().splitlines())
    )
    out = publish(tmp_path / "m", tables)
    doubled = pl.concat([pl.read_parquet(f) for f in files_of(out, "energy.network")]).filter(col.job_id == "solver")
    assert doubled.select("network_id", "job_id", "usage_pattern_id", "hour").is_duplicated().any()


def test_a_failure_names_the_check_its_promise_and_the_culprits(out: Path, tmp_path: Path) -> None:
    damaged = copied(out, tmp_path, "instances.server", changed("nb_of_instances", pl.lit(1.0), server == "api"))
    with pytest.raises(CheckFailed) as told:
        checks.refuse_failures(catalog.failing_checks(damaged, Settings()))
    line = next(t for t in str(told.value).splitlines() if "serverless_runs" in t)
    assert "as many instances run as are asked for" in line
    assert "server_id=api" in line
    assert "nb_of_instances=1.0" in line


def test_no_failure_is_no_error() -> None:
    checks.refuse_failures({})


def test_a_failing_check_publishes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    never = checks.Check("never", "nothing holds.", frozenset(), "SELECT 1 AS culprit")
    out = publish(tmp_path / "m")
    before = (out / "current").resolve()
    monkeypatch.setattr(checks, "written", lambda: (never,))
    from pipeline.run import How, run

    with pytest.raises(CheckFailed, match="check never: nothing holds"):
        run(tmp_path / "m" / "model", out, Settings(workers=1), how=How(fresh=True))
    assert (out / "current").resolve() == before
