"""A small model with every kind of table, as CSV, for tests of explanations."""

from datetime import datetime, timedelta
from pathlib import Path

TABLES = {
    "servers": """
        server_id,server_type,carbon_footprint_fabrication [kg],power [W],idle_power [W],lifespan [year],ram [GB_ram],compute,power_usage_effectiveness,average_carbon_intensity [g/kWh],zone,utilization_rate,base_ram_consumption [GB_ram],base_compute_consumption,fixed_nb_of_instances,storage_id
        web,autoscaling,600,300,50,6,128,24,1.2,100,FR,0.9,1,1,,disk
        own,on-premise,900,400,90,5,64,16,1.4,300,,1,0,0,40,attic
        spare,on-premise,500,200,40,5,32,8,1.4,300,,1,0,0,2,
        lambda,serverless,100,120,10,4,16,4,1.1,,FR,1,0,0,,
        cluster,on-premise,2000,800,200,5,256,64,1.3,250,,1,0,0,,tape
    """,
    "gpu_servers": """
        server_id,server_type,gpu_power [W/gpu],gpu_idle_power [W/gpu],lifespan [year],ram_per_gpu [GB_ram/gpu],carbon_footprint_fabrication_per_gpu [kg/gpu],carbon_footprint_fabrication_without_gpu [kg],compute [gpu],average_carbon_intensity [g/kWh]
        gpus,autoscaling,400,50,4,80,150,2500,4,200
    """,
    "cloud_instances": """
        provider,instance_type,power [W],ram [GB_ram],compute,carbon_footprint_fabrication [kg]
        acme,large,180,64,16,700
    """,
    "cloud_servers": """
        server_id,server_type,provider,instance_type,lifespan [year],average_carbon_intensity [g/kWh]
        cloud,autoscaling,acme,large,6,80
    """,
    "services": """
        service_id,server_id,base_ram_consumption [GB_ram],base_compute_consumption
        chat,own,2,0.5
        cache,web,4,1
    """,
    "video_streaming_services": """
        service_id,server_id,base_ram_consumption [GB_ram],bits_per_pixel [bit],static_delivery_cpu_cost [cpu_core/(GB/s)],ram_buffer_per_user [MB_ram]
        video,web,2,0.1,4,50
    """,
    "jobs": """
        job_id,server_id,service_id,data_transferred [MB],data_stored [MB_stored],request_duration [s],compute_needed,ram_needed [GB_ram]
        search,web,,2,0.5,1800,1,2
        upload,web,,50,200,9000,2,1
        talk,,chat,1,0.1,3600,0.5,1
        look,,cache,1,0,600,0.1,0.1
        batch,own,,0,0,7200,2,8
        ping,web,,0.1,0,0,1,1
        train,gpus,,10,5,5400,1,40
        shot,lambda,,1,1,900,0.25,0.5
        remote,cloud,,3,0,1200,1,1
        never,own,,1,1,60,1,1
        sense,own,,0.5,0.2,300,0.1,0.2
    """,
    "video_streaming_jobs": """
        job_id,service_id,resolution,video_duration [s],refresh_rate [1/s],data_stored [MB_stored]
        film,video,1080p (1920 x 1080),5400,30,0
    """,
    "storages": """
        storage_id,storage_capacity [TB_stored],carbon_footprint_fabrication_per_storage_capacity [kg/TB_stored],data_replication_factor,data_storage_duration [h],base_storage_need [TB_stored],lifespan [year],fixed_nb_of_instances
        disk,0.001,160,3,3.5,0.0002,6,
        attic,1,160,2,20,0.1,6,3
        vault,2,160,2,20,0.1,6,4
        tape,0.0001,160,2,3,0,6,
    """,
    "countries": """
        country_id,average_carbon_intensity [g/kWh],zone,timezone
        fr,85,FR,Europe/Paris
        in,700,,Asia/Kolkata
    """,
    "networks": "network_id,bandwidth_energy_intensity [kWh/GB]\nwired,0.05",
    "devices": """
        device_id,carbon_footprint_fabrication [kg],power [W],lifespan [year],fraction_of_usage_time [h/day]
        laptop,156,50,6,7
        phone,30,1,3,3.6
    """,
    "usage_patterns": "usage_pattern_id,network_id,country_id,clock\nparis,wired,fr,utc\ndelhi,wired,in,local",
    "usage_pattern_journeys": """
        usage_pattern_id,usage_journey_id,times_per_start
        paris,visit,1
        paris,watch,0.5
        delhi,visit,2
    """,
    "usage_pattern_devices": "usage_pattern_id,device_id,count\nparis,laptop,1\nparis,phone,2\ndelhi,phone,1",
    "usage_journey_steps": """
        usage_journey_id,position,usage_journey_step_id,times_per_journey
        visit,0,home,1
        visit,1,write,3
        visit,2,home,1
        watch,0,home,1
        watch,1,sofa,1
    """,
    "usage_steps": "usage_journey_step_id,user_time_spent [s]\nhome,600\nwrite,1900\nsofa,5400",
    "usage_step_jobs": """
        usage_journey_step_id,job_id,times_per_step
        home,search,2
        home,talk,1
        home,look,1
        write,upload,1
        write,ping,1
        write,train,1
        sofa,film,1
        sofa,shot,4
        sofa,remote,1
    """,
    "edge_usage_patterns": "usage_pattern_id,network_id,country_id,clock,usage_span [h]\nmeters,wired,in,local,5.5",
    "edge_usage_pattern_journeys": "usage_pattern_id,edge_usage_journey_id,times_per_deployment\nmeters,reading,2",
    "edge_usage_journey_needs": "edge_usage_journey_id,server_need_id,times_per_journey\nreading,weekly,1",
    "server_need_jobs": "server_need_id,job_id,times_per_occurrence\nweekly,sense,3\nweekly,batch,1",
    "container_weights": """
        container_id,hour,fabrication_weight,usage_weight
        nightly,2025-03-30T02:00:00Z,2,20
        nightly,2025-03-30T03:00:00Z,3,30
        closed,2025-03-30T02:00:00Z,0,0
    """,
    "occurrences": """
        job_id,usage_pattern_id,container_id,hour,occurrences
        batch,paris,nightly,2025-03-30T02:00:00Z,3
        batch,paris,nightly,2025-03-30T05:00:00Z,1
        batch,paris,weekend,2025-03-30T02:00:00Z,2
        batch,paris,closed,2025-03-30T02:00:00Z,1
        search,paris,home,2025-03-30T03:00:00Z,5
    """,
    "job_runs": """
        run_id,source,server_id,application,project,user,state,submitted_at,started_at,ended_at,cpu_cores,gpus,ram [GB_ram],data_transferred [MB],data_stored [MB_stored],energy [kWh]
        r1,slurm,cluster,relion,physics,ann,completed,2025-03-30T00:10:00Z,2025-03-30T00:40:00Z,2025-03-30T03:20:00.123Z,8,0,32.5,100,10,1.5
        r2,slurm,cluster,relion,physics,bob,completed,2025-03-30T00:10:00Z,2025-03-30T01:00:00Z,2025-03-30T02:00:00Z,16,0,7.3333333,0,0,
        r3,slurm,cluster,fluent,paris,ann,running,2025-03-30T01:00:00Z,2025-03-30T02:30:00Z,,4,0,16,10,1,
        r4,slurm,cluster,relion,physics,ann,completed,2025-03-30T00:10:00Z,2025-03-30T00:50:00Z,2025-03-30T06:20:00Z,2,0,4,9,3,0.2
        r5,slurm,gpus,relion,physics,eve,completed,2025-03-30T00:10:00Z,2025-03-30T01:50:00Z,2025-03-30T04:20:00Z,2,1,4,9,3,
        r6,slurm,cluster,relion,physics,bob,failed,2025-03-30T00:10:00Z,2025-03-30T05:00:00Z,2025-03-30T05:00:00Z,2,1,4,9,3,0.7
    """,
    "job_run_intervals": """
        run_id,interval_no,started_at,ended_at
        r4,0,2025-03-30T00:50:00Z,2025-03-30T01:20:00Z
        r4,1,2025-03-30T01:40:00Z,2025-03-30T01:55:00Z
        r4,2,2025-03-30T05:10:00Z,2025-03-30T06:20:00Z
    """,
    "log_horizons": "source,horizon\nslurm,2025-03-30T05:15:00Z",
    "sources": """
        table,row_id,column,source,link,confidence,comment
        servers,web,power,data sheet <v2>,https://example.org/web,medium,"measured | at the ""plug"" <script>alert(1)</script>"
        jobs,search,ram_needed,guess,,low,nobody knows
    """,
}

