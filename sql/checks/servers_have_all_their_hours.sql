-- need.server, instances.server and energy.server have the same hours of every server, none left out between first and last.
-- tables: need.server, instances.server, energy.server
WITH spans AS (
    SELECT 'need.server' AS stage, server_id, hours, first_hour, last_hour FROM totals.need_server
    UNION ALL
    SELECT 'instances.server', server_id, hours, first_hour, last_hour FROM totals.instances_server
    UNION ALL
    SELECT 'energy.server', server_id, hours, first_hour, last_hour FROM totals.energy_server
)
SELECT server_id, count(*) AS tables, min(hours) AS fewest_hours, max(hours) AS most_hours,
    make_timestamptz(min(first_hour) * 3600000000) AS first_hour, make_timestamptz(max(last_hour) * 3600000000) AS last_hour
FROM spans
GROUP BY server_id
HAVING count(*) <> 3 OR min(hours) <> max(hours) OR min(first_hour) <> max(first_hour) OR min(last_hour) <> max(last_hour)
    OR max(hours) <> max(last_hour) - min(first_hour) + 1
