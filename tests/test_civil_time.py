"""Civil time to UTC and back: nothing is lost or invented, whatever the clocks do."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import civil_time
from tests import reference

HOUR = timedelta(hours=1)


def to_utc(zone: str, volumes: dict[str, float]) -> dict[str, float]:
    hours = [datetime.fromisoformat(h) for h in volumes]
    rows = pl.DataFrame(
        {"usage_pattern_id": "p", "timezone": zone, "hour": hours, "starts": list(volumes.values())},
        schema_overrides={"hour": pl.Datetime("us"), "starts": pl.Float64},
    )
    found = civil_time.local_rows_to_utc(rows, "starts").sort("hour")
    return {f"{hour:%m-%d %H:%M}": v for hour, v in found.select("hour", "starts").iter_rows()}


def day(date: str) -> dict[str, float]:
    """One start in every hour of the wall clock, 24 whatever the day."""
    return {f"{date} {h:02}:00": 1.0 for h in range(24)}


def test_on_a_day_of_23_hours_the_missing_hour_goes_to_the_next_one():
    found = to_utc("Europe/Paris", day("2025-03-30"))
    assert len(found) == 23
    assert found["03-30 01:00"] == 2  # 02:00, which the clock skips, and 03:00
    assert sum(found.values()) == 24


def test_on_a_day_of_25_hours_the_hour_that_occurs_twice_is_its_first_occurrence():
    found = to_utc("Europe/Paris", day("2025-10-26"))
    assert found["10-26 00:00"] == 1  # 02:00 the first time
    assert "10-26 01:00" not in found
    assert sum(found.values()) == 24


@pytest.mark.parametrize(
    ("zone", "local", "expected"),
    [
        ("Asia/Kolkata", "2025-01-06 10:00", {"01-06 04:00": 0.5, "01-06 05:00": 0.5}),
        ("Asia/Kabul", "2025-01-06 10:00", {"01-06 05:00": 0.5, "01-06 06:00": 0.5}),
        ("Asia/Kathmandu", "2025-01-06 10:00", {"01-06 04:00": 0.75, "01-06 05:00": 0.25}),
        ("Australia/Sydney", "2025-01-06 10:00", {"01-05 23:00": 1.0}),
        ("Australia/Sydney", "2025-07-07 10:00", {"07-07 00:00": 1.0}),
        ("America/Santiago", "2025-04-05 23:00", {"04-06 02:00": 1.0}),  # occurs twice in autumn, in April
        ("Australia/Lord_Howe", "2025-07-07 10:00", {"07-06 23:00": 0.5, "07-07 00:00": 0.5}),  # 10:30 in winter
        ("Australia/Lord_Howe", "2025-01-06 10:00", {"01-05 23:00": 1.0}),  # 11:00 in summer
        ("Pacific/Apia", "2011-12-30 10:00", {"12-30 10:00": 1.0}),  # a day that was skipped: the next hour that exists is midnight
        ("UTC", "2025-01-06 10:00", {"01-06 10:00": 1.0}),
    ],
)  # fmt: skip
def test_a_local_hour_covers_the_utc_hours_it_covers(zone, local, expected):
    assert to_utc(zone, {local: 1.0}) == expected


ZONES = ["Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "America/Santiago", "Asia/Tehran", "Africa/Casablanca",
         "Pacific/Chatham", "Pacific/Apia", "America/St_Johns", "Antarctica/Troll", "UTC"]  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(
    zone=st.sampled_from(ZONES),
    start=st.datetimes(datetime(2009, 1, 1), datetime(2030, 1, 1)).map(lambda d: d.replace(minute=0, second=0, microsecond=0)),
    volumes=st.lists(st.integers(0, 50).map(float), min_size=1, max_size=60),
)  # fmt: skip
def test_totals_are_kept_and_every_hour_is_where_the_naive_reading_puts_it(
    zone: str, start: datetime, volumes: list[float]
):
    local = {start + i * HOUR: v for i, v in enumerate(volumes)}
    found = to_utc(zone, {h.isoformat(sep=" "): v for h, v in local.items()})
    assert sum(found.values()) == pytest.approx(sum(volumes), rel=1e-12)
    expected = reference.civil_starts(local, ZoneInfo(zone))
    naive = {f"{h:%m-%d %H:%M}": v for h, v in expected.items()}
    assert {h: v for h, v in found.items() if v} == pytest.approx({h: v for h, v in naive.items() if v})


def test_no_rows_are_no_rows():
    rows = pl.DataFrame(
        schema={"usage_pattern_id": pl.String, "timezone": pl.String, "hour": pl.Datetime("us"), "starts": pl.Float64}
    )
    assert civil_time.local_rows_to_utc(rows, "starts").is_empty()
