"""How a run is done: wattrow.toml in the model folder, then WATTROW_* in the environment, then flags; the later wins."""

import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from pipeline.errors import InputError
from pipeline.tables import OUTPUTS

FILE_NAME = "wattrow.toml"
CORE_TABLES = (
    "need.job",
    "need.server",
    "need.service",
    "instances.capacity",
    "instances.server",
    "energy.server",
    "repartition.server",
)
_BYTES = {"MB": 10**6, "GB": 10**9, "MIB": 2**20, "GIB": 2**30}


class Settings(BaseSettings):
    """The settings of a run; unknown ones are errors."""

    model_config = SettingsConfigDict(env_prefix="WATTROW_", extra="forbid", frozen=True)

    attribution_key: Literal["weight", "binding"] = Field(
        "weight", description="What a job's part of a server is measured by."
    )
    attribution_grain: Literal["hour", "day", "month"] = Field(
        "hour", description="Period that repartition.footprint sums over."
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
        """Flags, then the environment, then the file that `load` names."""
        del dotenv_settings, file_secret_settings
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)

    @property
    def wanted(self) -> frozenset[str]:
        """The tables to make."""
        return chosen_tables(self.tables)


def memory_bytes(text: str) -> int:
    """Bytes of `2GB`, `1.5 GiB` or `800MB`."""
    number = text.strip().upper()
    for unit, factor in _BYTES.items():
        if number.endswith(unit):
            try:
                found = float(number.removesuffix(unit)) * factor
            except ValueError:
                break
            if found >= 200e6:
                return int(found)
    raise ValueError("an amount of memory such as 2GB, at least 200MB")


def chosen_tables(text: str) -> frozenset[str]:
    """The output tables that the setting `tables` names."""
    if text == "all":
        return frozenset(OUTPUTS)
    if text == "core":
        return frozenset(CORE_TABLES)
    names = {name.strip() for name in text.split(",")}
    if unknown := names - set(OUTPUTS):
        raise ValueError(f"all, core, or names of output tables, not {', '.join(sorted(unknown))}")
    return frozenset(names)


def load(model: Path | None, flags: dict[str, Any]) -> Settings:
    """The settings for a model folder; `flags` that are None are not given. InputError names what is wrong."""
    file = model / FILE_NAME if model else None
    if file and file.exists():
        try:
            tomllib.loads(file.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
            raise InputError(f"{FILE_NAME}: {error}") from error

    class FromFile(Settings):
        model_config = SettingsConfigDict(
            env_prefix="WATTROW_", extra="forbid", frozen=True, toml_file=file if file and file.exists() else None
        )

    try:
        return FromFile(**{name: value for name, value in flags.items() if value is not None})
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, e['loc']))}: {e['msg']} (found {e['input']!r})" for e in error.errors()
        )
        raise InputError(f"settings: {problems}; known settings: {', '.join(Settings.model_fields)}") from error
