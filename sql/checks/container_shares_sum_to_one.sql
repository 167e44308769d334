-- where a job's containers weigh anything in an hour, their shares sum to 1, for embodied carbon and for use.
-- tables: repartition.job
SELECT server_id, job_id, hour, sum(fabrication_share) AS fabrication_shares, sum(usage_share) AS usage_shares
FROM repartition.job
GROUP BY server_id, job_id, hour
HAVING (max(fabrication_weight_sum) > 0 AND abs(coalesce(sum(fabrication_share), 0) - 1) > 1e-9)
    OR (max(usage_weight_sum) > 0 AND abs(coalesce(sum(usage_share), 0) - 1) > 1e-9)
    OR differs(sum(fabrication_weight), max(fabrication_weight_sum)) OR differs(sum(usage_weight), max(usage_weight_sum))
