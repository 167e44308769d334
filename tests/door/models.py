"""A correct model to break, and the words that corpus cases are written in."""

import csv
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

Row = dict[str, str]
Tables = dict[str, list[Row]]
Edit = Callable[[Tables], None]
Touch = Callable[[Path], None]


def drawn(text: str) -> list[Row]:
    """Rows of a table drawn with bars."""
    header, *rows = [[c.strip() for c in line.strip().strip("|").split("|")] for line in text.strip().splitlines()]
    return [dict(zip(header, row, strict=True)) for row in rows]


def small() -> Tables:
    """Two servers, a service, two jobs, six occurrences."""
    return {
        "servers": drawn("""
            | server_id | name | server_type | carbon_footprint_fabrication | power | idle_power | lifespan | ram | compute | power_usage_effectiveness | average_carbon_intensity | utilization_rate | base_ram_consumption | base_compute_consumption | fixed_nb_of_instances |
            | web       | Web  | autoscaling | 600                          | 300   | 50         | 6        | 128 | 24      | 1.2                       | 100                      | 0.9              | 0.3                  | 2                        |                       |
            | farm      | Farm | on-premise  | 900                          | 400   | 90         | 5        | 256 | 64      | 1.4                       | 50                       | 1                | 1                    | 0                        | 3                     |
        """),
        "services": drawn("""
            | service_id | name | server_id | base_ram_consumption | base_compute_consumption |
            | api        | API  | web       | 2                    | 1                        |
        """),
        "jobs": drawn("""
            | job_id | name  | server_id | service_id | data_transferred | data_stored | request_duration | compute_needed | ram_needed |
            | read   | Read  | farm      |            | 0.15             | 0.1         | 60               | 2              | 4          |
            | write  | Write |           | api        | 1                | 2           | 3600             | 1              | 0.5        |
        """),
        "occurrences": drawn("""
            | job_id | usage_pattern_id | container_id | hour                 | occurrences |
            | read   | office           | browse       | 2026-01-01T00:00:00Z | 60          |
            | read   | office           | browse       | 2026-01-01T01:00:00Z | 120         |
            | read   | office           | search       | 2026-01-01T00:00:00Z | 30          |
            | write  | office           | browse       | 2026-01-01T00:00:00Z | 5           |
            | write  | office           | browse       | 2026-01-01T01:00:00Z | 0           |
            | write  | office           | browse       | 2026-01-01T02:00:00Z | 7.5         |
        """),
    }


