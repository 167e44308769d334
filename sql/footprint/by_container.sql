-- How much carbon does each journey step or server need (an observed run's user) answer for, on which kind of source?
-- columns: container_id, name, source_kind, footprint, manufacturing_footprint, usage_footprint
-- name: The step's name, where it has one.
-- footprint: Carbon attributed, both phases. [kg]
-- manufacturing_footprint: Embodied carbon attributed. [kg]
-- usage_footprint: Carbon of use attributed. [kg]
SELECT container_id, any_value(step.name) AS name, source_kind,
    sum(footprint) AS footprint,
    coalesce(sum(footprint) FILTER (WHERE phase = 'manufacturing'), 0) AS manufacturing_footprint,
    coalesce(sum(footprint) FILTER (WHERE phase = 'usage'), 0) AS usage_footprint
FROM repartition.footprint
LEFT JOIN input.usage_steps AS step ON step.usage_journey_step_id = container_id
GROUP BY container_id, source_kind
