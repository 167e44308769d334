-- When is each server busiest, how busy is it on average, and how many hours does it stand idle?
-- columns: server_id, peak_raw_nb_of_instances, peak_hour, peak_nb_of_instances, instance_hours, used_instance_hours, used_share, hours, idle_hours, idle_instance_hours
-- peak_raw_nb_of_instances: Instances asked for in the busiest hour. [1]
-- peak_hour: The first hour in which that many are asked for.
-- peak_nb_of_instances: Most instances on. [1]
-- instance_hours: Instances on, summed over the hours. [h]
-- used_instance_hours: Instances asked for, summed over the hours. [h]
-- used_share: Part of the instance hours that was asked for. [1]
-- hours: Hours of the server. [h]
-- idle_hours: Hours in which nothing runs. [h]
-- idle_instance_hours: Instances on in hours in which nothing runs. [h]
SELECT server_id, max(raw_nb_of_instances) AS peak_raw_nb_of_instances,
    min(hour) FILTER (WHERE raw_nb_of_instances = peak) AS peak_hour,
    max(nb_of_instances) AS peak_nb_of_instances,
    sum(nb_of_instances) AS instance_hours,
    sum(raw_nb_of_instances) AS used_instance_hours,
    sum(raw_nb_of_instances) / nullif(sum(nb_of_instances), 0) AS used_share,
    count(*) AS hours,
    count(*) FILTER (WHERE raw_nb_of_instances = 0) AS idle_hours,
    coalesce(sum(nb_of_instances) FILTER (WHERE raw_nb_of_instances = 0), 0) AS idle_instance_hours
FROM instances.server
JOIN (SELECT server_id, max(raw_nb_of_instances) AS peak FROM instances.server GROUP BY server_id) AS peaks USING (server_id)
GROUP BY server_id
