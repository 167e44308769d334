-- idle energy, load energy and embodied carbon of a server are its instances times its own figures.
-- tables: energy.server, instances.server, derived.server
SELECT server_id, hour, nb_of_instances, raw_nb_of_instances, idle_energy, load_energy, instances_fabrication_footprint
FROM energy.server AS energy
JOIN instances.server USING (server_id, hour)
JOIN derived.server AS server USING (server_id)
WHERE differs(idle_energy, nb_of_instances * idle_power * power_usage_effectiveness / 1000)
    OR differs(load_energy, raw_nb_of_instances * (power - idle_power) * power_usage_effectiveness / 1000)
    OR differs(instances_fabrication_footprint, carbon_footprint_fabrication * nb_of_instances / (lifespan * 8766))
