-- At which hours of the day (UTC) is the grid of each zone cleanest?
-- columns: zone, hour_of_day, mean_carbon_intensity, lowest_carbon_intensity, highest_carbon_intensity
-- hour_of_day: Hour of the day, UTC. [h]
-- mean_carbon_intensity: Mean grid intensity at that hour. [g/kWh]
-- lowest_carbon_intensity: Lowest grid intensity at that hour. [g/kWh]
-- highest_carbon_intensity: Highest grid intensity at that hour. [g/kWh]
SELECT zone, hour(timezone('UTC', hour)) AS hour_of_day, avg(carbon_intensity) AS mean_carbon_intensity,
    min(carbon_intensity) AS lowest_carbon_intensity, max(carbon_intensity) AS highest_carbon_intensity
FROM input.carbon_intensity
GROUP BY ALL
