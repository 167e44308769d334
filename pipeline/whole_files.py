"""Files that appear whole: written under another name, then moved into place in one step."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def appearing(target: Path) -> Iterator[Path]:
    """Where to write what becomes `target` when it is all there; no name that a glob for Parquet matches, none that two writers share."""
    partial = target.with_name(f"{target.name}.{os.getpid()}-{secrets.token_hex(4)}.partial")
    yield partial
    partial.replace(target)
