"""What becomes visible when a version is published, yanked or removed: one transaction each."""

from __future__ import annotations

from semantic_version import Version as SemanticVersion
from sqlalchemy import Connection, delete, insert, select, update

from flowctl_registry.catalog.contents import Contents
from flowctl_registry.database.engine import now, writing
from flowctl_registry.database.tables import (
    component_labels,
    components,
    image_tags,
    index_changes,
    namespaces,
    versions,
)
from flowctl_registry.services import Services


def publish_pending(services: Services, version_id: int, contents: Contents) -> None:
    """Make a pending version visible, and tell the outbox of the signed index. Again changes nothing."""

    def change(connection: Connection) -> None:
        row = connection.execute(
            select(versions.c.component_id, versions.c.state, versions.c.version, versions.c.size)
            .where(versions.c.id == version_id)
            .with_for_update()
        ).one()
        if row.state != "pending":
            return
        moment = now(connection)
        connection.execute(
            update(versions).where(versions.c.id == version_id).values(state="published", published_at=moment)
        )
        if contents.image is not None:
            for tag in (row.version, f"v{row.version}"):
                connection.execute(
                    insert(image_tags).values(
                        component_id=row.component_id, tag=tag, digest=contents.image, version_id=version_id
                    )
                )
        connection.execute(insert(index_changes).values(change="publish", version_id=version_id, recorded_at=moment))
        namespace = select(components.c.namespace).where(components.c.id == row.component_id).scalar_subquery()
        connection.execute(
            update(namespaces)
            .where(namespaces.c.name == namespace)
            .values(used_bytes=namespaces.c.used_bytes + row.size)
        )
        newest = refresh_latest(connection, row.component_id)
        if newest == version_id:
            _describe(connection, row.component_id, contents)

    writing(services.engine, change)


def refresh_latest(connection: Connection, component_id: int) -> int | None:
    """Note the newest version that is published and not yanked; returns its id."""
    rows = connection.execute(
        select(versions.c.id, versions.c.version).where(
            versions.c.component_id == component_id,
            versions.c.state == "published",
            versions.c.yanked_at.is_(None),
        )
    ).all()
    best = max(rows, key=lambda row: order(row.version), default=None)
    connection.execute(
        update(components)
        .where(components.c.id == component_id)
        .values(latest=best.version if best else None, updated_at=now(connection))
    )
    return best.id if best else None


def order(version: str) -> tuple[bool, SemanticVersion]:
    """Sort key: any release is above all prereleases, then Semantic Versioning."""
    parsed = SemanticVersion(version)
    return not parsed.prerelease, parsed


def _describe(connection: Connection, component_id: int, contents: Contents) -> None:
    metadata = contents.document.get("metadata")
    told = metadata if isinstance(metadata, dict) else {}
    connection.execute(
        update(components)
        .where(components.c.id == component_id)
        .values(
            type=contents.type,
            language=contents.language,
            description=contents.description,
            homepage=_text(told.get("homepage")),
            repository=_text(told.get("repository")),
            license=_text(told.get("license")),
        )
    )
    connection.execute(delete(component_labels).where(component_labels.c.component_id == component_id))
    rows = [
        {"component_id": component_id, "kind": kind, "value": value[:256]}
        for kind, values in contents.labels.items()
        for value in dict.fromkeys(values)
    ]
    if rows:
        connection.execute(insert(component_labels), rows)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
