-- Which runs stand in two logs, and count twice until one of the records is left out?
SELECT c.run_id AS cryosparc_run, s.run_id AS slurm_run, c.queued_to_lane AS lane, s.alloc_cpus AS cores
FROM source.cryosparc_jobs c JOIN source.slurm_jobs s ON s.job_id = c.cluster_job_id
ORDER BY ALL;
