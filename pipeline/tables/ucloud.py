"""Detail tables of UCloud jobs: every property of a `Job`, kept beside `job_runs` for analysts to join.

Columns are named after the path of the property: `specification.timeAllocation.hours` is
specification_time_allocation_hours. What is a tree of its own (parameters, resources) is JSON text; what no reference
page names is collected in `other`.
"""

import dataframely as dy

from pipeline.tables.columns import flag, identifier, instant, quantity, text, whole

_ANY = -(2**63)
_RUN = "The run, as in job_runs."


class UcloudJobs(dy.Schema):
    """One row per UCloud job that was read as a run."""

    run_id = identifier(_RUN, key=True)
    id = text("Identifier of the job, unique across all providers.")
    created_at = instant("When UCloud received the request.")
    owner_created_by = text("User who owns the job.")
    owner_project = text("Project that owns the job; empty for a personal workspace.")
    permissions_myself = text("What the user who exported the job may do with it. [JSON list]")
    provider_generated_id = text(
        "The provider's own id of the job (Slurm providers: account/SlurmId/time of discovery)."
    )
    billing = text("How the job is billed. [JSON]")
    output_output_folder = text("Folder of the job's output files.")
    specification_product_id = text("Product (machine type) asked for.")
    specification_product_category = text("Category of that product.")
    specification_product_provider = text("Provider of that product.")
    specification_application_name = text("Application that runs.")
    specification_application_version = text("Version of the application.")
    specification_name = text("Name a person gave the job.")
    specification_hostname = text("Host name asked for.")
    specification_replicas = whole("Machines the job runs on at once.", default=None)
    specification_allow_duplicate_job = flag("Whether an equal job may run beside it.")
    specification_labels = text("Labels. [JSON]")
    specification_parameters = text("Parameters of the application. [JSON]")
    specification_resources = text("Folders, peers, addresses and licences attached. [JSON list]")
    specification_time_allocation_hours = whole("Hours of the time asked for.", unit="h", default=None)
    specification_time_allocation_minutes = whole(
        "Minutes of the time asked for, beside the hours.", unit="minute", default=None
    )
    specification_time_allocation_seconds = whole(
        "Seconds of the time asked for, beside hours and minutes.", unit="s", default=None
    )
    specification_opened_file = text("File the job was started from.")
    specification_restart_on_exit = flag("Whether the job is started again when it exits.")
    specification_ssh_enabled = flag("Whether SSH was asked for.")
    status_state = text("State when the document was written.")
    status_started_at = instant("When the job last began to run; missing on old jobs that did run.")
    status_expires_at = instant("When its time runs out.")
    status_allow_restart = flag("Whether the job may be started again.")
    status_resolved_application = text(
        "The application as the catalogue described it when the document was written. [JSON]"
    )
    status_resolved_support = text("What the provider supports for the product. [JSON]")
    status_job_parameters_json_site_version = whole("Version of the frozen request's format.", default=None, min=_ANY)
    status_job_parameters_json_request = text("The request as it was frozen at submission, without its product. [JSON]")
    status_job_parameters_json_resolved_resources = text("The resources as they were frozen at submission. [JSON]")
    status_job_parameters_json_machine_type_cpu = whole(
        "vCPUs of the machine, frozen at submission.", unit="cpu_core", default=None
    )
    status_job_parameters_json_machine_type_memory_in_gigs = quantity(
        "GB_ram", "Memory of the machine, frozen at submission.", default=None
    )
    other = text("Properties that the reference pages do not name, by their path. [JSON]")


class UcloudJobUpdates(dy.Schema):
    """One row per status update of a UCloud job, in the order of the document."""

    run_id = identifier(_RUN, key=True)
    position = whole("Order of the update, from 0.", key=True)
    timestamp = instant("When UCloud received the update.")
    state = text("State the job entered; empty where it stayed.")
    status = text("Message to the user.")
    output_folder = text("Output folder made known.")
    expected_state = text("State the job had to be in for the update to hold.")
    expected_different_state = flag("Whether the update held only if it changed the state.")
    new_time_allocation = quantity("s", "Time the job was extended to (milliseconds in the source).", default=None)
    allow_restart = flag("Whether the job may be started again.")
    resource_list = text("Resources attached from then on. [JSON list]")
    new_mounts = text("Folders mounted from then on, in old documents. [JSON list]")
    other = text("Properties that the reference pages do not name, by their path. [JSON]")


