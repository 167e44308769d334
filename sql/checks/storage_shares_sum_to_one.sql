-- where a storage's jobs weigh anything in an hour, their weights are all there and their shares sum to 1.
-- tables: repartition.storage
-- weight_sum is the same in every row of the hour; shares times it are compared, so that hours in which nothing weighs count for nothing.
SELECT storage_id, hour, shared, weight AS weights, weight_sum / rows AS weight_sum
FROM hours.repartition_storage
WHERE differs(shared, weight_sum / rows) OR differs(weight, weight_sum / rows)
