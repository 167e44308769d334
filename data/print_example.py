"""The values of the reference pages beside those of a run of data/example: `python data/print_example.py OUT`.

Each attribute of the pages Job and Server is found in the tables of the run, and its first and last ten hours are printed as the
pages print them: three digits, in the unit shown. `data/reference_values.csv` holds what the pages say.
"""

import csv
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

PAGES = Path(__file__).parent / "reference_values.csv"
SHOWN = 10
DIGITS = 3

UNITS = {"": 1, "k": 1e-3, "M": 1e-6, "MB": 1, "TB": 1e-6, "kB stored": 1e3, "TB stored": 1e-6, "g/kWh": 1, "GB ram": 1}
UNITS |= {"cpu core": 1, "kWh": 1, "g": 1e3}
"""Unit of the page: its number for one of our canonical unit (kg, MB, MB_stored, ...)."""

JOB, BY_JOB = {"job_id": "manual-job"}, "job_id"
SERVER = {"server_id": "server"}


@dataclass(frozen=True)
class Place:
    """Where an attribute of a page stands: a column of the rows of a table that match; `of` names the column to match `of` with."""

    table: str
    column: str
    rows: dict[str, str]
    of: str | None = None


PLACES = {
    ("Job", "hourly_occurrences_per_usage_pattern"): Place("need.job", "occurrences", JOB, "usage_pattern_id"),
    ("Job", "hourly_avg_occurrences_per_usage_pattern"): Place("need.job", "avg_occurrences", JOB, "usage_pattern_id"),
    ("Job", "hourly_data_transferred_per_usage_pattern"): Place(
        "need.job", "data_transferred", JOB, "usage_pattern_id"
    ),
    ("Job", "hourly_data_stored_per_usage_pattern"): Place("need.job", "data_stored", JOB, "usage_pattern_id"),
    ("Job", "hourly_avg_occurrences_across_usage_patterns"): Place("need.job", "avg_occurrences", JOB),
    ("Job", "hourly_data_transferred_across_usage_patterns"): Place("need.job", "data_transferred", JOB),
    ("Job", "hourly_data_stored_across_usage_patterns"): Place("need.job", "data_stored", JOB),
    **{
        ("Job", f"{phase}_impact_repartition{attribute}"): Place("repartition.job", f"{phase}_{column}", JOB, of)
        for phase in ("fabrication", "usage")
        for attribute, column, of in (
            ("_weights", "weight", "container_id"),
            ("_weight_sum", "weight_sum", None),
            ("", "share", "container_id"),
        )
    },
    ("Server", "hour_by_hour_ram_need"): Place("need.server", "ram_need", SERVER),
    ("Server", "hour_by_hour_compute_need"): Place("need.server", "compute_need", SERVER),
    **{
        ("Server", column): Place("instances.capacity", column, SERVER)
        for column in (
            "occupied_ram_per_instance",
            "occupied_compute_per_instance",
            "available_ram_per_instance",
            "available_compute_per_instance",
        )
    },
    ("Server", "raw_nb_of_instances"): Place("instances.server", "raw_nb_of_instances", SERVER),
    ("Server", "nb_of_instances"): Place("instances.server", "nb_of_instances", SERVER),
    ("Server", "instances_fabrication_footprint"): Place("energy.server", "instances_fabrication_footprint", SERVER),
    ("Server", "instances_energy"): Place("energy.server", "instances_energy", SERVER),
    ("Server", "energy_footprint"): Place("energy.server", "energy_footprint", SERVER),
    ("Server", "service_total_job_volumes"): Place("need.service", "job_volume", {}, "service_id"),
    ("Server", "job_repartition_weights"): Place("repartition.server", "weight", SERVER, BY_JOB),
    **{
        ("Server", f"{phase}_impact_repartition{attribute}"): Place("repartition.server", column, SERVER, of)
        for phase in ("fabrication", "usage")
        for attribute, column, of in (("_weight_sum", "weight_sum", None), ("", "share", BY_JOB))
    },
}
"""Fabrication and usage have the same weights on a server, hence one set of columns in repartition.server."""


