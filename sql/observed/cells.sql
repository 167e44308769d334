-- What did the runs of each application, project and user hold on each server, month by month, and what do they answer for?
-- columns: server_id, application, project, user, month, runs, run_hours, core_hours, gpu_hours, ram_hours, wait_hours, measured_energy, attributed_energy, footprint, usage_footprint
-- month: First day of the month, UTC.
-- runs: Runs started in the month. [occurrence]
-- run_hours: Time the runs were under way. [h]
-- core_hours: Cores held times time held. [cpu_core*h]
-- gpu_hours: GPUs held times time held. [gpu*h]
-- ram_hours: Memory held times time held. [GB_ram*h]
-- wait_hours: Time from submission to start. [h]
-- measured_energy: Energy measured for the runs; empty where none was. [kWh]
-- attributed_energy: Energy of the servers attributed: each period's energy in proportion to the carbon of use. [kWh]
-- footprint: Carbon of the servers attributed, both phases. [kg]
-- usage_footprint: Carbon of use attributed. [kg]
WITH held AS (
    SELECT server_id, application, project, "user", utc_month(hour) AS month, CAST(sum(runs_started) AS BIGINT) AS runs, sum(run_hours) AS run_hours,
        sum(core_hours) AS core_hours, sum(gpu_hours) AS gpu_hours, sum(ram_hours) AS ram_hours, sum(wait_hours) AS wait_hours,
        sum(measured_energy) AS measured_energy
    FROM need.run
    GROUP BY ALL
),
powered AS (
    SELECT server_id, attribution_period(hour) AS hour, sum(instances_energy) / nullif(sum(energy_footprint), 0) AS energy_per_footprint
    FROM energy.server
    GROUP BY ALL
),
attributed AS (
    SELECT rows.source_id AS server_id, job_id AS application, usage_pattern_id AS project, container_id AS "user",
        utc_month(rows.hour) AS month, sum(footprint) AS footprint,
        coalesce(sum(footprint) FILTER (WHERE phase = 'usage'), 0) AS usage_footprint,
        coalesce(sum(footprint * energy_per_footprint) FILTER (WHERE phase = 'usage'), 0) AS attributed_energy
    FROM repartition.footprint AS rows
    JOIN powered ON powered.server_id = rows.source_id AND powered.hour = rows.hour
    WHERE rows.source_kind = 'server' AND (rows.source_id, job_id) IN (SELECT (server_id, application) FROM need.run)
    GROUP BY ALL
)
SELECT server_id, application, project, "user", month, coalesce(runs, 0) AS runs, coalesce(run_hours, 0) AS run_hours,
    coalesce(core_hours, 0) AS core_hours, coalesce(gpu_hours, 0) AS gpu_hours, coalesce(ram_hours, 0) AS ram_hours,
    coalesce(wait_hours, 0) AS wait_hours, measured_energy, coalesce(attributed_energy, 0) AS attributed_energy,
    coalesce(footprint, 0) AS footprint, coalesce(usage_footprint, 0) AS usage_footprint
FROM held
FULL JOIN attributed USING (server_id, application, project, "user", month)
