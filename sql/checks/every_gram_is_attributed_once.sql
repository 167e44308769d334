-- repartition.footprint sums to energy.* to 1e-9 for every source, phase and hour (or period, as attribution_grain says).
-- tables: repartition.footprint, energy.server, energy.storage, energy.network, energy.device
WITH emitted AS (
    SELECT 'server' AS source_kind, server_id AS source_id, 'manufacturing' AS phase, hour, instances_fabrication_footprint AS footprint
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
sources AS (
    SELECT source_kind, source_id, phase, attribution_period(hour) AS hour, sum(footprint) AS emitted
    FROM emitted
    GROUP BY ALL
)
SELECT source_kind, source_id, phase, hour, emitted, passed_on.footprint AS attributed
FROM sources
FULL JOIN hours.repartition_footprint AS passed_on USING (source_kind, source_id, phase, hour)
WHERE abs(coalesce(emitted, 0) - coalesce(passed_on.footprint, 0))
    > 1e-9 * greatest(abs(coalesce(emitted, 0)), coalesce(passed_on.moved, 0)) + 1e-300
