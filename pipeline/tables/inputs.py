"""Every table a model may hold: columns, canonical units, defaults, keys, references and row rules."""

import dataframely as dy
import polars as pl

from pipeline.tables.columns import category, hour, identifier, instant, promise, quantity, text, whole

SERVER_TYPES = ("autoscaling", "serverless", "on-premise")
COMPUTE_UNITS = ("cpu_core", "gpu")
SERVER_TABLES = ("servers", "gpu_servers", "cloud_servers")
SERVICE_TABLES = ("services", "video_streaming_services")
JOB_TABLES = ("jobs", "video_streaming_jobs")

LONGEST_HOURS = 200 * 8766.0
"""Two centuries: no request, step or deployment lasts longer, and a longer one is a mistake of unit."""
LONGEST_SECONDS = LONGEST_HOURS * 3600


class _Named(dy.Schema):
    name = text("A description for people.")


class _AnyServer(dy.Schema):
    """What every kind of server has in common."""

    server_type = category("How instances are provisioned.", SERVER_TYPES)
    lifespan = quantity("year", "Time before an instance is replaced; its embodied carbon is spread over it.", above=0)
    power_usage_effectiveness = quantity("1", "Datacentre overhead on the power of an instance.", default=1.0, min=1)
    average_carbon_intensity = quantity(
        "g/kWh",
        "Average grid intensity where the server runs; may stay empty where `carbon_intensity` covers its zone.",
        default=None,
    )
    zone = text("Grid zone: hours of `carbon_intensity` with this zone replace the average.")
    utilization_rate = quantity("1", "Part of an instance that jobs and services may use.", default=1.0, above=0, max=1)
    base_ram_consumption = quantity("GB_ram", "RAM held on every instance whatever runs.", default=0.0)
    base_compute_consumption = quantity("compute_unit", "Compute held on every instance whatever runs.", default=0.0)
    fixed_nb_of_instances = whole("Number of machines deployed; on-premise only.", unit="1", default=None)
    storage_id = identifier("The storage that backs the server.", references=("storages",), optional=True)

    @promise("fixed_nb_of_instances only where server_type is on-premise", "fixed_nb_of_instances", "server_type")
    def fixed_only_on_premise(cls) -> pl.Expr:
        return pl.col("fixed_nb_of_instances").is_null() | (pl.col("server_type") == "on-premise")

    @promise("average_carbon_intensity, or a zone that has rows in carbon_intensity", "average_carbon_intensity")
    def some_carbon_intensity(cls) -> pl.Expr:
        return pl.col("average_carbon_intensity").is_not_null() | pl.col("zone").is_not_null()


class Servers(_Named, _AnyServer):
    """One row per server: a kind of machine, of which as many instances run as its jobs need."""

    server_id = identifier("The server.", key=True)
    compute_unit = category(
        "What compute is counted in; empty: as the unit of `compute` says, else cpu_core.", COMPUTE_UNITS, default=None
    )
    carbon_footprint_fabrication = quantity("kg", "Embodied carbon of one instance.")
    power = quantity("W", "Electrical power of one fully loaded instance, before PUE.")
    idle_power = quantity("W", "Electrical power of one instance that is on and runs nothing.")
    ram = quantity("GB_ram", "Memory of one instance.", above=0)
    compute = quantity("compute_unit", "Compute of one instance.", above=0)


class GpuServers(_Named, _AnyServer):
    """One row per GPU server; power, RAM and embodied carbon are given per GPU."""

    server_id = identifier("The server.", key=True)
    gpu_power = quantity("W/gpu", "Electrical power of one fully loaded GPU with its share of the chassis.")
    gpu_idle_power = quantity("W/gpu", "Electrical power of one idle GPU with its share of the chassis.")
    ram_per_gpu = quantity("GB_ram/gpu", "Memory per GPU.", above=0)
    carbon_footprint_fabrication_per_gpu = quantity("kg/gpu", "Embodied carbon of one GPU.")
    carbon_footprint_fabrication_without_gpu = quantity("kg", "Embodied carbon of the chassis.")
    compute = quantity("gpu", "GPUs of one instance.", above=0)


class CloudInstances(dy.Schema):
    """One row per instance type of a provider: the user's reference data for `cloud_servers`."""

    provider = identifier("The cloud provider.", key=True)
    instance_type = identifier("The provider's name of the instance type.", key=True)
    power = quantity("W", "Electrical power of one fully loaded instance.")
    ram = quantity("GB_ram", "Memory of one instance.", above=0)
    compute = quantity("cpu_core", "Cores of one instance.", above=0)
    carbon_footprint_fabrication = quantity("kg", "Embodied carbon of one instance.")


