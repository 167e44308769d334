"""Views over a run, and a query that can neither write nor look elsewhere, whatever is asked of it."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline import catalog, views
from pipeline.dims import COPIED
from pipeline.errors import InputError
from pipeline.rendering import printable
from pipeline.tables import INPUTS, OUTPUTS
from tests.sql.published import EMPTY, files_of, publish, rows_of


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish(tmp_path_factory.mktemp("catalog") / "it's a=1 [x], 50%;--")


@pytest.fixture(scope="module")
def con(out: Path) -> duckdb.DuckDBPyConnection:
    return catalog.connect(catalog.run_directory(out), comments=True)


# ---------------------------------------------------------------- views


@pytest.mark.parametrize("table", OUTPUTS)
def test_every_output_table_is_a_view_with_its_rows(out: Path, con: duckdb.DuckDBPyConnection, table: str) -> None:
    got = con.sql(f"FROM {table}").pl()
    assert got.columns == list(OUTPUTS[table].columns)
    assert got.sort(got.columns).equals(rows_of(out, table).select(got.columns).sort(got.columns), null_equal=True)


@pytest.mark.parametrize("table", COPIED)
def test_small_inputs_are_views_too(con: duckdb.DuckDBPyConnection, table: str) -> None:
    assert con.sql(f'FROM input."{table}"').columns == list(INPUTS[table].columns)


def test_comments_are_the_dictionarys(con: duckdb.DuckDBPyConnection) -> None:
    rows = con.sql("SELECT schema_name || '.' || table_name, column_name, comment FROM duckdb_columns()").fetchall()
    said = {(t, c): comment for t, c, comment in rows}
    for name, table in OUTPUTS.items():
        for column in table.columns.values():
            expected = f"{column.description} [{column.unit}]" if column.unit else column.description
            assert said[name, column.name] == expected
    described = dict(con.sql("SELECT schema_name || '.' || view_name, comment FROM duckdb_views()").fetchall())
    assert described["need.job"] == OUTPUTS["need.job"].description
    assert all(described[v.view] == v.answers for v in views.library() if not v.is_macro)


def test_a_model_with_little_in_it_has_every_view(tmp_path: Path) -> None:
    con = catalog.connect(catalog.run_directory(publish(tmp_path / "m", EMPTY)))
    for table in OUTPUTS:
        assert con.sql(f"FROM {table}").columns == list(OUTPUTS[table].columns)


def test_detail_tables_of_records_are_views_where_there_are_any(out: Path, tmp_path: Path) -> None:
    root = tmp_path / "run"
    shutil.copytree(out / "current", root)
    name, table = next(iter(catalog.views.DETAILS.items()))
    (root / "source" / name).mkdir(parents=True)
    table.empty().write_parquet(root / "source" / name / "part-all.parquet")
    assert catalog.connect(root).sql(f'FROM source."{name}"').columns == list(table.columns)


def test_a_run_is_pinned_while_one_looks_at_it(tmp_path: Path) -> None:
    out = publish(tmp_path / "m")
    con = catalog.connect(catalog.run_directory(out))
    before = con.sql("SELECT count(*) FROM energy.server").fetchall()
    (out / "current").unlink()
    assert con.sql("SELECT count(*) FROM energy.server").fetchall() == before


def test_no_run_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no run here"):
        catalog.query(tmp_path, "SELECT 1")


def test_half_a_run_is_said_so(out: Path, tmp_path: Path) -> None:
    root = tmp_path / "run"
    shutil.copytree(out / "current", root)
    (root / "run.json").write_text("{")
    with pytest.raises(InputError, match=r"run\.json cannot be read"):
        catalog.query(root, "SELECT 1")


@pytest.mark.parametrize("grain", ["hour", "day", "month"])
def test_a_period_begins_where_the_calendar_says(grain: str) -> None:
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        for statement in views.setting_macros(grain):
            con.execute(statement)
        odd = con.sql(
            f"""SELECT moment, attribution_period(moment)
            FROM (SELECT timestamptz '1900-01-01' + to_microseconds(i * 1234567890123) AS moment FROM range(10000) AS r(i)
                UNION ALL SELECT timestamptz '1960-02-29 05:00' UNION ALL SELECT NULL)
            WHERE attribution_period(moment) IS DISTINCT FROM timezone('UTC', date_trunc('{grain}', timezone('UTC', moment)))"""
        )
        assert odd.pl().is_empty()


# ---------------------------------------------------------------- queries


def test_the_last_result_of_several_statements(out: Path) -> None:
    sql = "SELECT 1 AS a; CREATE TEMP TABLE t AS SELECT 2 AS b; SET VARIABLE n = 40; SELECT b + getvariable('n') AS c FROM t; DROP TABLE t"
    assert catalog.query(out, sql).to_pylist() == [{"c": 42}]


def test_a_file_of_sql(out: Path, tmp_path: Path) -> None:
    file = tmp_path / "question.sql"
    file.write_text("-- how many\nSELECT count(*) AS n\nFROM derived.server;\n")
    assert catalog.query(out, str(file)).to_pylist() == [{"n": 5}]
    with pytest.raises(InputError, match=r"nowhere\.sql: cannot be read"):
        catalog.query(out, str(tmp_path / "nowhere.sql"))


def test_sums_of_whole_numbers_are_whole_numbers(out: Path) -> None:
    got = catalog.query(
        out,
        "SELECT sum(runs_started) AS n, sum(9223372036854775807::HUGEINT * i) AS big FROM need.run, range(3) AS r(i)",
    )
    assert got.schema.field("n").type == pa.int64()
    assert got.schema.field("big").type == pa.float64()


def test_pivot_describe_summarize_and_explain_answer(out: Path) -> None:
    for sql in (
        "PIVOT energy.server ON server_id USING sum(idle_energy) GROUP BY hour",
        "DESCRIBE need.job",
        "SUMMARIZE need.server",
        "SHOW ALL TABLES",
        "EXPLAIN SELECT 1",
        "explain analyze from need.job",
    ):
        assert catalog.query(out, sql).num_rows > 0


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("SELEC 1", 'SQL: Parser Error: syntax error at or near "SELEC" (line 1)'),
        ("SELECT *\nFROM need.jobs", "SQL: Catalog Error: Table with name jobs does not exist!"),
        ("SELECT x FROM need.job", 'SQL: Binder Error: Referenced column "x"'),
        ("", "the query is empty; try: FROM energy.server LIMIT 5"),
        (" ; -- nothing", "the query is empty"),
        ("SELECT 'a'::INT", "SQL: Conversion Error"),
    ],
)
def test_wrong_sql_is_one_clear_line(out: Path, sql: str, told: str) -> None:
    with pytest.raises(InputError) as error:
        catalog.query(out, sql)
    assert str(error.value).startswith(told)
    assert "\n" not in str(error.value)


def test_ids_with_quotes_are_ids(out: Path) -> None:
    hostile = "'; DROP TABLE x; --"
    got = catalog.query(out, f"SELECT {views.literal(hostile)} AS {views.name('a b' + chr(34))}").to_pylist()
    assert list(got[0].values()) == [hostile]


# ---------------------------------------------------------------- locked


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    pl.DataFrame({"secret": [1]}).write_parquet(tmp_path / "secret.parquet")
    (tmp_path / "secret.csv").write_text("secret\n1\n")
    (tmp_path / "secret.json").write_text('{"secret": 1}')
    with duckdb.connect(str(tmp_path / "secret.db")) as other:
        other.execute("CREATE TABLE t AS SELECT 1 AS secret")
    return tmp_path


READING = [
    "FROM read_parquet('{0}/secret.parquet')",
    "FROM '{0}/secret.parquet'",
    "FROM '{0}/*.parquet'",
    "FROM read_csv('{0}/secret.csv')",
    "FROM '{0}/secret.csv'",
    "FROM sniff_csv('{0}/secret.csv')",
    "FROM read_text('{0}/secret.csv')",
    "FROM read_blob('{0}/secret.csv')",
    "FROM read_json('{0}/secret.json')",
    "FROM read_ndjson_objects('{0}/secret.json')",
    "FROM glob('{0}/*')",
    "FROM glob('/etc/*')",
    "FROM read_text('/etc/passwd')",
    "FROM read_text('/proc/self/environ')",
    "FROM read_text('{1}/../../../model/servers.csv')",
    "FROM read_text('{1}/../../.lock')",
    "FROM glob('{1}/../*')",
    "FROM parquet_metadata('{0}/secret.parquet')",
    "FROM parquet_schema('{0}/secret.parquet')",
    "FROM parquet_kv_metadata('{0}/secret.parquet')",
    "FROM read_csv('https://example.com/a.csv')",
    "FROM read_parquet('s3://bucket/a.parquet')",
    "FROM read_duckdb('{0}/secret.db')",
    "ATTACH '{0}/secret.db' AS other",
    "ATTACH '{0}/secret.db' AS other (READ_ONLY)",
    "IMPORT DATABASE '{0}'",
    "SELECT getenv('HOME')",
    "FROM query('FROM read_text(''/etc/passwd'')')",
    "FROM query_table('{0}/secret.parquet')",
    "CREATE VIEW v AS FROM '{0}/secret.parquet'; FROM v",
    "CREATE MACRO m(f) AS TABLE FROM read_text(f); FROM m('/etc/passwd')",
    "COPY t FROM '{0}/secret.csv'",
    "SELECT * FROM out",
    "SELECT * FROM sql",
]
WRITING = [
    "COPY (SELECT 1) TO '{0}/made.csv'",
    "COPY (SELECT 1) TO '{1}/made.csv'",
    "COPY (SELECT 1) TO '{1}/need/job/made.parquet'",
    "EXPLAIN ANALYZE COPY (SELECT 1) TO '{1}/made.csv'",
    "EXPLAIN (ANALYZE) COPY (SELECT 1) TO '{1}/made.csv'",
    "/* x */ EXPLAIN /* y */ ANALYZE COPY (SELECT 1) TO '{1}/made.csv'",
    "PREPARE p AS COPY (SELECT 1) TO '{1}/made.csv'; EXECUTE p",
    "FROM query('COPY (SELECT 1) TO ''{1}/made.csv''')",
    "WITH a AS (SELECT 1) COPY (FROM a) TO '{1}/made.csv'",
    "EXPORT DATABASE '{1}/made'",
    "EXPORT DATABASE '{0}/made'",
    "ATTACH '{1}/made.db'",
    "ATTACH '{0}/made.db'",
    "ATTACH 'made.db'",
    "INSTALL httpfs",
    "FORCE INSTALL httpfs FROM community",
    "LOAD httpfs",
    "LOAD '{0}/made.duckdb_extension'",
    "UPDATE EXTENSIONS",
    "SET enable_external_access = true",
    "SET lock_configuration = false",
    "SET allowed_directories = ['/']",
    "SET allowed_paths = ['/etc/passwd']",
    "SET temp_directory = '{0}/made'",
    "SET file_search_path = '/'",
    "SET home_directory = '{0}'",
    "SET log_query_path = '{0}/made.log'",
    "SET python_enable_replacements = true",
    "RESET enable_external_access",
    "PRAGMA enable_profiling = 'json'",
    "PRAGMA profiling_output = '{0}/made'",
    "CALL enable_logging(storage = 'file', storage_path = '{0}/made')",
    "FROM enable_logging(storage = 'file', storage_config = {{'path': '{0}/made'}})",
    "CREATE PERSISTENT SECRET s (TYPE http, BEARER_TOKEN 'x')",
    "VACUUM",
    "CHECKPOINT",
]


def everything_below(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*")}


@pytest.mark.parametrize("sql", [*READING, *WRITING])
def test_a_query_sees_its_run_and_changes_nothing(
    out: Path, outside: Path, sql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(outside)
    quoted = str(catalog.run_directory(out)).replace("'", "''")
    before, files = everything_below(out), everything_below(outside)
    with pytest.raises(InputError):
        catalog.query(out, sql.format(outside, quoted))
    assert everything_below(out) == before
    assert everything_below(outside) == files


@pytest.mark.parametrize("sql", [s for s in READING if "getenv" not in s and "COPY" not in s])
def test_the_connection_itself_is_locked_not_only_the_query(out: Path, outside: Path, sql: str) -> None:
    con = catalog.connect(catalog.run_directory(out))
    quoted = str(catalog.run_directory(out)).replace("'", "''")
    with pytest.raises(duckdb.Error):
        con.execute(sql.format(outside, quoted))


@pytest.mark.parametrize(
    "sql", [s for s in WRITING if "{0}" in s or s.startswith("SET") or "INSTALL" in s or "LOAD" in s]
)
def test_the_connection_writes_nothing_outside_its_run(out: Path, outside: Path, sql: str) -> None:
    con = catalog.connect(catalog.run_directory(out))
    quoted = str(catalog.run_directory(out)).replace("'", "''")
    before = everything_below(outside)
    with pytest.raises(duckdb.Error):
        con.execute(sql.format(outside, quoted))
    assert everything_below(outside) == before


def test_what_a_query_makes_is_gone_afterwards(out: Path) -> None:
    catalog.query(out, "CREATE OR REPLACE VIEW need.job AS SELECT 1 AS x; DROP VIEW energy.server")
    assert catalog.query(out, "FROM need.job LIMIT 1").column_names == list(OUTPUTS["need.job"].columns)
    assert catalog.query(out, "FROM energy.server").num_rows > 0


def test_a_flag_opens_the_door(out: Path, outside: Path) -> None:
    assert catalog.query(out, f"FROM '{outside}/secret.parquet'", allow_files=True).to_pylist() == [{"secret": 1}]
    catalog.query(out, f"COPY (FROM energy.server) TO '{outside}/made.csv'", allow_files=True)
    assert (outside / "made.csv").exists()


def test_a_large_sort_leaves_nothing_behind(out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    got = catalog.query(out, "SELECT max(x) AS m FROM (SELECT hash(i) AS x FROM range(3000000) AS r(i) ORDER BY x)")
    assert got.num_rows == 1
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------- rendering

HOSTILE = [
    "=cmd|' /C calc'!A0",
    "+1+cmd",
    "-x",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "＝1",
    "-1.5",
    "plain",
    "a\x1b[2Jb",
    "a\u202eb",
    "line\nbreak",
    None,
]


@pytest.fixture
def hostile() -> pa.Table:
    return pa.table({"id": HOSTILE, "=n": [-1.5] * len(HOSTILE)})


def test_csv_runs_no_formula(hostile: pa.Table) -> None:
    text = catalog.render(hostile, "csv")
    assert isinstance(text, str)
    got = pl.read_csv(text.encode(), infer_schema=False)
    assert got.columns == ["id", "'=n"]
    assert got["id"].to_list()[:9] == ["'" + h for h in HOSTILE[:7]] + ["-1.5", "plain"]  # type: ignore[operator]
    assert set(got["'=n"]) == {"-1.5"}


def test_a_terminal_is_not_steered(hostile: pa.Table) -> None:
    text = catalog.render(hostile, "table")
    assert isinstance(text, str)
    assert all(c.isprintable() or c == "\n" for c in text)
    assert "a\\x1b[2Jb" in text
    assert "a\\u202eb" in text
    assert printable("héé \x9b") == "héé \\x9b"


def test_json_escapes_what_steers_and_knows_no_nan(hostile: pa.Table) -> None:
    text = catalog.render(hostile, "json")
    assert isinstance(text, str)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert [r["id"] for r in json.loads(text)] == HOSTILE
    assert json.loads(catalog.render(pa.table({"x": [float("nan"), float("inf"), 1.0]}), "json")) == [
        {"x": None},
        {"x": None},
        {"x": 1.0},
    ]


def test_instants_are_utc_in_every_format(out: Path) -> None:
    got = catalog.query(
        out,
        "SELECT min(hour) AS first, min(hour) + INTERVAL 1500 MILLISECOND AS later, min(hour)::DATE AS day FROM energy.server",
    )
    assert (
        catalog.render(got, "csv") == "first,later,day\n2025-01-31T12:00:00Z,2025-01-31T12:00:01.500000Z,2025-01-31\n"
    )
    assert json.loads(catalog.render(got, "json"))[0] == {
        "first": "2025-01-31T12:00:00Z",
        "later": "2025-01-31T12:00:01.500000Z",
        "day": "2025-01-31",
    }
    assert "2025-01-31T12:00:00Z" in catalog.render(got, "table")


def test_results_of_any_type_are_rendered(out: Path, tmp_path: Path) -> None:
    got = catalog.query(
        out,
        "SELECT [1, 2] AS l, {'a': 'x', 'b': [1.5]} AS s, MAP {'k': 1} AS m, INTERVAL 1 DAY AS i, TIME '01:02:03' AS t, 1.50::DECIMAL(9,2) AS d, "
        "true AS b, 'x'::BLOB AS bin, NULL AS n, 1 AS same, 2 AS same, gen_random_uuid() AS u",
    )
    row = json.loads(catalog.render(got, "json"))[0]
    assert (row["l"], row["s"], row["d"], row["b"], row["n"], row["same"], row["same_1"]) == (
        [1, 2],
        {"a": "x", "b": [1.5]},
        1.5,
        True,
        None,
        1,
        2,
    )
    assert catalog.render(got, "table").count("\n") == 4
    assert catalog.render(got, "csv").splitlines()[0].startswith("l,s,m,i,t,d,b,bin,n,same,same_1,u")
    file = tmp_path / "x.parquet"
    file.write_bytes(catalog.render(got.select(["l", "s", "d", "b"]), "parquet"))  # type: ignore[arg-type]
    assert pq.read_table(file).num_rows == 1


def test_long_results_are_cut_on_a_terminal_only(out: Path) -> None:
    got = catalog.query(out, "SELECT i FROM range(1000) AS r(i)")
    assert "(1000 rows, the first 200 shown" in catalog.render(got, "table")
    assert len(catalog.render(got, "csv").splitlines()) == 1001


def test_no_result_and_no_rows() -> None:
    assert catalog.render(pa.table({}), "table") == "(no result)\n"
    nothing = pa.table({"a": pa.array([], pa.string())})
    assert [catalog.render(nothing, f) for f in ("csv", "json")] == ["a\n", "[]\n"]
    with pytest.raises(InputError, match="one of table, csv, json, parquet"):
        catalog.render(nothing, "xml")


# ---------------------------------------------------------------- plain duckdb

CLI = shutil.which("duckdb") or os.environ.get("WATTROW_TEST_DUCKDB")


def test_the_script_makes_every_view_from_any_of_its_places(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = (out / "current" / "views.sql").read_text()
    for place in (out / "current", out, out.parent, Path("/")):
        monkeypatch.chdir(place)
        con = duckdb.connect()
        con.execute(script)
        for view in [*OUTPUTS, *(v.view for v in views.library() if not v.is_macro)]:
            assert con.sql(f"SELECT count(*) FROM {view}").fetchall()[0][0] >= 0
        assert con.sql("SELECT count(*) FROM energy.server").fetchall() == [(len(rows_of(out, "energy.server")),)]
        assert con.sql("SELECT functional_units FROM sci('runs')").fetchall() == [(3.0,)]


def test_the_script_works_where_the_run_was_moved(out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moved = tmp_path / "elsewhere"
    shutil.copytree(out, moved, symlinks=True)
    script = (moved / "current" / "views.sql").read_text().replace(str(out.resolve()).replace("'", "''"), "/nowhere")
    script = script.replace(str(out.resolve()).replace("'", "''").replace("[", "[[]"), "/nowhere")
    for place in (moved / "current", moved):
        monkeypatch.chdir(place)
        con = duckdb.connect()
        con.execute(script)
        assert con.sql("SELECT count(*) FROM energy.server").fetchall() == [(len(rows_of(out, "energy.server")),)]
    monkeypatch.chdir("/")
    con = duckdb.connect()
    con.execute(f"SET VARIABLE root = '{moved}/current'")
    con.execute(script)
    assert con.sql("SELECT count(*) FROM energy.server").fetchall() == [(len(rows_of(out, "energy.server")),)]


@pytest.mark.skipif(CLI is None, reason="needs the duckdb command line")
def test_the_command_line_reads_the_script(out: Path) -> None:
    asked = [str(CLI), "-init", "current/views.sql", "-csv", "-noheader", "-c", "SELECT count(*) FROM energy.server"]
    done = subprocess.run(asked, cwd=out, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == str(len(rows_of(out, "energy.server")))


def test_every_file_of_a_table_is_read(out: Path, tmp_path: Path) -> None:
    root = tmp_path / "run"
    shutil.copytree(out / "current", root)
    file = files_of(out, "need.run")[0]
    rows = pl.read_parquet(file, glob=False)
    rows.head(1).write_parquet(root / "need" / "run" / "part-another.parquet")
    assert catalog.connect(root).sql("SELECT count(*) FROM need.run").fetchall() == [(len(rows) + 1,)]
