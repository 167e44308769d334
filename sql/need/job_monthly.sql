-- How often was each job called each month, and what did it send and store?
-- columns: job_id, server_id, month, occurrences, busy_hours, data_transferred, data_stored
-- month: First day of the month, UTC.
-- occurrences: Invocations started in the month. [occurrence]
-- busy_hours: Time in flight, all invocations together. [h]
-- data_transferred: Data sent and received in the month. [MB]
-- data_stored: Data added to the storage in the month. [MB_stored]
SELECT job_id, server_id, utc_month(hour) AS month, sum(occurrences) AS occurrences, sum(avg_occurrences) AS busy_hours,
    sum(data_transferred) AS data_transferred, sum(data_stored) AS data_stored
FROM need.job
GROUP BY ALL
