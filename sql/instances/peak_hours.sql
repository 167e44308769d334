-- Which are the ten busiest hours of each server?
-- columns: server_id, place, hour, raw_nb_of_instances, nb_of_instances
-- place: 1 is the busiest hour.
-- raw_nb_of_instances: Instances asked for in the hour. [1]
-- nb_of_instances: Instances on. [1]
SELECT server_id, row_number() OVER (PARTITION BY server_id ORDER BY raw_nb_of_instances DESC, hour) AS place, hour,
    raw_nb_of_instances, nb_of_instances
FROM instances.server
QUALIFY place <= 10
