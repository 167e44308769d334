-- What is the software carbon intensity (ISO/IEC 21031: (O + M) per R) per journey, job or run? FROM sci('journeys')
-- functional_unit: What is counted: journeys, jobs or runs.
-- operational: O, carbon of all energy. [g]
-- embodied: M, embodied carbon of everything. [g]
-- functional_units: R, how many there were. [occurrence]
-- sci: Carbon per functional unit. [g/occurrence]
CREATE OR REPLACE MACRO sci(unit) AS TABLE
WITH emitted AS (
    SELECT coalesce(sum(footprint) FILTER (WHERE phase = 'usage'), 0) * 1000 AS operational,
        coalesce(sum(footprint) FILTER (WHERE phase = 'manufacturing'), 0) * 1000 AS embodied
    FROM totals.hourly
),
counted AS (
    SELECT CASE unit
        WHEN 'journeys' THEN (
            SELECT sum(starts * times)
            FROM need.usage_pattern
            JOIN (SELECT usage_pattern_id, sum(times_per_start) AS times FROM input.usage_pattern_journeys GROUP BY ALL) AS journeys
                USING (usage_pattern_id)
        )
        WHEN 'jobs' THEN (SELECT sum(occurrences) FROM need.job)
        WHEN 'runs' THEN (SELECT CAST(sum(runs_started) AS DOUBLE) FROM need.run)
        ELSE error('sci: the unit is journeys, jobs or runs')
    END AS functional_units
)
SELECT unit AS functional_unit, operational, embodied, functional_units,
    (operational + embodied) / nullif(functional_units, 0) AS sci
FROM emitted, counted
