"""Detail tables of CryoSPARC jobs: every property of a `Job` of v5, and of v4, beside `job_runs` for analysts to join.

Columns are named after the path of the property: `spec.resource_spec.cpu` is spec_resource_spec_cpu. What is a tree of
its own (parameters, inputs, outputs) is JSON text; what no reference page names is collected in `other`.
"""

import dataframely as dy

from pipeline.tables.columns import flag, identifier, instant, quantity, text, whole

_ANY = -(2**63)
_RUN = "The run, as in job_runs."
_OTHER = "Properties that the reference page does not name, by their path. [JSON]"


class CryosparcJobs(dy.Schema):
    """One row per CryoSPARC job that was read as a run, or that was imported after it ran elsewhere (`excluded`)."""

    run_id = identifier(_RUN, key=True)
    excluded = text("Why the job is no run of this instance; empty for runs.")
    id = text("Mongo id of the document.")
    uid = text("Job within its project, as J42.")
    uid_num = whole("Numeric part of the uid.", default=None)
    project_uid = text("Project, as P3.")
    project_uid_num = whole("Numeric part of the project uid.", default=None)
    title = text("Title a person gave the job.")
    description = text("Description a person gave the job, in markdown.")
    type = text("Type of the job, in documents of v4.")
    job_type = text("Type of the job, in documents of v4.")
    spec_type = text("Type of the job.")
    spec_params = text("Parameters. [JSON]")
    spec_inputs = text("Inputs and their connections. [JSON]")
    spec_outputs = text("Outputs and their results. [JSON]")
    spec_ui_tile_width = whole("Width of the job's tile, in tiles.", default=None)
    spec_ui_tile_height = whole("Height of the job's tile, in tiles.", default=None)
    spec_resource_spec_cpu = whole("Cores asked for.", unit="cpu_core", default=None)
    spec_resource_spec_gpu = whole("GPUs asked for.", unit="gpu", default=None)
    spec_resource_spec_ram = whole("Memory asked for, in slots of 8 GB.", default=None)
    spec_resource_spec_ssd = flag("Whether an SSD cache was asked for.")
    status = text("State when the document was written.")
    status_num = whole("The same as a number.", default=None, min=_ANY)
    created_at = instant("When the job was created; imported jobs keep the time of their first instance.")
    created_by_user_id = text("User who created the job.")
    created_by_job_uid = text("Job that created the job.")
    cloned_from = text("Job this one was cloned from.")
    updated_at = instant("When the document was last changed.")
    queued_at = instant("When the job was added to the queue.")
    queued_by_user_id = text("User who queued the job.")
    queued_to_lane = text("Lane the job was queued to.")
    queued_to_hostname = text("Machine the job was queued to, where one was chosen.")
    queue_status = text(
        "What the job waits for: waiting_inputs, project_paused, actively_queued, launched, waiting_maintenance, "
        "waiting_licenses, waiting_resources."
    )
    queue_message = text("The same in words.")
    queued_job_hash = whole("Hash of project, job, tokens, type and user, for the scheduler.", default=None, min=_ANY)
    priority = whole("Priority in the queue; higher goes first.", default=None, min=_ANY)
    no_check_inputs_ready = flag("Whether the job is launched before its parents have ended.")
    requeue_windows_ends_at = instant("Until when the job may be cleared and queued again without losing its place.")
    tokens_requested_at = instant("When the job began to wait for licence tokens.")
    tokens_acquired_at = instant("When the licence server let it run.")
    num_tokens = whole("Licence (GPU) tokens the job needs.", default=None)
    last_scheduled_at = instant("When the scheduler last tried to launch the job.")
    started_at = instant("When the scheduler launched the job, or submitted it to a cluster.")
    launched_at = instant("When the job's monitor process started.")
    running_at = instant("When the monitor process forked into the main process.")
    waiting_at = instant("When the job last began to wait for a person.")
    completed_at = instant("When the job completed.")
    failed_at = instant("When the job failed.")
    killed_at = instant("When the job was killed.")
    heartbeat_at = instant("When the job last gave a sign of life.")
    completed_count = whole("How often the job completed; earlier runs left no other trace.", default=None)
    has_error = flag("Whether the log holds an error.")
    has_warning = flag("Whether the log holds a warning.")
    pid_monitor = whole("Process of the monitor.", default=None)
    pid_main = whole("Main process.", default=None)
    interactive_port = whole("Port of an interactive job, once it waits for a person.", default=None)
    run_as_user = text("Job register of developers; internal.")
    job_sig = text("Signature of the licence module.")
    oversubscribe_gpus = flag("Whether GPUs may be given to several jobs at once.")
    cluster_job_id = text("The cluster scheduler's own id of the job.")
    cluster_job_status = text("Its state there.")
    cluster_job_status_code = text("Its state there as a code.")
    cluster_job_monitor_event_id = text("Event of the monitor that watches it.")
    cluster_job_monitor_retries = whole("Failed looks at the cluster's queue.", default=None)
    cluster_job_monitor_last_run_at = instant("Last look at the cluster's queue.")
    cluster_job_submission_script = text("Script that was submitted.")
    cluster_job_custom_vars = text("Variables of the script. [JSON]")
    job_dir = text("Folder of the job in its project.")
    job_dir_size = whole("Size of that folder.", unit="B_stored", default=None)
    job_dir_size_last_updated = instant("When the size was taken.")
    intermediate_results_size_bytes = whole("Size of intermediate results.", unit="B_stored", default=None)
    intermediate_results_size_last_updated = instant("When that size was taken.")
    last_intermediate_data_cleared_at = instant("When intermediate results were last cleared.")
    last_intermediate_data_cleared_amount = whole("How much was cleared.", unit="B_stored", default=None)
    version_created = text("Version of CryoSPARC that created the job.")
    version = text("Version of CryoSPARC that last ran the job.")
    autodump = flag("Whether the document is to be dumped to disk.")
    dumped_at = instant("When the document was last dumped to disk.")
    last_dumped_version = text("Version of CryoSPARC that dumped it.")
    last_exported_at = instant("When outputs were last exported.")
    last_exported_location = text("Where to.")
    last_exported_version = text("Version of CryoSPARC that exported them.")
    imported_at = instant("When the job was imported from another instance.")
    import_status = text("importing, complete or failed.")
    attach_status = text("attaching, complete or failed.")
    deleted = flag("Whether the job is marked as deleted.")
    deleting = flag("Whether the job is being deleted.")
    deleted_at = instant("When it was deleted.")
    is_experiment = flag("Whether the job is part of an experiment.")
    is_final_result = flag("Whether the job is a final result, to be kept in cleanups.")
    is_ancestor_of_final_result = flag("Whether a final result descends from the job.")
    enable_bench = flag("Whether the job is benchmarked.")
    bench = text("Benchmark figures. [JSON]")
    progress = text("Progress log. [JSON list]")
    last_accessed_name = text("User who last opened the job.")
    last_accessed_accessed_at = instant("When that was.")
    workflow_id = text("Workflow the job is part of.")
    workflow_job_id = text("Its job there.")
    workflow_run = whole("Its run there.", default=None)
    instance_information_platform_node = text("Machine that ran the job.")
    instance_information_platform_release = text("Its kernel.")
    instance_information_platform_version = text("Its kernel's build.")
    instance_information_platform_architecture = text("Its architecture.")
    instance_information_arch = text("Its architecture.")
    instance_information_cpu_model = text("Its processor.")
    instance_information_physical_cores = whole("Its cores.", unit="cpu_core", default=None)
    instance_information_max_cpu_freq = quantity("1", "Its highest clock, in MHz.", default=None)
    instance_information_total_memory = text("Its memory, as 503.51GB.")
    instance_information_available_memory = text("Its available memory, as 480.00GB.")
    instance_information_used_memory = text("Its used memory, as 20.00GB.")
    instance_information_ofd_soft_limit = whole("Files that may be open, soft limit.", default=None, min=_ANY)
    instance_information_ofd_hard_limit = whole("Files that may be open, hard limit.", default=None, min=_ANY)
    instance_information_driver_version = text("CUDA version of its driver.")
    instance_information_toolkit_version = text("Version of its CUDA toolkit.")
    instance_information_cuda_version = text("Version of CUDA.")
    instance_information_nvrtc_version = text("Version of NVRTC.")
    instance_information_version = text("Version of CryoSPARC.")
    input_slot_groups = text("Inputs, in documents of v4. [JSON]")
    output_result_groups = text("Outputs, in documents of v4. [JSON]")
    output_results = text("Results, in documents of v4. [JSON]")
    params_base = text("Defaults of parameters, in documents of v4. [JSON]")
    params_spec = text("Parameters, in documents of v4. [JSON]")
    params_secs = text("Sections of parameters, in documents of v4. [JSON]")
    other = text(_OTHER)


