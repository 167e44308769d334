-- What did the runs of each server (partition, lane, product) hold, month by month, how long did they wait, and what do they answer for?
-- columns: server_id, month, runs, core_hours, gpu_hours, ram_hours, wait_hours, measured_energy, attributed_energy, footprint, usage_footprint
-- month: First day of the month, UTC.
-- runs: Runs started in the month. [occurrence]
-- core_hours: Cores held times time held. [cpu_core*h]
-- gpu_hours: GPUs held times time held. [gpu*h]
-- ram_hours: Memory held times time held. [GB_ram*h]
-- wait_hours: Time from submission to start. [h]
-- measured_energy: Energy measured for the runs; empty where none was. [kWh]
-- attributed_energy: Energy of the servers attributed: each period's energy in proportion to the carbon of use. [kWh]
-- footprint: Carbon of the servers attributed, both phases. [kg]
-- usage_footprint: Carbon of use attributed. [kg]
SELECT server_id, month, CAST(sum(runs) AS BIGINT) AS runs, sum(core_hours) AS core_hours, sum(gpu_hours) AS gpu_hours, sum(ram_hours) AS ram_hours,
    sum(wait_hours) AS wait_hours, sum(measured_energy) AS measured_energy, sum(attributed_energy) AS attributed_energy,
    sum(footprint) AS footprint, sum(usage_footprint) AS usage_footprint
FROM observed.cells
GROUP BY ALL
