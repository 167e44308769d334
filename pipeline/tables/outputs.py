"""Every table a run publishes: keys, columns, units, meaning. `NeedJob` is the table `need.job`."""

import dataframely as dy

from pipeline.tables.columns import category, flag, hour, identifier, quantity, text, whole

JOB = "The job (an observed run's application)."
PATTERN = "The usage pattern (an observed run's project)."
CONTAINER = "What triggers the job: a journey step, a recurrent server need, a container of direct occurrences (an observed run's user)."
SERVER = "The server."
HOUR = "The hour [h, h + 1h)."
HOUR_OR_PERIOD = "The hour (or the first hour of the day or month, as the setting attribution_grain says)."


class NeedUsagePattern(dy.Schema):
    """One row per usage pattern and hour: how much is started and how much is under way."""

    usage_pattern_id = identifier(PATTERN, key=True)
    hour = hour(HOUR)
    starts = quantity("occurrence", "Journeys started (edge: devices deployed) in the hour, UTC.")
    journeys_in_parallel = quantity("1", "Journeys under way, on average over the hour (edge: the fleet).")


class NeedOccurrence(dy.Schema):
    """One row per cell (job, usage pattern, container) and hour of its series: when jobs are triggered."""

    job_id = identifier(JOB, key=True)
    usage_pattern_id = identifier(PATTERN, key=True)
    container_id = identifier(CONTAINER, key=True)
    hour = hour(HOUR)
    server_id = identifier(SERVER, key=True)
    occurrences = quantity("occurrence", "Invocations started in the hour.")


class NeedJob(dy.Schema):
    """One row per job, usage pattern and hour of the job's series there: what its invocations take."""

    job_id = identifier(JOB, key=True)
    usage_pattern_id = identifier(PATTERN, key=True)
    hour = hour(HOUR)
    server_id = identifier(SERVER, key=True)
    occurrences = quantity("occurrence", "Invocations started in the hour.")
    avg_occurrences = quantity("1", "Invocations in flight, on average over the hour.")
    data_transferred = quantity("MB", "Data sent and received in the hour.")
    data_stored = quantity("MB_stored", "Data added to the storage in the hour.")
    compute_need = quantity("compute_unit", "Compute held, on average over the hour.")
    ram_need = quantity("GB_ram", "RAM held, on average over the hour.")


class NeedService(dy.Schema):
    """One row per service and hour: the volume of jobs that pass through it."""

    service_id = identifier("The service.", key=True)
    hour = hour(HOUR)
    job_volume = quantity("1", "Invocations of its jobs in flight, on average over the hour.")


class NeedRun(dy.Schema):
    """One row per server, application, project, user and hour: what the observed runs held and how long they waited."""

    server_id = identifier(SERVER, key=True)
    application = identifier("What ran.", key=True)
    project = identifier("Who it ran for.", key=True)
    user = identifier("Who started it.", key=True)
    hour = hour(HOUR)
    runs_started = whole("Runs that started in the hour.", unit="occurrence")
    runs_ended = whole("Runs that ended in the hour.", unit="occurrence")
    runs_running = whole("Runs that held their resources at some time in the hour.", unit="occurrence")
    run_hours = quantity("h", "Time the runs were under way within the hour.")
    core_hours = quantity("cpu_core*h", "Cores held times time held within the hour.")
    gpu_hours = quantity("gpu*h", "GPUs held times time held within the hour.")
    ram_hours = quantity("GB_ram*h", "Memory held times time held within the hour.")
    wait_hours = quantity("h", "Time from submission to start of the runs that started in the hour.")
    data_transferred = quantity("MB", "Data sent and received by the runs, spread evenly over their running time.")
    data_stored = quantity("MB_stored", "Data left behind by the runs, spread evenly over their running time.")
    measured_energy = quantity(
        "kWh",
        "Energy measured for the runs, spread evenly over their running time; empty where none was measured.",
        default=None,
    )


