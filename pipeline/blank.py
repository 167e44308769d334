"""Files of tables without rows, which a run publishes too, so that each view finds its file: some forty of a model of ten tables.

A folder and a file with its schema take 1 to 2 ms. Most are known as soon as the model is read: workers write them, which wait for their
first partition then. Who needs the files writes what is missing.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipeline import storage
from pipeline.settings import Settings
from pipeline.tables import INPUTS, OUTPUTS

FILE = "part-empty.parquet"
INPUT = "input."
"""What the views of input tables begin with."""


def not_asked_for(settings: Settings) -> list[str]:
    """The output tables that a run does not make."""
    return [name for name in OUTPUTS if name not in settings.wanted]


def write(staged: Path, views: Iterable[str]) -> list[dict[str, Any]]:
    """A file without rows for each of these tables (FAMILY.TABLE, input.TABLE) that has none yet; all of them, as tasks note files."""
    files = []
    for view in views:
        target = storage.table_folder(staged, view) / FILE
        if not target.exists():
            storage.write_empty(target, OUTPUTS.get(view) or INPUTS[view.removeprefix(INPUT)])
        files.append({"table": view, "file": FILE, "rows": 0})
    return files
