-- What would the same work have emitted some hours earlier or later, with hourly grid intensity? FROM carbon_shift(-12, 12)
-- server_id: A server whose zone has hourly intensity.
-- shift_hours: By how many hours the work is moved; below 0 is earlier. [h]
-- energy: Load energy of the work (idle energy stays where it is). [kWh]
-- covered_energy: The part of it whose hours have a known intensity both before and after the move. [kWh]
-- footprint: Carbon of that part as it was. [kg]
-- shifted_footprint: Carbon of that part as it would have been. [kg]
-- saved_share: Part of the carbon that the move saves; below 0 it costs more. [1]
CREATE OR REPLACE MACRO carbon_shift(earliest, latest) AS TABLE
WITH shifts AS (
    SELECT CAST(unnest(range(CAST(earliest AS BIGINT), CAST(latest AS BIGINT) + 1)) AS BIGINT) AS shift_hours
),
work AS (
    SELECT server_id, zone, hour, load_energy
    FROM energy.server
    JOIN derived.server USING (server_id)
    WHERE zone IN (SELECT zone FROM input.carbon_intensity)
),
moved AS (
    SELECT server_id, shift_hours, load_energy, here.carbon_intensity AS here_intensity, there.carbon_intensity AS there_intensity
    FROM work
    CROSS JOIN shifts
    LEFT JOIN input.carbon_intensity AS here ON here.zone = work.zone AND here.hour = work.hour
    LEFT JOIN input.carbon_intensity AS there ON there.zone = work.zone AND there.hour = work.hour + to_hours(shift_hours)
)
SELECT server_id, shift_hours, sum(load_energy) AS energy,
    coalesce(sum(load_energy) FILTER (WHERE here_intensity + there_intensity IS NOT NULL), 0) AS covered_energy,
    coalesce(sum(load_energy * here_intensity / 1000) FILTER (WHERE there_intensity IS NOT NULL), 0) AS footprint,
    coalesce(sum(load_energy * there_intensity / 1000) FILTER (WHERE here_intensity IS NOT NULL), 0) AS shifted_footprint,
    1 - shifted_footprint / nullif(footprint, 0) AS saved_share
FROM moved
GROUP BY server_id, shift_hours
ORDER BY server_id, shift_hours
