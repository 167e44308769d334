"""Units in headers, cells and nowhere: wrong dimensions and misspelt names are refused, any right spelling gives the same model."""

from collections.abc import Callable
from pathlib import Path

import polars as pl

from pipeline import model
from tests.door.models import Case, Tables, at, cell, cells, column_named, full, no_column, refused, small


def _base(table: str) -> Callable[[], Tables]:
    return small if table in small() else full


def _cell(name: str, table: str, column: str, value: str, why: str) -> Case:
    return refused(name, cell(table, 1, column, value), at(table, 1, column, value, why), base=_base(table))


def _header(name: str, table: str, column: str, unit: str, why: str) -> Case:
    return refused(name, column_named(table, column, f"{column} [{unit}]"), at(table, None, column, unit, why), base=_base(table))  # fmt: skip


WRONG = [
    _cell("RAM bytes where stored bytes belong", "jobs", "data_stored", "150 GB_ram", "('GB_ram' does not measure the same as 'MB_stored')"),
    _cell("stored bytes where RAM belongs", "jobs", "ram_needed", "1 GB_stored", "'GB_stored' does not measure the same as 'GB_ram'"),
    _cell("plain bytes where RAM belongs", "jobs", "ram_needed", "1 GB", "'GB' does not measure the same as 'GB_ram'"),
    _cell("plain bytes where stored bytes belong", "storages", "storage_capacity", "1 TB", "'TB' does not measure the same as 'TB_stored'"),
    _cell("energy where power belongs", "servers", "power", "300 Wh", "'Wh' does not measure the same as 'W'"),
    _cell("power where a number belongs", "servers", "power_usage_effectiveness", "1 W", "'W' does not measure the same as '1'"),
    _cell("GPUs where cores belong", "cloud_instances", "compute", "8 gpu", "'gpu' does not measure the same as 'cpu_core'"),
    _cell("cores where GPUs belong", "gpu_servers", "compute", "4 cpu_core", "'cpu_core' does not measure the same as 'gpu'"),
    _cell("time where mass belongs", "servers", "carbon_footprint_fabrication", "6 year", "'year' does not measure the same as 'kg'"),
    _cell("carbon per power", "servers", "average_carbon_intensity", "100 g/kW", "'g/kW' does not measure the same as 'g/kWh'"),
    _cell("energy per carbon", "servers", "average_carbon_intensity", "100 kWh/g", "'kWh/g' does not measure the same as 'g/kWh'"),
    _cell("a square", "servers", "power", "3 W*W", "'W*W' does not measure the same as 'W'"),
    _cell("occurrences as journeys in flight", "occurrences", "occurrences", "3 concurrent", "does not measure the same as 'occurrence'"),
    _cell("a unit in lower case", "servers", "power", "3 kw", "'kw' is not a unit we know (did you mean kW?)"),
    _cell("a unit in upper case", "networks", "bandwidth_energy_intensity", "3 KWH/GB", "'KWH/GB' is not a unit we know (did you mean kWh/GB?)"),
    _cell("kilobytes in capitals", "jobs", "data_transferred", "150 KB", "'KB' is not a unit we know (did you mean kB?)"),
    _cell("bits or bytes", "jobs", "data_transferred", "150 Mb", "'Mb' is not a unit we know (did you mean MB?)"),
    _cell("millibytes", "jobs", "data_transferred", "150 mB", "'mB' would be a part of a bit; M is mega"),
    _cell("millibytes of RAM", "jobs", "ram_needed", "150 mB_ram", "'mB_ram' would be a part of a bit"),
    _cell("an unknown unit", "servers", "power", "3 horsepower", "'horsepower' is not a unit we know"),
    _cell("a unit of currency", "servers", "power", "3 EUR", "'EUR' is not a unit we know"),
    _cell("no space before the unit", "jobs", "data_transferred", "150kB", "(one space before the unit)"),
    _cell("two spaces before the unit", "jobs", "data_transferred", "150  kB", "(one space before the unit)"),
    _cell("a no-break space before the unit", "jobs", "data_transferred", "150\u00a0kB", "(one space before the unit)"),
    _cell("an exponent with a unit after a comma", "jobs", "data_transferred", "1,5e3 kB", "with a decimal point, and no commas"),
    _cell("a unit before the number", "jobs", "data_transferred", "kB 150", "a number in MB, or with its unit as in `150 MB`"),
    _cell("a unit and no number", "jobs", "data_transferred", "kB", "a number in MB"),
    _cell("two quantities", "jobs", "request_duration", "1 h 30 min", "'h 30 min' is not a unit"),
    _cell("clock time", "jobs", "request_duration", "01:30:00", "a number in s"),
    _cell("an ISO duration", "jobs", "request_duration", "PT90S", "a number in s"),
    _cell("a range", "servers", "power", "100-200", "a number in W"),
    _cell("an approximation", "servers", "power", "~300", "a number in W"),
    _cell("a sum", "servers", "power", "100+200 W", "a number in W"),
    _cell("a fraction", "servers", "utilization_rate", "9/10", "a number"),
    _cell("a percentage without a space", "servers", "utilization_rate", "90%", "(one space before the unit)"),
    _cell("a power of a unit", "servers", "power", "3 W**1", "'W**1' is not a unit"),
    _cell("a unit with a factor in it", "servers", "power", "3 1000 W", "a number in W"),
    _cell("a unit that runs code", "servers", "power", "3 __import__(os)", "a number in W"),
    _cell("a unit of brackets", "servers", "power", "3 W((((((", "'W((((((' is not a unit"),
    _cell("a unit of 200 characters", "servers", "power", "3 " + "W" * 200, "a number in W"),
    _cell("a currency of pint", "servers", "power", "3 delta_degC", "'delta_degC' is not a unit we know"),
    _cell("a square root of a number", "servers", "power", "3 W/0", "'W/0' is not a unit"),
    _header("RAM in the header of stored bytes", "jobs", "data_stored", "GB_ram", "a unit that measures the same as MB_stored ('GB_ram' does not measure the same as 'MB_stored')"),
    _header("an unknown unit in a header", "servers", "power", "kilowat", "'kilowat' is not a unit we know"),
    _header("a misspelt unit in a header", "servers", "power", "KW", "'KW' is not a unit we know (did you mean kW?)"),
    _header("a unit in the header of an id", "servers", "name", "W", "no unit, for the column holds no numbers"),
    _header("a unit in the header of hours", "occurrences", "hour", "UTC", "no unit, for the column holds no numbers" ),
    _header("two units in a header", "servers", "power", "W, kW", "'W, kW' is not a unit"),
    refused("two headers of units", column_named("servers", "power", "power [kW] [W]"), at("servers", None, "power [kW] [W]", None, "did you mean power?")),
    refused("cores for a job on a server that counts GPUs", cell("jobs", 3, "compute_needed", "2 cpu_core"), at("jobs", 3, "compute_needed", "cpu_core", "compute in gpu, as server rack counts it"), base=full),
    refused("GPUs for a job on a server that counts cores", cell("jobs", 1, "compute_needed", "2 gpu"), at("jobs", 1, "compute_needed", "gpu", "compute in cpu_core, as server farm counts it")),
    refused("GPUs for a job of a service on a server that counts cores", cell("jobs", 2, "compute_needed", "2 gpu"), at("jobs", 2, "compute_needed", "gpu", "compute in cpu_core, as server web counts it")),
    refused("GPUs in the header of jobs", column_named("jobs", "compute_needed", "compute_needed [gpu]"),
            at("jobs", 1, "compute_needed", "gpu", "as server farm counts it"), at("jobs", 2, "compute_needed", "gpu", "as server web counts it")),
    refused("GPUs for a service on a server that counts cores", cell("services", 1, "base_compute_consumption", "1 gpu"), at("services", 1, "base_compute_consumption", "gpu", "as server web counts it")),
    refused("a server that says GPUs and counts cores", [cells("servers", 1, compute_unit="gpu"), cell("servers", 1, "compute", "24 cpu_core")],
            at("servers", 1, "compute", "cpu_core", "compute in gpu, as server web counts it")),
    refused("streaming on a server that counts GPUs", cell("video_streaming_services", 1, "server_id", "rack"),
            at("video_streaming_services", 1, "static_delivery_cpu_cost", "cpu_core", "compute in gpu, as server rack counts it"), base=full),
]  # fmt: skip


