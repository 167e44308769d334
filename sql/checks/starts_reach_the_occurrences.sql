-- no journey start is lost: a cell has at least as many occurrences as its pattern's starts ask for (direct occurrences may add some).
-- tables: need.usage_pattern, need.occurrence, derived.cell
WITH asked AS (
    SELECT job_id, server_id, usage_pattern_id, container_id, sum(times) * any_value(started.starts) AS asked
    FROM derived.cell
    JOIN (SELECT usage_pattern_id, sum(starts) AS starts FROM totals.need_usage_pattern GROUP BY ALL) AS started USING (usage_pattern_id)
    WHERE kind = 'step'
    GROUP BY ALL
),
made AS (
    SELECT job_id, server_id, usage_pattern_id, container_id, sum(occurrences) AS made
    FROM totals.need_occurrence
    GROUP BY ALL
)
SELECT job_id, server_id, usage_pattern_id, container_id, asked, coalesce(made, 0) AS made
FROM asked
LEFT JOIN made USING (job_id, server_id, usage_pattern_id, container_id)
WHERE coalesce(made, 0) < asked AND differs(coalesce(made, 0), asked)
