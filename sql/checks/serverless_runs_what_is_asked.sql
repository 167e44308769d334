-- on a serverless server as many instances run as are asked for.
-- tables: instances.server, derived.server
SELECT server_id, hour, raw_nb_of_instances, nb_of_instances
FROM instances.server
JOIN derived.server USING (server_id)
WHERE server_type = 'serverless' AND nb_of_instances <> raw_nb_of_instances
