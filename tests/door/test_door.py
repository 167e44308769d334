"""What the door promises beyond single cases: files that change under it, magnitudes, hostile ids through a whole run, row numbers."""

import os

import polars as pl
import pytest

from pipeline import checking, csv_text, folder, model, reading, run, settings
from pipeline.checking import LARGEST, SMALLEST_DIVISOR
from pipeline.errors import InputError
from pipeline.tables import INPUTS
from pipeline.violations import lines
from tests.door.corpus_ids import IDS
from tests.door.models import full, small, write


def refusal_of(folder):
    with pytest.raises(InputError) as refusal:
        model.load(folder)
    return lines(refusal.value.violations)


def while_reading(monkeypatch, change):
    """Do something to a file after its first batch was read."""
    genuine = reading.canonical

    def canonical(file, raw, layout):
        change(file.path)
        return genuine(file, raw, layout)

    monkeypatch.setattr(reading, "canonical", canonical)


CHANGED = "expected a file that stays as it is while it is read"


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.write_text(path.read_text() + "\n"),
        lambda path: os.utime(path, ns=(1, 1)),
        lambda path: path.unlink(),
        lambda path: path.rename(path.with_name("README.csv")),
        lambda path: os.truncate(path, 10),
    ],
    ids=["grows", "is touched", "vanishes", "is moved", "is truncated"],
)
def test_a_file_that_changes_while_it_is_read_is_refused(change, tmp_path, monkeypatch):
    write(small(), tmp_path)
    while_reading(monkeypatch, lambda path: change(path) if path.name == "services.csv" and path.exists() else None)
    assert any(line.endswith(CHANGED) for line in refusal_of(tmp_path))


def test_a_file_that_vanishes_before_it_is_read_is_refused(tmp_path, monkeypatch):
    write(small(), tmp_path)
    while_reading(monkeypatch, lambda path: path.with_name("services.csv").unlink(missing_ok=True))
    assert "services (services.csv): expected a file that can be read (No such file or directory)" in refusal_of(tmp_path)  # fmt: skip


def test_a_file_that_may_not_be_read_is_refused(tmp_path):
    write(small(), tmp_path)
    (tmp_path / "jobs.csv").chmod(0)
    if os.access(tmp_path / "jobs.csv", os.R_OK):
        pytest.skip("this user may read everything")
    assert "jobs (jobs.csv): expected a file that can be read (Permission denied)" in refusal_of(tmp_path)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: None, "no such folder"),
        (lambda folder: folder.write_text(""), "no such folder"),
        (lambda folder: folder.mkdir(), "holds no tables"),
        (lambda folder: folder.symlink_to(folder.name), "no such folder"),
    ],
    ids=["absent", "a file", "empty", "a loop"],
)
def test_a_folder_that_is_no_model_is_refused(make, message, tmp_path):
    make(tmp_path / "model")
    with pytest.raises(InputError, match=message):
        run.run(tmp_path / "model", tmp_path / "out", settings.load(None, {}))


def test_a_model_of_empty_tables_is_read(tmp_path):
    for table in INPUTS.values():
        (tmp_path / f"{table.name}.csv").write_text(",".join(table.columns) + "\n")
    loaded = model.load(tmp_path)
    assert not any(loaded.has(name) for name in INPUTS)
    assert all(len(loaded[name].collect()) == 0 for name in INPUTS)


def test_hostile_ids_pass_through_a_whole_run_unchanged(tmp_path):
    tables = small()
    first = tables["servers"][0], tables["jobs"][0], tables["occurrences"][0]
    for text in IDS.values():
        tables["servers"].append(first[0] | {"server_id": text})
        tables["jobs"].append(first[1] | {"job_id": text, "server_id": text})
        tables["occurrences"].append(
            first[2] | {"job_id": text, "usage_pattern_id": text, "container_id": text}
        )  # fmt: skip
    write(tables, tmp_path / "model")
    run.run(tmp_path / "model", tmp_path / "out", settings.load(None, {"workers": 1}))
    job = pl.read_parquet(tmp_path / "out/current/need/job/*.parquet", hive_partitioning=False)
    odd = job.filter(pl.col("job_id").is_in(list(IDS.values())))
    assert sorted(odd["job_id"].unique()) == sorted(IDS.values())
    assert (odd["job_id"] == odd["server_id"]).all()
    assert (odd["job_id"] == odd["usage_pattern_id"]).all()
    servers = pl.read_parquet(tmp_path / "out/current/energy/server/*.parquet", hive_partitioning=False)
    assert set(IDS.values()) <= set(servers["server_id"])


def extreme(tables, value, divisor):
    """Every quantity at its largest, every one that is divided by at its smallest."""
    for name, rows in tables.items():
        for column in INPUTS[name].columns.values():
            declared = INPUTS[name].schema.columns()[column.name]
            if column.dtype != pl.Float64 or not rows or column.name not in rows[0]:
                continue
            above = getattr(declared, "min_exclusive", None) is not None
            most = getattr(declared, "max", None) or value
            for row in rows:
                row[column.name] = str(divisor if above else min(most, value))
    return tables


