-- where a job's containers weigh anything in an hour, their shares sum to 1, for embodied carbon and for use.
-- tables: repartition.job, derived.job
-- Modelled jobs have every container at every hour: their sums are compared over the period, as they are and weighed by the hour, which
-- needs no group per hour. Observed applications have rows where they run only, and are grouped by hour.
WITH series AS (
    SELECT server_id, job_id, container_id,
        sum(fabrication_share) FILTER (WHERE fabrication_weight_sum > 0) AS fabrication_shares,
        count(*) FILTER (WHERE fabrication_weight_sum > 0) AS fabrication_hours,
        sum(fabrication_share * h) FILTER (WHERE fabrication_weight_sum > 0) AS fabrication_share_moment,
        sum(h) FILTER (WHERE fabrication_weight_sum > 0) AS fabrication_hour_moment,
        sum(fabrication_weight) AS fabrication_weights, sum(fabrication_weight_sum) AS fabrication_weight_sums,
        sum(fabrication_weight * h) AS fabrication_weight_moment, sum(fabrication_weight_sum * h) AS fabrication_weight_sum_moment,
        sum(usage_share) FILTER (WHERE usage_weight_sum > 0) AS usage_shares,
        count(*) FILTER (WHERE usage_weight_sum > 0) AS usage_hours,
        sum(usage_share * h) FILTER (WHERE usage_weight_sum > 0) AS usage_share_moment,
        sum(h) FILTER (WHERE usage_weight_sum > 0) AS usage_hour_moment,
        sum(usage_weight) AS usage_weights, sum(usage_weight_sum) AS usage_weight_sums,
        sum(usage_weight * h) AS usage_weight_moment, sum(usage_weight_sum * h) AS usage_weight_sum_moment
    FROM (SELECT *, epoch_us(hour) // 3600000000 % 1009 AS h FROM repartition.job)
    WHERE (server_id, job_id) IN (SELECT (server_id, job_id) FROM derived.job)
    GROUP BY ALL
)
SELECT server_id, job_id, NULL AS hour, 'shares over the period' AS problem
FROM series
GROUP BY server_id, job_id
HAVING differs(coalesce(sum(fabrication_shares), 0), coalesce(sum(fabrication_hours), 0) / count(*))
    OR differs(coalesce(sum(fabrication_share_moment), 0), coalesce(sum(fabrication_hour_moment), 0) / count(*))
    OR differs(coalesce(sum(fabrication_weights), 0), coalesce(sum(fabrication_weight_sums), 0) / count(*))
    OR differs(coalesce(sum(fabrication_weight_moment), 0), coalesce(sum(fabrication_weight_sum_moment), 0) / count(*))
    OR differs(coalesce(sum(usage_shares), 0), coalesce(sum(usage_hours), 0) / count(*))
    OR differs(coalesce(sum(usage_share_moment), 0), coalesce(sum(usage_hour_moment), 0) / count(*))
    OR differs(coalesce(sum(usage_weights), 0), coalesce(sum(usage_weight_sums), 0) / count(*))
    OR differs(coalesce(sum(usage_weight_moment), 0), coalesce(sum(usage_weight_sum_moment), 0) / count(*))
UNION ALL
SELECT server_id, job_id, hour, 'share is not weight / weight_sum'
FROM repartition.job
WHERE (fabrication_weight_sum > 0 AND differs(fabrication_share, fabrication_weight / fabrication_weight_sum))
    OR (usage_weight_sum > 0 AND differs(usage_share, usage_weight / usage_weight_sum))
UNION ALL
SELECT server_id, job_id, hour, 'shares of the hour'
FROM repartition.job
WHERE (server_id, job_id) NOT IN (SELECT (server_id, job_id) FROM derived.job)
GROUP BY server_id, job_id, hour
HAVING (max(fabrication_weight_sum) > 0 AND abs(coalesce(sum(fabrication_share), 0) - 1) > 1e-9)
    OR (max(usage_weight_sum) > 0 AND abs(coalesce(sum(usage_share), 0) - 1) > 1e-9)
    OR differs(sum(fabrication_weight), max(fabrication_weight_sum)) OR differs(sum(usage_weight), max(usage_weight_sum))
