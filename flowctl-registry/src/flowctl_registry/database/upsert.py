"""Insertions that find their own work done, on both databases."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def insert_new(connection: Connection, table: Table, values: dict[str, Any]) -> bool:
    """Insert a row unless its key is there already; False when it was."""
    insertion = (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(table)
    asked = insertion.values(**values).on_conflict_do_nothing().returning(*table.primary_key)
    return connection.execute(asked).first() is not None