class CryosparcJobResources(dy.Schema):
    """One row per CryoSPARC job that was given resources: AllocatedResources and its target."""

    run_id = identifier(_RUN, key=True)
    lane = text("Lane; empty for jobs on the master.")
    lane_type = text("node or cluster; empty for jobs on the master.")
    hostname = text("Machine, or the name of the cluster's lane.")
    licenses_acquired = whole("Licence (GPU) tokens held.", default=None)
    cpu_slots = whole("Cores held: how many slots.CPU names.", unit="cpu_core", default=None)
    gpu_slots = whole("GPUs held: how many slots.GPU names.", unit="gpu", default=None)
    ram_slots = whole("Memory held, in slots of 8 GB: how many slots.RAM names.", default=None)
    slots_cpu = text("Indexes of the cores. [JSON list]")
    slots_gpu = text("Indexes of the GPUs. [JSON list]")
    slots_ram = text("Indexes of the memory slots. [JSON list]")
    fixed_ssd = flag("Whether an SSD cache is held.")
    target_name = text("Target: its name.")
    target_title = text("Target: its title.")
    target_desc = text("Target: its description.")
    target_lane = text("Target: its lane.")
    target_hostname = text("Target: its machine.")
    target_arch = text("Target: its architecture.")
    target_worker_bin_path = text("Target: path of the worker's program.")
    target_cache_path = text("Target: path of the SSD cache.")
    target_cache_reserve_mb = whole("Target: space left free beside the cache.", unit="MB_stored", default=None)
    target_cache_quota_mb = whole("Target: most space for the cache.", unit="MB_stored", default=None)
    target_config_type = text("Target: node or cluster.")
    target_config_ssh_str = text("Node: command that reaches it.")
    target_config_resource_slots_cpu = text("Node: indexes of all its cores. [JSON list]")
    target_config_resource_slots_gpu = text("Node: indexes of all its GPUs. [JSON list]")
    target_config_resource_slots_ram = text("Node: indexes of all its memory slots of 8 GB. [JSON list]")
    target_config_resource_fixed_ssd = flag("Node: whether it has an SSD cache.")
    target_config_monitor_port = whole("Node: not used.", default=None)
    target_config_send_cmd_tpl = text("Cluster: template of the command that reaches it.")
    target_config_qsub_cmd_tpl = text("Cluster: template that submits.")
    target_config_qstat_cmd_tpl = text("Cluster: template that asks for a job.")
    target_config_qdel_cmd_tpl = text("Cluster: template that deletes a job.")
    target_config_qinfo_cmd_tpl = text("Cluster: template that asks for the queues.")
    target_config_script_tpl = text("Cluster: template of the script.")
    target_config_custom_vars = text("Cluster: variables of the template. [JSON]")
    target_config_tpl_vars = text("Cluster: names of the template's variables. [JSON list]")
    target_config_custom_var_names = text("Cluster: names of the variables that are no standard ones. [JSON list]")
    other = text(_OTHER)


