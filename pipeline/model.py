"""A model folder as canonical tables that keep every promise, or one error that lists every promise broken."""

from dataclasses import dataclass, field
from pathlib import Path
from zoneinfo import available_timezones

import polars as pl
from polars import col

from pipeline.checking import key_violations, reference_violations, row_violations, shared_id_violations
from pipeline.errors import InputError
from pipeline.reading import TableFile, file_hash, find_files, has_companion, read_batches
from pipeline.stages.derived import job as derived_job
from pipeline.stages.derived import server as derived_server
from pipeline.stages.derived import service as derived_service
from pipeline.stages.instances import capacity
from pipeline.tables import DETAILS, INPUTS
from pipeline.tables.inputs import JOB_TABLES, SERVER_TABLES, SERVICE_TABLES
from pipeline.violations import refuse, stacked, violation, violations_at

IN_MEMORY_ROWS = 3_000_000
"""Tables of more rows are kept as Parquet in the spill folder instead of in memory."""
CATEGORICAL = {"occurrences": ["job_id", "usage_pattern_id", "container_id"]}


@dataclass
class Model:
    """The tables of a model, canonical; tables the folder lacks are empty."""

    folder: Path
    tables: dict[str, pl.LazyFrame]
    rows: dict[str, int]
    hashes: dict[str, str]
    warnings: list[str] = field(default_factory=list)

    def __getitem__(self, name: str) -> pl.LazyFrame:
        return self.tables[name]

    def has(self, name: str) -> bool:
        """Whether the table has any rows."""
        return self.rows.get(name, 0) > 0


def load(folder: Path, spill: Path | None = None) -> Model:
    """Read and check a model folder; InputError carries every broken rule of every table.

    `spill` is a folder for tables too large for memory (without it they stay in memory).
    """
    if not folder.is_dir():
        raise InputError(
            f"{folder}: no such folder; a model is a folder of tables, for a start servers, jobs and occurrences"
        )
    files, wrong = find_files(folder)
    if not files and not wrong:
        raise InputError(f"{folder}: holds no tables; the smallest model is servers, jobs and occurrences")
    tables, rows, found = _read(files, folder, spill)
    model = Model(folder, tables, rows, {str(f.path.relative_to(folder)): file_hash(f.path) for f in files})
    wrong += found
    unreadable = {v["table"][0] for v in found if v["row"][0] is None}
    wrong += _between_tables(model, unreadable)
    every = stacked(wrong)
    if not len(every):
        wrong += _of_the_whole(model)
        every = stacked(wrong)
    refuse(every, str(folder))
    model.warnings += _warnings(model)
    model.tables = {name: frame.drop("row") for name, frame in model.tables.items()}
    return model


def _read(
    files: list[TableFile], folder: Path, spill: Path | None
) -> tuple[dict[str, pl.LazyFrame], dict[str, int], list[pl.DataFrame]]:
    wrong: list[pl.DataFrame] = []
    tables: dict[str, pl.LazyFrame] = {}
    rows: dict[str, int] = {}
    for name, table in {**INPUTS, **DETAILS}.items():
        own = [f for f in files if f.table.name == name]
        batches: list[pl.DataFrame] = []
        spilled = 0
        for file in own:
            display = str(file.path.relative_to(folder)) if len(own) > 1 else None
            for batch in read_batches(file, display or file.path.name):
                wrong += batch.violations
                if name in INPUTS:
                    wrong += row_violations(table, batch.frame, display)
                kept = batch.frame.with_columns(col(c).cast(pl.Categorical) for c in CATEGORICAL.get(name, ()))
                rows[name] = rows.get(name, 0) + len(kept)
                batches.append(kept)
                if spill is not None and sum(map(len, batches)) > IN_MEMORY_ROWS:
                    spill.mkdir(parents=True, exist_ok=True)
                    pl.concat(batches).write_parquet(spill / f"{name}-{spilled:05}.parquet", compression="lz4")
                    batches, spilled = [], spilled + 1
        if spilled and spill is not None:
            if batches:
                pl.concat(batches).write_parquet(spill / f"{name}-{spilled:05}.parquet", compression="lz4")
            tables[name] = pl.scan_parquet(spill / f"{name}-*.parquet")
        else:
            tables[name] = pl.concat(batches).lazy() if batches else _empty(name)
    return tables, rows, wrong


def _empty(name: str) -> pl.LazyFrame:
    table = {**INPUTS, **DETAILS}[name]
    companions = {c.name + ":unit": pl.String for c in table.columns.values() if has_companion(c)}
    kinds = {c: pl.Categorical() for c in CATEGORICAL.get(name, ())}
    return pl.LazyFrame(schema={**table.polars_schema(), **companions, "row": pl.Int64}).cast(kinds)  # type: ignore[arg-type]