def full() -> Tables:
    """A model that uses every input table."""
    tables = small()
    for server in tables["servers"]:
        server |= {"zone": "", "storage_id": "disk" if server["server_id"] == "web" else ""}
    week = [{"server_need_id": "sync", "hour_of_week": str(h), "volume": "2"} for h in range(168)]
    return tables | {
        "gpu_servers": drawn("""
            | server_id | server_type | gpu_power | gpu_idle_power | ram_per_gpu | carbon_footprint_fabrication_per_gpu | carbon_footprint_fabrication_without_gpu | compute | lifespan | average_carbon_intensity |
            | rack      | serverless  | 400       | 50             | 80          | 150                                  | 2500                                     | 4       | 6        | 100                      |
        """),
        "cloud_instances": drawn("""
            | provider | instance_type | power | ram | compute | carbon_footprint_fabrication |
            | acme     | m.large       | 150   | 32  | 8       | 300                          |
        """),
        "cloud_servers": drawn("""
            | server_id | provider | instance_type | server_type | lifespan | zone | average_carbon_intensity |
            | cloud     | acme     | m.large       | autoscaling | 4        | DK   |                          |
        """),
        "video_streaming_services": drawn("""
            | service_id | server_id | base_ram_consumption | bits_per_pixel | static_delivery_cpu_cost | ram_buffer_per_user |
            | stream     | web       | 2                    | 0.1            | 4                        | 50                  |
        """),
        "jobs": [
            *tables["jobs"],
            *drawn("""
            | job_id | server_id | request_duration | compute_needed | ram_needed |
            | train  | rack      | 7200             | 2              | 40         |
            | query  | cloud     | 10               | 1              | 1          |
        """),
        ],
        "video_streaming_jobs": drawn("""
            | job_id | service_id | resolution          | video_duration | refresh_rate | data_stored |
            | watch  | stream     | 1080p (1920 x 1080) | 3600           | 30           | 0           |
        """),
        "storages": drawn("""
            | storage_id | storage_capacity | carbon_footprint_fabrication_per_storage_capacity | data_replication_factor | data_storage_duration | base_storage_need | lifespan | fixed_nb_of_instances |
            | disk       | 1                | 160                                               | 3                       | 48                    | 0                 | 6        | 2                     |
        """),
        "countries": drawn("""
            | country_id | average_carbon_intensity | zone | timezone          |
            | dk         |                          | DK   | Europe/Copenhagen |
            | in         | 700                      |      | Asia/Kolkata      |
        """),
        "carbon_intensity": [
            {"zone": "DK", "hour": f"2026-01-01T{h:02}:00Z", "carbon_intensity": str(100 + h)} for h in range(24)
        ],
        "networks": drawn("""
            | network_id | bandwidth_energy_intensity |
            | wifi       | 0.05                       |
        """),
        "devices": drawn("""
            | device_id | carbon_footprint_fabrication | power | lifespan | fraction_of_usage_time |
            | laptop    | 156                          | 50    | 6        | 7                      |
        """),
        "usage_patterns": drawn("""
            | usage_pattern_id | network_id | country_id | clock |
            | daily            | wifi       | dk         | utc   |
            | local            | wifi       | in         | local |
        """),
        "usage_pattern_journeys": drawn("""
            | usage_pattern_id | usage_journey_id | times_per_start |
            | daily            | visit            | 1               |
            | local            | visit            | 2               |
        """),
        "usage_pattern_devices": drawn("""
            | usage_pattern_id | device_id | count |
            | daily            | laptop    | 1     |
        """),
        "usage_pattern_starts": drawn("""
            | usage_pattern_id | hour             | starts |
            | daily            | 2026-01-01 08:00 | 10     |
            | daily            | 2026-01-01 09:00 | 20     |
            | local            | 2026-01-01 08:00 | 3      |
        """),
        "usage_journey_steps": drawn("""
            | usage_journey_id | position | usage_journey_step_id | times_per_journey |
            | visit            | 0        | land                  | 1                 |
            | visit            | 1        | buy                   | 2                 |
        """),
        "usage_steps": drawn("""
            | usage_journey_step_id | name | user_time_spent |
            | land                  | Land | 600             |
            | buy                   | Buy  | 1800            |
        """),
        "usage_step_jobs": drawn("""
            | usage_journey_step_id | job_id | times_per_step |
            | land                  | read   | 1              |
            | buy                   | write  | 2              |
            | buy                   | watch  | 1              |
            | buy                   | query  | 1              |
        """),
        "edge_usage_patterns": drawn("""
            | usage_pattern_id | network_id | country_id | clock | usage_span |
            | fleet            | wifi       | in         | utc   | 4          |
        """),
        "edge_usage_pattern_journeys": drawn("""
            | usage_pattern_id | edge_usage_journey_id | times_per_deployment |
            | fleet            | report                | 1                    |
        """),
        "edge_usage_pattern_starts": drawn("""
            | usage_pattern_id | hour             | starts |
            | fleet            | 2026-01-01 08:00 | 5      |
        """),
        "edge_usage_journey_needs": drawn("""
            | edge_usage_journey_id | server_need_id | times_per_journey |
            | report                | sync           | 1                 |
        """),
        "server_need_volumes": week,
        "server_need_jobs": drawn("""
            | server_need_id | job_id | times_per_occurrence |
            | sync           | train  | 1                    |
        """),
        "container_weights": drawn("""
            | container_id | hour                 | fabrication_weight | usage_weight |
            | browse       | 2026-01-01T00:00:00Z | 3                  | 300          |
            | search       | 2026-01-01T00:00:00Z | 1                  | 100          |
        """),
        "job_runs": drawn("""
            | run_id | source | server_id | application | project | user | state     | submitted_at         | started_at           | ended_at             | cpu_cores | ram |
            | r1     | mine   | farm      | fold        | lab     | ann  | completed | 2026-01-01T00:10:00Z | 2026-01-01T00:20:00Z | 2026-01-01T02:20:00Z | 4         | 8   |
            | r2     | mine   | farm      | fold        | lab     | bob  | running   | 2026-01-01T00:10:00Z | 2026-01-01T01:00:00Z |                      | 2         | 4   |
        """),
        "job_run_intervals": drawn("""
            | run_id | interval_no | started_at           | ended_at             |
            | r1     | 0           | 2026-01-01T00:20:00Z | 2026-01-01T01:00:00Z |
            | r1     | 1           | 2026-01-01T01:30:00Z | 2026-01-01T02:20:00Z |
        """),
        "log_horizons": drawn("""
            | source | horizon              |
            | mine   | 2026-01-01T03:00:00Z |
        """),
        "sources": drawn("""
            | table   | row_id | column | source   | confidence |
            | servers | web    | power  | measured | high       |
        """),
    }  # fmt: skip


