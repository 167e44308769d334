-- How does measured energy of runs compare with the energy modelled for their server? (two views of the same energy, never to be added)
-- columns: server_id, month, measured_energy, measured_run_hours, run_hours, modelled_energy, modelled_load_energy
-- measured_energy: Energy measured for runs in the month; empty where none was. [kWh]
-- measured_run_hours: Time under way of the runs of cells that have a measurement. [h]
-- run_hours: Time under way of all runs. [h]
-- modelled_energy: Energy modelled for the server, idle and load. [kWh]
-- modelled_load_energy: The load part of it. [kWh]
-- month: First day of the month, UTC.
WITH runs AS (
    SELECT server_id, utc_month(hour) AS month, sum(measured_energy) AS measured_energy,
        coalesce(sum(run_hours) FILTER (WHERE measured_energy IS NOT NULL), 0) AS measured_run_hours, sum(run_hours) AS run_hours
    FROM need.run
    GROUP BY ALL
)
SELECT server_id, month, measured_energy, measured_run_hours, run_hours, instances_energy AS modelled_energy,
    load_energy AS modelled_load_energy
FROM runs
JOIN energy.server_monthly USING (server_id, month)
