"""Detail tables of cryosparc records: every property of a record, kept beside `job_runs` for analysts to join."""
