-- How much energy and carbon did each server take, month by month?
-- columns: server_id, month, idle_energy, load_energy, instances_energy, energy_footprint, instances_fabrication_footprint, footprint, mean_carbon_intensity
-- month: First day of the month, UTC.
-- idle_energy: Energy of the instances for being on, PUE included. [kWh]
-- load_energy: Energy the work adds to that, PUE included. [kWh]
-- instances_energy: Idle and load energy together. [kWh]
-- energy_footprint: Carbon of that energy. [kg]
-- instances_fabrication_footprint: Embodied carbon of the instances, this month's part. [kg]
-- footprint: Both together. [kg]
-- mean_carbon_intensity: Grid intensity, mean weighted by energy. [g/kWh]
SELECT server_id, utc_month(hour) AS month, sum(idle_energy) AS idle_energy, sum(load_energy) AS load_energy,
    sum(instances_energy) AS instances_energy, sum(energy_footprint) AS energy_footprint,
    sum(instances_fabrication_footprint) AS instances_fabrication_footprint,
    sum(energy_footprint + instances_fabrication_footprint) AS footprint,
    sum(energy_footprint) * 1000 / nullif(sum(instances_energy), 0) AS mean_carbon_intensity
FROM energy.server
GROUP BY ALL
