-- How much carbon comes from each server, storage, network and device, by stream?
-- columns: source_kind, source_id, stream, footprint, manufacturing_footprint, usage_footprint
-- footprint: Carbon attributed, both phases. [kg]
-- manufacturing_footprint: Embodied carbon attributed. [kg]
-- usage_footprint: Carbon of use attributed. [kg]
SELECT source_kind, source_id, stream,
    sum(footprint) AS footprint,
    coalesce(sum(footprint) FILTER (WHERE phase = 'manufacturing'), 0) AS manufacturing_footprint,
    coalesce(sum(footprint) FILTER (WHERE phase = 'usage'), 0) AS usage_footprint
FROM repartition.footprint
GROUP BY ALL
