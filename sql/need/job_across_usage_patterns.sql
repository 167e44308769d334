-- What does each job take in every hour, all usage patterns together? (the reference's ..._across_usage_patterns)
-- columns: job_id, server_id, hour, hourly_occurrences_across_usage_patterns, hourly_avg_occurrences_across_usage_patterns, hourly_data_transferred_across_usage_patterns, hourly_data_stored_across_usage_patterns
-- hourly_occurrences_across_usage_patterns: Invocations started in the hour. [occurrence]
-- hourly_avg_occurrences_across_usage_patterns: Invocations in flight, on average over the hour. [1]
-- hourly_data_transferred_across_usage_patterns: Data sent and received in the hour. [MB]
-- hourly_data_stored_across_usage_patterns: Data added to the storage in the hour. [MB_stored]
SELECT job_id, server_id, hour,
    sum(occurrences) AS hourly_occurrences_across_usage_patterns,
    sum(avg_occurrences) AS hourly_avg_occurrences_across_usage_patterns,
    sum(data_transferred) AS hourly_data_transferred_across_usage_patterns,
    sum(data_stored) AS hourly_data_stored_across_usage_patterns
FROM need.job
GROUP BY job_id, server_id, hour
