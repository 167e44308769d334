-- How does the demand on each server vary over a typical week (hours in UTC)?
-- columns: server_id, hour_of_week, mean_raw_nb_of_instances, peak_raw_nb_of_instances, mean_nb_of_instances
-- hour_of_week: 0 is Monday 00:00 UTC. [h]
-- mean_raw_nb_of_instances: Instances asked for, mean of all weeks. [1]
-- peak_raw_nb_of_instances: Instances asked for in the busiest such hour. [1]
-- mean_nb_of_instances: Instances on, mean of all weeks. [1]
SELECT server_id, (isodow(timezone('UTC', hour)) - 1) * 24 + hour(timezone('UTC', hour)) AS hour_of_week,
    avg(raw_nb_of_instances) AS mean_raw_nb_of_instances,
    max(raw_nb_of_instances) AS peak_raw_nb_of_instances,
    avg(nb_of_instances) AS mean_nb_of_instances
FROM instances.server
GROUP BY ALL
