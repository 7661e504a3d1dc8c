"""Numbers of what there is. Counting takes a moment in a big registry, so an answer serves for a minute."""

from __future__ import annotations

import threading

from cachetools import TTLCache
from sqlalchemy import Connection, func, select

from flowctl_registry.database.engine import now, reading
from flowctl_registry.database.tables import blobs, components, index_changes, namespaces, versions
from flowctl_registry.models.status import Stats
from flowctl_registry.services import Services

_KEPT_S = 60
_COUNTED: TTLCache[int, Stats] = TTLCache(8, _KEPT_S)
_LOCK = threading.Lock()


def count(services: Services) -> Stats:
    """The numbers of a minute ago at most. Raises UnavailableError."""
    with _LOCK:
        found = _COUNTED.get(id(services))
        if found is None:
            with reading(services.engine) as connection:
                found = _COUNTED[id(services)] = _count(connection)
        return found


def _count(connection: Connection) -> Stats:
    published = versions.c.state == "published"
    kinds = {
        row.kind: row
        for row in connection.execute(
            select(
                components.c.kind,
                func.count(func.distinct(components.c.id)).label("components"),
                func.count().label("versions"),
                func.count(versions.c.yanked_at).label("yanked"),
            )
            .join(versions, versions.c.component_id == components.c.id)
            .where(published)
            .group_by(components.c.kind)
        )
    }

    def one(statement: object) -> int:
        return int(connection.execute(statement).scalar_one() or 0)  # type: ignore[call-overload]

    return Stats(
        namespaces=one(select(func.count()).select_from(namespaces)),
        components=kinds["component"].components if "component" in kinds else 0,
        bundles=kinds["bundle"].components if "bundle" in kinds else 0,
        versions=sum(row.versions for row in kinds.values()),
        yanked=sum(row.yanked for row in kinds.values()),
        downloads=one(select(func.sum(components.c.downloads))),
        blobs=one(select(func.count()).select_from(blobs)),
        blob_bytes=one(select(func.sum(blobs.c.size))),
        index_waiting=one(select(func.count()).where(index_changes.c.done_at.is_(None))),
        counted_at=now(connection),
    )
