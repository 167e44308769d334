-- How much carbon do the users of each country answer for? (empty: usage patterns without a country)
-- columns: country_id, name, footprint, manufacturing_footprint, usage_footprint
-- country_id: The country of the usage pattern.
-- name: The country's name.
-- footprint: Carbon attributed, both phases. [kg]
-- manufacturing_footprint: Embodied carbon attributed. [kg]
-- usage_footprint: Carbon of use attributed. [kg]
WITH patterns AS (
    SELECT usage_pattern_id, country_id FROM input.usage_patterns
    UNION ALL
    SELECT usage_pattern_id, country_id FROM input.edge_usage_patterns
)
SELECT country_id, any_value(countries.name) AS name,
    sum(footprint) AS footprint,
    coalesce(sum(footprint) FILTER (WHERE phase = 'manufacturing'), 0) AS manufacturing_footprint,
    coalesce(sum(footprint) FILTER (WHERE phase = 'usage'), 0) AS usage_footprint
FROM repartition.footprint
LEFT JOIN patterns USING (usage_pattern_id)
LEFT JOIN input.countries AS countries USING (country_id)
GROUP BY country_id
