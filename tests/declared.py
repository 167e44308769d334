"""Whole columns computed again from what the stages declare of them, all rows at once; tests/explained.py does it from what is told of one."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import polars as pl

from pipeline.explain.registry import Entry, entries
from pipeline.explain.source import Source
from pipeline.explain.values import Book, Rows
from pipeline.stages.lineage import At, Rule
from tests.explained import close

NOTHING = [
    # another user's runs alone, and an hour after the last run
    "repartition.cell cluster relion bob physics 30T04: avg_occurrences compute_need ram_need",
    "repartition.cell gpus relion eve physics 30T06: avg_occurrences compute_need ram_need",
    # a service without volume, and an hour before its first
    "repartition.service_hour video web 29T22: base_weight_rate base_demand_rate",
    "repartition.job_hour web film 29T10: avg_occurrences base_weight_rate base_demand_rate",
    # before the first start, and before the first deployment
    "need.trigger search paris home visit 0 29T19: triggers occurrences",
    "need.under_way meters reading 29T10: under_way",
]
"""Tables that are never written, with a key of tests/explain_model.py and the names that are 0 there."""
GIVEN = "starts"
"""The rule that only published values tell."""


def differences(current: Path, only: str = "") -> Iterator[str]:
    """The columns of a run (of one table) that differ from what is declared of them, with the first row that does; small tables first."""
    book = Book(Source(current))
    chosen = [entry for entry in entries().values() if entry.written and only in ("", entry.table)]
    tables = [(entry, published(book, entry)) for entry in chosen]
    for entry, frame in sorted(tables, key=lambda t: len(t[1])):
        rows = Rows(book, entry, frame)
        for column in (c for c in frame.columns if c not in entry.key and entry.ways(c)):
            for part, found in parts(rows, column):
                both = zip(part.frame.iter_rows(named=True), found, part.frame[column], strict=True)
                wrong = [f"{found}, not {value}, in {row}" for row, found, value in both if not close(found, value)]
                if wrong:
                    yield f"{entry.table}.{column}: {len(wrong)} of {len(frame)} rows, as {wrong[0]}"


def values_of(current: Path, told: str) -> dict[str, float | None]:
    """The values that one of NOTHING asks for."""
    address, _, names = told.partition(": ")
    table, *key, hour = address.split()
    entry = entries()[table]
    moment = datetime.strptime(f"2025-03-{hour}+0000", "%Y-%m-%dT%H%z")
    ours = {k: int(v) if k == "position" else v for k, v in zip(entry.key, key, strict=False)}
    frame = pl.DataFrame({**ours, "hour": pl.Series([moment], dtype=pl.Datetime("us", "UTC"))})
    rows = Rows(Book(Source(current)), entry, frame)
    return {name: rows.get(name)[0] for name in names.split()}


def published(book: Book, entry: Entry) -> pl.DataFrame:
    scanned = book.source.scan(entry.table)
    assert scanned is not None
    return scanned.collect()


def parts(rows: Rows, column: str) -> Iterator[tuple[Rows, pl.Series]]:
    """The rows that go each way to the column, with what it comes to."""
    ways = rows.entry.ways(column)
    if all(isinstance(way, At) and way.when is None for way in ways):
        yield rows, Rows(rows.book, rows.entry, rows.frame.drop(column)).get(column)
        return
    which = rows.which(ways)
    assert not which.null_count(), f"{rows.entry.table}.{column}: rows that no way leads to"
    for number in which.unique():
        way, part = ways[number], rows.only(which == number)
        if not (isinstance(way, Rule) and way.name == GIVEN):
            yield part, part.by(way, column)
