-- How much carbon does each usage pattern (an observed run's project) answer for, on which kind of source?
-- columns: usage_pattern_id, source_kind, footprint, manufacturing_footprint, usage_footprint
-- footprint: Carbon attributed, both phases. [kg]
-- manufacturing_footprint: Embodied carbon attributed. [kg]
-- usage_footprint: Carbon of use attributed. [kg]
SELECT usage_pattern_id, source_kind,
    sum(footprint) AS footprint,
    coalesce(sum(footprint) FILTER (WHERE phase = 'manufacturing'), 0) AS manufacturing_footprint,
    coalesce(sum(footprint) FILTER (WHERE phase = 'usage'), 0) AS usage_footprint
FROM repartition.footprint
GROUP BY ALL