def same(column: str, value: float, *, table: str = "servers", row: int = 0) -> Callable[[Path], None]:
    """The model as loaded holds this value."""

    def check(folder: Path) -> None:
        found = model.load(folder)[table].collect()[column][row]
        assert found == value, (found, value)

    return check


def _right(name: str, column: str, text: str, value: float, *, table: str = "servers") -> Case:
    return Case(f"right: {name}", (cell(table, 1, column, text),), check=same(column, value, table=table))


RIGHT = [
    _right("a canonical unit in the cell", "power", "300 W", 300.0),
    _right("kilowatts in the cell", "power", "0.3 kW", 300.0),
    Case("right: kilowatts in the header", (cell("servers", 1, "power", "0.3"), cell("servers", 2, "power", "0.4"), column_named("servers", "power", "power [kW]")), check=same("power", 300.0)),
    Case("right: a header without a space", (cell("servers", 1, "power", "0.3"), column_named("servers", "power", "power[kW]")), check=same("power", 300.0)),
    Case("right: a header with many spaces", (cell("servers", 1, "power", "0.3"), column_named("servers", "power", "  power   [ kW ]  ")), check=same("power", 300.0)),
    Case("right: a header with a line break", (cell("servers", 1, "power", "0.3"), column_named("servers", "power", "power\n[kW]")), check=same("power", 300.0)),
    Case("right: a header with an empty unit", (cell("servers", 1, "power", "300"), column_named("servers", "power", "power []")), check=same("power", 300.0)),
    Case("right: a cell with its own unit in a column with another", (cell("servers", 1, "power", "300 W"), column_named("servers", "power", "power [kW]")), check=same("power", 300.0)),
    _right("an exponent", "power", "3e2", 300.0),
    _right("an exponent and a unit", "power", "3e-1 kW", 300.0),
    _right("a leading point", "power", ".3 kW", 300.0),
    _right("a plus sign", "power", "+300", 300.0),
    _right("spaces around", "power", "  300 ", 300.0),
    _right("spaces around a quantity", "power", " 300 W ", 300.0),
    _right("a long name", "power", "0.3 kilowatt", 300.0),
    _right("a plural", "lifespan", "72 months", 6.0),
    _right("days", "lifespan", "2191.5 day", 6.0),
    _right("tonnes of carbon", "carbon_footprint_fabrication", "0.6 tCO2e", 600.0),
    _right("percent", "utilization_rate", "90 %", 0.9),
    _right("kilograms per megawatt hour", "average_carbon_intensity", "100 kg/MWh", 100.0),
    _right("binary gigabytes", "ram", "128 GiB_ram", 137.438953472),
    _right("vCPUs", "compute", "24 vCPU", 24.0),
    _right("exact decimal conversion", "data_transferred", "150 kB", 0.15, table="jobs"),
    _right("bits", "data_transferred", "8 Mbit", 1.0, table="jobs"),
    _right("minutes", "request_duration", "1.5 min", 90.0, table="jobs"),
    _right("minus zero", "data_stored", "-0.0", 0.0, table="jobs"),
    _right("an integer beyond 2^53 is the nearest float64", "occurrences", "9007199254740993", 9007199254740992.0, table="occurrences"),
    _right("a denormal number is what it is", "data_transferred", "5e-324", 5e-324, table="jobs"),
    _right("a number too small for a float64 is zero", "data_transferred", "1e-400", 0.0, table="jobs"),
    _right("seventeen digits are kept", "power", "300.10000000000002", 300.10000000000002),
    Case("right: a default where the cell is blank", (cell("servers", 0, "power_usage_effectiveness", ""),), check=same("power_usage_effectiveness", 1.0)),
    Case("right: a default where the column is missing", (no_column("servers", "power_usage_effectiveness"),), check=same("power_usage_effectiveness", 1.0)),
    Case("right: a default where the cell is a space", (cell("servers", 0, "power_usage_effectiveness", " "),), check=same("power_usage_effectiveness", 1.0)),
]  # fmt: skip


def positive_zero(folder: Path) -> None:
    stored = model.load(folder)["jobs"].collect()["data_stored"]
    assert str(stored[0]) == "0.0"


RIGHT.append(Case("right: minus zero loses its sign", (cell("jobs", 1, "data_stored", "-0.0"),), check=positive_zero))


def gpus(folder: Path) -> None:
    servers, _, _ = model.derived_tables(model.load(folder))
    assert servers.filter(pl.col("server_id") == "web").collect()["compute_unit"].to_list() == ["gpu"]


RIGHT.append(
    Case("right: the unit of compute says what is counted", (cell("servers", 1, "compute", "24 gpu"),), check=gpus)
)

CASES: list[Case] = [*WRONG, *RIGHT]
