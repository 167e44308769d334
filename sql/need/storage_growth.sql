-- How much data does each storage keep at the end of every month, and how full is it?
-- columns: storage_id, month, kept, deployed
-- month: First day of the month, UTC.
-- kept: Data kept in the last hour of the month. [TB_stored]
-- deployed: Capacity deployed in that hour. [TB_stored]
SELECT storage_id, utc_month(hour) AS month, arg_max(full_cumulative_storage_need, hour) AS kept,
    arg_max(nb_of_instances * storage_capacity, hour) AS deployed
FROM need.storage
JOIN instances.storage USING (storage_id, hour)
JOIN input.storages USING (storage_id)
GROUP BY ALL
