-- where a storage's jobs weigh anything in an hour, their shares sum to 1.
-- tables: repartition.storage
SELECT storage_id, hour, sum(share) AS shares, sum(weight) AS weights, min(weight_sum) AS weight_sum
FROM repartition.storage
GROUP BY storage_id, hour
HAVING min(weight_sum) <> max(weight_sum) OR differs(sum(weight), max(weight_sum))
    OR (max(weight_sum) > 0 AND abs(coalesce(sum(share), 0) - 1) > 1e-9)
