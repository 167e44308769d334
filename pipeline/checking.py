"""What the dictionary promises, held against tables as read: bounds, words, row rules, keys and references."""

from collections.abc import Iterable

import polars as pl

from pipeline.tables import Column, Table
from pipeline.violations import violation, violations_at

Frames = dict[str, pl.LazyFrame]


def _expected(column: Column, rule: str, schema_column: object) -> str:
    unit = f" {column.unit}" if column.unit not in (None, "1", "compute_unit") else ""
    bounds = {
        "min": f"at least {getattr(schema_column, 'min', None):g}{unit}" if rule == "min" else "",
        "min_exclusive": f"more than {getattr(schema_column, 'min_exclusive', None):g}{unit}"
        if rule == "min_exclusive"
        else "",
        "max": f"at most {getattr(schema_column, 'max', None):g}{unit}" if rule == "max" else "",
        "inf": "a finite number",
        "nan": "a number",
        "min_length": "a value",
        "check__one_of": " or ".join(column.values),
        "check__full_hour": "a full hour (minutes and seconds zero in UTC)",
        "check__believable_date": "a date between the years 1900 and 2300",
        "check__resolution": "two pixel counts as in `1080p (1920 x 1080)`",
    }
    return bounds.get(rule) or f"a value that keeps the rule {rule}"


def row_violations(table: Table, frame: pl.DataFrame, display: str | None) -> list[pl.DataFrame]:
    """Every value out of bounds and every row rule broken in a batch (columns of the table, and `row`)."""
    rules: list[tuple[str, Column | None, str, pl.Expr, tuple[str, ...]]] = []
    for name, declared in table.schema.columns().items():
        column = table.columns[name]
        for rule, holds in declared.validation_rules(pl.col(name)).items():
            if rule not in ("nullability", "dtype"):
                rules.append((rule, column, _expected(column, rule, declared), holds, (name,)))
    for name, promise in table.promises.items():
        rules.append((name, None, promise.expects, table.row_rule(name), promise.columns))
    broken = [(~holds.fill_null(True)) for _, _, _, holds, _ in rules]
    if not len(frame) or not broken:
        return []
    counts = frame.select(b.sum().alias(str(i)) for i, b in enumerate(broken)).row(0)
    found = []
    for (rule, declared_column, expected, _, columns), where, count in zip(rules, broken, counts, strict=True):
        if count:
            value = pl.concat_str([pl.col(c).cast(pl.String).fill_null("nothing") for c in columns], separator=", ")
            shown = declared_column.name if declared_column else " and ".join(columns)
            found.append(
                violations_at(
                    table.name, rule, frame.filter(where), column=shown, value=value, expected=expected, file=display
                )
            )
    return _once_per_cell(found)


def _once_per_cell(found: list[pl.DataFrame]) -> list[pl.DataFrame]:
    """An infinite or missing number breaks its bounds too: one message per cell is enough."""
    if len(found) < 2:
        return found
    return [pl.concat(found).unique(["row", "column"], keep="first", maintain_order=True)]


def key_violations(table: Table, rows: pl.LazyFrame) -> list[pl.DataFrame]:
    """Keys that stand in more than one row (`rows` has the table's columns and `row`)."""
    if not table.key or _strictly_ascending(table, rows):
        return []
    repeated = (
        rows.group_by(table.key)
        .agg(pl.len().alias("times"), pl.col("row").max())
        .filter(pl.col("times") > 1)
        .sort("row")
        .collect()
    )
    repeated = repeated.drop_nulls(table.key)
    if not len(repeated):
        return []
    shown = pl.concat_str([pl.col(c).cast(pl.String) for c in table.key], separator=", ")
    expected = pl.lit("each key once; it stands in ") + pl.col("times").cast(pl.String) + pl.lit(" rows")
    return [
        violations_at(
            table.name, "duplicate key", repeated, column=", ".join(table.key), value=shown, expected=expected
        )
    ]


def _strictly_ascending(table: Table, rows: pl.LazyFrame) -> bool:
    """Whether the rows come in strictly ascending order of the key: then no key repeats, found without hashing."""
    ascending: pl.Expr = pl.lit(False)
    for name in reversed([*(k for k in table.key if k != "hour"), *(k for k in table.key if k == "hour")]):
        key = pl.col(name)
        before = key.shift(1)
        ascending = (key > before) | ((key == before) & ascending)
    checked = rows.select(ascending.slice(1).all(ignore_nulls=False)).collect(engine="in-memory").item()
    return bool(checked)


def reference_violations(table: Table, tables: dict[str, Table], frames: Frames) -> list[pl.DataFrame]:
    """Ids that stand in no row of the tables they refer to."""
    found = []
    for column in table.columns.values():
        if not column.references:
            continue
        targets = [
            frames[name].select(pl.col(column.name).cast(pl.String)) for name in column.references if name in frames
        ]
        known = pl.concat(targets).unique()
        used = frames[table.name].select(pl.col(column.name).cast(pl.String), "row").drop_nulls()
        dangling = used.join(known, on=column.name, how="anti").sort("row").collect()
        if len(dangling):
            expected = f"the {column.name} of a row in {' or '.join(column.references)}"
            found.append(
                violations_at(
                    table.name, "dangling reference", dangling, column=column.name, value=column.name, expected=expected
                )
            )
    return found


def shared_id_violations(names: Iterable[str], column: str, frames: Frames) -> list[pl.DataFrame]:
    """Ids that stand in more than one of several tables which share a name space."""
    parts = [frames[n].select(pl.col(column).cast(pl.String), "row", table=pl.lit(n)) for n in names]
    rows = pl.concat(parts).collect()
    twice = rows.filter(pl.col("table").n_unique().over(column) > 1)
    found = []
    for row in twice.iter_rows(named=True):
        others = sorted(set(twice.filter(pl.col(column) == row[column])["table"]) - {row["table"]})
        found.append(
            violation(
                row["table"],
                "id given twice",
                f"an id that no row of {' or '.join(others)} has",
                row=row["row"],
                column=column,
                value=row[column],
            )
        )
    return found
