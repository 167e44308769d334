-- How does the software carbon intensity per journey, job or run change from month to month? FROM sci_monthly('jobs')
-- functional_unit: What is counted: journeys, jobs or runs.
-- month: First day of the month, UTC.
-- operational: O, carbon of all energy. [g]
-- embodied: M, embodied carbon of everything. [g]
-- functional_units: R, how many there were. [occurrence]
-- sci: Carbon per functional unit. [g/occurrence]
CREATE OR REPLACE MACRO sci_monthly(unit) AS TABLE
WITH emitted AS (
    SELECT month, coalesce(sum(footprint) FILTER (WHERE phase = 'usage'), 0) * 1000 AS operational,
        coalesce(sum(footprint) FILTER (WHERE phase = 'manufacturing'), 0) * 1000 AS embodied
    FROM totals.monthly
    GROUP BY month
),
counted AS (
    SELECT utc_month(hour) AS month, sum(starts * times) AS functional_units
    FROM need.usage_pattern
    JOIN (SELECT usage_pattern_id, sum(times_per_start) AS times FROM input.usage_pattern_journeys GROUP BY ALL) AS journeys
        USING (usage_pattern_id)
    WHERE unit = 'journeys'
    GROUP BY ALL
    UNION ALL
    SELECT utc_month(hour), sum(occurrences) FROM need.job WHERE unit = 'jobs' GROUP BY ALL
    UNION ALL
    SELECT utc_month(hour), CAST(sum(runs_started) AS DOUBLE) FROM need.run WHERE unit = 'runs' GROUP BY ALL
)
SELECT CASE WHEN unit IN ('journeys', 'jobs', 'runs') THEN unit ELSE error('sci_monthly: the unit is journeys, jobs or runs') END AS functional_unit,
    month, operational, embodied, functional_units,
    (operational + embodied) / nullif(functional_units, 0) AS sci
FROM emitted
LEFT JOIN counted USING (month)
ORDER BY month