class CloudServers(_Named, _AnyServer):
    """One row per cloud server; its hardware is looked up in `cloud_instances`."""

    server_id = identifier("The server.", key=True)
    provider = identifier("The cloud provider.")
    instance_type = identifier("The provider's name of the instance type.")
    idle_power = quantity("W", "Electrical power of one instance that is on and runs nothing.", default=0.0)


class _Installed(_Named):
    service_id = identifier("The service.", key=True)
    server_id = identifier("The server it is installed on.", references=SERVER_TABLES)


class Services(_Installed):
    """One row per service: software installed on every instance of a server, to which jobs may be sent."""

    base_ram_consumption = quantity("GB_ram", "RAM the service holds on every instance.", default=0.0)
    base_compute_consumption = quantity("compute_unit", "Compute the service holds on every instance.", default=0.0)


class VideoStreamingServices(_Installed):
    """One row per video streaming service."""

    base_ram_consumption = quantity("GB_ram", "RAM the service holds on every instance.", default=0.0)
    bits_per_pixel = quantity("bit", "Bits per pixel of the encoded video.")
    static_delivery_cpu_cost = quantity("cpu_core/(GB/s)", "Cores taken per rate of delivered video.")
    ram_buffer_per_user = quantity("MB_ram", "RAM buffered per stream.")


class Jobs(_Named):
    """One row per job: what one invocation takes on its server."""

    job_id = identifier("The job.", key=True)
    server_id = identifier("The server that runs it.", references=SERVER_TABLES, optional=True)
    service_id = identifier("The service that runs it.", references=SERVICE_TABLES, optional=True)
    data_transferred = quantity("MB", "Data sent and received by one invocation.", default=0.0)
    data_stored = quantity("MB_stored", "Data one invocation adds to the storage.", default=0.0)
    request_duration = quantity("s", "Time one invocation holds its resources.", max=LONGEST_SECONDS)
    compute_needed = quantity("compute_unit", "Compute held by one invocation.")
    ram_needed = quantity("GB_ram", "RAM held by one invocation.")

    @promise("exactly one of server_id and service_id", "server_id", "service_id")
    def one_place_to_run(cls) -> pl.Expr:
        return pl.col("server_id").is_null() != pl.col("service_id").is_null()


class VideoStreamingJobs(_Named):
    """One row per video streaming job."""

    job_id = identifier("The job.", key=True)
    service_id = identifier("The streaming service.", references=("video_streaming_services",))
    resolution = text(
        "Text that holds the two pixel counts, `(W x H)`.",
        optional=False,
        check={"resolution": lambda c: c.str.contains(r"\([1-9][0-9]{0,6} x [1-9][0-9]{0,6}\)")},
    )
    video_duration = quantity("s", "Length of the video.", max=LONGEST_SECONDS)
    refresh_rate = quantity("1/s", "Frames per second.")
    data_stored = quantity("MB_stored", "Data one invocation adds to the storage.", default=0.0)


class Storages(_Named):
    """One row per storage: it backs at most one server and keeps what that server's jobs store."""

    storage_id = identifier("The storage.", key=True)
    storage_capacity = quantity("TB_stored", "Capacity of one instance.", above=0)
    carbon_footprint_fabrication_per_storage_capacity = quantity("kg/TB_stored", "Embodied carbon per capacity.")
    data_replication_factor = quantity("1", "Copies kept of everything.", default=1.0)
    data_storage_duration = quantity("h", "Time data is kept; counted up to whole hours.", max=1e9)
    base_storage_need = quantity("TB_stored", "Data held whatever jobs store.", default=0.0)
    lifespan = quantity("year", "Time before an instance is replaced.", above=0)
    fixed_nb_of_instances = whole("Number of instances deployed, where fixed.", default=None)


class Countries(_Named):
    """One row per country: where users are."""

    country_id = identifier("The country.", key=True)
    average_carbon_intensity = quantity(
        "g/kWh", "Average grid intensity; may stay empty where `carbon_intensity` covers its zone.", default=None
    )
    zone = text("Grid zone: hours of `carbon_intensity` with this zone replace the average.")
    timezone = text("IANA name of the civil time.", optional=False)

    @promise("average_carbon_intensity, or a zone that has rows in carbon_intensity", "average_carbon_intensity")
    def some_carbon_intensity(cls) -> pl.Expr:
        return pl.col("average_carbon_intensity").is_not_null() | pl.col("zone").is_not_null()


class CarbonIntensity(dy.Schema):
    """One row per grid zone and hour."""

    zone = identifier("The grid zone.", key=True)
    hour = hour("The hour.")
    carbon_intensity = quantity("g/kWh", "Grid intensity in that hour.")


class Networks(_Named):
    """One row per network."""

    network_id = identifier("The network.", key=True)
    bandwidth_energy_intensity = quantity("kWh/GB", "Energy per transferred data.")