class UcloudJobStates(dy.Schema):
    """One row per state a UCloud job was in, in order: its history, checked against the transitions allowed."""

    run_id = identifier(_RUN, key=True)
    position = whole("Order of the state, from 0.", key=True)
    state = text("The state.")
    previous_state = text("The state before; IN_QUEUE before the first.")
    entered_at = instant("When the update arrived.")
    left_at = instant("When the next state was entered; empty for the last.")
    is_terminal = flag("Whether the job has ended: SUCCESS, FAILURE or EXPIRED.")
    is_running = flag("Whether the time in this state counts as running.")
    is_allowed = flag("Whether the server lets a job go from the previous state to this one.")
    flags = text("duplicate_state, tie_timestamps, state_after_terminal, bad_transition; separated by `;`.")


class UcloudJobPermissions(dy.Schema):
    """One row per permission granted on a UCloud job to somebody else."""

    run_id = identifier(_RUN, key=True)
    position = whole("Order of the grant, from 0.", key=True)
    origin = text("permissions.others, or acl (documents of old).")
    entity_type = text("project_group or user.")
    entity_project_id = text("Project of the group.")
    entity_group = text("The group.")
    entity_username = text("The user.")
    permission = text("READ, EDIT, ADMIN or PROVIDER.")
    other = text("Properties that the reference pages do not name, by their path. [JSON]")


class UcloudJobProducts(dy.Schema):
    """One row per description of a UCloud job's product: as frozen at submission, and as it was at the export."""

    run_id = identifier(_RUN, key=True)
    origin = identifier(
        "frozen (status.jobParametersJson.request.resolvedProduct) or current (status.resolvedProduct).", key=True
    )
    type = text("Kind of product: compute.")
    id = text("Name in the catalogue, in documents of old.")
    name = text("Name in the catalogue.")
    description = text("Description in the catalogue.")
    product_type = text("COMPUTE.")
    category_name = text("Category.")
    category_provider = text("Provider.")
    category_product_type = text("Kind of the category.")
    category_accounting_unit_name = text("What is accounted.")
    category_accounting_unit_name_plural = text("The same in the plural.")
    category_accounting_unit_floating_point = flag("Whether the unit has fractions.")
    category_accounting_unit_display_frequency_suffix = flag("Whether the unit is shown with a time.")
    category_accounting_frequency = text("ONCE, PERIODIC_MINUTE, PERIODIC_HOUR or PERIODIC_DAY.")
    category_free_to_use = flag("Whether the category is free.")
    category_allow_sub_allocations = flag("Whether grants may be passed on.")
    cpu = whole("vCPUs (hyper-threads) of one machine; 0 where it is missing.", unit="cpu_core", default=None)
    cpu_model = text("Model of the processor.")
    memory_in_gigs = quantity("GB_ram", "Memory of one machine, 1 Gig = 1000 MB.", default=None)
    memory_model = text("Model of the memory.")
    gpu = whole("GPUs of one machine; 0 where it is missing.", unit="gpu", default=None)
    gpu_model = text("Model of the GPUs.")
    fraction_numerator = whole("Numerator of the part of a machine that is sold.", default=None)
    fraction_denominator = whole("Denominator of that part.", default=None)
    price = whole("Price in the catalogue's unit.", default=None, min=_ANY)
    price_per_unit = whole("Price per unit.", default=None, min=_ANY)
    unit_of_price = text("Unit of the price, in documents of old.")
    charge_type = text("ABSOLUTE or DIFFERENTIAL_QUOTA, in documents of old.")
    free_to_use = flag("Whether the product is free, in documents of old.")
    hidden_in_grant_applications = flag("Whether grant applications hide it.")
    usage = quantity("1", "Usage of the product by the workspace, in its own unit.", default=None, min=None)
    balance = quantity("1", "Balance of the workspace, in the product's own unit.", default=None, min=None)
    max_usable_balance = quantity("1", "Balance that may be used, in the product's own unit.", default=None, min=None)
    priority = whole("Order in the catalogue, in documents of old.", default=None, min=_ANY)
    version = whole("Version of the product, in documents of old.", default=None, min=_ANY)
    other = text("Properties that the reference pages do not name, by their path. [JSON]")
