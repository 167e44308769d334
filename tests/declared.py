"""Whole columns computed again from what the stages declare of them, all rows at once; tests/explained.py does it from what is told of one."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from pipeline.explain.registry import Entry, entries
from pipeline.explain.source import Source
from pipeline.explain.values import Book, Rows
from pipeline.stages.lineage import At, Rule
from tests.explained import close

GIVEN = ("given_occurrences", "starts")
"""Rules that only a published value tells."""


def differences(current: Path) -> Iterator[str]:
    """The columns of a run that differ from what is declared of them, with the first row that does; small tables first."""
    book = Book(Source(current))
    tables = [(entry, frame) for entry in entries().values() if entry.written for frame in [published(book, entry)]]
    for entry, frame in sorted(tables, key=lambda t: len(t[1])):
        rows = Rows(book, entry, frame)
        for column in (c for c in frame.columns if c not in entry.key and entry.ways(c)):
            for part, found in parts(rows, column):
                both = zip(part.frame.iter_rows(named=True), found, part.frame[column], strict=True)
                wrong = [f"{found}, not {value}, in {row}" for row, found, value in both if not close(found, value)]
                if wrong:
                    yield f"{entry.table}.{column}: {len(wrong)} of {len(frame)} rows, as {wrong[0]}"


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
        if not (isinstance(way, Rule) and way.name in GIVEN):
            yield part, part.by(way, column)
