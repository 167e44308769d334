-- How much energy and carbon does the whole system take each month, by category and phase?
-- columns: category, phase, month, energy, footprint
-- category: server, storage, network or device.
-- phase: manufacturing (embodied carbon) or usage (carbon of energy).
-- month: First day of the month, UTC.
-- energy: Energy taken; none for manufacturing. [kWh]
-- footprint: Carbon. [kg]
SELECT category, phase, utc_month(hour) AS month, sum(energy) AS energy, sum(footprint) AS footprint
FROM totals.hourly
GROUP BY ALL
