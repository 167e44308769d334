-- energy of instances is idle and load energy together, and its carbon is that energy times the intensity of the hour.
-- tables: energy.server
SELECT server_id, hour, idle_energy, load_energy, instances_energy, energy_footprint, carbon_intensity
FROM energy.server
WHERE abs(instances_energy - idle_energy - load_energy) > 1e-9 * (abs(idle_energy) + abs(load_energy)) + 1e-300
    OR differs(energy_footprint, instances_energy * carbon_intensity / 1000)
