"""Two small models and an OUT with a run of the first."""

import shutil
from pathlib import Path

import pytest

from pipeline import run
from pipeline.settings import Settings
from tests.splits import assert_no_rests, assert_same, change, write_everything

FEW = Settings(tables="core")


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A model, and one in which a server is different."""
    folder = tmp_path_factory.mktemp("faults")
    first = write_everything(folder / "first", servers=3, jobs=6, hours=40)
    second = Path(shutil.copytree(first, folder / "second"))
    change(second / "servers.csv", "server_id", "server-00001", power=555.5)
    return first, second


@pytest.fixture(scope="session")
def wholes(models: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """OUTs with a run of each, which nothing happened to."""
    outs = [tmp_path_factory.mktemp("whole") / m.name for m in models]
    for model, out in zip(models, outs, strict=True):
        run.run(model, out, FEW)
    return outs[0], outs[1]


class Published:
    """An OUT with a run of the first model, and what must hold of it."""

    def __init__(self, out: Path, models: tuple[Path, Path], wholes: tuple[Path, Path]) -> None:
        shutil.copytree(wholes[0], out, symlinks=True)
        self.out, self.models, self.wholes = out, models, wholes
        self.before = (out / "current").resolve()

    def assert_intact(self) -> None:
        """Readers see the run that was there before, whole."""
        assert (self.out / "current").resolve() == self.before
        assert_same(self.before, self.wholes[0] / "current")

    def assert_next_run_works(self) -> None:
        """The second model can be run, exactly, and nothing is left of what failed."""
        run.run(self.models[1], self.out, FEW)
        assert_same(self.out / "current", self.wholes[1] / "current")
        assert_no_rests(self.out)


@pytest.fixture
def published(tmp_path: Path, models: tuple[Path, Path], wholes: tuple[Path, Path]) -> Published:
    return Published(tmp_path / "out", models, wholes)
