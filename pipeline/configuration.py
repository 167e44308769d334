"""Reading and checking the settings, from file, environment and flags."""

import os
import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from pipeline.errors import InputError
from pipeline.folder import is_regular
from pipeline.settings import FILE_NAME, Settings, chosen_tables, memory_bytes


class Configuration(BaseSettings):
    """Every setting with its type and meaning; unknown ones are errors."""

    model_config = SettingsConfigDict(env_prefix="WATTROW_", extra="forbid", frozen=True)

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

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags, then the environment, then the file."""
        del dotenv_settings, file_secret_settings
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


def configured(file: Path | None, flags: dict[str, Any]) -> Settings:
    """The settings from flags (None: not given), the environment and the file where there is one; InputError names what is wrong."""
    there = file if file is not None and file.exists() else None
    if there is not None and not is_regular(there):
        raise InputError(f"{FILE_NAME}: a regular file that can be read, not a folder, pipe or device")
    if there is not None:
        try:
            tomllib.loads(there.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
            raise InputError(f"{FILE_NAME}: {error}") from error

    known = {f"WATTROW_{name}".upper() for name in Configuration.model_fields}
    unknown = sorted(name for name in os.environ if name.upper().startswith("WATTROW_") and name.upper() not in known)
    if unknown:
        raise InputError(f"environment: no setting is called {', '.join(unknown)}; known: {', '.join(sorted(known))}")

    class FromFile(Configuration):
        model_config = SettingsConfigDict(env_prefix="WATTROW_", extra="forbid", frozen=True, toml_file=there)

    try:
        found = FromFile(**{name: value for name, value in flags.items() if value is not None})
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, e['loc']))}: {e['msg']} (found {e['input']!r})" for e in error.errors()
        )
        raise InputError(f"settings: {problems}; known settings: {', '.join(Configuration.model_fields)}") from error
    return Settings(**found.model_dump())
