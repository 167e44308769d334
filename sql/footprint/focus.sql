-- What would a bill in the manner of FOCUS show: one row per resource and billing month, with energy and carbon in the place of money?
-- columns: BillingPeriodStart, BillingPeriodEnd, ResourceId, ResourceName, ResourceType, ServiceCategory, ConsumedQuantity, ConsumedUnit, x_UsageFootprint, x_ManufacturingFootprint, x_Footprint
-- BillingPeriodStart: First instant of the month.
-- BillingPeriodEnd: First instant of the next month.
-- ResourceId: The server, storage, network or device.
-- ResourceName: Its name, where it has one.
-- ResourceType: server, storage, network or device.
-- ServiceCategory: FOCUS' category of such a resource.
-- ConsumedQuantity: Energy taken in the month. [kWh]
-- ConsumedUnit: kWh.
-- x_UsageFootprint: Carbon of that energy. [kg]
-- x_ManufacturingFootprint: Embodied carbon, the month's part. [kg]
-- x_Footprint: Both together. [kg]
WITH hourly AS (
    SELECT 'server' AS kind, server_id AS id, hour, instances_energy AS energy, energy_footprint AS usage, instances_fabrication_footprint AS made
    FROM energy.server
    UNION ALL
    SELECT 'storage', storage_id, hour, 0.0, 0.0, instances_fabrication_footprint FROM energy.storage
    UNION ALL
    SELECT 'network', network_id, hour, energy, energy_footprint, 0.0 FROM energy.network
    UNION ALL
    SELECT 'device', device_id, hour, energy, energy_footprint, instances_fabrication_footprint FROM energy.device
),
named AS (
    SELECT 'server' AS kind, server_id AS id, name FROM derived.server
    UNION ALL
    SELECT 'storage', storage_id, name FROM input.storages
    UNION ALL
    SELECT 'network', network_id, name FROM input.networks
    UNION ALL
    SELECT 'device', device_id, name FROM input.devices
),
billed AS (
    SELECT kind, id, utc_month(hour) AS month, sum(energy) AS energy, sum(usage) AS usage, sum(made) AS made
    FROM hourly
    GROUP BY ALL
)
SELECT timezone('UTC', CAST(month AS TIMESTAMP)) AS BillingPeriodStart,
    timezone('UTC', CAST(month + INTERVAL 1 MONTH AS TIMESTAMP)) AS BillingPeriodEnd,
    id AS ResourceId, name AS ResourceName, kind AS ResourceType,
    CASE kind WHEN 'server' THEN 'Compute' WHEN 'storage' THEN 'Storage' WHEN 'network' THEN 'Networking' ELSE 'Other' END AS ServiceCategory,
    energy AS ConsumedQuantity, 'kWh' AS ConsumedUnit, usage AS x_UsageFootprint, made AS x_ManufacturingFootprint,
    usage + made AS x_Footprint
FROM billed
LEFT JOIN named USING (kind, id)
