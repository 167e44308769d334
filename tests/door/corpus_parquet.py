"""Parquet of every type and state: what can be read exactly is read, the rest is refused."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import model
from tests.door.models import Case, Touch, at, refused_file, small

HOURS = [datetime(2026, 1, 1, h, tzinfo=UTC) for h in (0, 1, 0, 0, 1, 2)]
NAIVE = [h.replace(tzinfo=None) for h in HOURS]


def arrow(table: str, **columns: Any) -> Touch:
    """Write a table of the small model as Parquet, some columns as given (None: left out)."""

    def touch(folder: Path) -> None:
        (folder / f"{table}.csv").unlink()
        rows = small()[table]
        made: dict[str, Any] = {c: pa.array([r[c] or None for r in rows]) for c in rows[0]}
        made |= columns
        kept = {c: v for c, v in made.items() if v is not None}
        fields = [pa.field(c, v.type) if isinstance(v, pa.Array) else v[0] for c, v in kept.items()]
        arrays = [v if isinstance(v, pa.Array) else v[1] for v in kept.values()]
        pq.write_table(pa.table(arrays, schema=pa.schema(fields)), folder / f"{table}.parquet")

    return touch


def with_unit(name: str, unit: str, values: Any) -> tuple[pa.Field, pa.Array]:
    return pa.field(name, values.type, metadata={"unit": unit}), values


def parquet_bytes(table: str, change: Callable[[bytes], bytes]) -> Touch:
    def touch(folder: Path) -> None:
        arrow(table)(folder)
        path = folder / f"{table}.parquet"
        path.write_bytes(change(path.read_bytes()))

    return touch


def encrypted(folder: Path) -> None:
    arrow("jobs")(folder)
    path = folder / "jobs.parquet"
    path.write_bytes(path.read_bytes()[:-4] + b"PARE")


def repeated(folder: Path) -> None:
    (folder / "jobs.csv").unlink()
    columns = {c: pa.array([r[c] or None for r in small()["jobs"]]) for c in small()["jobs"][0]}
    names = [*columns, "ram_needed"]
    pq.write_table(pa.table([*columns.values(), columns["ram_needed"]], names=names), folder / "jobs.parquet")


def flipped(at_byte: float) -> Callable[[bytes], bytes]:
    """Flip the bits of 16 bytes somewhere in the file."""

    def change(data: bytes) -> bytes:
        where = int(len(data) * at_byte)
        return data[:where] + bytes(255 - b for b in data[where : where + 16]) + data[where + 16 :]

    return change


WHOLE = "a complete Parquet file"
FILES = [
    refused_file("Parquet cut in half", parquet_bytes("jobs", lambda d: d[: len(d) // 2]), at("jobs", None, None, None, WHOLE)),
    refused_file("Parquet without its end", parquet_bytes("jobs", lambda d: d[:-1]), at("jobs", None, None, None, WHOLE)),
    refused_file("Parquet without its beginning", parquet_bytes("jobs", lambda d: d[100:]), at("jobs", None, None, None, WHOLE)),
    refused_file("an empty Parquet file", parquet_bytes("jobs", lambda d: b""), at("jobs", None, None, None, WHOLE)),
    refused_file("Parquet of magic bytes only", parquet_bytes("jobs", lambda d: b"PAR1PAR1"), at("jobs", None, None, None, WHOLE)),
    refused_file("Parquet that claims a large footer", parquet_bytes("jobs", lambda d: d[:-8] + b"\xff\xff\xff\x7fPAR1"), at("jobs", None, None, None, WHOLE)),
    refused_file("encrypted Parquet", encrypted, at("jobs", None, None, None, WHOLE)),
    refused_file("a Parquet file that is CSV", parquet_bytes("jobs", lambda d: b"job_id\nread\n"), at("jobs", None, None, None, WHOLE)),
    refused_file("a Parquet file with a broken footer", parquet_bytes("jobs", lambda d: d[:-200] + b"\x00" * 150 + d[-50:]), at("jobs", None, None, None, WHOLE)),
    refused_file("a Parquet column twice", repeated, at("jobs", None, "ram_needed", None, "each column once")),
    refused_file("Parquet without columns", arrow("jobs", **dict.fromkeys(small()["jobs"][0])), at("jobs", None, None, "", "a header line with columns of jobs")),
    refused_file("a Parquet column too many", arrow("jobs", colour=pa.array(["red", "blue"])), at("jobs", None, "colour", None, "a column of jobs")),
    refused_file("a Parquet column too few", arrow("jobs", ram_needed=None), at("jobs", None, "ram_needed", None, "a column of this name: RAM held by one invocation")),
]  # fmt: skip


def _type(name: str, table: str, column: str, values: pa.Array, found: str, expected: str) -> Case:
    return refused_file(name, arrow(table, **{column: values}), at(table, None, column, found, expected))


def _cells(name: str, table: str, column: str, values: pa.Array, row: int, shown: str | None, expected: str) -> Case:
    return refused_file(name, arrow(table, **{column: values}), at(table, row, column, shown, expected))


NUMBERS, TEXT, TIMES = "numbers, or text with numbers", "text, or whole numbers", "timestamps, or text with timestamps"
TYPES = [
    _type("a list of numbers", "jobs", "ram_needed", pa.array([[1.0], [2.0]]), "List(Float64)", NUMBERS),
    _type("a struct of numbers", "jobs", "ram_needed", pa.array([{"x": 1.0}, {"x": 2.0}]), "Struct({'x': Float64})", NUMBERS),
    _type("true and false for numbers", "jobs", "ram_needed", pa.array([True, False]), "Boolean", NUMBERS),
    _type("dates for numbers", "jobs", "ram_needed", pa.array([date(2026, 1, 1)] * 2), "Date", NUMBERS),
    _type("durations for numbers", "jobs", "request_duration", pa.array([timedelta(seconds=60)] * 2), "Duration(time_unit='us')", NUMBERS),
    _type("bytes for numbers", "jobs", "ram_needed", pa.array([b"1", b"2"]), "Binary", NUMBERS),
    _type("floats for ids", "jobs", "job_id", pa.array([1.0, 2.0]), "Float64", TEXT),
    _type("bytes for names", "jobs", "name", pa.array([b"1", b"2"]), "Binary", TEXT),
    _type("true and false for names", "jobs", "name", pa.array([True, False]), "Boolean", TEXT),
    _type("lists for names", "jobs", "name", pa.array([["a"], ["b"]]), "List(String)", TEXT),
    _type("epoch seconds for hours", "occurrences", "hour", pa.array([1767225600 + 3600 * i for i in range(6)]), "Int64", TIMES),
    _type("epoch seconds as floats for hours", "occurrences", "hour", pa.array([1767225600.0 + 3600 * i for i in range(6)]), "Float64", TIMES),
    _type("times of the day for hours", "occurrences", "hour", pa.array([h.time() for h in NAIVE]), "Time", TIMES),
    _cells("NaN in Parquet", "jobs", "ram_needed", pa.array([1.0, float("nan")]), 2, "NaN", "a number"),
    _cells("infinity in Parquet", "jobs", "ram_needed", pa.array([1.0, float("inf")]), 2, "inf", "a finite number"),
    _cells("a negative number in Parquet", "jobs", "ram_needed", pa.array([1.0, -2.0]), 2, "-2.0", "at least 0 GB_ram"),
    _cells("null in Parquet", "jobs", "ram_needed", pa.array([1.0, None]), 2, None, "a value"),
    _cells("text that is no number in Parquet", "jobs", "ram_needed", pa.array(["1", "two"]), 2, "two", "a number in GB_ram"),
    _cells("a decimal too large", "jobs", "ram_needed", pa.array([Decimal(1), Decimal(10) ** 30], pa.decimal128(38, 0)), 2, "1000000000000000000000000000000", "at most 1e+18 GB_ram"),
    _cells("a half hour in Parquet", "occurrences", "hour", pa.array([*HOURS[:5], HOURS[5] + timedelta(minutes=30)], pa.timestamp("us", "UTC")), 6, "2026-01-01 02:30:00.000000+00:00", "a full hour in UTC"),
    _cells("year 1 in Parquet", "occurrences", "hour", pa.array([*NAIVE[:5], datetime(1, 1, 1)], pa.timestamp("us")), 6, "0001-01-01 00:00:00.000000", "a date from the year 1900"),
    _cells("year 9999 in Parquet", "occurrences", "hour", pa.array([*NAIVE[:5], datetime(9999, 12, 31, 23)], pa.timestamp("us")), 6, "9999-12-31 23:00:00.000000", "a date from the year 1900"),
    _cells("a whole number too large in Parquet", "servers", "fixed_nb_of_instances", pa.array([None, 2**53 + 1]), 2, "9007199254740993", "a whole number below 2^53"),
    _cells("half a machine in Parquet", "servers", "fixed_nb_of_instances", pa.array([None, 2.5]), 2, "2.5", "a whole number"),
    refused_file("timestamps beyond any calendar", arrow("occurrences", hour=pa.array([2**62] * 6).cast(pa.timestamp("ms"))),
                 *[at("occurrences", row, "hour", "4611686018427387904", "a full hour, as in") for row in range(1, 7)]),
    refused_file("dates beyond any calendar", arrow("occurrences", hour=pa.array([2**31 - 1] * 6, pa.int32()).cast(pa.date32())),
                 *[at("occurrences", row, "hour", "2147483647", "a full hour, as in") for row in range(1, 7)]),
    refused_file("a wrong unit in a field's metadata", arrow("jobs", data_stored=with_unit("data_stored", "GB_ram", pa.array([1.0, 2.0]))),
                 at("jobs", None, "data_stored", "GB_ram", "'GB_ram' does not measure the same as 'MB_stored'")),
    refused_file("a unit in the metadata of an id", arrow("jobs", job_id=with_unit("job_id", "W", pa.array(["read", "write"]))),
                 at("jobs", None, "job_id", "W", "no unit, for the column holds no numbers")),
    refused_file("a unit in the header and another in the metadata", arrow("jobs", data_stored=with_unit("data_stored [kB_stored]", "GB_stored", pa.array([1.0, 2.0]))),
                 at("jobs", None, "data_stored", None, "one unit: the header says kB_stored, the field's metadata GB_stored")),
    refused_file("a negative number in a unit", arrow("jobs", data_stored=with_unit("data_stored", "GB_stored", pa.array([1.0, -2.0]))),
                 at("jobs", 2, "data_stored", "-2.0 GB_stored", "at least 0 MB_stored")),
]  # fmt: skip


def holds(table: str, column: str, *values: object) -> Callable[[Path], None]:
    def check(folder: Path) -> None:
        found = model.load(folder)[table].collect()[column].to_list()
        assert found[: len(values)] == list(values), found

    return check


def _right(name: str, table: str, column: str, values: Any, *expected: object) -> Case:
    return Case(f"right in Parquet: {name}", touches=(arrow(table, **{column: values}),), check=holds(table, column, *expected))  # fmt: skip


RAM = (1.0, 2.0)
RIGHT = [
    *[_right(str(t), "jobs", "ram_needed", pa.array([1, 2], t), *RAM) for t in (pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint64(), pa.float32(), pa.float64())],
    _right("float16", "jobs", "ram_needed", pa.array([1.0, 2.0]).cast(pa.float16()), *RAM),
    _right("decimal", "jobs", "ram_needed", pa.array([Decimal("1.00"), Decimal("2.00")]), *RAM),
    _right("text", "jobs", "ram_needed", pa.array(["1", "2000 MB_ram"]), *RAM),
    _right("large text", "jobs", "ram_needed", pa.array(["1", "2"], pa.large_string()), *RAM),
    _right("text in a dictionary", "jobs", "ram_needed", pa.array(["1", "2"]).dictionary_encode(), *RAM),
    _right("a unit in metadata", "jobs", "ram_needed", with_unit("ram_needed", "MB_ram", pa.array([1000.0, 2000.0])), *RAM),
    _right("a unit in metadata for text", "jobs", "ram_needed", with_unit("ram_needed", "MB_ram", pa.array(["1000", "2 GB_ram"])), *RAM),
    _right("a unit in the header", "jobs", "ram_needed", with_unit("ram_needed [MB_ram]", "MB_ram", pa.array([1000.0, 2000.0])), *RAM),
    _right("names in a dictionary", "jobs", "name", pa.array(["a", "b"]).dictionary_encode(), "a", "b"),
    _right("names that are whole numbers", "jobs", "name", pa.array([1, 2]), "1", "2"),
    _right("names that are all null", "jobs", "name", pa.nulls(2), None, None),
    _right("numbers that are all null", "jobs", "data_stored", pa.nulls(2), 0.0, 0.0),
    *[_right(f"timestamps in {u} without zone", "occurrences", "hour", pa.array(NAIVE, pa.timestamp(u)), *HOURS) for u in ("s", "ms", "us", "ns")],
    *[_right(f"timestamps in {u} of Kolkata", "occurrences", "hour", pa.array(HOURS, pa.timestamp(u, "Asia/Kolkata")), *HOURS) for u in ("ms", "us", "ns")],
    _right("timestamps of an offset", "occurrences", "hour", pa.array(HOURS, pa.timestamp("us", "+02:00")), *HOURS),
    _right("timestamps as text", "occurrences", "hour", pa.array([f"{h:%Y-%m-%dT%H:%M:%SZ}" for h in HOURS]), *HOURS),
    _right("timestamps as text in a dictionary", "occurrences", "hour", pa.array([f"{h:%Y-%m-%dT%H:%M:%SZ}" for h in HOURS]).dictionary_encode(), *HOURS),
]  # fmt: skip


def renumbered(folder: Path) -> None:
    pl.read_csv(folder / "jobs.csv", infer_schema=False).write_parquet(folder / "jobs.parquet", compression="zstd")
    (folder / "jobs.csv").unlink()


RIGHT.append(
    Case("right in Parquet: as Polars writes it", touches=(renumbered,), check=holds("jobs", "ram_needed", 4.0, 0.5))
)
HOURS_OF_DAYS = pa.array([date(2026, 1, d) for d in range(1, 7)])
RIGHT.append(_right("dates", "occurrences", "hour", HOURS_OF_DAYS, *[datetime(2026, 1, d, tzinfo=UTC) for d in range(1, 7)]))  # fmt: skip

CASES: list[Case] = [*FILES, *TYPES, *RIGHT]
