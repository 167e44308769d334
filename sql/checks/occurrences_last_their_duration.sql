-- the sum over the hours of invocations in flight is the sum of occurrences times the request duration.
-- tables: need.job, derived.job
SELECT job_id, server_id, usage_pattern_id, avg_occurrences AS in_flight, occurrences * request_duration / 3600 AS expected
FROM totals.need_job
JOIN derived.job USING (job_id, server_id)
WHERE differs(avg_occurrences, occurrences * request_duration / 3600)
