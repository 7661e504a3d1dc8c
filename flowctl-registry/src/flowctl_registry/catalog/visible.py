"""What becomes visible when a version is published, yanked or removed: one transaction each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from semantic_version import Version as SemanticVersion
from sqlalchemy import Connection, Row, delete, insert, select, update

from flowctl_registry.catalog.announcing import announce
from flowctl_registry.catalog.pulling import tag_latest
from flowctl_registry.catalog.search_index import reindex
from flowctl_registry.database.engine import now, writing
from flowctl_registry.database.tables import (
    component_labels,
    components,
    image_tags,
    index_changes,
    namespaces,
    versions,
)
from flowctl_registry.errors import NotFoundError
from flowctl_registry.services import Services

Note = Callable[[Connection], object]
"""What else belongs into the transaction of a change: its entry in the audit log."""


def publish_pending(services: Services, version_id: int, note: Note | None = None) -> None:
    """Make a pending version visible, and tell the outbox of the signed index. Again changes nothing.

    Raises NotFoundError when it waited so long that gc swept it.
    """

    def change(connection: Connection) -> None:
        row = locked(connection, version_id)
        if row.state != "pending":
            return
        moment = now(connection)
        connection.execute(
            update(versions).where(versions.c.id == version_id).values(state="published", published_at=moment)
        )
        if row.image is not None:
            for tag in (row.version, f"v{row.version}"):
                connection.execute(
                    insert(image_tags).values(
                        component_id=row.component_id, tag=tag, digest=row.image, version_id=version_id
                    )
                )
        connection.execute(insert(index_changes).values(change="publish", version_id=version_id, recorded_at=moment))
        add_used_bytes(connection, row.component_id, row.size)
        refresh_latest(connection, row.component_id)
        _announce(connection, row)
        if note is not None:
            note(connection)

    writing(services.engine, change)


def _announce(connection: Connection, version: Row[Any]) -> None:
    named = select(components.c.kind, components.c.namespace, components.c.name)
    of = connection.execute(named.where(components.c.id == version.component_id)).one()
    told = {"version": version.version, "digest": version.release_digest, "publisher": version.publisher}
    announce(connection, of.namespace, "version.published", {**of._mapping, **told})


def locked(connection: Connection, version_id: int) -> Row[Any]:
    """A version's row, its component locked: nobody else changes what of it is visible. Raises NotFoundError."""
    component_id = select(versions.c.component_id).where(versions.c.id == version_id).scalar_subquery()
    connection.execute(select(components.c.id).where(components.c.id == component_id).with_for_update())
    row = connection.execute(select(versions).where(versions.c.id == version_id).with_for_update()).one_or_none()
    if row is None:
        raise NotFoundError("the version is gone: it was not published in time", hint="Upload it again.")
    return row


def add_used_bytes(connection: Connection, component_id: int, size: int) -> None:
    """Count a version that became visible, or, with a negative size, one that went."""
    namespace = select(components.c.namespace).where(components.c.id == component_id).scalar_subquery()
    connection.execute(
        update(namespaces).where(namespaces.c.name == namespace).values(used_bytes=namespaces.c.used_bytes + size)
    )


def refresh_latest(connection: Connection, component_id: int) -> None:
    """Show the component as its newest version is that is published and not yanked; without one, as it was."""
    best = connection.execute(
        select(versions.c.id, versions.c.version)
        .where(
            versions.c.component_id == component_id,
            versions.c.state == "published",
            versions.c.yanked_at.is_(None),
        )
        .order_by(versions.c.precedence.desc())
        .limit(1)
    ).one_or_none()
    connection.execute(
        update(components)
        .where(components.c.id == component_id)
        .values(latest=best.version if best else None, updated_at=now(connection))
    )
    tag_latest(connection, component_id, best.id if best else None)
    if best is not None:
        _describe(connection, component_id, best.id)
    reindex(connection, component_id)


def order(version: str) -> tuple[bool, SemanticVersion]:
    """Sort key: any release is above all prereleases, then Semantic Versioning."""
    parsed = SemanticVersion(version)
    return not parsed.prerelease, parsed


def _describe(connection: Connection, component_id: int, version_id: int) -> None:
    row = connection.execute(
        select(
            versions.c.type, versions.c.language, versions.c.description, versions.c.labels, versions.c.document
        ).where(versions.c.id == version_id)
    ).one()
    metadata = row.document.get("metadata")
    told = metadata if isinstance(metadata, dict) else {}
    connection.execute(
        update(components)
        .where(components.c.id == component_id)
        .values(
            type=row.type,
            language=row.language,
            description=row.description,
            homepage=_text(told.get("homepage")),
            repository=_text(told.get("repository")),
            license=(_text(told.get("license")) or "")[:256] or None,
        )
    )
    connection.execute(delete(component_labels).where(component_labels.c.component_id == component_id))
    rows = [
        {"component_id": component_id, "kind": kind, "value": value}
        for kind, values in row.labels.items()
        for value in dict.fromkeys(each[:256] for each in values)
    ]
    if rows:
        connection.execute(insert(component_labels), rows)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