class Devices(_Named):
    """One row per end-user device."""

    device_id = identifier("The device.", key=True)
    carbon_footprint_fabrication = quantity("kg", "Embodied carbon of one device.")
    power = quantity("W", "Electrical power while in use.")
    lifespan = quantity("year", "Time before a device is replaced.", above=0)
    fraction_of_usage_time = quantity("h/day", "Hours of use a day, all uses together.", above=0, max=24)


class _Clocked(_Named):
    usage_pattern_id = identifier("The usage pattern.", key=True)
    network_id = identifier("The network its data crosses.", references=("networks",))
    country_id = identifier("The country its users are in.", references=("countries",))
    clock = category("Whether its hours are UTC or civil time of its country.", ("utc", "local"), default="utc")


class UsagePatterns(_Clocked):
    """One row per usage pattern: a population that starts journeys in a country."""


class EdgeUsagePatterns(_Clocked):
    """One row per edge usage pattern: a fleet of devices deployed in a country."""

    usage_span = quantity("h", "Time a deployed device stays in use.", max=LONGEST_HOURS)


class UsagePatternJourneys(dy.Schema):
    """One row per usage pattern and journey it starts."""

    usage_pattern_id = identifier("The usage pattern.", key=True, references=("usage_patterns",))
    usage_journey_id = identifier("The journey.", key=True, references=("usage_journey_steps",))
    times_per_start = quantity("1", "Journeys per start.", default=1.0)


class UsagePatternDevices(dy.Schema):
    """One row per usage pattern and device its users hold."""

    usage_pattern_id = identifier("The usage pattern.", key=True, references=("usage_patterns",))
    device_id = identifier("The device.", key=True, references=("devices",))
    count = quantity("1", "Devices per journey.", default=1.0)


class _Starts(dy.Schema):
    hour = hour("The hour: UTC, or wall clock without zone where the pattern's clock is local.", wall_clock=True)
    starts = quantity("occurrence", "Journeys started (edge: devices deployed) in that hour.")


class UsagePatternStarts(_Starts):
    """One row per usage pattern and hour; hours missing between two rows count as zero."""

    usage_pattern_id = identifier("The usage pattern.", key=True, references=("usage_patterns",))


class EdgeUsagePatternStarts(_Starts):
    """One row per edge usage pattern and hour; hours missing between two rows count as zero."""

    usage_pattern_id = identifier("The edge usage pattern.", key=True, references=("edge_usage_patterns",))


class UsageJourneySteps(dy.Schema):
    """One row per journey and position: the ordered steps of a journey."""

    usage_journey_id = identifier("The journey.", key=True)
    position = whole("Order of the step within the journey.", key=True)
    usage_journey_step_id = identifier("The step that stands there.", references=("usage_steps",))
    times_per_journey = quantity("1", "Times the step is done there.", default=1.0)


class UsageSteps(_Named):
    """One row per step of a journey."""

    usage_journey_step_id = identifier("The step.", key=True)
    user_time_spent = quantity("s", "Time a user spends in it.", max=LONGEST_SECONDS)


class UsageStepJobs(dy.Schema):
    """One row per step and job it triggers."""

    usage_journey_step_id = identifier("The step.", key=True, references=("usage_steps",))
    job_id = identifier("The job.", key=True, references=JOB_TABLES)
    times_per_step = quantity("1", "Invocations per step.", default=1.0)


class EdgeUsagePatternJourneys(dy.Schema):
    """One row per edge usage pattern and edge journey its devices run."""

    usage_pattern_id = identifier("The edge usage pattern.", key=True, references=("edge_usage_patterns",))
    edge_usage_journey_id = identifier("The edge journey.", key=True, references=("edge_usage_journey_needs",))
    times_per_deployment = quantity("1", "Edge journeys per deployed device.", default=1.0)


class EdgeUsageJourneyNeeds(dy.Schema):
    """One row per edge journey and recurrent server need."""

    edge_usage_journey_id = identifier("The edge journey.", key=True)
    server_need_id = identifier("The recurrent server need.", key=True, references=("server_need_volumes",))
    times_per_journey = quantity("1", "Times the need appears in the journey.", default=1.0)


class ServerNeedVolumes(dy.Schema):
    """One row per recurrent server need and hour of the week: a typical week, 168 rows."""

    server_need_id = identifier("The recurrent server need.", key=True)
    hour_of_week = whole("0 = Monday 00:00 by the pattern's clock.", unit="h", key=True, max=167)
    volume = quantity("occurrence", "Occurrences per device in that hour.")


class ServerNeedJobs(dy.Schema):
    """One row per recurrent server need and job it triggers."""

    server_need_id = identifier("The recurrent server need.", key=True, references=("server_need_volumes",))
    job_id = identifier("The job.", key=True, references=JOB_TABLES)
    times_per_occurrence = quantity("1", "Invocations per occurrence.", default=1.0)


