-- How much carbon does each job answer for, month by month?
-- columns: job_id, month, footprint, manufacturing_footprint, usage_footprint
-- month: First day of the month, UTC.
-- footprint: Carbon attributed, both phases. [kg]
-- manufacturing_footprint: Embodied carbon attributed. [kg]
-- usage_footprint: Carbon of use attributed. [kg]
SELECT job_id, utc_month(hour) AS month,
    sum(footprint) AS footprint,
    coalesce(sum(footprint) FILTER (WHERE phase = 'manufacturing'), 0) AS manufacturing_footprint,
    coalesce(sum(footprint) FILTER (WHERE phase = 'usage'), 0) AS usage_footprint
FROM repartition.footprint
GROUP BY ALL
