-- where a job's containers weigh anything in an hour, their shares sum to 1, for embodied carbon and for use.
-- tables: repartition.job, need.run, derived.job
-- Modelled jobs have every container at every hour: their sums are compared over the period, as they are and weighed by the hour, which
-- needs no group per hour. Observed applications have rows where they run only, and are grouped by hour.
WITH series AS (
    FROM totals.repartition_job
    WHERE (server_id, job_id) IN (SELECT (server_id, job_id) FROM derived.job)
),
observed AS (
    FROM repartition.job
    WHERE job_id IN (SELECT application FROM need.run) AND (server_id, job_id) NOT IN (SELECT (server_id, job_id) FROM derived.job)
)
SELECT server_id, job_id, NULL AS hour, 'shares over the period' AS problem
FROM series
GROUP BY server_id, job_id
HAVING differs(sum(fabrication_share), sum(fabrication_loud) / count(*))
    OR differs(sum(moment_fabrication_share), sum(moment_fabrication_loud) / count(*))
    OR differs(sum(fabrication_weight), sum(fabrication_weight_sum) / count(*))
    OR differs(sum(moment_fabrication_weight), sum(moment_fabrication_weight_sum) / count(*))
    OR differs(sum(usage_share), sum(usage_loud) / count(*))
    OR differs(sum(moment_usage_share), sum(moment_usage_loud) / count(*))
    OR differs(sum(usage_weight), sum(usage_weight_sum) / count(*))
    OR differs(sum(moment_usage_weight), sum(moment_usage_weight_sum) / count(*))
UNION ALL
SELECT server_id, job_id, NULL, 'share is not weight / weight_sum'
FROM totals.repartition_job
WHERE differs(fabrication_shared, fabrication_weight) OR differs(moment_fabrication_shared, moment_fabrication_weight)
    OR differs(usage_shared, usage_weight) OR differs(moment_usage_shared, moment_usage_weight)
UNION ALL
SELECT server_id, job_id, hour, 'shares of the hour'
FROM observed
GROUP BY server_id, job_id, hour
HAVING (max(fabrication_weight_sum) > 0 AND abs(coalesce(sum(fabrication_share), 0) - 1) > 1e-9)
    OR (max(usage_weight_sum) > 0 AND abs(coalesce(sum(usage_share), 0) - 1) > 1e-9)
    OR differs(sum(fabrication_weight), max(fabrication_weight_sum)) OR differs(sum(usage_weight), max(usage_weight_sum))
