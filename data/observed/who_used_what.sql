-- Who used which machines, for how long, and what of their carbon is theirs?
WITH held AS (
  SELECT server_id, project, "user", sum(runs_started) AS runs, sum(core_hours) AS core_hours, sum(gpu_hours) AS gpu_hours, sum(wait_hours) AS wait_hours
  FROM need.run
  GROUP BY ALL
),
borne AS (
  SELECT source_id AS server_id, usage_pattern_id AS project, container_id AS "user", sum(footprint) * 1000 AS grams
  FROM repartition.footprint
  WHERE source_kind = 'server'
  GROUP BY ALL
)
SELECT server_id, project, "user", runs, round(core_hours, 2) AS core_hours, round(gpu_hours, 2) AS gpu_hours, round(wait_hours, 2) AS wait_hours, round(grams, 1) AS grams
FROM held FULL JOIN borne USING (server_id, project, "user")
ORDER BY server_id, grams DESC, "user";
