-- How much energy and carbon does the whole system take each day, by category and phase?
-- columns: category, phase, day, energy, footprint
-- category: server, storage, network or device.
-- phase: manufacturing (embodied carbon) or usage (carbon of energy).
-- day: The day, UTC.
-- energy: Energy taken; none for manufacturing. [kWh]
-- footprint: Carbon. [kg]
SELECT category, phase, utc_day(hour) AS day, sum(energy) AS energy, sum(footprint) AS footprint
FROM totals.hourly
GROUP BY ALL
