"""Rules over several tables: capacity, peaks, storages, weeks, grid intensity."""

from tests.door.models import Case, Edit, Tables, add, at, cell, cells, full, refused


def rows_removed(table: str, *rows: int) -> Edit:
    def edit(tables: Tables) -> None:
        tables[table][:] = [r for number, r in enumerate(tables[table], start=1) if number not in rows]

    return edit


CAPACITY = [
    refused("no RAM left", cell("servers", 1, "base_ram_consumption", "113.2"),
            at("servers", 1, "ram", "128", "more than the 115.2 GB_ram that server web and its services hold; ram * utilization_rate is 115.2")),
    refused("no compute left", cell("services", 1, "base_compute_consumption", "20"),
            at("servers", 1, "compute", "24", "more than the 22 cpu_core that server web and its services hold; compute * utilization_rate is 21.6")),
    refused("neither RAM nor compute left", cells("services", 1, base_compute_consumption="20", base_ram_consumption="200"),
            at("servers", 1, "ram", "128", "more than the 200.3 GB_ram"), at("servers", 1, "compute", "24", "more than the 22 cpu_core")),
    refused("exactly all RAM taken", cells("servers", 2, base_ram_consumption="256"),
            at("servers", 2, "ram", "256", "more than the 256 GB_ram that server farm and its services hold; ram * utilization_rate is 256")),
    refused("no RAM left on a GPU server", cells("gpu_servers", 1, base_ram_consumption="320"),
            at("gpu_servers", 1, "ram_per_gpu", "320", "more than the 320 GB_ram that server rack and its services hold"), base=full),
    refused("no compute left on a cloud server", cells("cloud_servers", 1, base_compute_consumption="9"),
            at("cloud_servers", 1, "instance_type", "8", "more than the 9 cpu_core that server cloud and its services hold"), base=full),
    refused("a peak above the fixed number", [cell("servers", 2, "fixed_nb_of_instances", "1"), cell("jobs", 1, "ram_needed", "200")],
            at("servers", None, "fixed_nb_of_instances", "1 for farm", "at least 1.56863 instances of farm, asked for in the hour 2026-01-01 01:00 UTC")),
    refused("no machine at all", cell("servers", 2, "fixed_nb_of_instances", "0"),
            at("servers", None, "fixed_nb_of_instances", "0 for farm", "asked for in the hour 2026-01-01 01:00 UTC")),
    refused("a storage above its fixed number", [cell("storages", 1, "fixed_nb_of_instances", "1"), cell("jobs", 2, "data_stored", "1 TB_stored")],
            at("storages", None, "fixed_nb_of_instances", "1 for disk", "instances of disk, asked for in the hour 2026-01-01 09:00 UTC"), base=full),
]  # fmt: skip

OTHER = [
    refused("a storage of two servers", cell("servers", 2, "storage_id", "disk"),
            at("servers", 2, "storage_id", "disk", "a storage of its own; server web has the same"), base=full),
    refused("a storage of two kinds of servers", cells("gpu_servers", 1, storage_id="disk"),
            at("servers", 1, "storage_id", "disk", "a storage of its own; server rack has the same"), base=full),
    refused("a storage of three servers", [cell("servers", 2, "storage_id", "disk"), add("servers", server_id="third")],
            at("servers", 2, "storage_id", "disk", "server web has the same"), at("servers", 3, "storage_id", "disk", "server web has the same"), base=full),
    refused("a week of 167 hours", rows_removed("server_need_volumes", 5),
            at("server_need_volumes", 167, "server_need_id", "sync", "168 rows for a server need, one for each hour of the week; it has 167"), base=full),
    refused("a week with an hour twice", cell("server_need_volumes", 168, "hour_of_week", "166"),
            at("server_need_volumes", 168, "server_need_id, hour_of_week", "sync, 166", "it stands in 2 rows"), base=full),
    refused("a journey of a thousand years", cell("usage_journey_steps", 2, "times_per_journey", "2e7"),
            at("usage_journey_steps", 2, "usage_journey_id", "visit", "a journey of at most 6.31152e+09 s; its steps take 36000000000 s"), base=full),
    refused("a server in a zone without rows", cell("cloud_servers", 1, "zone", "SE"),
            at("cloud_servers", 1, "zone", "SE", "a zone that has rows in carbon_intensity, for average_carbon_intensity is empty"), base=full),
    refused("a country in a zone without rows", cell("countries", 1, "zone", "SE"),
            at("countries", 1, "zone", "SE", "a zone that has rows in carbon_intensity, for average_carbon_intensity is empty"), base=full),
    refused("a country without any intensity", cell("countries", 1, "zone", ""),
            at("countries", 1, "average_carbon_intensity", "nothing", "average_carbon_intensity, or a zone that has rows in carbon_intensity"), base=full),
    refused("an application named as a job", cell("job_runs", 1, "application", "read"),
            at("job_runs", 1, "application", "read", "an application whose name is no job_id on the same server"), base=full),
]  # fmt: skip


def _gap(name: str, removed: list[int], first: str, who: str, *more: Edit) -> Case:
    edits = [rows_removed("carbon_intensity", *removed), *more]
    return refused(name, edits, at("carbon_intensity", None, "zone, hour", f"no row for DK, {first}", who), base=full)


GAPS = [
    _gap("an hour without intensity in a country and on a server", [10], "2026-01-01 09:00",
         "a row for every hour from 2026-01-01 02:00 to 2026-01-01 09:00, which server cloud uses; 1 has none; 1 more of its users lack hours too"),
    _gap("the first hours without intensity", [1, 2, 3, 4, 5, 6, 7, 8], "2026-01-01 02:00", "which server cloud uses; 6 have none"),
    _gap("the last hours without intensity", list(range(11, 25)), "2026-01-01 10:00",
         "a row for every hour from 2026-01-01 08:00 to 2026-01-01 10:00, which usage pattern daily uses; 1 has none"),
    _gap("an hour without intensity though there is an average", [10], "2026-01-01 09:00", "a row for every hour",
         cell("cloud_servers", 1, "average_carbon_intensity", "100"), cell("countries", 1, "average_carbon_intensity", "100")),
    _gap("an hour without intensity in a country only", [10], "2026-01-01 09:00", "which usage pattern daily uses; 1 has none",
         cells("cloud_servers", 1, zone="", average_carbon_intensity="100")),
]  # fmt: skip

CASES: list[Case] = [*CAPACITY, *OTHER, *GAPS]
