-- How many runs were under way, waiting time apart, and what did they hold on each server in every hour?
-- columns: server_id, hour, runs_started, runs_ended, runs_running, core_hours, gpu_hours, ram_hours, wait_hours
-- runs_started: Runs that started in the hour. [occurrence]
-- runs_ended: Runs that ended in the hour. [occurrence]
-- runs_running: Runs that held their resources at some time in the hour. [occurrence]
-- core_hours: Cores held times time held. [cpu_core*h]
-- gpu_hours: GPUs held times time held. [gpu*h]
-- ram_hours: Memory held times time held. [GB_ram*h]
-- wait_hours: Time from submission to start of the runs that started in the hour. [h]
SELECT server_id, hour, CAST(sum(runs_started) AS BIGINT) AS runs_started, CAST(sum(runs_ended) AS BIGINT) AS runs_ended, CAST(sum(runs_running) AS BIGINT) AS runs_running,
    sum(core_hours) AS core_hours, sum(gpu_hours) AS gpu_hours, sum(ram_hours) AS ram_hours, sum(wait_hours) AS wait_hours
FROM need.run
GROUP BY ALL
