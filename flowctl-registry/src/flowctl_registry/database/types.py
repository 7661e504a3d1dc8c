"""Column types that mean the same on SQLite and PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Dialect
from sqlalchemy.types import TypeDecorator

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Moment(TypeDecorator[datetime]):
    """A point in time with a zone, kept as milliseconds since 1970, so that order and arithmetic are the same."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """Milliseconds."""
        return None if value is None else self.milliseconds(value)

    @staticmethod
    def milliseconds(value: datetime) -> int:
        """What is stored."""
        return (value - _EPOCH) // timedelta(milliseconds=1)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """UTC."""
        return None if value is None else _EPOCH + timedelta(milliseconds=int(value))
