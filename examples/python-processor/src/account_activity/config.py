"""Settings, read from environment variables."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError


class ConfigError(ValueError):
    """A variable has a value that cannot be used."""


class Config(BaseModel):
    """Each field is set by the variable of the same name in upper case."""

    model_config = ConfigDict(frozen=True)

    window: Annotated[int, Field(ge=1)] = 10
    """Ledgers in a window."""
    min_transfers: Annotated[int, Field(ge=1)] = 1
    """Accounts with fewer transfers in a window are left out."""
    flag_above: Annotated[Decimal, Field(ge=0)] = Decimal(0)
    """Flag accounts that sent more than this in a window; 0 flags none."""
    on_invalid: Literal["skip", "fail"] = "skip"
    """What to do with a line that is not a transfer."""


def read_config(environment: Mapping[str, str]) -> Config:
    """Read the settings; empty variables count as unset. Raises ConfigError, naming the variable."""
    values: dict[str, Any] = {
        name: environment[name.upper()] for name in Config.model_fields if environment.get(name.upper())
    }
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]).upper()
        raise ConfigError(f"{name}={environment[name]!r}: {first['msg']}") from error
