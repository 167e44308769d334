"""How a run is done: wattrow.toml in the model folder, then WATTROW_* in the environment, then flags; the later wins."""

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.tables import OUTPUTS

FILE_NAME = "wattrow.toml"
CORE_TABLES = (
    "need.job", "need.server", "need.service", "instances.capacity", "instances.server", "energy.server", "repartition.server",
)  # fmt: skip
COMPUTED_FROM = {
    "need.job": frozenset({"need.run"}),
    "repartition.server": frozenset({"need.server", "need.service", "instances.server"}),
}
"""What views compute the columns from that `columns = base` leaves out, beside derived.*; made along, whether asked for or not."""
_BYTES = {"MB": 10**6, "GB": 10**9, "MIB": 2**20, "GIB": 2**30}
SMALLEST_MEMORY = 200e6


@dataclass(frozen=True)
class Settings:
    """The settings of a run, already checked; `configuration` reads and checks them and says what each means."""

    attribution_key: str = "weight"
    attribution_grain: str = "hour"
    columns: str = "all"
    tables: str = "all"
    keep_runs: int = 3
    workers: int | None = None
    memory: str = "2GB"

    @property
    def wanted(self) -> frozenset[str]:
        """The tables to make."""
        chosen = chosen_tables(self.tables)
        read = [COMPUTED_FROM[t] for t in chosen & COMPUTED_FROM.keys()] if self.columns == "base" else []
        return chosen.union(*read)

    @property
    def processes(self) -> int:
        """Processes to use for what is not small: the setting or the cores."""
        return self.workers or os.cpu_count() or 1

    def as_dict(self) -> dict[str, Any]:
        """The settings by name."""
        return asdict(self)


def memory_bytes(text: str) -> int:
    """Bytes of `2GB`, `1.5 GiB` or `800MB`; ValueError where it is no amount of memory or too small to work with."""
    number = text.strip().upper()
    for unit, factor in _BYTES.items():
        if number.endswith(unit):
            try:
                found = float(number.removesuffix(unit)) * factor
            except ValueError:
                break
            if SMALLEST_MEMORY <= found < float("inf"):
                return int(found)
    raise ValueError("an amount of memory such as 2GB, at least 200MB")


def chosen_tables(text: str) -> frozenset[str]:
    """The output tables that the setting `tables` names; ValueError for a name that is none."""
    if text == "all":
        return frozenset(OUTPUTS)
    derived = {name for name in OUTPUTS if name.startswith("derived.")}  # small, and views compute from them
    if text == "core":
        return frozenset(derived.union(CORE_TABLES))
    names = {name.strip() for name in text.split(",")}
    if unknown := names - set(OUTPUTS):
        raise ValueError(f"all, core, or names of output tables, not {', '.join(sorted(unknown))}")
    return frozenset(names | derived)


def load(model: Path | None, flags: dict[str, Any]) -> Settings:
    """The settings for a model folder; `flags` that are None are not given. InputError names what is wrong."""
    from pipeline.configuration import configured  # pydantic is slow to import, and workers need none of it

    return configured(model / FILE_NAME if model else None, flags)
