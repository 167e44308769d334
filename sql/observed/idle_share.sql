-- What share of each server's capacity was held by runs or jobs, month by month, and what share stood idle?
-- columns: server_id, month, held_share, unallocated_share, idle_hours, hours
-- month: First day of the month, UTC.
-- held_share: Part of the instances that was asked for. [1]
-- unallocated_share: Part of the instances that nobody asked for. [1]
-- idle_hours: Hours in which nothing ran. [h]
-- hours: Hours of the server. [h]
SELECT server_id, utc_month(hour) AS month, sum(raw_nb_of_instances) / nullif(sum(nb_of_instances), 0) AS held_share,
    1 - sum(raw_nb_of_instances) / nullif(sum(nb_of_instances), 0) AS unallocated_share,
    count(*) FILTER (WHERE raw_nb_of_instances = 0) AS idle_hours, count(*) AS hours
FROM instances.server
GROUP BY ALL