def test_no_product_of_inputs_overflows(tmp_path):
    tables = extreme(full(), LARGEST, SMALLEST_DIVISOR)
    for row in [*tables["servers"], *tables["gpu_servers"], *tables["cloud_servers"], *tables["services"], *tables["video_streaming_services"]]:  # fmt: skip
        row |= {"base_ram_consumption": "0", "base_compute_consumption": "0", "fixed_nb_of_instances": "", "utilization_rate": "1"}  # fmt: skip
    for row in tables["services"] + tables["video_streaming_services"]:
        row.pop("fixed_nb_of_instances"), row.pop("utilization_rate")
        if "bits_per_pixel" in row:
            row.pop("base_compute_consumption")
    tables["storages"][0]["fixed_nb_of_instances"] = ""
    for row in (*tables["jobs"], *tables["video_streaming_jobs"]):
        for duration in {"request_duration", "video_duration"} & set(row):
            row[duration] = "7200"
    for row in tables["usage_steps"]:
        row["user_time_spent"] = "1e-15"
    tables["edge_usage_patterns"][0]["usage_span"] = "4"
    tables["storages"][0]["data_storage_duration"] = "48"
    for row in tables["job_runs"]:
        row["cpu_cores"] = row["ram"] = "1e9"
    write(tables, tmp_path / "model")
    run.run(tmp_path / "model", tmp_path / "out", settings.load(None, {"workers": 1}))
    for file in (tmp_path / "out/current").glob("*/*/*.parquet"):
        frame = pl.read_parquet(file, hive_partitioning=False)
        for name, dtype in frame.schema.items():
            if dtype == pl.Float64:
                assert frame[name].drop_nulls().is_finite().all(), (file.parent.name, name)


def test_rows_are_counted_over_blank_and_comma_lines_and_line_breaks(tmp_path):
    write(small(), tmp_path)
    path = tmp_path / "jobs.csv"
    header, first, second = path.read_text().splitlines()
    path.write_text("\n".join([header, "", first, ",,,,,,,,", second.replace("Write", '"Wr\nite"'), "", first.replace("read,Read,farm", "third,T,ghost"), "", ""]))  # fmt: skip
    assert refusal_of(tmp_path) == ["jobs (jobs.csv), row 6, column server_id: found 'ghost'; expected the server_id of a row in servers or gpu_servers or cloud_servers"]  # fmt: skip


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("last", [True, False])
def test_line_ends_marks_and_a_last_line_without_end_make_no_difference(ends, mark, last, tmp_path):
    write(small(), tmp_path / "plain")
    write(small(), tmp_path / "other")
    for path in (tmp_path / "other").iterdir():
        text = path.read_text().replace("\n", ends)
        path.write_bytes((mark + (text if last else text.removesuffix(ends))).encode())
    plain, other = model.load(tmp_path / "plain"), model.load(tmp_path / "other")
    for name in small():
        assert plain[name].collect().equals(other[name].collect())


def test_quoted_headers_and_cells_read_as_plain_ones(tmp_path):
    write(small(), tmp_path / "plain")
    write(small(), tmp_path / "quoted")
    for path in (tmp_path / "quoted").iterdir():
        rows = [",".join(f'"{c}"' for c in line.split(",")) for line in path.read_text().splitlines()]
        path.write_text("\ufeff" + "\n".join(rows) + "\n")
    plain, quoted = model.load(tmp_path / "plain"), model.load(tmp_path / "quoted")
    for name in small():
        assert plain[name].collect().equals(quoted[name].collect())


def test_a_folder_of_files_with_columns_in_any_order_is_one_table(tmp_path):
    write(small(), tmp_path)
    header, *rows = (line.split(",") for line in (tmp_path / "occurrences.csv").read_text().splitlines())
    (tmp_path / "occurrences.csv").unlink()
    for number, part in enumerate([rows[:2], rows[2:]]):
        folder = tmp_path / "occurrences" / f"part{number}"
        folder.mkdir(parents=True)
        lines_of_part = [header, *part] if number else [header[::-1], *(r[::-1] for r in part)]
        (folder / "x.csv").write_text("\n".join(",".join(line) for line in lines_of_part))
    (tmp_path / "occurrences" / "_SUCCESS").write_text("")
    assert len(model.load(tmp_path)["occurrences"].collect()) == 6


def test_only_the_first_few_of_many_problems_are_printed(tmp_path):
    tables = small()
    tables["occurrences"] = [tables["occurrences"][0] | {"container_id": str(i), "occurrences": "-1"} for i in range(1000)]  # fmt: skip
    write(tables, tmp_path)
    shown = refusal_of(tmp_path)
    assert len(shown) == 6
    assert shown[-1] == "occurrences (occurrences.csv), column occurrences: 995 more of the same"