class NeedServer(dy.Schema):
    """One row per server and hour, from its first to its last: what all its jobs take together."""

    server_id = identifier(SERVER, key=True)
    hour = hour(HOUR)
    ram_need = quantity("GB_ram", "RAM held by all jobs of the server.")
    compute_need = quantity("compute_unit", "Compute held by all jobs of the server.")


class NeedStorageJob(dy.Schema):
    """One row per storage, job of its server and hour of the server: the data of that job that is kept."""

    storage_id = identifier("The storage.", key=True)
    job_id = identifier(JOB, key=True)
    hour = hour(HOUR)
    cumulative_storage_need = quantity("TB_stored", "Data of the job kept, replication included.")


class NeedStorage(dy.Schema):
    """One row per storage and hour of its server: all data kept."""

    storage_id = identifier("The storage.", key=True)
    hour = hour(HOUR)
    full_cumulative_storage_need = quantity("TB_stored", "Data of all jobs kept, and the base need.")


class InstancesCapacity(dy.Schema):
    """One row per server: what one instance has left for jobs."""

    server_id = identifier(SERVER, key=True)
    occupied_ram_per_instance = quantity("GB_ram", "RAM the server and its services hold on every instance.")
    available_ram_per_instance = quantity("GB_ram", "RAM an instance has for jobs.", above=0)
    occupied_compute_per_instance = quantity(
        "compute_unit", "Compute the server and its services hold on every instance."
    )
    available_compute_per_instance = quantity("compute_unit", "Compute an instance has for jobs.", above=0)


class InstancesServer(dy.Schema):
    """One row per server and hour: instances asked for and instances on."""

    server_id = identifier(SERVER, key=True)
    hour = hour(HOUR)
    raw_nb_of_instances = quantity("1", "Instances the scarcer resource asks for, before rounding.")
    nb_of_instances = quantity("1", "Instances on, by server type.")


class InstancesStorage(dy.Schema):
    """One row per storage and hour: instances asked for and instances deployed."""

    storage_id = identifier("The storage.", key=True)
    hour = hour(HOUR)
    raw_nb_of_instances = quantity("1", "Instances the kept data asks for, before rounding.")
    nb_of_instances = quantity("1", "Instances deployed.")


class EnergyServer(dy.Schema):
    """One row per server and hour: energy and carbon of its instances."""

    server_id = identifier(SERVER, key=True)
    hour = hour(HOUR)
    idle_energy = quantity("kWh", "Energy of the instances for being on, PUE included.")
    load_energy = quantity("kWh", "Energy the work adds to that, PUE included.")
    instances_energy = quantity("kWh", "Idle and load energy together.")
    energy_footprint = quantity("kg", "Carbon of that energy.")
    instances_fabrication_footprint = quantity("kg", "Embodied carbon of the instances, this hour's part.")
    carbon_intensity = quantity("g/kWh", "Grid intensity used for the hour.")
    carbon_intensity_source = category(
        "Whether that intensity is the hour's own or the average.", ("hourly", "average")
    )


class EnergyStorage(dy.Schema):
    """One row per storage and hour: embodied carbon of its instances."""

    storage_id = identifier("The storage.", key=True)
    hour = hour(HOUR)
    instances_fabrication_footprint = quantity("kg", "Embodied carbon of the instances, this hour's part.")


class EnergyNetwork(dy.Schema):
    """One row per network, job, usage pattern and hour: energy and carbon of the data sent."""

    network_id = identifier("The network.", key=True)
    job_id = identifier(JOB, key=True)
    usage_pattern_id = identifier(PATTERN, key=True)
    hour = hour(HOUR)
    energy = quantity("kWh", "Energy of the data sent and received.")
    energy_footprint = quantity("kg", "Carbon of that energy, with the country's intensity.")


