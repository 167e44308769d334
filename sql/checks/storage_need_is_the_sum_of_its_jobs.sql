-- need.storage is, in every hour, what the jobs of its server keep, and the base need.
-- tables: need.storage, need.storage_job
WITH jobs AS (
    SELECT storage_id, hour, sum(cumulative_storage_need) AS kept
    FROM need.storage_job
    GROUP BY ALL
)
SELECT storage_id, hour, kept, base_storage_need, full_cumulative_storage_need
FROM need.storage
FULL JOIN jobs USING (storage_id, hour)
LEFT JOIN input.storages USING (storage_id)
WHERE differs(coalesce(kept, 0) + base_storage_need, coalesce(full_cumulative_storage_need, 0))
