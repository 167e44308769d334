-- what need.job has in flight for observed applications is the time the runs of need.run were under way.
-- tables: need.run, need.job
WITH runs AS (
    SELECT server_id, application AS job_id, project AS usage_pattern_id, sum(run_hours) AS run_hours,
        sum(runs_started) AS runs_started
    FROM totals.need_run
    GROUP BY ALL
),
jobs AS (
    SELECT server_id, job_id, usage_pattern_id, avg_occurrences AS in_flight, occurrences
    FROM totals.need_job
    WHERE (server_id, job_id) IN (SELECT (server_id, application) FROM need.run)
)
SELECT server_id, job_id, usage_pattern_id, run_hours, in_flight, runs_started, occurrences
FROM runs
FULL JOIN jobs USING (server_id, job_id, usage_pattern_id)
WHERE differs(coalesce(run_hours, 0), coalesce(in_flight, 0)) OR differs(coalesce(runs_started, 0), coalesce(occurrences, 0))
