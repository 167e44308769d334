from pathlib import Path

import pytest

from tests.sql.published import EMPTY, publish


@pytest.fixture(scope="session")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish(tmp_path_factory.mktemp("full") / "it's [1] 50%")


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish(tmp_path_factory.mktemp("base") / "m", columns="base")


@pytest.fixture(scope="session")
def by_month(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish(tmp_path_factory.mktemp("month") / "m", attribution_grain="month", attribution_key="binding")


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish(tmp_path_factory.mktemp("empty") / "m", EMPTY)
