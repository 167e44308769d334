-- What share of each server's energy was turned into carbon by the hour's own grid intensity, and what by an average?
-- columns: server_id, source, hours, energy, energy_share, footprint
-- source: Whether the intensity is the hour's own (hourly) or the average.
-- hours: Hours with that kind of intensity. [h]
-- energy: Energy of the instances in those hours. [kWh]
-- energy_share: Part of the server's energy. [1]
-- footprint: Carbon of that energy. [kg]
SELECT server_id, carbon_intensity_source AS source, count(*) AS hours, sum(instances_energy) AS energy,
    sum(instances_energy) / nullif(sum(sum(instances_energy)) OVER (PARTITION BY server_id), 0) AS energy_share,
    sum(energy_footprint) AS footprint
FROM energy.server
GROUP BY server_id, carbon_intensity_source
