-- How much carbon of each server falls to each job, month by month?
-- columns: server_id, job_id, month, footprint, manufacturing_footprint, usage_footprint
-- month: First day of the month, UTC.
-- footprint: Carbon attributed, both phases. [kg]
-- manufacturing_footprint: Embodied carbon attributed. [kg]
-- usage_footprint: Carbon of use attributed. [kg]
SELECT source_id AS server_id, job_id, utc_month(hour) AS month,
    sum(footprint) AS footprint,
    coalesce(sum(footprint) FILTER (WHERE phase = 'manufacturing'), 0) AS manufacturing_footprint,
    coalesce(sum(footprint) FILTER (WHERE phase = 'usage'), 0) AS usage_footprint
FROM repartition.footprint
WHERE source_kind = 'server'
GROUP BY ALL