class EnergyDevice(dy.Schema):
    """One row per device, usage pattern and hour: energy and carbon of the devices in use."""

    device_id = identifier("The device.", key=True)
    usage_pattern_id = identifier(PATTERN, key=True)
    hour = hour(HOUR)
    energy = quantity("kWh", "Energy of the devices in use.")
    energy_footprint = quantity("kg", "Carbon of that energy, with the country's intensity.")
    instances_fabrication_footprint = quantity("kg", "Embodied carbon of the devices, this hour's part.")


class RepartitionServer(dy.Schema):
    """One row per server, job and hour of the server: the reference pages' weights and shares (they do not conserve)."""

    server_id = identifier(SERVER, key=True)
    job_id = identifier(JOB, key=True)
    hour = hour(HOUR)
    weight = quantity("1", "The job's weight: its part of an instance's compute plus of its RAM.")
    weight_sum = quantity("1", "Sum of the weights of all jobs of the server (repeated per job: take max).")
    share = quantity(
        "1",
        "weight / weight_sum; 1 for every job where nobody weighs anything in the hour; empty where nobody ever does.",
        default=None,
    )


class RepartitionStorage(dy.Schema):
    """One row per storage, job of its server and hour: weights and shares of the storage's embodied carbon."""

    storage_id = identifier("The storage.", key=True)
    job_id = identifier(JOB, key=True)
    hour = hour(HOUR)
    weight = quantity("TB_stored", "The job's kept data and its equal part of what is not jobs' data.")
    weight_sum = quantity("TB_stored", "Sum of the weights of all jobs (repeated per job: take max).")
    share = quantity(
        "1",
        "weight / weight_sum; 1 for every job where nobody weighs anything in the hour; empty where nobody ever does.",
        default=None,
    )


class RepartitionJob(dy.Schema):
    """One row per job, container and hour (or period): weights and shares by which a job is passed on to what triggers it."""

    job_id = identifier(JOB, key=True)
    container_id = identifier(CONTAINER, key=True)
    hour = hour(HOUR_OR_PERIOD)
    server_id = identifier(SERVER, key=True)
    fabrication_weight = quantity("1", "The container's weight for embodied carbon.")
    fabrication_weight_sum = quantity("1", "Sum over the job's containers (repeated per container: take max).")
    fabrication_share = quantity(
        "1",
        "fabrication_weight / fabrication_weight_sum; 1 where that sum is 0; empty where it always is.",
        default=None,
    )
    usage_weight = quantity("g/kWh", "The container's weight for the carbon of use.")
    usage_weight_sum = quantity("g/kWh", "Sum over the job's containers (repeated per container: take max).")
    usage_share = quantity(
        "1", "usage_weight / usage_weight_sum; 1 where that sum is 0; empty where it always is.", default=None
    )


class DerivedCell(dy.Schema):
    """One row per way in which a usage pattern triggers a job: position of a step in a journey, or server need in an edge journey."""

    job_id = identifier(JOB, key=True)
    usage_pattern_id = identifier(PATTERN, key=True)
    container_id = identifier(CONTAINER, key=True)
    journey_id = identifier("The journey or edge journey.", key=True)
    position = whole("Position of the step in the journey; 0 for server needs.", key=True)
    server_id = identifier(SERVER)
    kind = category("Which kind of container.", ("step", "server_need"))
    delay_hours = whole("Whole hours between the start of a journey and the step.", unit="h")
    times_in_journey = quantity("1", "Times the container is gone through there.")
    times_in_container = quantity("1", "Invocations each time.")
    times = quantity("1", "Invocations per journey start (edge: per volume and device).")


SOURCE_KINDS = ("server", "storage", "network", "device")
STREAMS = ("provisioned", "idle", "load", "retention", "baseline", "transfer", "use", "unallocated")


