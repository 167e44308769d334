"""The worked hour of the README, all output tables: tests/golden/expected holds them as small sorted CSV.

`python -m tests.test_golden` writes them anew; a change of theirs is a commit of its own that says why.
"""

import re
import sys
import tempfile
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from pipeline.run import run
from pipeline.settings import load
from pipeline.tables import OUTPUTS

ROOT = Path(__file__).parents[1]
MODEL = ROOT / "tests/golden/worked_hour"
EXPECTED = ROOT / "tests/golden/expected"
TEXT = ROOT / "docs/worked_hour.md"
INSTANT = "%Y-%m-%dT%H:%MZ"


def table(current: Path, name: str) -> pl.DataFrame:
    """A table sorted by all that is not a number."""
    rows = pl.read_parquet(current / name.replace(".", "/") / "*.parquet")
    typed = rows.cast({c: OUTPUTS[name].columns[c].dtype for c in rows.columns})
    return typed.sort(pl.exclude(pl.Float64))


def written(rows: pl.DataFrame) -> pl.DataFrame:
    """Hours as text, numbers to 12 digits: what a golden file holds."""
    return rows.with_columns(
        pl.col(pl.Datetime).dt.strftime(INSTANT),
        pl.col(pl.Float64).round_sig_figs(12),
    )


@pytest.fixture(scope="module")
def current(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("worked_hour")
    run(MODEL, out, load(MODEL, {}))
    return out / "current"


@pytest.mark.parametrize("name", OUTPUTS)
def test_table_is_the_golden_one(name: str, current: Path) -> None:
    found = written(table(current, name))
    file = EXPECTED / f"{name}.csv"
    if not file.exists():
        assert found.is_empty(), f"{name} has rows and no golden file"
        return
    golden = pl.read_csv(file, schema=found.schema)
    assert_frame_equal(found, golden, rel_tol=1e-9, abs_tol=0)


def test_no_golden_file_is_left_over() -> None:
    assert {f.stem for f in EXPECTED.glob("*.csv")} <= set(OUTPUTS)


def stated() -> list[tuple[str, str, str, str]]:
    """What docs/worked_hour.md says: table.column, ids, hour, value, from its rows of the form | `x` | ids | 10:00 | ... |."""
    found = []
    for row in re.findall(r"^\| `([a-z_]+\.[a-z_]+\.[a-z_]+)`(.*)\|$", TEXT.read_text(encoding="utf-8"), re.MULTILINE):
        ids, *values = [cell.strip() for cell in row[1].split("|")[1:]]
        found += [(row[0], ids, hour, value) for hour, value in zip(("10:00", "11:00", "12:00"), values, strict=True)]
    return found


@pytest.mark.parametrize(("column", "ids", "hour", "value"), stated())
def test_worked_hour_says_what_is_computed(column: str, ids: str, hour: str, value: str, current: Path) -> None:
    name, of = column.rsplit(".", 1)
    rows = table(current, name)
    for one in filter(None, ids.split(", ")):
        key, _, wanted = one.partition("=")
        rows = rows.filter(pl.col(key) == wanted)
    if "hour" in rows.columns:
        rows = rows.filter(pl.col("hour").dt.strftime("%H:%M") == hour)
    if value == "":
        assert rows.is_empty()
        return
    answer = value.rsplit("=", 1)[-1]
    number, _, unit = answer.strip().partition(" ")
    top, _, bottom = number.partition("/")
    assert rows[of].to_list() == [pytest.approx(float(top) / float(bottom or 1) * {"g": 1e-3}.get(unit, 1), rel=1e-12)]


def test_worked_hour_states_a_number_of_every_stage() -> None:
    tables = {column.rsplit(".", 1)[0] for column, *_ in stated()}
    assert tables >= {"need.job", "need.server", "instances.capacity", "instances.server", "energy.server"}
    assert tables >= {"repartition.server", "repartition.job", "repartition.footprint"}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        run(MODEL, out, load(MODEL, {}))
        EXPECTED.mkdir(parents=True, exist_ok=True)
        for name in OUTPUTS:
            rows = written(table(out / "current", name))
            if len(rows):
                rows.write_csv(EXPECTED / f"{name}.csv")


if __name__ == "__main__":
    sys.exit(main())
