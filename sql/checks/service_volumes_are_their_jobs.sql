-- need.service is, in every hour, the invocations in flight of the service's jobs.
-- tables: need.service, need.job, derived.job
WITH jobs AS (
    SELECT service_id, hour, sum(avg_occurrences) AS in_flight
    FROM need.job
    JOIN derived.job USING (job_id, server_id)
    WHERE service_id IS NOT NULL
    GROUP BY ALL
)
SELECT service_id, hour, in_flight, job_volume
FROM need.service
FULL JOIN jobs USING (service_id, hour)
WHERE differs(coalesce(in_flight, 0), coalesce(job_volume, 0))
