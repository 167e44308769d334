-- need.server is, in every hour, the sum of what the server's jobs hold.
-- tables: need.job, need.server
SELECT server_id, hour, jobs.ram_need AS ram_of_jobs, server.ram_need, jobs.compute_need AS compute_of_jobs, server.compute_need
FROM need.server AS server
FULL JOIN hours.need_job AS jobs USING (server_id, hour)
WHERE differs(coalesce(jobs.ram_need, 0), coalesce(server.ram_need, 0))
    OR differs(coalesce(jobs.compute_need, 0), coalesce(server.compute_need, 0))
