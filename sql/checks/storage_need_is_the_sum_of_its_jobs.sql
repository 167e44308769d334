-- need.storage is, in every hour, what the jobs of its server keep, and the base need.
-- tables: need.storage, need.storage_job
SELECT storage_id, hour, jobs.cumulative_storage_need AS kept, base_storage_need, full_cumulative_storage_need
FROM need.storage
FULL JOIN hours.need_storage_job AS jobs USING (storage_id, hour)
LEFT JOIN input.storages USING (storage_id)
WHERE differs(coalesce(jobs.cumulative_storage_need, 0) + base_storage_need, coalesce(full_cumulative_storage_need, 0))
