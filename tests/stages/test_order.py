"""Rows that a stage promises in the order of their ids come so, whatever the order of the rows that go in."""

import polars as pl

from pipeline.stages.derived import job, server, service
from pipeline.stages.energy import device
from pipeline.stages.instances import capacity
from pipeline.stages.instances import server as instances
from pipeline.stages.instances import storage as storages
from pipeline.stages.repartition import job as repartition
from pipeline.stages.repartition import server as shares
from tests.frames import frame, given


def ids(rows: pl.LazyFrame, *columns: str) -> list[tuple[str, ...]]:
    return rows.select(columns).collect().rows()


def test_jobs_servers_and_services_of_every_kind_are_one_list():
    services = service.build(
        given("services", "| service_id | server_id |\n| z | web |\n| c | web |"),
        given("video_streaming_services", "| service_id | server_id |\n| m | web |\n| a | web |"),
    )
    assert ids(services, "service_id") == [("a",), ("c",), ("m",), ("z",)]
    jobs = job.build(
        given("jobs", "| job_id | server_id |\n| z | web |\n| c | web |"),
        given("video_streaming_jobs", "| job_id | service_id |\n| m | a |\n| b | a |"),
        services,
        given("video_streaming_services", "| service_id | server_id |\n| a | web |"),
    )
    assert ids(jobs, "job_id") == [("b",), ("c",), ("m",), ("z",)]
    servers = server.build(
        given("servers", "| server_id |\n| z |\n| c |"),
        given("gpu_servers", "| server_id |\n| m |\n| a |"),
        given("cloud_servers", "| server_id | provider | instance_type |\n| b | aws | large |"),
        given("cloud_instances"),
    )
    assert ids(servers, "server_id") == [("a",), ("b",), ("c",), ("m",), ("z",)]
    assert ids(capacity.build(servers.reverse(), services), "server_id") == ids(servers, "server_id")


def test_devices_are_in_the_order_of_pattern_and_hour():
    usage = frame("""
        | usage_pattern_id | hour  | journeys_in_parallel |
        | work             | 01:00 |                    1 |
        | home             | 01:00 |                    1 |
        | home             | 00:00 |                    1 |
    """)
    held = given(
        "usage_pattern_devices",
        "| usage_pattern_id | device_id |\n| home | phone |\n| work | laptop |\n| home | laptop |",
    )
    grid = frame("| usage_pattern_id | zone | average_carbon_intensity |\n| home | fr | 60 |\n| work | fr | 60 |")
    devices = given("devices", "| device_id | power |\n| phone | 1 |\n| laptop | 2 |")
    found = device.build(usage, held, devices, grid, given("carbon_intensity"))
    assert ids(found, "device_id", "usage_pattern_id") == [
        ("laptop", "home"), ("laptop", "home"), ("laptop", "work"), ("phone", "home"), ("phone", "home"),
    ]  # fmt: skip


def test_everything_that_is_too_small_is_listed_by_name():
    asked = frame(
        "| server_id | storage_id | hour | raw_nb_of_instances |\n| z | z | 00:00 | 5 |\n| a | a | 00:00 | 5 |\n| k | k | 00:00 | 5 |"
    )
    fixed = frame(
        "| server_id | storage_id | server_type | fixed_nb_of_instances |\n| k | k | on-premise | 1 |\n| z | z | on-premise | 1 |\n| a | a | on-premise | 1 |"
    )
    assert ids(instances.too_small(asked, fixed), "server_id") == [("a",), ("k",), ("z",)]
    assert ids(storages.too_small(asked, fixed), "storage_id") == [("a",), ("k",), ("z",)]


def test_containers_are_in_the_order_of_their_jobs():
    weights = frame("""
        | job_id | server_id | container_id | start | fabrication_weight | usage_weight |
        | put    | web       | tray         | 00:00 | [1]                | [1]          |
        | get    | web       | tray         | 01:00 | [1]                | [1]          |
        | get    | web       | basket       | 00:00 | [1]                | [1]          |
    """)
    found = [("get", "basket"), ("get", "tray"), ("put", "tray")]
    assert ids(repartition.build(weights), "job_id", "container_id") == found
    assert ids(repartition.build_observed(weights), "job_id", "container_id") == found


def test_observed_applications_are_in_the_order_of_their_names():
    weights = frame("""
        | server_id | job_id | start | weight |
        | node      | sort   | 00:00 | [1]    |
        | node      | fold   | 03:00 | [1]    |
        | node      | fold   | 00:00 | [1]    |
    """)
    series = frame("| server_id | start | weight_sum |\n| node | 00:00 | [2, 0, 0, 1] |")
    found = ids(shares.build_observed(weights, series), "job_id", "start")
    assert [job for job, _ in found] == ["fold", "fold", "sort"]
    assert found[0][1] < found[1][1]
