-- where a server's jobs weigh anything in an hour, their shares sum to 1.
-- tables: repartition.server
SELECT server_id, hour, sum(share) AS shares, min(weight_sum) AS weight_sum
FROM repartition.server
GROUP BY server_id, hour
HAVING min(weight_sum) <> max(weight_sum) OR (max(weight_sum) > 0 AND abs(coalesce(sum(share), 0) - 1) > 1e-9)
