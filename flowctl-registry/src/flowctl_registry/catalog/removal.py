"""Taking versions away: prereleases that retention gives up, and pending ones that nobody went on with."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Connection, delete, exists, insert, select, update

from flowctl_registry import audit
from flowctl_registry.catalog.visible import add_used_bytes, locked, order, refresh_latest
from flowctl_registry.database.engine import now
from flowctl_registry.database.tables import (
    artifacts,
    components,
    image_blobs,
    image_tags,
    index_changes,
    manifests,
    versions,
)
from flowctl_registry.settings import Retention

_ACTOR = "gc"


def forgotten(connection: Connection, older_than_s: float) -> list[int]:
    """Pending versions whose publishing began so long ago that no process works on it any more."""
    limit = now(connection) - timedelta(seconds=older_than_s)
    return list(
        connection.execute(
            select(versions.c.id).where(versions.c.state == "pending", versions.c.created_at < limit)
        ).scalars()
    )


def forget(connection: Connection, version_id: int) -> bool:
    """Remove a pending version as if it had never been begun; False when it is pending no more."""
    row = locked(connection, version_id)
    if row.state != "pending":
        return False
    connection.execute(delete(versions).where(versions.c.id == version_id))
    connection.execute(
        delete(components).where(
            components.c.id == row.component_id, ~exists().where(versions.c.component_id == row.component_id)
        )
    )
    return True


def given_up(connection: Connection, retention: Retention) -> list[int]:
    """Prereleases older than retention keeps them; the newest of each component stay, and so does its latest."""
    if not retention.prerelease_days:
        return []
    limit = now(connection) - timedelta(days=retention.prerelease_days)
    rows = connection.execute(
        select(versions.c.id, versions.c.component_id, versions.c.version, versions.c.published_at, components.c.latest)
        .join(components, components.c.id == versions.c.component_id)
        .where(versions.c.state == "published", versions.c.prerelease)
        .order_by(versions.c.component_id)
    ).all()
    kept: dict[int, int] = {}
    found = []
    for row in sorted(rows, key=lambda row: order(row.version), reverse=True):
        place = kept[row.component_id] = kept.get(row.component_id, 0) + 1
        if place > retention.prerelease_keep and row.published_at < limit and row.version != row.latest:
            found.append(row.id)
    return found


def remove(connection: Connection, version_id: int, reason: str) -> bool:
    """Make a published version invisible for ever; its number stays taken. False when it is published no more."""
    row = locked(connection, version_id)
    if row.state != "published":
        return False
    moment = now(connection)
    for table in (image_tags, image_blobs, manifests, artifacts):
        connection.execute(delete(table).where(table.c.version_id == version_id))
    connection.execute(update(versions).where(versions.c.id == version_id).values(state="removed"))
    if row.yanked_at is None:  # the signed index only grows: there, removed is yanked
        connection.execute(
            insert(index_changes).values(change="yank", version_id=version_id, reason=reason, recorded_at=moment)
        )
    add_used_bytes(connection, row.component_id, -row.size)
    refresh_latest(connection, row.component_id)
    component = connection.execute(
        select(components.c.namespace, components.c.name).where(components.c.id == row.component_id)
    ).one()
    target = f"{component.namespace}/{component.name}@{row.version}"
    audit.record(connection, _ACTOR, "version.remove", target, {"reason": reason})
    return True
