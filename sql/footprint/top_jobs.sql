-- Which jobs answer for most of the carbon?
-- columns: job_id, footprint, manufacturing_footprint, usage_footprint, footprint_share, place
-- footprint: Carbon attributed, both phases. [kg]
-- manufacturing_footprint: Embodied carbon attributed. [kg]
-- usage_footprint: Carbon of use attributed. [kg]
-- footprint_share: Part of the whole footprint. [1]
-- place: 1 is the largest.
SELECT job_id,
    sum(footprint) AS footprint,
    coalesce(sum(footprint) FILTER (WHERE phase = 'manufacturing'), 0) AS manufacturing_footprint,
    coalesce(sum(footprint) FILTER (WHERE phase = 'usage'), 0) AS usage_footprint,
    sum(footprint) / nullif(sum(sum(footprint)) OVER (), 0) AS footprint_share,
    row_number() OVER (ORDER BY sum(footprint) DESC, job_id) AS place
FROM repartition.footprint
GROUP BY job_id
