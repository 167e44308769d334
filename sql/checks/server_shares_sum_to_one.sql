-- where a server's jobs weigh anything in an hour, their weights are all there and their shares sum to 1.
-- tables: repartition.server
-- weight_sum is the same in every row of the hour; shares times it are compared, so that hours in which nothing weighs count for nothing.
SELECT server_id, hour, shared, weight AS weights, weight_sum / rows AS weight_sum
FROM hours.repartition_server
WHERE differs(shared, weight_sum / rows) OR differs(weight, weight_sum / rows)
