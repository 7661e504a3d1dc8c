"""Saying that a version must not be used any more, and taking that back. It stays where it is."""

from __future__ import annotations

from sqlalchemy import Connection, insert, update

from flowctl_registry.catalog.publishing import update_index
from flowctl_registry.catalog.visible import Note, locked, refresh_latest
from flowctl_registry.database.engine import now, writing
from flowctl_registry.database.tables import index_changes, versions
from flowctl_registry.errors import NotFoundError
from flowctl_registry.services import Services


def yank(services: Services, version_id: int, reason: str, note: Note | None = None) -> None:
    """Mark a version, and tell the outbox of the signed index. Again with the same reason changes nothing.

    Raises NotFoundError, UnavailableError.
    """
    _mark(services, version_id, reason, note)


def unyank(services: Services, version_id: int, note: Note | None = None) -> None:
    """Take the mark away; a version without one stays as it is. Raises NotFoundError, UnavailableError."""
    _mark(services, version_id, None, note)


def _mark(services: Services, version_id: int, reason: str | None, note: Note | None) -> None:
    def change(connection: Connection) -> None:
        row = locked(connection, version_id)
        if row.state != "published":
            raise NotFoundError("the version is not published")
        if row.yank_reason == reason:
            return
        moment = now(connection)
        connection.execute(
            update(versions)
            .where(versions.c.id == version_id)
            .values(yanked_at=None if reason is None else row.yanked_at or moment, yank_reason=reason)
        )
        connection.execute(
            insert(index_changes).values(
                change="unyank" if reason is None else "yank",
                version_id=version_id,
                reason=reason,
                recorded_at=moment,
            )
        )
        refresh_latest(connection, row.component_id)
        if note is not None:
            note(connection)

    writing(services.engine, change)
    update_index(services)
