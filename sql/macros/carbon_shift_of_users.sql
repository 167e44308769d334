-- What would the runs or calls of each project have emitted some hours earlier or later? (needs attribution_grain = hour) FROM carbon_shift_of_users(-12, 12)
-- usage_pattern_id: The usage pattern (an observed run's project).
-- shift_hours: By how many hours the work is moved; below 0 is earlier. [h]
-- footprint: Carbon of the work's load energy where both intensities are known, as it was. [kg]
-- shifted_footprint: The same, as it would have been. [kg]
-- saved_share: Part of the carbon that the move saves; below 0 it costs more. [1]
CREATE OR REPLACE MACRO carbon_shift_of_users(earliest, latest) AS TABLE
WITH shifts AS (
    SELECT CAST(unnest(range(CAST(earliest AS BIGINT), CAST(latest AS BIGINT) + 1)) AS BIGINT) AS shift_hours
),
work AS (
    SELECT usage_pattern_id, zone, hour, sum(footprint) AS kg
    FROM repartition.footprint
    JOIN derived.server ON server_id = source_id
    WHERE source_kind = 'server' AND stream = 'load' AND attribution_grain() = 'hour'
        AND zone IN (SELECT zone FROM input.carbon_intensity)
    GROUP BY ALL
),
moved AS (
    SELECT usage_pattern_id, shift_hours, kg, kg * there.carbon_intensity / nullif(here.carbon_intensity, 0) AS shifted_kg
    FROM work
    CROSS JOIN shifts
    JOIN input.carbon_intensity AS here ON here.zone = work.zone AND here.hour = work.hour
    JOIN input.carbon_intensity AS there ON there.zone = work.zone AND there.hour = work.hour + to_hours(shift_hours)
)
SELECT usage_pattern_id, shift_hours, sum(kg) AS footprint, sum(shifted_kg) AS shifted_footprint,
    1 - sum(shifted_kg) / nullif(sum(kg), 0) AS saved_share
FROM moved
GROUP BY usage_pattern_id, shift_hours
ORDER BY usage_pattern_id, shift_hours
