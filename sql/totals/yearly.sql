-- How much energy and carbon does the whole system take each year, by category and phase?
-- columns: category, phase, year, energy, footprint
-- category: server, storage, network or device.
-- phase: manufacturing (embodied carbon) or usage (carbon of energy).
-- year: First day of the year, UTC.
-- energy: Energy taken; none for manufacturing. [kWh]
-- footprint: Carbon. [kg]
SELECT category, phase, utc_year(hour) AS year, sum(energy) AS energy, sum(footprint) AS footprint
FROM totals.hourly
GROUP BY ALL
