"""Reading and checking the settings, from file, environment and flags."""

import os
import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from pipeline.errors import InputError
from pipeline.folder import is_regular
from pipeline.settings import FILE_NAME, Settings, chosen_tables, memory_bytes

PREFIX = "WATTROW_"
# what other packages hook into pydantic has no say in settings; to look for it in all that is installed takes 4 ms
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")


class Configuration(BaseModel):
    """Every setting with its type and meaning; unknown ones are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    attribution_key: Literal["weight", "binding"] = Field(
        "weight", description="What a job's part of a server is measured by."
    )
    attribution_grain: Literal["hour", "day", "month"] = Field(
        "hour", description="Period that repartition.footprint and repartition.job sum over."
    )
    columns: Literal["all", "base"] = Field(
        "all", description="base leaves out columns that views can compute from others."
    )
    tables: str = Field("all", description="Tables to make: all, core, or names separated by commas.")
    keep_runs: int = Field(3, ge=1, le=1000, description="Complete runs kept under OUT/runs.")
    workers: int | None = Field(None, ge=1, le=1024, description="Worker processes; the number of cores by default.")
    memory: str = Field("2GB", description="Memory all processes together may take; decides the size of partitions.")

    @field_validator("memory")
    @classmethod
    def _readable_memory(cls, value: str) -> str:
        memory_bytes(value)
        return value

    @field_validator("tables")
    @classmethod
    def _known_tables(cls, value: str) -> str:
        chosen_tables(value)
        return value


def configured(file: Path | None, flags: dict[str, Any]) -> Settings:
    """The settings from flags (None: not given), the environment and the file where there is one; InputError names what is wrong."""
    given = {name: value for name, value in flags.items() if value is not None}
    try:
        found = Configuration(**{**_in_file(file), **_in_environment(), **given})
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, e['loc']))}: {e['msg']} (found {e['input']!r})" for e in error.errors()
        )
        raise InputError(f"settings: {problems}; known settings: {', '.join(Configuration.model_fields)}") from error
    return Settings(**found.model_dump())


def _in_file(file: Path | None) -> dict[str, Any]:
    if file is None or not file.exists():
        return {}
    if not is_regular(file):
        raise InputError(f"{FILE_NAME}: a regular file that can be read, not a folder, pipe or device")
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise InputError(f"{FILE_NAME}: {error}") from error


def _in_environment() -> dict[str, Any]:
    said = {name: value for name, value in os.environ.items() if name.upper().startswith(PREFIX)}
    known = {f"{PREFIX}{name}".upper(): name for name in Configuration.model_fields}
    if unknown := sorted(name for name in said if name.upper() not in known):
        raise InputError(f"environment: no setting is called {', '.join(unknown)}; known: {', '.join(sorted(known))}")
    return {known[name.upper()]: value for name, value in said.items()}