class CryosparcJobStates(dy.Schema):
    """One row per state a CryoSPARC job was in, by its stamps: queued, for what, running, waiting interactively, ended.

    A stamp is the LAST time a state was entered; what came back to an earlier state (waiting to running) left no stamp.
    """

    run_id = identifier(_RUN, key=True)
    position = whole("Order of the state in time, from 0.", key=True)
    state = text("building, queued, started, launched, running, waiting, completed, failed or killed.")
    waiting_for = text(
        "What it waits for in it: inputs, project, maintenance, licenses, resources, queue, cluster or interaction."
    )
    property = text("The property that tells the time.")
    entered_at = instant("When the state was entered.")
    left_at = instant("When the next state was entered; empty for the last.")
    is_holding = flag(
        "Whether the job held its machine: on nodes from started, on clusters from launched (or running) to the end."
    )
    is_terminal = flag("Whether the job has ended: completed, failed or killed.")
    is_allowed = flag("Whether the state may follow the one before it.")
    flags = text("earlier_run (a stamp left by a run before this one), out_of_order; separated by `;`.")


class CryosparcJobErrors(dy.Schema):
    """One row per error or warning of a CryoSPARC job's run: the last ten (errors_run)."""

    run_id = identifier(_RUN, key=True)
    position = whole("Order of the error, from 0.", key=True)
    message = text("The message.")
    warning = flag("Whether it is only a warning.")
    other = text(_OTHER)


