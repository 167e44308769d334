-- How much carbon is one invocation of a job: on average, and at the margin (one call more, with the machines that are there anyway)?
-- columns: job_id, occurrences, footprint, marginal_footprint, average_intensity, marginal_intensity
-- occurrences: Invocations started. [occurrence]
-- footprint: Carbon attributed, everything included. [kg]
-- marginal_footprint: The part that grows with each call: load of servers, data kept, data sent. [kg]
-- average_intensity: Carbon per invocation. [g/occurrence]
-- marginal_intensity: Carbon of one invocation more. [g/occurrence]
WITH calls AS (
    SELECT job_id, sum(occurrences) AS occurrences
    FROM need.job
    GROUP BY job_id
),
attributed AS (
    SELECT job_id, sum(footprint) AS footprint,
        coalesce(sum(footprint) FILTER (WHERE stream IN ('load', 'retention', 'transfer')), 0) AS marginal_footprint
    FROM repartition.footprint
    WHERE job_id IS NOT NULL
    GROUP BY job_id
)
SELECT job_id, coalesce(occurrences, 0) AS occurrences, coalesce(footprint, 0) AS footprint,
    coalesce(marginal_footprint, 0) AS marginal_footprint,
    coalesce(footprint, 0) * 1000 / nullif(occurrences, 0) AS average_intensity,
    coalesce(marginal_footprint, 0) * 1000 / nullif(occurrences, 0) AS marginal_intensity
FROM calls
FULL JOIN attributed USING (job_id)
