-- need.job has, per job and pattern, all occurrences of need.occurrence, at the same hours (compared by total and by mean hour).
-- tables: need.occurrence, need.job
WITH started AS (
    SELECT job_id, usage_pattern_id, server_id, sum(occurrences) AS occurrences, sum(moment_occurrences) AS moment
    FROM totals.need_occurrence
    GROUP BY ALL
),
jobs AS (
    SELECT job_id, usage_pattern_id, server_id, occurrences, moment_occurrences AS moment
    FROM totals.need_job
)
SELECT job_id, usage_pattern_id, server_id, started.occurrences AS in_need_occurrence, jobs.occurrences AS in_need_job
FROM started
FULL JOIN jobs USING (job_id, usage_pattern_id, server_id)
WHERE differs(coalesce(started.occurrences, 0), coalesce(jobs.occurrences, 0))
    OR differs(coalesce(started.moment, 0), coalesce(jobs.moment, 0))
