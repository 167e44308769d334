"""Detail tables of scheduler records (Slurm, SWF): every property, kept beside `job_runs` for analysts to join.

A column of `slurm_jobs` and `slurm_steps` holds the sacct field of the same name without the underscores (`alloc_cpus`
is AllocCPUS); `*_time` holds Submit, Eligible, Start and End, `group_name` Group. Memory counts binary gigabytes, as
Slurm prints them.
"""

import dataframely as dy

from pipeline.tables.columns import identifier, instant, quantity, text, whole


class _SlurmRecord(dy.Schema):
    """The fields that sacct prints of jobs and of their steps."""

    source_row = whole("Line of the file, or number of the record, from 1.", default=None)
    job_id = text("Id as sacct prints it: array `A_T`, het job `H+O`, step `J.S`.")
    job_id_raw = text("Plain number of the job, with the step's name for steps.")
    sluid = text("Id unique to every run of a job (recent Slurm).")
    cluster = text("Cluster that ran it.")
    job_name = text("Name of the job or of the step.")
    account = text("Account that is charged.")
    user = text("Who submitted it.")
    state = text("State as printed, with its suffix.")
    submit_time = instant("Submit: when it was handed in; set anew when requeued.")
    eligible_time = instant("Eligible: when it could have started.")
    start_time = instant("Start: when it started.")
    end_time = instant("End: when it ended.")
    elapsed = quantity("s", "Time it ran, suspensions left out.", default=None)
    elapsed_raw = quantity("s", "Time it ran, suspensions left out, as a number.", default=None)
    suspended = quantity("s", "Time it was suspended.", default=None)
    exit_code = text("`CODE:SIGNAL`.")
    n_nodes = whole("Nodes held or asked for.", default=None)
    alloc_nodes = whole("Nodes held.", default=None)
    n_cpus = whole("CPUs held (other name).", unit="cpu_core", default=None)
    alloc_cpus = whole("CPUs held.", unit="cpu_core", default=None)
    req_cpus = whole("CPUs asked for.", unit="cpu_core", default=None)
    alloc_tres = text("Trackable resources held.")
    req_tres = text("Trackable resources asked for.")
    alloc_gres = text("Generic resources held (before Slurm 21.08).")
    req_gres = text("Generic resources asked for (before Slurm 21.08).")
    node_list = text("Nodes held.")
    total_cpu = quantity("s", "CPU time used, system and user.", default=None)
    system_cpu = quantity("s", "CPU time used by the system.", default=None)
    user_cpu = quantity("s", "CPU time used by the user.", default=None)
    cpu_time = quantity("s", "Elapsed times CPUs.", default=None)
    cpu_time_raw = quantity("s", "Elapsed times CPUs, as a number.", default=None)
    consumed_energy = text("Measured energy as printed.")
    consumed_energy_raw = quantity(
        "J", "Measured energy of the nodes; the job's own only where it had them alone.", default=None
    )
    max_rss = quantity("GB_ram", "Largest resident memory of a task.", default=None)
    ave_rss = quantity("GB_ram", "Mean resident memory of the tasks.", default=None)
    max_vm_size = quantity("GB_ram", "Largest virtual memory of a task.", default=None)
    ave_vm_size = quantity("GB_ram", "Mean virtual memory of the tasks.", default=None)
    reason = text("Last reason it waited for.")
    comment = text("The user's comment.")
    other_fields = text("JSON of the fields that no column holds, and of values that a column could not read.")


class SlurmJobs(_SlurmRecord):
    """One row per run that sacct told: every field of its record."""

    run_id = identifier("The run.", key=True, references=("job_runs",))
    partition = text("Partition it ran in, or those it asked for.")
    qos = text("Quality of service.")
    group_name = text("Unix group.")
    gid = whole("Number of the Unix group.", default=None)
    uid = whole("Number of the Unix user.", default=None)
    assoc_id = whole("Association of user, account and cluster.", default=None)
    db_index = whole("Row of the accounting database.", default=None)
    priority = whole("Priority when it started.", default=None)
    restarts = whole("How often it had been requeued.", default=None)
    req_mem = text("Memory asked for, as printed.")
    req_nodes = whole("Fewest nodes asked for.", default=None)
    time_limit = quantity("s", "Longest time allowed.", default=None)
    time_limit_raw = whole("Longest time allowed, in minutes.", unit="1", default=None)
    planned = quantity("s", "Time it waited once eligible.", default=None)
    reserved = quantity("s", "Time it waited once eligible (older name).", default=None)
    planned_cpu = quantity("s", "CPU time it waited for.", default=None)
    planned_cpu_raw = quantity("s", "CPU time it waited for, as a number.", default=None)
    derived_exit_code = text("Highest exit code of its steps.")
    reservation = text("Reservation it ran in.")
    reservation_id = text("Number of the reservation.")
    wc_key = text("Workload characterisation key.")
    constraints = text("Node features asked for.")
    licenses = text("Licences held.")
    flags = text("How it was scheduled.")
    failed_node = text("Node whose failure ended it.")
    container = text("Container bundle.")
    admin_comment = text("The administrator's comment.")
    system_comment = text("The system's comment.")
    extra = text("Free text set by the site.")
    mcs_label = text("Security label.")
    work_dir = text("Working directory.")
    submit_line = text("Command that submitted it.")


