"""What the fuzzers begin with: the observed data of this project, the small documents of the importers' tests, and a few odd ones."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

from tests.importers import documents_of, sacct_of, test_efootprint, test_slurm, test_swf
from tests.models import frame
from tests.whole import WHOLE

DATA = Path(__file__).parents[2] / "data"


def efootprint() -> Iterator[bytes]:
    yield json.dumps(test_efootprint.system_21()).encode()
    yield json.dumps(test_efootprint.system_27(), indent=1).encode()
    yield b'{"efootprint_version": "21.0.0"}'


def slurm() -> Iterator[bytes]:
    observed = (DATA / "observed" / "sacct.txt").read_bytes()
    yield observed
    yield b"\n".join(observed.split(b"\n")[:4]) + b"\n"
    odd = [
        sacct_of.job(901, State="CANCELLED by 1000", End="Unknown", Start="None"),
        sacct_of.job(902, JobID="902_[1-9%3]", State="PENDING", Start="Unknown", End="Unknown"),
        sacct_of.job(903, JobID="903+1", State="NODE_FAIL", Restarts="2", Suspended="1-00:10:00"),
        sacct_of.job(904, ReqMem="4000Mc", AllocTRES="billing=8,cpu=8,gres/gpu:a100=2,mem=16G,node=1"),
        sacct_of.job(905, JobID="905.batch"),
    ]
    yield sacct_of.sacct(*odd).encode()
    yield gzip.compress(sacct_of.sacct(sacct_of.job()).encode())


def slurm_json() -> Iterator[bytes]:
    one = test_slurm.json_job()
    yield json.dumps({"meta": {}, "jobs": [one, test_slurm.older(one)], "errors": []}).encode()
    yield json.dumps({"jobs": [{**one, "steps": []}]}, indent=1).encode()


def swf() -> Iterator[bytes]:
    lines = [
        test_swf.line(),
        test_swf.line(job_number=2, status=0),
        test_swf.line(job_number=3, run_time=-1, wait_time=-1),
    ]
    yield (test_swf.HEADER + "\n".join(lines) + "\n").encode()
    yield (test_swf.line() + "\n").encode()


def ucloud() -> Iterator[bytes]:
    yield (DATA / "observed" / "ucloud_jobs.jsonl").read_bytes()
    several = [documents_of.ucloud_job(), documents_of.ucloud_job("7002", documents_of.update("RUNNING", "09:00"))]
    yield json.dumps(several).encode()
    yield json.dumps([{"items": several, "next": None}]).encode()


def cryosparc() -> Iterator[bytes]:
    yield (DATA / "observed" / "cryosparc_jobs.json").read_bytes()
    job = documents_of.cryosparc_job()
    mongo = {
        **job,
        "_id": {"$oid": "65a1"},
        "created_at": {"$date": "2026-03-02T08:00:00Z"},
        "completed_at": {"$date": {"$numberLong": "1772447400000"}},
    }
    yield json.dumps([job, mongo]).encode()
    yield json.dumps([documents_of.cryosparc_job("J2", status="running", completed_at=None)]).encode()


def csv() -> Iterator[bytes]:
    for name in ("servers", "occurrences", "job_runs", "usage_pattern_starts"):
        yield frame(name, WHOLE[name][:4]).write_csv().encode()
    yield b'server_id,server_type,power [kW],ram [GiB_ram],compute\r\n"a ""b""",autoscaling,0.3,128,24\r\n\r\n,,,,\r\n'
    yield b"job_id,usage_pattern_id,container_id,hour,occurrences\nread,a,b,2026-01-01 00:00,1 occurrence\n"


def units() -> Iterator[bytes]:
    yield b"1 kW\n150 W\n0.3 kilowatt\n1e3 mW\n5 %\n"
    yield b"kW\nJ/s\nWh/h\nkg/kWh\nGiB_ram/instance\n"
    yield b"16 GB_ram\n2 TiB_ram\n16 GB\n1,5 kB\n16GB_ram\n"
    yield b"2 gpu\n4 vCPU\n1.5 core\n90 min\n2 h\n3 day\n1 (kW*h)/(h)\n"