def _between_tables(model: Model, unreadable: set[str]) -> list[pl.DataFrame]:
    """Keys, references and shared names; tables that could not be read in full are left out, or every reference to them would fail."""
    wrong: list[pl.DataFrame] = []
    for name, table in INPUTS.items():
        if not model.has(name):
            continue
        wrong += key_violations(table, model[name])
        if not unreadable.intersection(r for c in table.columns.values() for r in c.references):
            wrong += reference_violations(table, INPUTS, model.tables)
    for names, column in ((SERVER_TABLES, "server_id"), (SERVICE_TABLES, "service_id"), (JOB_TABLES, "job_id"), (("usage_patterns", "edge_usage_patterns"), "usage_pattern_id")):  # fmt: skip
        wrong += shared_id_violations(names, column, model.tables)
    if not model.has("servers") and not model.has("gpu_servers") and not model.has("cloud_servers") and not unreadable:
        wrong.append(
            violation(
                "servers", "missing table", "a table servers (or gpu_servers, cloud_servers) with at least one row"
            )
        )
    wrong += _clocks(model)
    return wrong


def _clocks(model: Model) -> list[pl.DataFrame]:
    """Zones that the tz database does not have, and wall-clock hours with a zone written."""
    wrong = []
    zones = model["countries"].select("timezone", "row").drop_nulls().collect()
    unknown = zones.filter(~col.timezone.is_in(list(available_timezones())))
    if len(unknown):
        wrong.append(violations_at("countries", "unknown timezone", unknown, column="timezone", value="timezone", expected="a name of the tz database such as Europe/Copenhagen"))  # fmt: skip
    for patterns in ("usage_patterns", "edge_usage_patterns"):
        local = model[patterns].filter(col.clock == "local").select("usage_pattern_id")
        starts = model[f"{patterns[:-1]}_starts"]
        zoned = (
            starts.filter(pl.col("hour:unit").is_not_null())
            .join(local, on="usage_pattern_id", how="semi")
            .sort("row")
            .collect()
        )
        if len(zoned):
            wrong.append(violations_at(f"{patterns[:-1]}_starts", "zone in local hours", zoned, column="hour", value="hour", expected="wall-clock hours without a zone: the pattern's clock is local"))  # fmt: skip
    return wrong


def derived_tables(model: Model) -> tuple[pl.LazyFrame, pl.LazyFrame, pl.LazyFrame]:
    """derived.server, derived.service, derived.job."""
    servers = derived_server.build(
        model["servers"], model["gpu_servers"], model["cloud_servers"], model["cloud_instances"]
    )
    services = derived_service.build(model["services"], model["video_streaming_services"])
    jobs = derived_job.build(model["jobs"], model["video_streaming_jobs"], services, model["video_streaming_services"])
    return servers, services, jobs


def _of_the_whole(model: Model) -> list[pl.DataFrame]:
    """Rules over several tables, once each table keeps its own."""
    wrong = _cloud_hardware(model)
    if wrong:
        return wrong
    servers, services, jobs = derived_tables(model)
    wrong += _compute_units(model, servers)
    wrong += _capacity(servers, services)
    wrong += _storages(servers)
    wrong += _weeks(model)
    wrong += _intensities(model)
    wrong += _applications(model, jobs)
    return wrong


def _cloud_hardware(model: Model) -> list[pl.DataFrame]:
    key = ["provider", "instance_type"]
    unknown = model["cloud_servers"].join(model["cloud_instances"], on=key, how="anti").sort("row").collect()
    if not len(unknown):
        return []
    value = pl.concat_str(key, separator=" ")
    return [violations_at("cloud_servers", "unknown instance type", unknown, column="provider, instance_type", value=value, expected="a provider and instance type of the table cloud_instances")]  # fmt: skip


def _compute_units(model: Model, servers: pl.LazyFrame) -> list[pl.DataFrame]:
    """Figures given in cores where the server counts GPUs, and the other way round."""
    unit_of = servers.select("server_id", "compute_unit")
    hosts = pl.concat([model[s].select("service_id", "server_id") for s in SERVICE_TABLES])
    jobs = (
        model["jobs"]
        .join(hosts, on="service_id", how="left", suffix="_of_service")
        .with_columns(server_id=pl.coalesce("server_id", "server_id_of_service"))
    )
    given = [
        ("servers", "compute", model["servers"].drop("compute_unit")),
        ("servers", "base_compute_consumption", model["servers"].drop("compute_unit")),
        ("gpu_servers", "base_compute_consumption", model["gpu_servers"]),
        ("cloud_servers", "base_compute_consumption", model["cloud_servers"]),
        ("services", "base_compute_consumption", model["services"]),
        ("jobs", "compute_needed", jobs),
    ]
    wrong = []
    for table, column, rows in given:
        unit = f"{column}:unit"
        differs = (
            rows.join(unit_of, on="server_id")
            .filter(pl.col(unit).is_not_null() & (pl.col(unit) != col.compute_unit))
            .sort("row")
            .collect()
        )
        if len(differs):
            expected = (
                pl.lit("compute in ") + col.compute_unit + pl.lit(", as server ") + col.server_id + pl.lit(" counts it")
            )
            wrong.append(violations_at(table, "compute unit", differs, column=column, value=unit, expected=expected))
    return wrong


