-- How much of what is on did nobody ask for, by server and month, and what does being on unasked cost?
-- columns: server_id, month, instance_hours, unallocated_instance_hours, unallocated_share, unallocated_energy, unallocated_footprint
-- month: First day of the month, UTC.
-- instance_hours: Instances on, summed over the hours. [h]
-- unallocated_instance_hours: Instances on and not asked for, summed over the hours. [h]
-- unallocated_share: Their part of the instance hours. [1]
-- unallocated_energy: Idle energy of the unallocated part. [kWh]
-- unallocated_footprint: Carbon of that energy, and embodied carbon of the unallocated part. [kg]
SELECT server_id, utc_month(hour) AS month, sum(nb_of_instances) AS instance_hours,
    sum(nb_of_instances - raw_nb_of_instances) AS unallocated_instance_hours,
    sum(nb_of_instances - raw_nb_of_instances) / nullif(sum(nb_of_instances), 0) AS unallocated_share,
    coalesce(sum(idle_energy * (1 - raw_nb_of_instances / nullif(nb_of_instances, 0))), 0) AS unallocated_energy,
    coalesce(sum((idle_energy * carbon_intensity / 1000 + instances_fabrication_footprint)
        * (1 - raw_nb_of_instances / nullif(nb_of_instances, 0))), 0) AS unallocated_footprint
FROM instances.server
JOIN energy.server USING (server_id, hour)
GROUP BY ALL