def test_rows_of_a_table_in_several_files_are_named_with_their_file(tmp_path):
    write(small(), tmp_path)
    header, *rows = (tmp_path / "occurrences.csv").read_text().splitlines()
    (tmp_path / "occurrences.csv").unlink()
    (tmp_path / "occurrences").mkdir()
    for name, part in (("a", rows[:4]), ("b", [rows[4], rows[5].replace("write", "wrote"), rows[0]])):
        (tmp_path / f"occurrences/{name}.csv").write_text("\n".join([header, *part]))
    key = "job_id, usage_pattern_id, container_id, hour"
    assert refusal_of(tmp_path) == [
        f"occurrences (occurrences/b.csv), row 3, column {key}: found 'read, office, browse, 2026-01-01 00:00'; "
        "expected each key once; it stands in 2 rows",
        "occurrences (occurrences/b.csv), row 2, column job_id: found 'wrote'; "
        "expected the job_id of a row in jobs or video_streaming_jobs",
    ]


@pytest.fixture
def tiny_batches(monkeypatch):
    """Read two rows at a time, spill from three on, compare keys two at a time: what large tables go through."""
    monkeypatch.setattr(reading, "BATCH_ROWS", 2)
    monkeypatch.setattr(reading, "SMALL_FILE", 0)
    monkeypatch.setattr(csv_text, "PIECE_BYTES", 7)
    monkeypatch.setattr(model, "IN_MEMORY_ROWS", 2)
    monkeypatch.setattr(checking, "HASHES_AT_ONCE", 2)


def as_parquet(folder, table="occurrences"):
    pl.read_csv(folder / f"{table}.csv", infer_schema=False, glob=False).write_parquet(folder / f"{table}.parquet")
    (folder / f"{table}.csv").unlink()


@pytest.mark.parametrize("parquet", [False, True])
def test_tables_read_in_batches_and_spilled_are_the_same(parquet, tmp_path, tiny_batches):
    folder = tmp_path / "a model [1] *?{x}"
    write(small(), folder)
    whole = pl.read_csv(folder / "occurrences.csv", glob=False)
    if parquet:
        as_parquet(folder)
    loaded = model.load(folder, spill=tmp_path / "spill [2] *")
    found = loaded["occurrences"].collect()
    assert found["occurrences"].to_list() == whole["occurrences"].to_list()
    assert found["job_id"].cast(pl.String).to_list() == whole["job_id"].to_list()
    assert list((tmp_path / "spill [2] *").glob("occurrences-*.parquet"))


@pytest.mark.parametrize("parquet", [False, True])
def test_problems_of_later_batches_keep_their_row_numbers(parquet, tmp_path, tiny_batches):
    tables = small()
    tables["occurrences"] += [tables["occurrences"][1], tables["occurrences"][2] | {"job_id": "ghost"}]
    tables["occurrences"][4]["occurrences"] = "-1"
    write(tables, tmp_path)
    if parquet:
        as_parquet(tmp_path)
    place = f"occurrences (occurrences.{'parquet' if parquet else 'csv'})"
    assert refusal_of(tmp_path) == [
        f"{place}, row 5, column occurrences: found '-1'; expected at least 0 occurrence",
        f"{place}, row 7, column job_id, usage_pattern_id, container_id, hour: found 'read, office, browse, "
        "2026-01-01 01:00'; expected each key once; it stands in 2 rows",
        f"{place}, row 8, column job_id: found 'ghost'; expected the job_id of a row in jobs or video_streaming_jobs",
    ]


def test_a_file_with_too_many_problems_is_not_read_to_its_end(tmp_path, monkeypatch, tiny_batches):
    monkeypatch.setattr(model, "MOST_VIOLATIONS", 3)
    tables = small()
    for row in tables["occurrences"]:
        row["occurrences"] = "-1"
    write(tables, tmp_path)
    assert refusal_of(tmp_path)[-1] == (
        "occurrences (occurrences.csv): expected a file with fewer broken rules; the rest of it was not read"
    )


def test_records_that_importers_refused_do_not_matter(tmp_path):
    write(small(), tmp_path)
    (tmp_path / "rejects.csv").write_text("source,row,record_id,code,message\nslurm,17,x,no_end,it has no end\n")
    assert model.load(tmp_path)["rejects"].collect()["row"].to_list() == [17]


def test_a_quoted_table_of_many_pieces_is_read_like_the_csv_module_does(tmp_path, tiny_batches):
    text = "server_need_id,job_id\n" + "".join(f'"need\n{i}, ""x""","job\r\n{i}"\n\n' for i in range(50))
    path = tmp_path / "server_need_jobs.csv"
    path.write_text(text, newline="")
    batches = list(reading.read_batches(folder.TableFile(INPUTS["server_need_jobs"], path, "csv", path.name)))
    frame = pl.concat([b.frame for b in batches])
    assert frame["server_need_id"].to_list() == [f'need\n{i}, "x"' for i in range(50)]
    assert frame["job_id"].to_list() == [f"job\r\n{i}" for i in range(50)]
    assert frame[":row"].to_list() == list(range(1, 100, 2))
