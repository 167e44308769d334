-- How many instances would have done at another utilisation rate, or on the hardware of another server, or provisioned otherwise? (fixed numbers are not kept) FROM right_sizing(utilization := 0.9, hardware := 'web', provisioning := 'autoscaling')
-- server_id: The server.
-- hardware_of: The server whose hardware (RAM, compute, power, embodied carbon, lifespan) is assumed.
-- peak_nb_of_instances: Most instances on, as it was. [1]
-- new_peak_nb_of_instances: Most instances on, as it would have been. [1]
-- instance_hours: Instances on, summed over the hours, as it was. [h]
-- new_instance_hours: The same, as it would have been; empty where base consumption leaves no room on an instance. [h]
-- energy: Energy as it was. [kWh]
-- new_energy: Energy as it would have been. [kWh]
-- footprint: Carbon of both phases, as it was. [kg]
-- new_footprint: Carbon as it would have been. [kg]
CREATE OR REPLACE MACRO right_sizing(utilization := NULL, hardware := NULL, provisioning := NULL) AS TABLE
WITH sized AS (
    SELECT own.server_id, other.server_id AS hardware_of, coalesce(provisioning, own.server_type) AS server_type, other.power, other.idle_power,
        own.power_usage_effectiveness AS pue, other.carbon_footprint_fabrication / (other.lifespan * 8766) AS hourly_fabrication,
        other.ram * coalesce(utilization, other.utilization_rate) - occupied_ram_per_instance AS available_ram,
        other.compute * coalesce(utilization, other.utilization_rate) - occupied_compute_per_instance AS available_compute
    FROM derived.server AS own
    JOIN instances.capacity USING (server_id)
    JOIN derived.server AS other ON other.server_id = coalesce(hardware, own.server_id) AND other.compute_unit = own.compute_unit
),
asked AS (
    SELECT sized.*, hour, greatest(ram_need / available_ram, compute_need / available_compute) AS raw
    FROM need.server
    JOIN sized USING (server_id)
    WHERE available_ram > 0 AND available_compute > 0
),
rounded AS (
    SELECT *, CASE WHEN raw > 0 THEN greatest(1, ceil(raw - 1e-9 * greatest(1, floor(raw)))) ELSE 0 END AS whole
    FROM asked
),
provided AS (
    SELECT *, CASE server_type
        WHEN 'serverless' THEN raw
        WHEN 'autoscaling' THEN whole
        ELSE max(whole) OVER (PARTITION BY server_id)
    END AS nb
    FROM rounded
),
would_be AS (
    SELECT server_id, max(nb) AS new_peak_nb_of_instances, sum(nb) AS new_instance_hours,
        sum((nb * idle_power + raw * (power - idle_power)) * pue / 1000) AS new_energy,
        sum((nb * idle_power + raw * (power - idle_power)) * pue / 1000 * carbon_intensity / 1000 + nb * hourly_fabrication) AS new_footprint
    FROM provided
    JOIN energy.server USING (server_id, hour)
    GROUP BY server_id
),
was AS (
    SELECT server_id, max(nb_of_instances) AS peak_nb_of_instances, sum(nb_of_instances) AS instance_hours, sum(instances_energy) AS energy,
        sum(energy_footprint + instances_fabrication_footprint) AS footprint
    FROM instances.server
    JOIN energy.server USING (server_id, hour)
    GROUP BY server_id
)
SELECT server_id, hardware_of, peak_nb_of_instances, new_peak_nb_of_instances, instance_hours, new_instance_hours, energy, new_energy,
    footprint, new_footprint
FROM was
JOIN (SELECT server_id, hardware_of FROM sized) AS named USING (server_id)
LEFT JOIN would_be USING (server_id)
ORDER BY server_id