class SlurmSteps(_SlurmRecord):
    """One row per job step that sacct told: every field. Steps share their job's resources and are no runs."""

    run_id = identifier("The run it belongs to.", key=True, references=("job_runs",))
    step_id = identifier("The step within its job: batch, extern, 0, 1 ...", key=True)
    n_tasks = whole("Tasks.", default=None)
    layout = text("How tasks were spread over nodes.")
    ave_cpu = quantity("s", "Mean CPU time of the tasks.", default=None)
    min_cpu = quantity("s", "Least CPU time of a task.", default=None)
    min_cpu_node = text("Node of the task with the least CPU time.")
    min_cpu_task = text("Task with the least CPU time.")
    ave_cpu_freq = text("Mean CPU frequency, as printed.")
    max_rss_node = text("Node of the task with the largest resident memory.")
    max_rss_task = text("Task with the largest resident memory.")
    max_vm_size_node = text("Node of the task with the largest virtual memory.")
    max_vm_size_task = text("Task with the largest virtual memory.")
    ave_pages = text("Mean page faults, as printed.")
    max_pages = text("Most page faults of a task, as printed.")
    ave_disk_read = text("Mean data read by a task, as printed.")
    ave_disk_write = text("Mean data written by a task, as printed.")
    max_disk_read = text("Most data read by a task, as printed.")
    max_disk_write = text("Most data written by a task, as printed.")
    tres_usage_in_ave = text("Mean use of trackable resources, in.")
    tres_usage_in_max = text("Largest use of trackable resources, in.")
    tres_usage_in_min = text("Least use of trackable resources, in.")
    tres_usage_in_tot = text("Total use of trackable resources, in.")
    tres_usage_out_ave = text("Mean use of trackable resources, out.")
    tres_usage_out_max = text("Largest use of trackable resources, out.")
    tres_usage_out_min = text("Least use of trackable resources, out.")
    tres_usage_out_tot = text("Total use of trackable resources, out.")


class SwfJobs(dy.Schema):
    """One row per run of a Standard Workload Format trace: the 18 fields of its line, empty where the trace says -1."""

    run_id = identifier("The run.", key=True, references=("job_runs",))
    source_row = whole("Line of the file, from 1.", default=None)
    job_number = whole("Field 1: number of the job.", default=None)
    submit_time = quantity("s", "Field 2: when it was handed in, after the trace's UnixStartTime.", default=None)
    wait_time = quantity("s", "Field 3: time from submission to start.", default=None)
    run_time = quantity("s", "Field 4: time it ran.", default=None)
    allocated_processors = quantity("cpu_core", "Field 5: processors held.", default=None)
    average_cpu_time = quantity("s", "Field 6: CPU time used per processor.", default=None)
    used_memory = quantity("GB_ram", "Field 7: memory used per processor.", default=None)
    requested_processors = quantity("cpu_core", "Field 8: processors asked for.", default=None)
    requested_time = quantity("s", "Field 9: time asked for.", default=None)
    requested_memory = quantity("GB_ram", "Field 10: memory asked for per processor.", default=None)
    status = whole("Field 11: 1 completed, 0 failed, 5 cancelled.", default=None)
    user_number = whole("Field 12: user.", default=None)
    group_number = whole("Field 13: group.", default=None)
    executable_number = whole("Field 14: application.", default=None)
    queue_number = whole("Field 15: queue.", default=None)
    partition_number = whole("Field 16: partition.", default=None)
    preceding_job_number = whole("Field 17: job that had to end before.", default=None)
    think_time = quantity("s", "Field 18: time between the preceding job's end and submission.", default=None)


class SwfHeaders(dy.Schema):
    """One row per header line of a Standard Workload Format trace."""

    trace = identifier("The trace: its file's name.", key=True)
    line = whole("Line of the file, from 1.", key=True)
    label = text("Label before the colon.")
    value = text("Text after it.")
