-- How much energy and carbon does the whole system take in every hour, by category and phase?
-- columns: category, phase, hour, energy, footprint
-- category: server, storage, network or device.
-- phase: manufacturing (embodied carbon) or usage (carbon of energy).
-- energy: Energy taken in the hour; none for manufacturing. [kWh]
-- footprint: Carbon. [kg]
SELECT 'server' AS category, 'manufacturing' AS phase, hour, 0.0 AS energy, sum(instances_fabrication_footprint) AS footprint
FROM energy.server
GROUP BY hour
UNION ALL
SELECT 'server', 'usage', hour, sum(instances_energy), sum(energy_footprint) FROM energy.server GROUP BY hour
UNION ALL
SELECT 'storage', 'manufacturing', hour, 0.0, sum(instances_fabrication_footprint) FROM energy.storage GROUP BY hour
UNION ALL
SELECT 'network', 'usage', hour, sum(energy), sum(energy_footprint) FROM energy.network GROUP BY hour
UNION ALL
SELECT 'device', 'manufacturing', hour, 0.0, sum(instances_fabrication_footprint) FROM energy.device GROUP BY hour
UNION ALL
SELECT 'device', 'usage', hour, sum(energy), sum(energy_footprint) FROM energy.device GROUP BY hour
