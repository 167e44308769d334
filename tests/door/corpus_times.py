"""Hours and instants: at the full hour, in believable years, with any offset; civil hours without one."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from pipeline import model
from tests.door.models import Case, at, cell, full, refused

HOUR = "a full hour, as in 2026-01-31 13:00 or 2026-01-31T13:00:00Z"
FULL = "a full hour in UTC: minutes and seconds zero"
YEARS = "a date from the year 1900 to 2299"
INSTANT = "an instant, as in 2026-01-31T13:05:00Z"


def _hour(name: str, text: str, expected: str) -> Case:
    return refused(name, cell("occurrences", 2, "hour", text), at("occurrences", 2, "hour", text, expected))


def _instant(name: str, text: str, expected: str) -> Case:
    return refused(name, cell("job_runs", 1, "submitted_at", text), at("job_runs", 1, "submitted_at", text, expected), base=full)  # fmt: skip


WRONG = [
    _hour("half past", "2026-01-01T01:30:00Z", FULL),
    _hour("a second past", "2026-01-01T01:00:01Z", FULL),
    _hour("a microsecond past", "2026-01-01T01:00:00.000001Z", FULL),
    _hour("a full hour in a zone of half hours is none in UTC", "2026-01-01T06:00:00+05:30", FULL),
    _hour("a leap second", "2016-12-31T23:59:60Z", HOUR),
    _hour("24 o'clock", "2026-01-01T24:00:00Z", HOUR),
    _hour("minute 60", "2026-01-01T00:60:00Z", HOUR),
    _hour("30 February", "2026-02-30T00:00:00Z", HOUR),
    _hour("29 February of no leap year", "2026-02-29T00:00:00Z", HOUR),
    _hour("month 13", "2026-13-01T00:00:00Z", HOUR),
    _hour("day 0", "2026-01-00T00:00:00Z", HOUR),
    _hour("year 0", "0000-01-01T00:00:00Z", HOUR),
    _hour("year 1", "0001-01-01T00:00:00Z", YEARS),
    _hour("year 2", "0002-01-01T00:00:00Z", YEARS),
    _hour("year 1899", "1899-12-31T23:00:00Z", YEARS),
    _hour("year 2300", "2300-01-01T00:00:00Z", YEARS),
    _hour("the last hour of year 9999", "9999-12-31T23:00:00Z", YEARS),
    _hour("a year of five digits", "12026-01-01T00:00:00Z", HOUR),
    _hour("a negative year", "-2026-01-01T00:00:00Z", HOUR),
    _hour("a year of two digits", "26-01-01T00:00:00Z", HOUR),
    _hour("an offset of 25 hours", "2026-01-01T00:00:00+25:00", HOUR),
    _hour("an offset of 99 minutes", "2026-01-01T00:00:00+00:99", HOUR),
    _hour("an offset of one digit", "2026-01-01T00:00:00+1", HOUR),
    _hour("a zone by its name", "2026-01-01T00:00:00 Europe/Paris", HOUR),
    _hour("a zone by its letters", "2026-01-01 00:00 CET", HOUR),
    _hour("an American date", "01/31/2026 13:00", HOUR),
    _hour("a European date", "31.01.2026 13:00", HOUR),
    _hour("a date in words", "31 January 2026 13:00", HOUR),
    _hour("a time with am and pm", "2026-01-31 01:00 PM", HOUR),
    _hour("seconds since 1970", "1767225600", HOUR),
    _hour("milliseconds since 1970", "1767225600000", HOUR),
    _hour("a number of Excel", "46023.5", HOUR),
    _hour("a week date", "2026-W01-1T00:00", HOUR),
    _hour("a day of the year", "2026-001T00:00", HOUR),
    _hour("a basic ISO date", "20260101T000000Z", HOUR),
    _hour("a date with letters", "2026-O1-01T00:00:00Z", HOUR),
    _hour("Arabic digits in a date", "\u0662\u0660\u0662\u0666-\u0660\u0661-\u0660\u0661 00:00", HOUR),
    _hour("two dates", "2026-01-01T00:00:00Z 2026-01-02T00:00:00Z", HOUR),
    _hour("a date and half a time", "2026-01-01T01", HOUR),
    _hour("now", "now", HOUR),
    _hour("never", "never", HOUR),
    _instant("a log without an instant", "Unknown", INSTANT),
    _instant("a run handed in in year 1", "0001-01-02T00:00:00Z", YEARS),
    _instant("a run handed in when nobody could", "9999-12-30T00:00:00Z", YEARS),
    _instant("a leap second in a log", "2016-12-31T23:59:60Z", INSTANT),
    refused("UTC in a clock that is local", cell("usage_pattern_starts", 3, "hour", "2026-01-01T08:00:00Z"),
            at("usage_pattern_starts", 3, "hour", "2026-01-01 08:00 UTC", "wall-clock hours without a zone"), base=full),
    refused("an offset in a clock that is local", cell("usage_pattern_starts", 3, "hour", "2026-01-01T08:00:00+05:30"),
            at("usage_pattern_starts", 3, "hour", "2026-01-01T08:00:00+05:30", FULL), base=full),
    refused("an offset of whole hours in a clock that is local", cell("usage_pattern_starts", 3, "hour", "2026-01-01T08:00:00+05:00"),
            at("usage_pattern_starts", 3, "hour", "2026-01-01 03:00 UTC", "wall-clock hours without a zone"), base=full),
]  # fmt: skip


def reads(hour: datetime, *, table: str = "occurrences", column: str = "hour") -> Callable[[Path], None]:
    def check(folder: Path) -> None:
        found = model.load(folder)[table].collect()[column][1 if table == "occurrences" else 0]
        assert found == hour, found

    return check


def _right(name: str, text: str, *, day: int = 1, hour: int = 1) -> Case:
    instant = datetime(2026, 1, day, hour, tzinfo=UTC)
    return Case(f"right: {name}", (cell("occurrences", 2, "hour", text),), check=reads(instant))


RIGHT = [
    _right("no zone is UTC", "2026-01-01 01:00"),
    _right("a T and seconds", "2026-01-01T01:00:00"),
    _right("a Z", "2026-01-01T01:00Z"),
    _right("the word UTC", "2026-01-01 01:00:00 UTC"),
    _right("fractions that are zero", "2026-01-01T01:00:00.000000000Z"),
    _right("fractions behind a comma", "2026-01-01T01:00:00,000Z"),
    _right("an offset east", "2026-01-01T03:00:00+02:00"),
    _right("an offset west", "2025-12-31T20:00:00-05:00"),
    _right("an offset without a colon", "2026-01-01T03:00:00+0200"),
    _right("an offset of hours", "2026-01-01T03:00:00+02"),
    _right("an offset of half an hour", "2026-01-01T06:30:00+05:30"),
    _right("an offset of minus half an hour", "2026-01-01T00:30:00-00:30"),
    _right("the largest offset", "2026-01-01T19:00:00+18:00"),
    _right("a date is its first hour", "2026-01-02", day=2, hour=0),
    _right("spaces around an hour", "  2026-01-01 01:00  "),
    Case("right: milliseconds of an instant", (cell("job_runs", 1, "submitted_at", "2026-01-01T00:10:00.123Z"),), base=full,
         check=reads(datetime(2026, 1, 1, 0, 10, 0, 123000, tzinfo=UTC), table="job_runs", column="submitted_at")),
    Case("right: a run handed in on 29 February", (cell("job_runs", 1, "submitted_at", "2024-02-29T00:10:00Z"),), base=full,
         check=reads(datetime(2024, 2, 29, 0, 10, tzinfo=UTC), table="job_runs", column="submitted_at")),
]  # fmt: skip

CASES: list[Case] = [*WRONG, *RIGHT]
