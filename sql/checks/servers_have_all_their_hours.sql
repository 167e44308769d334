-- need.server, instances.server and energy.server have the same hours of every server, none left out between first and last.
-- tables: need.server, instances.server, energy.server
WITH every AS (
    SELECT 'need.server' AS stage, server_id, hour FROM need.server
    UNION ALL
    SELECT 'instances.server', server_id, hour FROM instances.server
    UNION ALL
    SELECT 'energy.server', server_id, hour FROM energy.server
),
spans AS (
    SELECT stage, server_id, count(*) AS hours, min(hour) AS first_hour, max(hour) AS last_hour
    FROM every
    GROUP BY ALL
)
SELECT server_id, count(*) AS tables, min(hours) AS fewest_hours, max(hours) AS most_hours, min(first_hour) AS first_hour,
    max(last_hour) AS last_hour
FROM spans
GROUP BY server_id
HAVING count(*) <> 3 OR min(hours) <> max(hours) OR min(first_hour) <> max(first_hour) OR min(last_hour) <> max(last_hour)
    OR max(hours) <> date_diff('hour', min(first_hour), max(last_hour)) + 1
