"""Ids -> labels: the name a person gave a thing where no other has it, else its id; short, harmless, no two alike."""

from collections.abc import Sequence

import polars as pl
from polars import col

from pipeline.report.published import Published
from pipeline.report.words import distinct

TABLES = {
    "server": (("derived.server", "server_id"),),
    "storage": (("input.storages", "storage_id"),),
    "network": (("input.networks", "network_id"),),
    "device": (("input.devices", "device_id"),),
    "job": (("derived.job", "job_id"),),
    "pattern": (("input.usage_patterns", "usage_pattern_id"), ("input.edge_usage_patterns", "usage_pattern_id")),
}
"""Tables that name things, by kind, with their id column."""


def names(run: Published, kind: str, ids: Sequence[str]) -> dict[str, str]:
    """The names of those ids that have one of their own."""
    rows = [
        run.scan(table).select(id=col(column).cast(pl.String), name=col("name").cast(pl.String))
        for table, column in TABLES.get(kind, ())
    ]
    if not rows:
        return {}
    known = pl.concat(rows).drop_nulls().filter(col.name.str.strip_chars() != "")
    own = known.filter(col.name.len().over("name") == 1, col.id.is_in(list(ids))).collect()
    return dict(zip(own["id"].to_list(), own["name"].to_list(), strict=True))


def labels(run: Published, kind: str, ids: Sequence[str]) -> dict[str, str]:
    """A label for each id of a kind."""
    known = names(run, kind, ids)
    return distinct({i: known.get(i, i) for i in ids})
