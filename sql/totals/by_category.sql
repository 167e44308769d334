-- How much energy and carbon does the whole system take, by category (server, storage, network, device) and phase?
-- columns: category, phase, energy, footprint, footprint_share
-- category: server, storage, network or device.
-- phase: manufacturing (embodied carbon) or usage (carbon of energy).
-- energy: Energy taken; none for manufacturing. [kWh]
-- footprint: Carbon. [kg]
-- footprint_share: Part of the whole footprint. [1]
SELECT category, phase, sum(energy) AS energy, sum(footprint) AS footprint,
    sum(footprint) / nullif(sum(sum(footprint)) OVER (), 0) AS footprint_share
FROM totals.hourly
GROUP BY category, phase
