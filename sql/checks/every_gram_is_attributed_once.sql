-- repartition.footprint sums to energy.* to 1e-9 for every source, phase and hour (or period, as attribution_grain says).
-- tables: repartition.footprint, energy.server, energy.storage, energy.network, energy.device
WITH emitted AS (
    SELECT 'server' AS source_kind, server_id AS source_id, 'manufacturing' AS phase, hour,
        instances_fabrication_footprint AS footprint
    FROM energy.server
    UNION ALL
    SELECT 'server', server_id, 'usage', hour, energy_footprint FROM energy.server
    UNION ALL
    SELECT 'storage', storage_id, 'manufacturing', hour, instances_fabrication_footprint FROM energy.storage
    UNION ALL
    SELECT 'network', network_id, 'usage', hour, energy_footprint FROM hours.energy_network
    UNION ALL
    SELECT 'device', device_id, 'manufacturing', hour, instances_fabrication_footprint FROM energy.device
    UNION ALL
    SELECT 'device', device_id, 'usage', hour, energy_footprint FROM energy.device
),
sides AS (
    SELECT source_kind, source_id, phase, attribution_period(hour) AS hour, footprint AS emitted, 0.0 AS attributed, 0.0 AS moved
    FROM emitted
    UNION ALL
    SELECT source_kind, source_id, phase, hour, 0.0, footprint, moved FROM hours.repartition_footprint
)
SELECT source_kind, source_id, phase, hour, sum(emitted) AS emitted, sum(attributed) AS attributed
FROM sides
GROUP BY source_kind, source_id, phase, hour
HAVING abs(sum(emitted) - sum(attributed)) > 1e-9 * greatest(abs(sum(emitted)), sum(moved)) + 1e-300