class RepartitionFootprint(dy.Schema):
    """One row per source, phase, stream, cell and hour (or period): every gram of energy.* exactly once."""

    source_kind = category("What emitted it.", SOURCE_KINDS)
    source_id = identifier("The server, storage, network or device.", key=True)
    phase = category("Embodied carbon, or carbon of use.", ("manufacturing", "usage"))
    stream = category("Which part of the source's footprint.", STREAMS)
    job_id = identifier(JOB + " Empty for devices and unallocated rows.", key=True, optional=True)
    container_id = identifier(CONTAINER + " Empty where nobody does.", key=True, optional=True)
    usage_pattern_id = identifier(PATTERN + " Empty where nobody does.", key=True, optional=True)
    hour = hour(HOUR_OR_PERIOD)
    footprint = quantity("kg", "Carbon attributed.")


class DerivedServer(dy.Schema):
    """One row per server of any kind, as computed with: GPU and cloud servers with their derived figures."""

    server_id = identifier(SERVER, key=True)
    kind = category("The table the server was given in.", ("servers", "gpu_servers", "cloud_servers"))
    name = text("A description for people.")
    server_type = text("How instances are provisioned.", optional=False)
    compute_unit = text("What compute is counted in.", optional=False)
    carbon_footprint_fabrication = quantity(
        "kg", "Embodied carbon of one instance; GPU servers: chassis + per GPU * GPUs."
    )
    power = quantity("W", "Power of one fully loaded instance; GPU servers: per GPU * GPUs.")
    idle_power = quantity("W", "Power of one idle instance; GPU servers: per GPU * GPUs.")
    lifespan = quantity("year", "Time before an instance is replaced.")
    ram = quantity("GB_ram", "Memory of one instance; GPU servers: per GPU * GPUs.")
    compute = quantity("compute_unit", "Compute of one instance.")
    power_usage_effectiveness = quantity("1", "Datacentre overhead on the power of an instance.")
    average_carbon_intensity = quantity("g/kWh", "Average grid intensity.", default=None)
    zone = text("Grid zone.")
    utilization_rate = quantity("1", "Part of an instance that may be used.")
    base_ram_consumption = quantity("GB_ram", "RAM held on every instance whatever runs.")
    base_compute_consumption = quantity("compute_unit", "Compute held on every instance whatever runs.")
    fixed_nb_of_instances = quantity("1", "Number of machines deployed, where fixed.", default=None)
    storage_id = identifier("The storage that backs the server.", optional=True)


class DerivedService(dy.Schema):
    """One row per service of any kind."""

    service_id = identifier("The service.", key=True)
    kind = category("The table the service was given in.", ("services", "video_streaming_services"))
    name = text("A description for people.")
    server_id = identifier(SERVER)
    base_ram_consumption = quantity("GB_ram", "RAM the service holds on every instance.")
    base_compute_consumption = quantity("compute_unit", "Compute the service holds on every instance.")


class DerivedJob(dy.Schema):
    """One row per modelled job of any kind, as computed with: streaming jobs with their derived figures."""

    job_id = identifier(JOB, key=True)
    kind = category("The table the job was given in.", ("jobs", "video_streaming_jobs"))
    name = text("A description for people.")
    server_id = identifier(SERVER)
    service_id = identifier("The service that runs it, if any.", optional=True)
    data_transferred = quantity("MB", "Data per invocation; streaming: bitrate * video duration.")
    data_stored = quantity("MB_stored", "Data one invocation adds to the storage.")
    request_duration = quantity("s", "Time one invocation holds its resources; streaming: video duration.")
    compute_needed = quantity(
        "compute_unit", "Compute held by one invocation; streaming: static_delivery_cpu_cost * bitrate."
    )
    ram_needed = quantity("GB_ram", "RAM held by one invocation; streaming: ram_buffer_per_user.")
    bitrate = quantity("MB/s", "Streaming: pixels * bits_per_pixel * refresh_rate.", default=None)
    never_in_flight = flag("True where request_duration is 0: occurrences count, needs are zero.", default=False)