@dataclass(frozen=True)
class Attribute:
    """One attribute of a page (`of` one pattern, container or job, where it has several), and what a run says."""

    page: str
    name: str
    of: str
    unit: str
    table: str
    column: str
    page_hours: int
    page_values: tuple[str, ...]
    hours: int
    beyond: float
    """Sum of what stands after the page's last hour: repartition.job has every container in all hours of the job, with zeros."""
    values: tuple[str, ...]

    @property
    def differences(self) -> list[tuple[int, str, str]]:
        """Where the page prints something else: position (0 to 9 the first ten, 10 to 19 the last), page, ours."""
        pairs = enumerate(zip(self.page_values, self.values, strict=True))
        return [(position, theirs, ours) for position, (theirs, ours) in pairs if theirs != ours]


def as_printed(value: float) -> str:
    """A number with three digits and no exponent, as the pages print it."""
    rounded = float(f"{value:.{DIGITS}g}")
    text = f"{rounded:.12f}".rstrip("0").rstrip(".")
    return text or "0"


def series(current: Path, place: Place, of: str) -> pl.Series:
    """The column's values hour by hour; several rows of one hour are summed, but for the sums that repeat on every row."""
    rows = pl.scan_parquet(current / place.table.replace(".", "/") / "*.parquet")
    for column, value in (place.rows | ({place.of: of} if place.of else {})).items():
        rows = rows.filter(pl.col(column) == value)
    if place.table == "instances.capacity":
        return rows.select(place.column).collect().to_series()
    value = pl.col(place.column)
    of_an_hour = value.max() if place.column.endswith("_sum") else value.sum()
    return rows.group_by("hour").agg(of_an_hour).sort("hour").collect()[place.column]


def attributes(out: Path) -> Iterator[Attribute]:
    """Every attribute of the pages, with what the run under `out` has for it."""
    with PAGES.open(encoding="utf-8", newline="") as opened:
        for row in csv.DictReader(opened):
            place = PLACES[row["page"], row["attribute"]]
            found = series(out / "current", place, row["of"]) * UNITS[row["unit"]]
            own_hours = found.head(int(row["hours"]))
            ends = [*own_hours.head(SHOWN), *own_hours.tail(SHOWN)]
            yield Attribute(
                page=row["page"],
                name=row["attribute"],
                of=row["of"],
                unit=row["unit"],
                table=place.table,
                column=place.column,
                page_hours=int(row["hours"]),
                page_values=(*row["first_ten"].split(" "), *row["last_ten"].split(" ")),
                hours=len(own_hours),
                beyond=float(found.tail(len(found) - len(own_hours)).abs().sum()),
                values=tuple(map(as_printed, ends)),
            )


def main(out: Path) -> None:
    """Print every attribute, and where the page has noise."""
    agreeing = different = 0
    for a in attributes(out):
        of = f" of {a.of}" if a.of else ""
        unit = f" [{a.unit}]" if a.unit else ""
        print(f"\n{a.page}.{a.name}{of}{unit}: {a.table}.{a.column}, {a.hours:,} value{'s' if a.hours > 1 else ''}")
        if a.hours == 1:
            print(f"  {a.values[0]}")
        else:
            print(f"  first 10  {', '.join(a.values[:SHOWN])}\n  last 10   {', '.join(a.values[SHOWN:])}")
        if a.differences:
            noise = dict.fromkeys(f"{theirs} for {ours}" for _, theirs, ours in a.differences)
            print(f"  the page  {', '.join(noise)} (noise of its FFT)")
        different += len(a.differences)
        agreeing += len(a.values) - len(a.differences)
    print(f"\n{agreeing} printed values as on the reference pages, {different} exact where the pages show noise.")
    print(f"They are in {out}/current/FAMILY/TABLE/*.parquet; try: wattrow query {out} 'FROM energy.server LIMIT 5'")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
