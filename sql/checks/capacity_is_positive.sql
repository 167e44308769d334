-- an instance of every server has room for jobs: what it has, times the utilization rate, less what is occupied.
-- tables: instances.capacity, derived.server
SELECT server_id, available_ram_per_instance, available_compute_per_instance
FROM instances.capacity
FULL JOIN derived.server USING (server_id)
WHERE coalesce(available_ram_per_instance, 0) <= 0 OR coalesce(available_compute_per_instance, 0) <= 0
    OR differs(available_ram_per_instance + occupied_ram_per_instance, ram * utilization_rate)
    OR differs(available_compute_per_instance + occupied_compute_per_instance, compute * utilization_rate)