def _capacity(servers: pl.LazyFrame, services: pl.LazyFrame) -> list[pl.DataFrame]:
    sized = (
        capacity.build(servers, services)
        .join(servers.select("server_id", "kind", "ram", "compute", "utilization_rate"), on="server_id")
        .collect()
    )
    wrong = []
    for resource, total in (("ram", "GB_ram"), ("compute", "compute_unit")):
        available, occupied = f"available_{resource}_per_instance", f"occupied_{resource}_per_instance"
        full = sized.filter(pl.col(available) <= 0)
        for row in full.iter_rows(named=True):
            there = row[resource] * row["utilization_rate"]
            expected = (f"more than {row[occupied]:g} {total} usable on server {row['server_id']}, which its base consumption and services take: "
                        f"{resource} * utilization_rate is {there:g}")  # fmt: skip
            wrong.append(violation(row["kind"], "no capacity", expected, column=resource, value=row["server_id"]))
    return wrong


def _storages(servers: pl.LazyFrame) -> list[pl.DataFrame]:
    shared = servers.drop_nulls("storage_id").group_by("storage_id").agg(col.server_id.sort(), col.kind.first()).filter(col.server_id.list.len() > 1).sort("storage_id").collect()  # fmt: skip
    return [
        violation(
            kind,
            "shared storage",
            f"a storage of its own for each server; {', '.join(names)} name the same",
            column="storage_id",
            value=storage,
        )
        for storage, names, kind in shared.select("storage_id", "server_id", "kind").iter_rows()
    ]


def _weeks(model: Model) -> list[pl.DataFrame]:
    weeks = model["server_need_volumes"].group_by("server_need_id").agg(hours=col.hour_of_week.n_unique()).filter(col.hours != 168).sort("server_need_id").collect()  # fmt: skip
    return [
        violation(
            "server_need_volumes",
            "incomplete week",
            f"168 rows, one for each hour of the week; server need {need} has {hours}",
            column="hour_of_week",
            value=need,
        )
        for need, hours in weeks.iter_rows()
    ]


def _intensities(model: Model) -> list[pl.DataFrame]:
    """Servers and countries without an average whose zone has no rows either."""
    known = model["carbon_intensity"].select("zone").unique()
    wrong = []
    for table in (*SERVER_TABLES, "countries"):
        bare = (
            model[table]
            .filter(col.average_carbon_intensity.is_null())
            .join(known, on="zone", how="anti")
            .sort("row")
            .collect()
        )
        if len(bare):
            wrong.append(violations_at(table, "no carbon intensity", bare, column="average_carbon_intensity", value="zone", expected="a value, or a zone that has rows in carbon_intensity"))  # fmt: skip
    return wrong


def _applications(model: Model, jobs: pl.LazyFrame) -> list[pl.DataFrame]:
    taken = (
        model["job_runs"]
        .join(jobs, left_on=["application", "server_id"], right_on=["job_id", "server_id"], how="semi")
        .sort("row")
        .collect()
    )
    if not len(taken):
        return []
    return [violations_at("job_runs", "application is a job", taken, column="application", value="application", expected="an application whose name is no job_id on the same server")]  # fmt: skip


def _warnings(model: Model) -> list[str]:
    """What was assumed, for the run's report."""
    warnings = []
    for table, seconds in (("jobs", "request_duration"), ("video_streaming_jobs", "video_duration")):
        idle = model[table].filter(pl.col(seconds) == 0).select("job_id").collect()["job_id"].to_list()
        if idle:
            warnings.append(
                f"{len(idle)} job(s) with {seconds} 0 take nothing of any server: {', '.join(sorted(idle)[:5])}"
            )
    inverted = pl.concat([model[t].select("server_id", p=pl.col(p), i=pl.col(i)) for t, p, i in (("servers", "power", "idle_power"), ("gpu_servers", "gpu_power", "gpu_idle_power"))])  # fmt: skip
    odd = inverted.filter(col.i > col.p).collect()["server_id"].to_list()
    if odd:
        warnings.append(
            f"{len(odd)} server(s) have more idle power than power, so work lowers their energy: {', '.join(sorted(odd)[:5])}"
        )
    return warnings
