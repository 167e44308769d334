-- on an on-premise server the same whole number of instances runs at every hour: the fixed one, or the rounded peak.
-- tables: instances.server, derived.server
SELECT server_id, min(nb_of_instances) AS fewest, max(nb_of_instances) AS most, max(raw_nb_of_instances) AS peak,
    any_value(fixed_nb_of_instances) AS fixed_nb_of_instances
FROM instances.server
JOIN derived.server USING (server_id)
WHERE server_type = 'on-premise'
GROUP BY server_id
HAVING min(nb_of_instances) <> max(nb_of_instances) OR max(nb_of_instances) <> round(max(nb_of_instances))
    OR max(nb_of_instances) <> coalesce(any_value(fixed_nb_of_instances), max(nb_of_instances))
    OR (any_value(fixed_nb_of_instances) IS NULL AND max(nb_of_instances) - max(raw_nb_of_instances) > 1)
