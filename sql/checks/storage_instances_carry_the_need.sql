-- of every storage as many instances are deployed as the kept data asks for.
-- tables: instances.storage, need.storage
SELECT storage_id, hour, raw_nb_of_instances, nb_of_instances, full_cumulative_storage_need
FROM instances.storage
LEFT JOIN need.storage USING (storage_id, hour)
JOIN input.storages USING (storage_id)
WHERE differs(raw_nb_of_instances, coalesce(full_cumulative_storage_need, 0) / storage_capacity)
    OR (nb_of_instances < raw_nb_of_instances AND differs(nb_of_instances, raw_nb_of_instances))
    OR (nb_of_instances - raw_nb_of_instances > 1 AND nb_of_instances IS DISTINCT FROM fixed_nb_of_instances)