START = datetime(2025, 3, 29, 20)
HOURS = timedelta(hours=1)


def _table(text: str) -> str:
    return "\n".join(line.strip() for line in text.strip().splitlines()) + "\n"


def write_model(folder: Path) -> Path:
    """The model as a folder of CSV files; its hours lie around the night in which Paris skips one."""
    folder.mkdir(parents=True, exist_ok=True)
    tables = dict(TABLES)
    counts = [3, 0, 0, 7, 1, 12, 0, 5]
    starts = [(p, START + i * HOURS, c) for p in ("paris", "delhi") for i, c in enumerate(counts)]
    tables["usage_pattern_starts"] = _rows("usage_pattern_id,hour,starts", starts)
    deployed = [("meters", START + i * HOURS, c) for i, c in enumerate([10, 0, 4])]
    tables["edge_usage_pattern_starts"] = _rows("usage_pattern_id,hour,starts", deployed)
    volumes = [("weekly", hour, 1 + hour % 5) for hour in range(168)]
    tables["server_need_volumes"] = _rows("server_need_id,hour_of_week,volume", volumes)
    grid = [("FR", f"{START + (i - 10) * HOURS:%Y-%m-%dT%H:%M:%SZ}", 20 + i) for i in range(80)]
    tables["carbon_intensity"] = _rows("zone,hour,carbon_intensity", grid)
    for name, text in tables.items():
        (folder / f"{name}.csv").write_text(_table(text), encoding="utf-8")
    return folder


def _rows(header: str, rows: list[tuple[object, ...]]) -> str:
    return "\n".join([header, *(",".join(str(v).replace(" ", "T") for v in row) for row in rows)])
