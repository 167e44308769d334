"""DuckDB over a run: views, comments, checks, queries."""

from pathlib import Path
from typing import Any

from pipeline.settings import Settings


def failing_checks(root: Path, settings: Settings) -> dict[str, Any]:
    return {}


def refuse_failures(failures: dict[str, Any]) -> None:
    return None


def write_views(root: Path) -> None:
    return None
