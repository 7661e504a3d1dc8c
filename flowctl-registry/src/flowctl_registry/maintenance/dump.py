"""All rows of the database as lines of JSON: a form that SQLite and PostgreSQL both read back."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Connection, LargeBinary, Table, func, insert, select

from flowctl_registry.database.schema import metadata
from flowctl_registry.database.tables import blobs, claims, uploads
from flowctl_registry.database.types import Moment
from flowctl_registry.errors import DamagedError
from flowctl_registry.maintenance.references import referenced

_TRANSIENT = (claims, uploads)
"""What clients begin again: the blobs of an upload that was not committed are not kept."""
_BATCH = 500
TABLES = tuple(table for table in metadata.sorted_tables if table not in _TRANSIENT)
"""Those that are kept, each after those that it refers to."""


def dump(connection: Connection) -> Iterator[str]:
    """A line for each row; the connection is a snapshot."""
    for table in TABLES:
        query = select(table)
        if table is blobs:
            query = query.where(referenced())
        result = connection.execution_options(yield_per=_BATCH).execute(query)
        for row in result:
            values = {column.name: _out(column, row._mapping[column]) for column in table.columns}
            if table is blobs:
                values |= {"doomed_at": None, "deleting_at": None}
            yield json.dumps([table.name, values], ensure_ascii=False, separators=(",", ":")) + "\n"


def load(connection: Connection, lines: Iterator[str]) -> int:
    """Insert the rows in an empty database of the same schema; returns how many. Raises DamagedError."""
    waiting: list[dict[str, Any]] = []
    table: Table | None = None
    count = 0
    for line in lines:
        name, values = _parsed(line)
        if table is None or table.name != name or len(waiting) == _BATCH:
            _flush(connection, table, waiting)
            table = metadata.tables[name]
        waiting.append({column.name: _in(column, values[column.name]) for column in table.columns})
        count += 1
    _flush(connection, table, waiting)
    if connection.dialect.name == "postgresql":
        for each in TABLES:
            _advance(connection, each)
    return count


def _parsed(line: str) -> tuple[str, Mapping[str, Any]]:
    try:
        name, values = json.loads(line)
        if metadata.tables[name].columns.keys() != list(values):
            raise ValueError("other columns")
    except (ValueError, KeyError, TypeError, AttributeError):
        raise DamagedError("the backup's database has a line that cannot be read", hint="Use another backup.") from None
    return name, values


def _flush(connection: Connection, table: Table | None, waiting: list[dict[str, Any]]) -> None:
    if table is not None and waiting:
        connection.execute(insert(table), waiting)
    waiting.clear()


def _advance(connection: Connection, table: Table) -> None:
    """Rows that brought their number leave a sequence behind."""
    column = table.autoincrement_column
    if column is None:
        return
    sequence = connection.execute(select(func.pg_get_serial_sequence(table.name, column.name))).scalar_one()
    highest = connection.execute(select(func.max(column))).scalar_one()
    if sequence is not None and highest is not None:
        connection.execute(select(func.setval(sequence, highest)))


def _out(column: Column[Any], value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value


def _in(column: Column[Any], value: Any) -> Any:
    if value is not None and isinstance(column.type, Moment):
        return datetime.fromisoformat(value)
    if value is not None and isinstance(column.type, LargeBinary):
        return base64.b64decode(value)
    return value
