-- on an autoscaling server a whole number of instances runs, less than one more than asked for.
-- tables: instances.server, derived.server
SELECT server_id, hour, raw_nb_of_instances, nb_of_instances
FROM instances.server
JOIN derived.server USING (server_id)
WHERE server_type = 'autoscaling' AND (
    nb_of_instances <> round(nb_of_instances) OR nb_of_instances - raw_nb_of_instances > 1
    OR (raw_nb_of_instances = round(raw_nb_of_instances) AND differs(nb_of_instances, raw_nb_of_instances))
)
