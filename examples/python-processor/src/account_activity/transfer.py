"""The event that is read."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

UNIT = 10_000_000
"""Amounts are kept as whole numbers of 10⁻⁷, so that sums are exact."""


class InvalidTransfer(ValueError):
    """A line is not a transfer."""


class Transfer(BaseModel):
    """One token transfer; fields that are not needed here are ignored."""

    model_config = ConfigDict(frozen=True)

    ledger: Annotated[int, Field(ge=0, strict=True)]
    asset: Annotated[str, Field(min_length=1)]
    sender: Annotated[str, Field(alias="from", min_length=1)]
    receiver: Annotated[str, Field(alias="to", min_length=1)]
    amount: Annotated[Decimal, Field(ge=0, decimal_places=7, max_digits=26)]

    @property
    def units(self) -> int:
        """The amount in units of 10⁻⁷."""
        return int(self.amount * UNIT)


def parse_transfer(line: bytes) -> Transfer:
    """Read one line; raises InvalidTransfer with the reason."""
    try:
        return Transfer.model_validate(orjson.loads(line))
    except orjson.JSONDecodeError as error:
        raise InvalidTransfer(str(error)) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InvalidTransfer(f"{where}: {first['msg']}" if where else first["msg"]) from error
