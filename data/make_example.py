"""The long tables of data/example, by rule: `python data/make_example.py [FOLDER]` (a test holds that they are these).

Everything else in data/example is small and written by hand. What the rules are:

- The web starts (usage_pattern_starts) are those of a quiet site, 1 to 8 journeys an hour for three years of 8766 hours. The
  reference pages print the first ten and the last ten hours, which stand here as printed; nothing is known of the hours between, so
  they come from the "minimal standard" generator of Park and Miller (1988), the same on every machine.
- The edge deployments (edge_usage_pattern_starts) are a thousand devices an hour in the working hours of six days a week, for
  six years: the rule that gives the fleets printed on the page. Hours without a row between two rows count as zero, so only
  the first and the last hour stand with a zero. A device stays for six years (usage_span), which is why the series of the job is
  twice as long.
- The typical week of the edge need (server_need_volumes) is one call an hour and device.
"""

import sys
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

FIRST_HOUR = datetime(2025, 1, 1)
HOURS_PER_YEAR = 8766
WEB_HOURS = 3 * HOURS_PER_YEAR
EDGE_HOURS = 6 * HOURS_PER_YEAR + 1
HOURS_PER_WEEK = 168

FIRST_STARTS = (7, 2, 3, 1, 5, 7, 6, 4, 8, 5)
LAST_STARTS = (6, 3, 3, 4, 1, 5, 2, 6, 3, 5)
MOST_STARTS = 8

DEPLOYED_PER_HOUR = 1000
DEPLOYMENT_HOURS = frozenset({7, 8, 9, 10, 11, 12, 14, 15, 16, 17, 18})
SUNDAY = 6

MULTIPLIER, MODULUS, SEED = 48271, 2**31 - 1, 2025
"""Park and Miller, "Random number generators: good ones are hard to find", CACM 31 (1988), with their later multiplier."""


def web_starts() -> Iterator[int]:
    """Journeys started in each hour."""
    yield from FIRST_STARTS
    state = SEED
    for _ in range(WEB_HOURS - len(FIRST_STARTS) - len(LAST_STARTS)):
        state = state * MULTIPLIER % MODULUS
        yield 1 + state * MOST_STARTS // MODULUS
    yield from LAST_STARTS


def deployed(hour: datetime) -> int:
    """Devices deployed in an hour."""
    return DEPLOYED_PER_HOUR if hour.hour in DEPLOYMENT_HOURS and hour.weekday() != SUNDAY else 0


def edge_starts() -> Iterator[tuple[datetime, int]]:
    """The hours of the deployments that need a row: the first, the last (nobody deploys in it), and those with devices."""
    last = FIRST_HOUR + timedelta(hours=EDGE_HOURS - 1)
    for n in range(EDGE_HOURS - 1):
        hour = FIRST_HOUR + timedelta(hours=n)
        if hour == FIRST_HOUR or deployed(hour):
            yield hour, deployed(hour)
    yield last, 0


def write(folder: Path, table: str, header: str, rows: Iterable[tuple[object, ...]]) -> None:
    """One CSV table."""
    lines = [header, *(",".join(map(str, row)) for row in rows)]
    (folder / f"{table}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main(folder: Path) -> None:
    """Write the three long tables."""
    folder.mkdir(parents=True, exist_ok=True)
    written = "%Y-%m-%dT%H:%MZ"
    web = (("web", f"{FIRST_HOUR + timedelta(hours=n):{written}}", starts) for n, starts in enumerate(web_starts()))
    write(folder, "usage_pattern_starts", "usage_pattern_id,hour,starts", web)
    edge = (("edge", f"{hour:{written}}", starts) for hour, starts in edge_starts())
    write(folder, "edge_usage_pattern_starts", "usage_pattern_id,hour,starts", edge)
    week = (("server-need", hour, 1) for hour in range(HOURS_PER_WEEK))
    write(folder, "server_need_volumes", "server_need_id,hour_of_week,volume", week)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "example")
