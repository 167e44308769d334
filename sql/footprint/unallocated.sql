-- How much carbon falls to nobody's work: machines that are on and not asked for, and machines that no job ever uses?
-- columns: server_id, unallocated_footprint, footprint, unallocated_share
-- unallocated_footprint: Carbon of capacity that is on and not asked for, and of machines without jobs. [kg]
-- footprint: All carbon of the servers. [kg]
-- unallocated_share: Part of the servers' carbon. [1]
SELECT server_id, sum(unallocated_footprint) AS unallocated_footprint, any_value(footprint) AS footprint,
    sum(unallocated_footprint) / nullif(any_value(footprint), 0) AS unallocated_share
FROM instances.unallocated
JOIN (
    SELECT server_id, sum(energy_footprint + instances_fabrication_footprint) AS footprint FROM energy.server GROUP BY server_id
) AS whole USING (server_id)
GROUP BY server_id
