"""Which blob a download means."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cachetools import TTLCache
from sqlalchemy import Connection, Row, select

from flowctl_registry.catalog.reading import find_row
from flowctl_registry.database.engine import reading
from flowctl_registry.database.tables import artifacts, manifests, subjects
from flowctl_registry.errors import BadRequestError, NotFoundError
from flowctl_registry.models.download import DownloadQuery
from flowctl_registry.models.names import Kind
from flowctl_registry.services import Services

_COUNTED = ("binary", "library")


@dataclass(frozen=True)
class FoundFile:
    """A file of a published version."""

    component_id: int
    version: str
    path: str
    digest: str
    size: int
    media_type: str
    private: bool
    """Its namespace is; shared caches must not keep it."""
    counted: bool
    """It counts as a download of the component."""


class RecentFiles:
    """What was found lately, for a few seconds: a published version does not change, but it may be removed.

    Where the database tells that it is unchanged (DataVersion), what was found before a change is not found after it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: TTLCache[Any, FoundFile] = TTLCache(maxsize=10_000, ttl=5)

    def get(
        self, key: tuple[Any, ...], find: Callable[..., FoundFile], services: Services, version: int | None = None
    ) -> FoundFile:
        """What `find(services, *key)` gives, or gave; `key` ends with the reference and the path or query."""
        if key[-2] == "latest":
            return find(services, *key)
        with self._lock:
            known = self._found.get((version, find, *key))
        if known is None:
            known = find(services, *key)
            with self._lock:
                self._found[(version, find, *key)] = known
        return known


def find_path(services: Services, kind: Kind, namespace: str, name: str, reference: str, path: str) -> FoundFile:
    """A file by its path in `dist/`. Raises NotFoundError."""
    with reading(services.engine) as connection:
        version = find_row(connection, kind, namespace, name, reference)
        row = connection.execute(
            select(artifacts).where(artifacts.c.version_id == version.id, artifacts.c.path == path)
        ).one_or_none()
    if row is None:
        raise NotFoundError(
            f"{namespace}/{name} {version.version} has no such file", hint="The version lists its files."
        )
    return _found(version, row.path, row.digest, row.size, row.media_type, row.kind in _COUNTED)


def find_target(
    services: Services, kind: Kind, namespace: str, name: str, reference: str, query: DownloadQuery
) -> FoundFile:
    """The one file that a query means. Raises NotFoundError, BadRequestError when there are several."""
    with reading(services.engine) as connection:
        version = find_row(connection, kind, namespace, name, reference)
        if query.target == "image":
            return _image(connection, version, query.platform or "index")
        rows = connection.execute(
            select(artifacts)
            .where(artifacts.c.version_id == version.id, artifacts.c.kind == query.target)
            .order_by(artifacts.c.path)
        ).all()
    fitting = [
        row
        for row in rows
        if query.platform in (None, row.platform) and query.name in (None, row.path.rpartition("/")[2])
    ]
    if not fitting:
        wanted = " for ".join(filter(None, (query.target, query.platform)))
        raise NotFoundError(f"{namespace}/{name} {version.version} has no {wanted}", hint=_alternatives(rows))
    if len(fitting) > 1:
        raise BadRequestError(f"{len(fitting)} files are meant", hint=_alternatives(fitting))
    (row,) = fitting
    return _found(version, row.path, row.digest, row.size, row.media_type, row.kind in _COUNTED)


def _image(connection: Connection, version: Row[Any], platform: str) -> FoundFile:
    row = connection.execute(
        select(manifests.c.digest, manifests.c.size, manifests.c.media_type)
        .join(subjects, (subjects.c.version_id == manifests.c.version_id) & (subjects.c.digest == manifests.c.digest))
        .where(manifests.c.version_id == version.id, subjects.c.name == platform)
    ).first()
    if row is None:
        raise NotFoundError("there is no such image", hint="The version lists its images.")
    return _found(version, f"{platform.replace('/', '-')}.json", row.digest, row.size, row.media_type, False)


def _found(version: Row[Any], path: str, digest: str, size: int, media_type: str, counted: bool) -> FoundFile:
    return FoundFile(
        version.component_id, version.version, path, digest, size, media_type, bool(version.private), counted
    )


def _alternatives(rows: list[Row[Any]] | Any) -> str:
    told = [
        f"name={row.path.rpartition('/')[2]}" + (f"&platform={row.platform}" if row.platform else "")
        for row in rows[:10]
    ]
    return f"There is {', '.join(told)}" if told else "The version lists its files."