def write(tables: Tables, folder: Path) -> None:
    """Write tables as CSV files; a table without rows is not written."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in tables.items():
        if rows:
            names = list(dict.fromkeys(column for row in rows for column in row))
            with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as opened:
                writer = csv.DictWriter(opened, names, restval="", lineterminator="\n")
                writer.writeheader()
                writer.writerows(rows)


# ---------------------------------------------------------------- edits of tables


def cell(table: str, row: int, column: str, value: str) -> Edit:
    """Put a value into a row (counted from 1)."""

    def edit(tables: Tables) -> None:
        assert column in tables[table][0] or row == 0, f"{table} has no {column}"
        for r in tables[table] if row == 0 else [tables[table][row - 1]]:
            r[column] = value

    return edit


def cells(table: str, row: int, **values: str) -> Edit:
    """Put values into columns of a row, new columns too."""
    return lambda tables: tables[table][row - 1].update(values)


def add(table: str, **values: str) -> Edit:
    """Add a row: a copy of the first one with other values."""
    return lambda tables: tables[table].append({**tables[table][0], **values})


def without(table: str) -> Edit:
    """Leave a table out."""

    def edit(tables: Tables) -> None:
        del tables[table]

    return edit


def column_named(table: str, old: str, new: str) -> Edit:
    """Name a column otherwise."""

    def edit(tables: Tables) -> None:
        tables[table][:] = [{new if k == old else k: v for k, v in row.items()} for row in tables[table]]

    return edit


def no_column(table: str, *names: str) -> Edit:
    """Leave columns out."""

    def edit(tables: Tables) -> None:
        tables[table][:] = [{k: v for k, v in row.items() if k not in names} for row in tables[table]]

    return edit


def renamed(table_columns: list[tuple[str, str]], old: str, new: str) -> Edit:
    """Give an id another name wherever it stands."""

    def edit(tables: Tables) -> None:
        for table, column in table_columns:
            for row in tables[table]:
                if row.get(column) == old:
                    row[column] = new

    return edit


# ---------------------------------------------------------------- touches of files


def content(name: str, data: bytes | str) -> Touch:
    """Write a file of the folder as it is."""

    def touch(folder: Path) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)

    return touch


def bytes_of(name: str, change: Callable[[bytes], bytes]) -> Touch:
    """Change the bytes of a file."""

    def touch(folder: Path) -> None:
        (folder / name).write_bytes(change((folder / name).read_bytes()))

    return touch


# ---------------------------------------------------------------- cases


@dataclass(frozen=True)
class Broken:
    """One expected violation: table, row, column and value exactly, the expectation in part."""

    table: str
    row: int | None
    column: str | None
    value: str | None
    expected: str


def at(table: str, row: int | None, column: str | None, value: str | None, expected: str) -> Broken:
    """A violation that a case must cause."""
    return Broken(table, row, column, value, expected)


@dataclass(frozen=True)
class Case:
    """A model folder and its outcome: exactly these violations, or (none given) a run that succeeds."""

    name: str
    changes: tuple[Edit | Touch, ...] = ()
    broken: tuple[Broken, ...] = ()
    base: Callable[[], Tables] = small
    touches: tuple[Touch, ...] = ()
    check: Callable[[Path], None] | None = field(default=None, compare=False)

    def build(self, folder: Path) -> None:
        """Write the model folder."""
        tables = self.base()
        for change in self.changes:
            change(tables)  # type: ignore[arg-type]
        write(tables, folder)
        for touch in self.touches:
            touch(folder)


def refused(name: str, edits: Edit | list[Edit], *broken: Broken, base: Callable[[], Tables] = small) -> Case:
    """A small model with edits that must be refused with exactly these violations."""
    return Case(name, tuple(edits) if isinstance(edits, list) else (edits,), broken, base)


def refused_file(name: str, touch: Touch | list[Touch], *broken: Broken, base: Callable[[], Tables] = small) -> Case:
    """A small model of which a file is changed, that must be refused with exactly these violations."""
    return Case(name, (), broken, base, tuple(touch) if isinstance(touch, list) else (touch,))
