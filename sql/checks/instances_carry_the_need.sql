-- raw_nb_of_instances is what the scarcer resource asks for, and as many instances are on.
-- tables: need.server, instances.capacity, instances.server
SELECT server_id, hour, raw_nb_of_instances, nb_of_instances, ram_need, compute_need
FROM instances.server
JOIN need.server USING (server_id, hour)
JOIN instances.capacity USING (server_id)
WHERE differs(raw_nb_of_instances,
        greatest(ram_need / available_ram_per_instance, compute_need / available_compute_per_instance))
    OR (nb_of_instances < raw_nb_of_instances AND differs(nb_of_instances, raw_nb_of_instances))
