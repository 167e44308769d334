-- How much carbon does each job answer for, on which kind of source? (job_id is empty for devices and for what nobody uses)
-- columns: job_id, source_kind, footprint, manufacturing_footprint, usage_footprint
-- footprint: Carbon attributed, both phases. [kg]
-- manufacturing_footprint: Embodied carbon attributed. [kg]
-- usage_footprint: Carbon of use attributed. [kg]
SELECT job_id, source_kind,
    sum(footprint) AS footprint,
    coalesce(sum(footprint) FILTER (WHERE phase = 'manufacturing'), 0) AS manufacturing_footprint,
    coalesce(sum(footprint) FILTER (WHERE phase = 'usage'), 0) AS usage_footprint
FROM repartition.footprint
GROUP BY ALL
