-- How much carbon do the observed runs of each user answer for, on which kind of source?
-- columns: user, source_kind, footprint, manufacturing_footprint, usage_footprint
-- footprint: Carbon attributed, both phases. [kg]
-- manufacturing_footprint: Embodied carbon attributed. [kg]
-- usage_footprint: Carbon of use attributed. [kg]
SELECT container_id AS "user", source_kind,
    sum(footprint) AS footprint,
    coalesce(sum(footprint) FILTER (WHERE phase = 'manufacturing'), 0) AS manufacturing_footprint,
    coalesce(sum(footprint) FILTER (WHERE phase = 'usage'), 0) AS usage_footprint
FROM repartition.footprint
WHERE (job_id, usage_pattern_id, container_id) IN (SELECT (application, project, "user") FROM need.run)
GROUP BY ALL