class CryosparcJobBuildErrors(dy.Schema):
    """One row per mistake in a CryoSPARC job's parameters or inputs (build_errors)."""

    run_id = identifier(_RUN, key=True)
    position = whole("Order of the error, from 0.", key=True)
    type = text("Kind of mistake.")
    loc = text("Where it is. [JSON list]")
    input = text("What stands there. [JSON]")
    input_type = text("Kind of what stands there.")
    ctx = text("More on it. [JSON]")
    other = text(_OTHER)


class CryosparcJobTileImages(dy.Schema):
    """One row per image on a CryoSPARC job's tile (ui_tile_images)."""

    run_id = identifier(_RUN, key=True)
    position = whole("Order of the image, from 0.", key=True)
    name = text("Its name.")
    fileid = text("Its file.")
    num_rows = whole("Its rows.", default=None)
    num_cols = whole("Its columns.", default=None)
    other = text(_OTHER)


class CryosparcJobGpus(dy.Schema):
    """One row per GPU that a CryoSPARC job's document describes: of the instance that ran it, and of its target."""

    run_id = identifier(_RUN, key=True)
    origin = identifier("instance_information.gpu_info or resources_allocated.target.config.gpus.", key=True)
    position = whole("Order of the GPU, from 0.", key=True)
    id = whole("Its number in the machine.", default=None)
    name = text("Its model.")
    mem = whole("Its memory.", unit="B_ram", default=None)
    power_limit = quantity("W", "Most power it may draw.", default=None)
    bus_id = text("Its bus.")
    compute_mode = text("Its compute mode. [JSON]")
    persistence_mode = text("Disabled or Enabled.")
    sw_power_limit = text("Whether software holds its power down.")
    hw_power_limit = text("Whether hardware holds its power down.")
    max_pcie_link_gen = whole("Generation of PCIe it can speak.", default=None)
    current_pcie_link_gen = whole("Generation of PCIe it speaks.", default=None)
    temperature = whole("Temperature in °C.", default=None, min=_ANY)
    gpu_utilization = whole("Use of the GPU, in percent.", default=None)
    memory_utilization = whole("Use of its memory, in percent.", default=None)
    driver_version = text("Its driver.")
    other = text(_OTHER)


class CryosparcJobLinks(dy.Schema):
    """One row per entry of a CryoSPARC job's lists: workspaces, parents, children, tags, stars, workers, GPUs."""

    run_id = identifier(_RUN, key=True)
    property = identifier(
        "The list: workspace_uids, parents, children, tags, starred_by, PID_workers or queued_to_gpu.", key=True
    )
    position = whole("Order in the list, from 0.", key=True)
    value = text("The entry.")


class CryosparcJobBenchTimings(dy.Schema):
    """One row per stretch of time that a CryoSPARC job measured (bench_timings)."""

    run_id = identifier(_RUN, key=True)
    name = identifier("What was measured.", key=True)
    position = whole("Order of the stretch, from 0.", key=True)
    started_at = instant("When it began.")
    ended_at = instant("When it ended; empty where it did not.")
