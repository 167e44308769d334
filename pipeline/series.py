"""Hourly series, one row each: the algebra of MODEL.md on list columns.

A *series frame* has key columns, `start` (Int64, hours since 1970-01-01 UTC) and list columns of equal length, one value per hour. A series
is zero outside its own hours; a sum of series covers the union of theirs. Everything here only adds non-negative numbers, never
subtracts, so integer starts over integer hours give integers and an idle hour gives 0.0, never noise.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

SECONDS_PER_HOUR = 3600.0
GUARD_HOURS = 1e-9
"""Durations this close to a whole number of hours are whole: what is left is rounding of unit conversion."""

LIST = pl.List(pl.Float64)
MICROSECONDS = 3_600_000_000
"""Of an hour."""


def hour_index(hour: pl.Expr) -> pl.Expr:
    """Hours since 1970-01-01 UTC of a timestamp. [h]"""
    return hour.dt.timestamp("us") // MICROSECONDS


def hour_of(index: pl.Expr) -> pl.Expr:
    """The timestamp of an hour counted from 1970-01-01 UTC."""
    return (index * MICROSECONDS).cast(pl.Datetime("us", "UTC"))


def flat(lists: pl.Series) -> tuple[Floats, Ints]:
    """All values of a list column one after the other, and where each list starts (one more entry than lists)."""
    lengths = lists.list.len().cast(pl.Int64).to_numpy()
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    values = lists.explode(empty_as_null=False).to_numpy() if offsets[-1] else np.empty(0)
    return values, offsets


def as_lists(values: Floats, offsets: Ints) -> pl.Series:
    """The list column that `flat` takes apart."""
    return pl.Series(_Handed(pa.LargeListArray.from_arrays(_shared(offsets), _shared(values))))


def column(name: str, values: Floats | Ints) -> pl.Series:
    """Numbers as a column, without a copy; `pl.Series` would load numpy.ma first, to see whether any are masked, 10 ms."""
    return pl.Series(_Handed(_shared(values))).alias(name)


def _shared(values: Floats | Ints) -> pa.Array:
    kind = pa.float64() if values.dtype == np.float64 else pa.int64()
    return pa.Array.from_buffers(
        kind, len(values), [None, pa.py_buffer(np.ascontiguousarray(values, kind.to_pandas_dtype()))]
    )


class _Handed:
    """An array handed over by the Arrow PyCapsule interface alone: for arrays of pyarrow itself Polars loads pyarrow.compute first, 20 ms."""

    def __init__(self, array: pa.Array) -> None:
        self.array = array

    def __arrow_c_array__(self, requested_schema: object = None) -> tuple[object, object]:
        held: tuple[object, object] = self.array.__arrow_c_array__(requested_schema)
        return held


def whole_and_rest(seconds: pl.Expr) -> tuple[pl.Expr, pl.Expr]:
    """A duration as whole hours and the rest as a fraction of an hour, guarded: 7199.9999999999 s are two hours. [h], [h]"""
    whole = (seconds / SECONDS_PER_HOUR + GUARD_HOURS).floor()
    rest = (seconds - whole * SECONDS_PER_HOUR) / SECONDS_PER_HOUR
    kept = (rest > 0) & ((rest > GUARD_HOURS) | (whole == 0))
    return whole.cast(pl.Int64), pl.when(kept).then(rest).otherwise(0.0)


def window_sum(values: Floats, hours: int) -> Floats:
    """`sum(values[h - k] for k in range(hours))` at every h from the first value to `hours - 1` after the last.

    Each window is the end of one block of `hours` values and the beginning of the next: two running sums that start anew at every block, so
    only non-negative numbers are added, whatever the length (van Herk's and Gil and Werman's scheme for sliding extrema, used for sums).
    """
    if hours <= 0 or not len(values):
        return np.zeros(max(len(values) + hours - 1, 0))
    if hours == 1:
        return values.copy()
    if hours >= len(values):
        rising = np.cumsum(values)
        falling = np.cumsum(values[::-1])[::-1]
        return np.concatenate([rising, np.full(hours - len(values), rising[-1]), falling[1:]])
    blocks = -(-(len(values) + hours - 1) // hours)
    padded = np.zeros(blocks * hours)
    padded[: len(values)] = values
    squared = padded.reshape(blocks, hours)
    begun = np.cumsum(squared, axis=1).ravel()
    left = np.cumsum(squared[:, ::-1], axis=1)[:, ::-1].ravel()
    total = begun[: len(values) + hours - 1].copy()
    # where a window does not begin at a block's first value it takes the tail of the block before
    tail = np.arange(hours, len(total))
    tail = tail[(tail + 1) % hours != 0]
    total[tail] += left[tail - hours + 1]
    return total


def box_values(values: Floats, whole: int, rest: float) -> Floats:
    """MODEL.md 2: `sum(x(h - k) for k < n) + r * x(h - n)` for a duration of n whole hours and the rest r."""
    if whole == 0:
        return values * rest
    summed = window_sum(values, whole)
    if rest == 0.0:
        return summed
    out = np.zeros(len(values) + whole)
    out[: len(summed)] = summed
    out[whole:] += rest * values
    return out


def _multiplied(values: Floats, factors: Floats, offsets: Ints) -> Floats:
    """Every list of values (as `flat` lays them) times its factor."""
    lengths = np.diff(offsets)
    if short(lengths):
        return values * np.repeat(factors, lengths)
    out = np.empty(len(values))
    for i, factor in enumerate(factors.tolist()):
        piece = slice(offsets[i], offsets[i + 1])
        np.multiply(values[piece], factor, out=out[piece])
    return out


def box_length(length: pl.Expr, whole: pl.Expr, rest: pl.Expr) -> pl.Expr:
    """Hours of a boxed series: n more, n - 1 where there is no rest; a duration of 0 keeps the hours, all zero. [h]"""
    return length + pl.when(whole == 0).then(0).when(rest > 0).then(whole).otherwise(whole - 1)


def applied(frame: pl.LazyFrame, kernel: Callable[[pl.DataFrame], pl.DataFrame], schema: pl.Schema) -> pl.LazyFrame:
    """The kernel as a step of the lazy plan, which sees all columns and rows of its input."""
    return frame.map_batches(
        lambda f: kernel(f).match_to_schema(schema),
        predicate_pushdown=False,
        projection_pushdown=False,
        slice_pushdown=False,
        schema=schema,
    )


def _with(frame: pl.LazyFrame, kernel: Callable[[pl.DataFrame], pl.DataFrame], new: str | None = None) -> pl.LazyFrame:
    schema = frame.collect_schema()
    return applied(frame, kernel, pl.Schema({**schema, **({new: LIST} if new else {})}))


def boxed(frame: pl.LazyFrame, values: str, seconds: str, into: str) -> pl.LazyFrame:
    """Add the list column `into`: the box filter of `values` over the duration column `seconds`; `values` gets zeros to the same length."""

    def kernel(f: pl.DataFrame) -> pl.DataFrame:
        split = whole_and_rest(pl.col(seconds))
        whole, rest = (f.select(part).to_series().to_numpy() for part in split)
        data, offsets = flat(f[values])
        lengths = np.diff(offsets)
        if not whole.any():
            return f.with_columns(as_lists(_multiplied(data, rest, offsets), offsets).alias(into))
        longer = lengths + np.where(whole == 0, 0, np.where(rest > 0, whole, whole - 1))
        ends = np.concatenate([[0], np.cumsum(np.where(lengths > 0, longer, 0))]).astype(np.int64)
        before, after = np.zeros(ends[-1]), np.zeros(ends[-1])
        for i, (n, r) in enumerate(zip(whole, rest, strict=True)):
            piece = data[offsets[i] : offsets[i + 1]]
            if len(piece):
                before[ends[i] : ends[i] + len(piece)] = piece
                after[ends[i] : ends[i + 1]] = box_values(piece, int(n), float(r))
        return f.with_columns(as_lists(before, ends).alias(values), as_lists(after, ends).alias(into))

    return _with(frame, kernel, into)


def added(
    frame: pl.LazyFrame,
    by: Sequence[str],
    values: Sequence[str] | Mapping[str, tuple[str, str]],
    first: Sequence[str] = (),
) -> pl.LazyFrame:
    """The sum of all series with the same `by`, over the union of their hours; columns `first` are the same within a group and kept.

    `values` are list columns; or, as a mapping, names of sums of a list column times a number of each series: {sum: (list, number)}.
    """
    times = values if isinstance(values, Mapping) else {name: (name, None) for name in values}
    lists = list(dict.fromkeys(of for of, _ in times.values()))
    names = frame.collect_schema()
    schema = pl.Schema({**{k: names[k] for k in (*by, *first)}, "start": pl.Int64(), **dict.fromkeys(times, LIST)})

    def kernel(f: pl.DataFrame) -> pl.DataFrame:
        f = _in_order(f, by)
        lengths = f[lists[0]].list.len().cast(pl.Int64) if len(f) else pl.Series([], dtype=pl.Int64)
        ranged = f.select(
            *by, *first, "start", end=pl.col("start") + lengths, used=lengths > 0, n=pl.int_range(pl.len())
        )
        groups = ranged.group_by(by, maintain_order=True).agg(
            *(pl.col(c).first() for c in first),
            start=pl.col("start").filter("used").min().fill_null(pl.col("start").min()),
            end=pl.col("end").filter("used").max().fill_null(pl.col("start").min()),
            members=pl.len(),
        )
        if len(groups) == len(f):
            each = (pl.col(of) if number is None else pl.col(of) * pl.col(number) for of, number in times.values())
            return f.select(*by, *first, "start", *(e.alias(name) for e, name in zip(each, times, strict=True)))
        members, starts, ends = (groups[c].to_numpy() for c in ("members", "start", "end"))
        out_offsets = np.concatenate([[0], np.cumsum(ends - starts)]).astype(np.int64)
        group_of = np.repeat(np.arange(len(members)), members)
        begin = out_offsets[group_of] + f["start"].to_numpy() - starts[group_of]
        held = {of: flat(f[of]) for of in lists}
        made = []
        for name, (of, number) in times.items():
            data, offsets = held[of]
            factors = None if number is None else f[number].to_numpy()
            summed = summed_at(data, offsets[:-1], offsets[1:], begin, int(out_offsets[-1]), factors)
            made.append(as_lists(summed, out_offsets).alias(name))
        return groups.select(*by, *first, "start").with_columns(made)

    return applied(frame, kernel, schema)


def in_order(frame: pl.LazyFrame, by: Sequence[str]) -> pl.LazyFrame:
    """The series sorted by `by`; where they are already, nothing is copied."""
    return _with(frame, lambda f: _in_order(f, by))


def _in_order(f: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """The series sorted by `by`; series that are in order already are not copied."""
    order = f.select(by).with_row_index("nr").sort(*by, maintain_order=True)["nr"]
    return f if order.is_sorted() else f[order]


def summed_at(values: Floats, firsts: Ints, ends: Ints, at: Ints, size: int, factors: Floats | None = None) -> Floats:
    """Pieces [first, end) of the values, which follow one another, laid over each other: each begins at its place of a sum of this size.

    With `factors`, each piece is multiplied by its own.
    """
    lengths = ends - firsts
    if short(lengths):
        into = np.arange(len(values)) + np.repeat(at - firsts, lengths)
        weights = values if factors is None else values * np.repeat(factors, lengths)
        return np.bincount(into, weights=weights, minlength=size).astype(np.float64)
    out = np.zeros(size)
    for i, (first, end, begin) in enumerate(zip(firsts.tolist(), ends.tolist(), at.tolist(), strict=True)):
        piece = values[first:end]
        out[begin : begin + end - first] += piece if factors is None else piece * factors[i]
    return out


def short(lengths: Ints) -> bool:
    """Whether series are so short that one indexed operation beats a slice for each."""
    return len(lengths) > 0 and float(lengths.mean()) < 500


def _cut_out(data: Floats, offsets: Ints, source: Ints, own: Ints, to: Ints, hours: Ints) -> tuple[Floats, Ints]:
    """Values of series `source[i]` (which starts at own[i]) over [to[i], to[i] + hours[i]), zero outside its own hours."""
    out_offsets = np.concatenate([[0], np.cumsum(hours)]).astype(np.int64)
    out = np.zeros(out_offsets[-1])
    lengths = np.where(source >= 0, offsets[source + 1] - offsets[source], 0)
    low = np.maximum(own - to, 0)
    high = np.minimum(own - to + lengths, hours)
    inside = high > low
    if short(hours):
        n = np.where(inside, high - low, 0)
        within = np.arange(n.sum()) - np.repeat(np.cumsum(n) - n, n)
        out[within + np.repeat(out_offsets[:-1] + low, n)] = data[
            within + np.repeat(offsets[source] + low + to - own, n)
        ]
        return out, out_offsets
    for i in np.flatnonzero(inside):
        first = offsets[source[i]] + low[i] + to[i] - own[i]
        out[out_offsets[i] + low[i] : out_offsets[i] + high[i]] = data[first : first + high[i] - low[i]]
    return out, out_offsets


def aligned(frame: pl.LazyFrame, values: Sequence[str], start: str, length: str) -> pl.LazyFrame:
    """The same series over the hours [start, start + length): zeros where they have none, cut where they have more."""

    def kernel(f: pl.DataFrame) -> pl.DataFrame:
        to, hours, own = f[start].to_numpy(), f[length].to_numpy(), f["start"].to_numpy()
        made = []
        for name in values:
            data, offsets = flat(f[name])
            if np.array_equal(np.diff(offsets), hours) and np.array_equal(own, to):
                made.append(f[name])
                continue
            made.append(as_lists(*_cut_out(data, offsets, np.arange(len(f)), own, to, hours)).alias(name))
        return f.with_columns(*made, f[start].alias("start"))

    return _with(frame, kernel)


def beside(
    frame: pl.LazyFrame, values: str, source: pl.LazyFrame, by: Sequence[str], lists: Sequence[str]
) -> pl.LazyFrame:
    """Add the `lists` of the source series with the same `by`, cut to the hours of each series of the frame (those of `values`).

    Hours outside the source's own, and series whose `by` the source does not have, get zeros.
    """
    schema = pl.Schema({**frame.collect_schema(), **dict.fromkeys(lists, LIST)})
    wanted = source.select(*by, *lists, source_start="start")

    def kernel(f: pl.DataFrame) -> pl.DataFrame:
        sources = wanted.collect().with_row_index("nr")
        matched = f.select(by).join(
            sources.select(*by, "nr", "source_start"), on=by, how="left", maintain_order="left", validate="m:1"
        )
        nr = matched["nr"].cast(pl.Int64).fill_null(-1).to_numpy()
        hours = f[values].list.len().cast(pl.Int64).to_numpy()
        begin = matched["source_start"].fill_null(0).to_numpy()
        made = []
        for name in lists:
            data, offsets = flat(sources[name])
            made.append(as_lists(*_cut_out(data, offsets, nr, begin, f["start"].to_numpy(), hours)).alias(name))
        return f.with_columns(made)

    return applied(frame, kernel, schema)


def only(rows: pl.LazyFrame, ids: pl.LazyFrame, on: str) -> pl.LazyFrame:
    """The rows or series whose id is among these. Where all are, as is common, none is copied; a semi join copies all of them."""
    among = ids.select(on)

    def kernel(f: pl.DataFrame) -> pl.DataFrame:
        known = among.collect()[on]
        return f.filter(pl.col(on).is_in(known.implode())) if len(known) else f.clear()

    return _with(rows, kernel)


def beside_some(
    frame: pl.LazyFrame,
    values: str,
    source: pl.LazyFrame,
    by: str,
    column: str,
    formula: pl.Expr,
    otherwise: str,
    into: str,
) -> pl.LazyFrame:
    """Add `into`: the formula, with the source's list `column` beside, for series that have a `by`; the list `otherwise` for the others.

    Where no series has a `by`, as is common, none is copied.
    """

    def kernel(f: pl.DataFrame) -> pl.DataFrame:
        alone = f[by].is_null()
        if alone.all():
            return f.with_columns(pl.col(otherwise).alias(into))
        others = f.filter(alone).with_columns(pl.col(otherwise).alias(into))
        laid = beside(f.filter(~alone).lazy(), values, source, [by], [column])
        return pl.concat([others, laid.with_columns(formula.alias(into)).drop(column).collect()])

    return _with(frame, kernel, into)


def kept_for(frame: pl.LazyFrame, values: str, hours: str, into: str) -> pl.LazyFrame:
    """Add `into`: what has come in during the last `hours` whole hours, at each hour of the series itself. Never below zero, no residue."""

    def kernel(f: pl.DataFrame) -> pl.DataFrame:
        data, offsets = flat(f[values])
        out = np.zeros(len(data))
        for i, window in enumerate(f[hours].to_numpy()):
            low, high = offsets[i], offsets[i + 1]
            if high > low and window > 0:
                out[low:high] = window_sum(data[low:high], int(min(window, high - low)))[: high - low]
        return f.with_columns(as_lists(out, offsets).alias(into))

    return _with(frame, kernel, into)


def from_rows(rows: pl.LazyFrame, by: Sequence[str], values: Sequence[str]) -> pl.LazyFrame:
    """Rows (`by`, `hour`, values) to one series per `by`, from its first row to its last; hours missing in between are zero.

    Where the rows of each series follow one another hour by hour, as is common, they are taken as they lie.
    """
    names = rows.collect_schema()
    schema = pl.Schema({**{k: names[k] for k in by}, "start": pl.Int64(), **dict.fromkeys(values, LIST)})

    def kernel(f: pl.DataFrame) -> pl.DataFrame:
        f = f.with_columns(index=hour_index(pl.col("hour")))
        new = f.select(_begins(by).arg_true()).to_series()
        heads = f[new].select(*by, start="index")
        if not heads.select(by).is_duplicated().any():
            offsets = np.append(new.cast(pl.Int64).to_numpy(), len(f))
            lists = (as_lists(f[name].cast(pl.Float64).to_numpy(), offsets).alias(name) for name in values)
            return heads.with_columns(lists).sort(by)
        groups = f.group_by(by).agg(start=pl.col("index").min(), end=pl.col("index").max() + 1).sort(by)
        groups = groups.with_columns(
            offset=(pl.col("end") - pl.col("start")).cum_sum() - (pl.col("end") - pl.col("start"))
        )
        placed = f.join(groups, on=by, how="left", maintain_order="left", nulls_equal=True)
        at = placed.select(pl.col("offset") + pl.col("index") - pl.col("start")).to_series().to_numpy()
        lengths = (groups["end"] - groups["start"]).to_numpy()
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        made = []
        for name in values:
            out = np.zeros(offsets[-1])
            out[at] = placed[name].to_numpy()
            made.append(as_lists(out, offsets).alias(name))
        return groups.select(*by, "start").with_columns(made)

    return applied(rows, kernel, schema)


def _begins(by: Sequence[str]) -> pl.Expr:
    """Whether a row is of another series than the one before, or not of its next hour (`index`); so is the first."""
    changed = (pl.col(k).ne_missing(pl.col(k).shift(1)) for k in by)
    return pl.any_horizontal(*changed, pl.col("index") != pl.col("index").shift(1) + 1).fill_null(True)


def stretches(rows: pl.LazyFrame, by: Sequence[str], values: Sequence[str]) -> pl.LazyFrame:
    """Rows (`by`, `hour`, values) to one series per `by` and unbroken stretch of hours: for what is seldom there, as users of a cluster."""
    index = hour_index(pl.col("hour"))
    ordered = rows.select(*by, *values, index=index).sort(*by, "index")
    numbered = ordered.with_columns(stretch=_begins(by).cum_sum())
    grouped = numbered.group_by("stretch", maintain_order=True).agg(
        *(pl.col(k).first() for k in by), pl.col("index").first().alias("start"), *values
    )
    return grouped.drop("stretch").sort(*by, "start")


def joined_by_hour(frames: Sequence[pl.LazyFrame], by: str) -> pl.LazyFrame:
    """Tables with the same (`by`, `hour`) side by side, one row per hour, sorted.

    Tables that were made from one another have their rows in the same order, and are laid beside each other as they are; others are joined.
    """
    key = [by, "hour"]
    first, *others = frames
    schema = pl.Schema({n: t for f in frames for n, t in f.collect_schema().items()})

    def kernel(f: pl.DataFrame) -> pl.DataFrame:
        beside = [other.collect() for other in others]
        keys = f.select(key)
        if _rises(keys[by], keys["hour"]) and all(keys.equals(other.select(key)) for other in beside):
            return pl.concat([f, *(other.drop(key) for other in beside)], how="horizontal")
        for other in beside:
            f = f.join(other, on=key, validate="1:1")
        return f.sort(key)

    return applied(first, kernel, schema)


def with_row(series: pl.LazyFrame, rows: pl.LazyFrame, on: str) -> pl.LazyFrame:
    """Series with the one row that belongs to each. A left join leaves lists where they lie, every other one copies all of their values."""
    return series.join(rows, on=on, how="left", validate="m:1", maintain_order="left")


def _rises(ids: pl.Series, hours: pl.Series) -> bool:
    """Whether ids are sorted, and within each of them hours rise; ids without empty cells that seldom change."""
    if ids.is_empty():
        return True
    runs = ids.rle().struct.unnest()
    rising = (hours > hours.shift(1)).fill_null(False).to_numpy(writable=True)
    rising[np.cumsum(runs["len"].to_numpy()) - runs["len"].to_numpy()] = True
    return bool(rising.all()) and runs["value"].is_sorted() and runs["value"].n_unique() == len(runs)


def rows_of(frame: pl.LazyFrame, values: Iterable[str]) -> pl.LazyFrame:
    """One row per hour of every series: `hour` in UTC, the list columns as numbers, all other columns repeated."""
    lists = list(values)
    begin, length = pl.col("start") * MICROSECONDS, pl.col(lists[0]).list.len().cast(pl.Int64)
    hours = pl.int_ranges(begin, begin + length * MICROSECONDS, MICROSECONDS)
    exploded = frame.with_columns(hour=hours).explode("hour", *lists, empty_as_null=False)
    return exploded.with_columns(pl.col("hour").cast(pl.Datetime("us", "UTC"))).drop("start")