class Occurrences(dy.Schema):
    """One row per job, usage pattern, container and hour: hourly volumes given directly."""

    job_id = identifier("The job.", key=True, references=JOB_TABLES)
    usage_pattern_id = identifier("The usage pattern; needs no row elsewhere.", key=True)
    container_id = identifier("What triggered the job (a journey step, say); needs no row elsewhere.", key=True)
    hour = hour("The hour.")
    occurrences = quantity("occurrence", "Invocations started in that hour.")


class ContainerWeights(dy.Schema):
    """One row per container of direct occurrences and hour: what its share of a job is weighed by."""

    container_id = identifier("The container.", key=True)
    hour = hour("The hour.")
    fabrication_weight = quantity("1", "Weight for embodied carbon.")
    usage_weight = quantity("g/kWh", "Weight for the carbon of use.")


RUN_STATES = ("queued", "running", "suspended", "completed", "failed", "cancelled", "timed_out", "preempted", "unknown")


class JobRuns(dy.Schema):
    """One row per run: one execution seen in a log."""

    run_id = identifier("The run.", key=True)
    source = text("The system it was seen in: ucloud, cryosparc, slurm, swf or the user's own word.")
    source_instance = text("Which instance of that system (cluster, provider, site).")
    source_record_id = text("The record's own id in that system.")
    attempt = whole("Which attempt of the same record, from 0.", default=None)
    job_name = text("The name a person gave the run.")
    server_id = identifier("The server it ran on.", references=SERVER_TABLES)
    application = text("What ran; plays the job.", optional=False, min_length=1)
    project = text("Who it ran for; plays the usage pattern.", optional=False, min_length=1)
    user = text("Who started it; plays the container.", optional=False, min_length=1)
    state = category("How it stands or ended.", RUN_STATES, default=None)
    state_raw = text("The state in the source's own words.")
    submitted_at = instant("When it was handed in.")
    queued_at = instant("When it was queued or became eligible.")
    started_at = instant("When it started; empty where it never did.")
    ended_at = instant("When it ended; empty while it runs.")
    restarts = whole("How often it was started again.", default=None)
    cpu_cores = quantity("cpu_core", "Cores held.", default=0.0)
    gpus = quantity("gpu", "GPUs held.", default=0.0)
    ram = quantity("GB_ram", "Memory held.", default=0.0)
    nodes = quantity("1", "Nodes held, in whole or in part.", default=None)
    data_transferred = quantity("MB", "Data sent and received.", default=0.0)
    data_stored = quantity("MB_stored", "Data left behind.", default=0.0)
    energy = quantity("kWh", "Measured energy; kept beside the modelled one, never added to it.", default=None)
    energy_scope = text("What the measurement covers (exclusive: the whole nodes were the run's own).")
    external_ref = text("The same run's id in another system.")
    flags = text("What was noticed, codes separated by `;`.")

    @promise("ended_at at or after started_at", "ended_at", "started_at")
    def ends_after_start(cls) -> pl.Expr:
        return pl.col("ended_at") >= pl.col("started_at")

    @promise("started_at where ended_at is given and the run held resources", "started_at", "ended_at")
    def started_if_running(cls) -> pl.Expr:
        return (pl.col("state") != "running") | pl.col("started_at").is_not_null() | pl.col("state").is_null()


class JobRunIntervals(dy.Schema):
    """One row per piece of a run that ran in several pieces."""

    run_id = identifier("The run.", key=True, references=("job_runs",))
    interval_no = whole("Order of the piece, from 0.", key=True)
    started_at = instant("When the piece started.", optional=False)
    ended_at = instant("When it ended; empty while it runs.")

    @promise("ended_at at or after started_at", "ended_at", "started_at")
    def ends_after_start(cls) -> pl.Expr:
        return pl.col("ended_at") >= pl.col("started_at")


class LogHorizons(dy.Schema):
    """One row per source: the instant its log was taken; runs without an end are held until then."""

    source = identifier("The source, as in job_runs.", key=True)
    horizon = instant("When the log was taken.", optional=False)


class Rejects(dy.Schema):
    """One row per record that an importer refused, with the reason: kept for the report, never computed with."""

    source = text("The system it came from.", optional=False)
    row = whole("Where it stood in the source, from 1.", default=None)
    record_id = text("The record's own id.")
    code = text("Why it was refused.", optional=False)
    field = text("The field at fault.")
    value = text("What stood there.")
    message = text("The reason in words.")


class Sources(dy.Schema):
    """One row per input value whose origin is known."""

    table = identifier("The input table.", key=True)
    row_id = identifier("The key of the row; several key columns are joined by `/`.", key=True)
    column = identifier("The column.", key=True)
    source = text("Where the value comes from.")
    link = text("Address of the source.")
    confidence = category("How much it is trusted.", ("low", "medium", "high"), default=None)
    comment = text("Anything else.")
