"""Whole random models: the pipeline against the naive reference, against itself in other partitions, and against conservation.

Every model is run on its own here; `tests/deep` runs a hundred thousand of them in batches. `WATTROW_ALONE=1000` for more of them
here, and new ones; `WATTROW_SHRINK=1` to shrink what is found (slow: every step is a whole run).
"""

import os
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any
from unittest import mock

import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pipeline import partition, plan
from pipeline.errors import InputError
from tests import models, reference

DEEP = os.environ.pop("WATTROW_ALONE", None)  # popped, with the next: a run refuses settings that it does not know
SHRINK = os.environ.pop("WATTROW_SHRINK", None)
EXAMPLES = int(DEEP or 40)
TOO_SMALL = {"insufficient capacity", "no capacity"}
"""The only rules that drawn models break."""
KEYS = st.sampled_from(["weight", "binding"])

pytestmark = pytest.mark.timeout(0 if DEEP else 300)


def profile(examples: int) -> settings:
    """The same examples every time in the suite, new ones in a deep run."""
    return settings(
        max_examples=max(examples, 1),
        deadline=None,
        suppress_health_check=list(HealthCheck),
        derandomize=DEEP is None,
        database=None,
        print_blob=True,
        phases=[Phase.explicit, Phase.generate, *([Phase.shrink] if SHRINK else [])],
    )


def told(problems: list[str]) -> str:
    return "\n".join([f"{len(problems)} differences", *problems[:12]])


# ---------------------------------------------------------------- against the reference


@profile(EXAMPLES)
@given(tables=models.models(), attribution_key=KEYS, file_format=st.sampled_from(["csv", "parquet"]))
def test_whole_models_agree_with_the_naive_reference(tables: models.Tables, attribution_key: str, file_format: str):
    with tempfile.TemporaryDirectory() as folder:
        try:
            expected = reference.compute(tables, attribution_key=attribution_key)
        except reference.ModelError:
            with pytest.raises(InputError) as refused:
                models.outputs(tables, Path(folder), file_format, attribution_key=attribution_key)
            assert refused.value.violations.height
            assert set(refused.value.violations["rule"]) <= TOO_SMALL
            return
        found = models.outputs(tables, Path(folder), file_format, attribution_key=attribution_key)
    problems = []
    for name, reckoned in expected.items():
        wanted, rows = reckoned, list(found[name].iter_rows(named=True))
        if name == "repartition.footprint" and attribution_key == "binding":
            wanted, rows = models.by_job(wanted), models.by_job(rows)
        problems += models.differences(name, wanted, rows)
    problems += not_conserved(found) + invariants_broken(found, tables)
    assert not problems, told(problems)


ENERGY = [
    ("server", "energy.server", "usage", "energy_footprint"),
    ("server", "energy.server", "manufacturing", "instances_fabrication_footprint"),
    ("storage", "energy.storage", "manufacturing", "instances_fabrication_footprint"),
    ("network", "energy.network", "usage", "energy_footprint"),
    ("device", "energy.device", "usage", "energy_footprint"),
    ("device", "energy.device", "manufacturing", "instances_fabrication_footprint"),
]


def not_conserved(found: dict[str, pl.DataFrame]) -> list[str]:
    """Sources, phases and hours whose rows of repartition.footprint do not sum to energy.* to 1e-9 of all that goes in."""
    emitted: dict[Any, float] = defaultdict(float)
    passed_on: dict[Any, float] = defaultdict(float)
    size: dict[Any, float] = defaultdict(float)
    for kind, table, phase, column in ENERGY:
        for source, hour, kg in found[table].select(f"{kind}_id", "hour", column).iter_rows():
            emitted[kind, source, phase, hour] += kg
    columns = ["source_kind", "source_id", "phase", "hour", "footprint"]
    for *key, kg in found["repartition.footprint"].select(columns).iter_rows():
        passed_on[tuple(key)] += kg
        size[tuple(key)] += abs(kg)
    return [
        f"not conserved {key}: {emitted[key]} emitted, {passed_on[key]} passed on"
        for key in {**emitted, **passed_on}
        if abs(emitted[key] - passed_on[key]) > 1e-9 * max(size[key], abs(emitted[key]))
    ]


def invariants_broken(found: dict[str, pl.DataFrame], tables: models.Tables) -> list[str]:
    """The checks at the end of MODEL.md that are not conservation."""
    types = {
        r["server_id"]: r["server_type"] for n in ("servers", "gpu_servers", "cloud_servers") for r in tables.get(n, [])
    }
    problems = []
    flat: dict[str, set[float]] = defaultdict(set)
    for server, raw, nb in (
        found["instances.server"].select("server_id", "raw_nb_of_instances", "nb_of_instances").iter_rows()
    ):
        if nb < raw * (1 - 1e-9) or (types[server] == "serverless" and nb != raw):
            problems.append(f"instances of {server}: raw {raw}, nb {nb}")
        flat[server].add(nb)
    problems += [f"on-premise {s} varies: {n}" for s, n in flat.items() if types[s] == "on-premise" and len(n) > 1]
    durations = {r["job_id"]: r["request_duration"] / 3600 for r in tables.get("jobs", [])}
    totals = found["need.job"].group_by("job_id").agg(pl.col("occurrences", "avg_occurrences").sum())
    for job, started, in_flight in totals.iter_rows():
        if job in durations and abs(in_flight - started * durations[job]) > 1e-9 * in_flight:
            problems.append(f"{job}: {started} started for {durations[job]} h, {in_flight} in flight")
    return problems


# ---------------------------------------------------------------- against itself


def rows_of(found: dict[str, pl.DataFrame]) -> dict[str, list[models.Row]]:
    return {name: list(frame.iter_rows(named=True)) for name, frame in found.items()}


def unlike(one: dict[str, pl.DataFrame], other: dict[str, pl.DataFrame], rel: float) -> list[str]:
    """Where two runs differ in any table, any row, any value."""
    left, right = rows_of(one), rows_of(other)
    return [p for name in left for p in models.differences(name, left[name], right[name], rel, strict=True)]


@profile(EXAMPLES // 4)
@given(
    tables=models.models(),
    attribution_key=KEYS,
    rows=st.sampled_from([1, 20, 100]),
    slice_rows=st.sampled_from([1, 50]),
)
def test_partitions_and_ranges_of_jobs_change_nothing(
    tables: models.Tables, attribution_key: str, rows: int, slice_rows: int
):
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        try:
            whole = models.outputs(tables, Path(one), attribution_key=attribution_key)
        except InputError as refused:
            if refused.violations.is_empty() or not set(refused.violations["rule"]) <= TOO_SMALL:
                raise
            return
        with (
            mock.patch.object(plan, "chunk_rows", return_value=rows),
            mock.patch.object(partition, "SLICE_ROWS", slice_rows),
        ):
            split = models.outputs(tables, Path(other), attribution_key=attribution_key)
    problems = unlike(whole, split, 1e-12)
    assert not problems, told(problems)
