-- How full does each storage get, and when?
-- columns: storage_id, peak_need, peak_hour, peak_nb_of_instances, mean_used_share
-- peak_need: Most data kept. [TB_stored]
-- peak_hour: The first hour in which that much is kept.
-- peak_nb_of_instances: Most instances deployed. [1]
-- mean_used_share: Part of the deployed capacity in use, mean of all hours. [1]
SELECT storage_id, max(raw_nb_of_instances * storage_capacity) AS peak_need, arg_max(hour, (raw_nb_of_instances, -epoch_us(hour))) AS peak_hour,
    max(nb_of_instances) AS peak_nb_of_instances, sum(raw_nb_of_instances) / nullif(sum(nb_of_instances), 0) AS mean_used_share
FROM instances.storage
JOIN input.storages USING (storage_id)
GROUP BY storage_id
