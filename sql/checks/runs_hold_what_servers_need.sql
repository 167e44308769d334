-- on servers with observed runs only, what the runs hold in an hour is what the server needs.
-- tables: need.run, need.server, derived.server, derived.job
WITH runs AS (
    SELECT server_id, hour, sum(CASE WHEN compute_unit = 'gpu' THEN gpu_hours ELSE core_hours END) AS compute_held,
        sum(ram_hours) AS ram_held
    FROM need.run
    JOIN derived.server USING (server_id)
    WHERE server_id NOT IN (SELECT server_id FROM derived.job)
    GROUP BY ALL
),
observed AS (
    SELECT server_id, hour, ram_need, compute_need
    FROM need.server
    WHERE server_id IN (SELECT server_id FROM runs)
)
SELECT server_id, hour, compute_held, compute_need, ram_held, ram_need
FROM runs
FULL JOIN observed USING (server_id, hour)
WHERE differs(coalesce(compute_held, 0), coalesce(compute_need, 0)) OR differs(coalesce(ram_held, 0), coalesce(ram_need, 0))
