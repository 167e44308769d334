"""What the rows of an hourly table add up to, noted while they are written, so that the checks before publication need not read them again.

Rows come in *stretches*: rising hours of one series (of one key without the hour). A stretch is noted as one row: its first and last hour,
its rows, empty cells, numbers that are not finite, and sums. Sums per hour are noted beside. Files without notes (those of another run) are
read instead: `checks` has the SQL for both.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from math import isfinite
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.parquet import enumerated
from pipeline.series import MICROSECONDS, Floats, Ints, column, flat, from_rows, short, summed_at
from pipeline.tables import Table
from pipeline.whole_files import appearing

FOLDER, SERIES, HOURS = "tally", "series", "hours"
MOMENT_HOURS = 1009
"""A moment is a sum weighed by the number of the hour, modulo this prime: it tells sums apart that are equal but lie elsewhere in time."""


@dataclass(frozen=True)
class Sum:
    """A sum that checks ask for."""

    name: str
    of: str | None
    """The column that is summed; None counts rows."""
    loud: str | None = None
    """Only rows where this column is above zero."""
    moment: bool = False
    """Each value times the number of its hour, modulo MOMENT_HOURS."""
    times: str | None = None
    """Each value times this column."""
    size: bool = False
    """Absolute values."""

    @property
    def columns(self) -> set[str]:
        """The columns it is made of."""
        return {c for c in (self.of, self.loud, self.times) if c}


def _with_moment(name: str, of: str | None, loud: str | None = None, times: str | None = None) -> tuple[Sum, Sum]:
    return Sum(name, of, loud, times=times), Sum(f"moment_{name}", of, loud, moment=True, times=times)


def _shares(prefix: str) -> tuple[Sum, ...]:
    """Weights and shares of one kind of repartition.job: the shares only where anything weighs."""
    weight, weight_sum, share = (f"{prefix}_{c}" for c in ("weight", "weight_sum", "share"))
    return (
        *_with_moment(weight, weight),
        *_with_moment(weight_sum, weight_sum),
        *_with_moment(share, share, weight_sum),
        *_with_moment(f"{prefix}_loud", None, weight_sum),
        *_with_moment(f"{prefix}_shared", share, weight_sum, weight_sum),
    )


SERIES_SUMS: dict[str, tuple[Sum, ...]] = {
    "need.usage_pattern": (Sum("starts", "starts"),),
    "need.occurrence": _with_moment("occurrences", "occurrences"),
    "need.job": (*_with_moment("occurrences", "occurrences"), Sum("avg_occurrences", "avg_occurrences")),
    "need.run": (Sum("run_hours", "run_hours"), Sum("runs_started", "runs_started")),
    "repartition.job": (*_shares("fabrication"), *_shares("usage")),
}
"""Sums per series that checks read as totals.FAMILY_TABLE."""

_WEIGHTS = (
    Sum("shared", "share", times="weight_sum"), Sum("weight", "weight"), Sum("weight_sum", "weight_sum"),
)  # fmt: skip
ROWS = "rows"
"""The number of rows, in every table of sums per hour."""
HOUR_SUMS: dict[str, tuple[tuple[str, ...], tuple[Sum, ...]]] = {
    "need.job": (("server_id",), (Sum("ram_need", "ram_need"), Sum("compute_need", "compute_need"))),
    "need.storage_job": (("storage_id",), (Sum("cumulative_storage_need", "cumulative_storage_need"),)),
    "energy.network": (("network_id",), (Sum("energy_footprint", "energy_footprint"),)),
    "repartition.server": (("server_id",), _WEIGHTS),
    "repartition.storage": (("storage_id",), _WEIGHTS),
    "repartition.footprint": (
        ("source_kind", "source_id", "phase"),
        (Sum("footprint", "footprint"), Sum("moved", "footprint", size=True)),
    ),
}  # fmt: skip
"""Sums per hour that checks read as hours.FAMILY_TABLE: by these columns, these."""


def key_of(table: Table) -> list[str]:
    """The columns that name a row; of repartition.footprint all but the footprint (its words and optional ids count too)."""
    return [c for c in table.columns if c != "footprint"] if table.name == "repartition.footprint" else table.key


def series_key(table: Table) -> list[str]:
    """The columns that name a series of an hourly table."""
    return [c for c in key_of(table) if c != "hour"]


def columns_read(table: Table) -> list[str]:
    """Columns that the notes of a table need, whether they are stored or not."""
    sums = [*SERIES_SUMS.get(table.name, ()), *HOUR_SUMS.get(table.name, ((), ()))[1]]
    return [c for c in table.columns if any(c in s.columns for s in sums)]


# ---------------------------------------------------------------- noting


@dataclass(frozen=True)
class Hourly:
    """Sums of HOUR_SUMS as series, one per group: the columns they are summed by with `start` and `hours`, and all values one after the other."""

    groups: pl.DataFrame
    sums: dict[str, Floats]


@dataclass(frozen=True)
class Noted:
    """Notes of some rows: what names each stretch, its numbers by their names, and the sums per hour."""

    heads: pl.DataFrame
    numbers: Mapping[str, Floats | Ints]
    hours: Hourly | None

    @property
    def stretches(self) -> pl.DataFrame:
        """One row per stretch."""
        return self.heads.hstack([column(name, values) for name, values in self.numbers.items()])


class Notes:
    """Notes of one file of an hourly table, made while its rows pass by."""

    def __init__(self, table: Table, stored: list[str]) -> None:
        self.table, self.stored = table, stored
        self._noted: list[Noted] = []

    def take(self, rows: pl.DataFrame) -> None:
        """Note these rows, at least one, beside those before."""
        self._noted.append(noted(rows, self.table, self.stored))

    def write(self, root: Path, file: str) -> None:
        """Leave the notes under ROOT/tally, each file in one step."""
        if not self._noted:
            return
        heads = pl.concat([n.heads for n in self._noted])
        numbers = {n: np.concatenate([one.numbers[n] for one in self._noted]) for n in self._noted[0].numbers}
        _write(Noted(heads, numbers, None).stretches, noted_file(root, SERIES, self.table.name, file))
        hours = [n.hours for n in self._noted if n.hours is not None]
        if hours:
            _write(by_hour(hours, self.table), noted_file(root, HOURS, self.table.name, file))


def by_hour(parts: list[Hourly], table: Table) -> pl.DataFrame:
    """Sums of parts of a file, added up: one row per hour in which any of them has rows."""
    by = list(HOUR_SUMS[table.name][0])
    every = pl.concat([p.groups for p in parts])
    lengths = every["hours"].to_numpy()
    ends = np.cumsum(lengths)
    groups, at = _laid(every.select(by), every["start"].to_numpy(), lengths)
    hours, size = groups["hours"].to_numpy(), int(groups["hours"].sum())
    index = np.arange(size) + np.repeat(groups["start"].to_numpy() - (np.cumsum(hours) - hours), hours)
    rows = enumerated(groups.select(by))[column("", np.repeat(np.arange(len(groups)), hours))].with_columns(
        column("hour", index * MICROSECONDS).cast(pl.Datetime("us", "UTC")),
        *(
            column(n, summed_at(np.concatenate([p.sums[n] for p in parts]), ends - lengths, ends, at, size))
            for n in parts[0].sums
        ),
    )
    return rows.filter(pl.col(ROWS) > 0)


def noted_file(root: Path, kind: str, table: str, file: str) -> Path:
    """Where the notes of a file of a table lie."""
    return root / FOLDER / kind / table / f"{file}.parquet"


FEW_NOTES = 10_000
"""Up to so many rows, as series of one file mostly are, ids are written as they are: dictionaries take longer."""


def _write(frame: pl.DataFrame, target: Path) -> None:
    """Not compressed: notes are read once, and gone before the run is published."""
    target.parent.mkdir(parents=True, exist_ok=True)
    ids = [name for name, kind in frame.schema.items() if kind in (pl.String, pl.Enum)]
    coded = ids if len(frame) > FEW_NOTES else False
    with appearing(target) as partial, pa.OSFile(str(partial), "wb") as opened:
        pq.write_table(frame.to_arrow(), opened, compression="none", use_dictionary=coded, write_statistics=False)


@dataclass(frozen=True)
class Stretches:
    """Where stretches lie: their rows in [first, end), their first and last hours, and whether every step within them is one hour."""

    firsts: Ints
    ends: Ints
    start: Ints
    last: Ints
    hourly: bool

    @property
    def lengths(self) -> Ints:
        """The rows of each."""
        return self.ends - self.firsts


def noted(rows: pl.DataFrame, table: Table, stored: list[str]) -> Noted:
    """The notes of these rows, in any order; few stretches where they are sorted by key and hour."""
    keys = rows[series_key(table)]
    hours = rows["hour"].to_numpy().view(np.int64)
    at = _stretches(keys, hours)
    heads = keys[column("", at.firsts)].cast(pl.String)
    series_sums = SERIES_SUMS.get(table.name, ())
    summed = dict(_series_sums(rows, series_sums, hours, at))
    finite = {s.of for s in series_sums if s == Sum(s.name, s.of) and isfinite(summed[s.name].sum())}
    numbers = [c for c in stored if table.columns[c].dtype == pl.Float64]
    stretches: dict[str, Floats | Ints] = {
        "first_hour": at.start,
        "last_hour": at.last,
        "rows": at.lengths,
        **{f"empty {c}": _counted(_empty(rows[c]), at.firsts) for c in stored},
        **{f"not finite {c}": _counted(None if c in finite else _wild(rows[c]), at.firsts) for c in numbers},
        **summed,
    }
    if table.name not in HOUR_SUMS:
        return Noted(heads, stretches, None)
    by, sums = HOUR_SUMS[table.name]
    summands = {one.name: _values(rows, one) for one in sums}
    if at.hourly:
        return Noted(heads, stretches, _hour_sums(heads[list(by)], at, summands))
    counted = rows.select(pl.col(*by).cast(pl.String), "hour", pl.lit(1.0).alias(ROWS)).with_columns(
        column(name, values) for name, values in summands.items()
    )
    series = from_rows(counted.lazy().group_by(*by, "hour").sum(), by, [ROWS, *summands]).collect()
    groups = series.select(*by, "start", hours=pl.col(ROWS).list.len().cast(pl.Int64))
    return Noted(heads, stretches, Hourly(groups, {n: flat(series[n])[0] for n in (ROWS, *summands)}))


def _hour_sums(by: pl.DataFrame, at: Stretches, summands: dict[str, Floats]) -> Hourly:
    """Sums per group, and the number of rows, over stretches without gaps (`by` of each)."""
    groups, places = _laid(by, at.start, at.lengths)
    size = int(groups["hours"].sum())
    begun, over = (np.bincount(places + more, minlength=size + 1) for more in (0, at.lengths))
    sums = {n: summed_at(values, at.firsts, at.ends, places, size) for n, values in summands.items()}
    return Hourly(groups, {ROWS: np.cumsum(begun - over)[:-1].astype(np.float64), **sums})


def _laid(by: pl.DataFrame, start: Ints, lengths: Ints) -> tuple[pl.DataFrame, Ints]:
    """Groups with the `start` and `hours` of series that hold all their pieces (`by`, start and length of each), and each piece's place in these."""
    if all(by[c].n_unique() == 1 for c in by.columns):
        names, group = by[:1], np.zeros(len(by), dtype=np.int64)
    else:
        names = by.unique(maintain_order=True)
        numbered = by.join(
            names.with_row_index("nr"), on=by.columns, how="left", nulls_equal=True, maintain_order="left"
        )
        group = numbered["nr"].to_numpy().astype(np.int64)
    low = np.full(len(names), np.iinfo(np.int64).max)
    high = np.zeros(len(names), dtype=np.int64)
    np.minimum.at(low, group, start)
    np.maximum.at(high, group, start + lengths)
    hours = high - low
    groups = names.hstack([column("start", low), column("hours", hours)])
    return groups, (np.cumsum(hours) - hours)[group] + start - low[group]


