"""What refers to blobs: every foreign key to their digest, so that a new table cannot be forgotten."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, and_, exists, not_, or_

from flowctl_registry.database.engine import now
from flowctl_registry.database.schema import metadata
from flowctl_registry.database.tables import blobs, claims

_COLUMNS = [
    key.parent for table in metadata.sorted_tables for key in table.foreign_keys if key.column is blobs.c.digest
]


def referenced() -> ColumnElement[bool]:
    """Whether a row of `blobs` is referred to."""
    return or_(*(exists().where(column == blobs.c.digest) for column in _COLUMNS))


def unneeded(connection: Connection) -> ColumnElement[bool]:
    """Whether nothing refers to a row of `blobs`, and nobody claims it now."""
    claimed = exists().where(and_(claims.c.digest == blobs.c.digest, claims.c.expires_at > now(connection)))
    return and_(not_(referenced()), not_(claimed))
