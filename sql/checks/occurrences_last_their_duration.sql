-- the sum over the hours of invocations in flight is the sum of occurrences times the request duration.
-- tables: need.job, derived.job
WITH series AS (
    SELECT job_id, server_id, usage_pattern_id, sum(occurrences) AS occurrences, sum(avg_occurrences) AS in_flight
    FROM need.job
    GROUP BY ALL
)
SELECT job_id, server_id, usage_pattern_id, in_flight, occurrences * request_duration / 3600 AS expected
FROM series
JOIN derived.job USING (job_id, server_id)
WHERE differs(in_flight, occurrences * request_duration / 3600)