def _stretches(keys: pl.DataFrame, hours: Ints) -> Stretches:
    """The stretches of rows with these keys and hours (in microseconds)."""
    leaps = np.flatnonzero(hours[1:] - hours[:-1] != MICROSECONDS) + 1
    back = leaps[hours[leaps] <= hours[leaps - 1]]
    firsts = _distinct(np.concatenate([[0], back, *(_changes(k.to_physical()) for k in keys)]).astype(np.int64))
    ends = np.append(firsts[1:], len(hours))
    whole = bool((firsts[np.searchsorted(firsts, leaps, side="right") - 1] == leaps).all())
    return Stretches(firsts, ends, hours[firsts] // MICROSECONDS, hours[ends - 1] // MICROSECONDS, whole)


def _distinct(values: Ints) -> Ints:
    """The values in order, each once; `np.unique` loads numpy.ma, as `pl.Series` does."""
    ordered = np.sort(values)
    first: Ints = ordered[np.append(True, ordered[1:] != ordered[:-1])]
    return first


def _changes(codes: pl.Series) -> Ints:
    """The rows whose value differs from the one before; an empty cell is a value."""
    values = (codes.cast(pl.Int64).fill_null(-1) if codes.null_count() else codes).to_numpy()
    return np.flatnonzero(values[1:] != values[:-1]) + 1


def _empty(values: pl.Series) -> pl.Series | None:
    return values.is_null() if values.null_count() else None


def _wild(values: pl.Series) -> pl.Series | None:
    if isfinite(values.sum()):  # a sum is finite only where all that it adds is
        return None
    finite = values.is_finite()
    return None if finite.all() else ~finite


def _counted(which: pl.Series | None, firsts: Ints) -> Ints:
    """How often it is so in each stretch; None is never, nulls count as no."""
    if which is None:
        return np.zeros(len(firsts), dtype=np.int64)
    return np.add.reduceat(which.fill_null(False).cast(pl.Int64).to_numpy(), firsts)


def _series_sums(rows: pl.DataFrame, sums: Iterable[Sum], hours: Ints, at: Stretches) -> Iterator[tuple[str, Floats]]:
    """Each sum of every stretch, by name."""
    of: Sum | None = None
    plain = np.empty(0)
    for one in sums:
        # a moment comes after the sum it belongs to
        if of is None or replace(one, name=of.name, moment=of.moment) != of:
            of, plain = one, _values(rows, one)
        yield one.name, _moments(plain, hours, at) if one.moment else np.add.reduceat(plain, at.firsts)


def _moments(values: Floats, hours: Ints, at: Stretches) -> Floats:
    """The sum of every stretch, each value times the number of its hour modulo MOMENT_HOURS."""
    if not at.hourly:
        return np.add.reduceat(values * (hours // MICROSECONDS % MOMENT_HOURS), at.firsts)
    begin = at.start % MOMENT_HOURS
    if short(at.lengths):
        counted = np.arange(len(values), dtype=np.int32) + np.repeat((begin - at.firsts).astype(np.int32), at.lengths)
        return np.add.reduceat(values * (counted % MOMENT_HOURS), at.firsts)
    numbers = _hour_numbers(int(at.lengths.max()))
    pieces = zip(at.firsts.tolist(), at.ends.tolist(), begin.tolist(), strict=True)
    return np.array([np.dot(values[a:b], numbers[n : n + b - a]) for a, b, n in pieces])


@lru_cache(maxsize=1)
def _hour_numbers(hours: int) -> Floats:
    """The numbers of so many hours from any on: those that begin with n are the n-th and following."""
    return (np.arange(MOMENT_HOURS + hours) % MOMENT_HOURS).astype(np.float64)


def _values(rows: pl.DataFrame, of: Sum) -> Floats:
    values = np.ones(len(rows)) if of.of is None else _numbers(rows[of.of])
    if of.loud:
        values = np.where(_numbers(rows[of.loud]) > 0, values, 0.0)
    if of.times:
        values = values * _numbers(rows[of.times])
    return np.abs(values) if of.size else values


def _numbers(values: pl.Series) -> Floats:
    """The values, empty cells as zero."""
    return (values.fill_null(0) if values.null_count() else values).cast(pl.Float64).to_numpy()
