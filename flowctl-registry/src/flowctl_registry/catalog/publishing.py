"""From an upload to a published version: recorded, signed, visible. Each step finds its own work done.

    all stored ─► pending (unique, invisible, its subjects recorded) ─► signed ─► published (visible, in the outbox
    of the signed index) ─► indexed

A process that is killed leaves the version in one of these states; `commit` again goes on from there.
"""

from __future__ import annotations

import logging
from typing import Any

from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import IntegrityError

from flowctl_registry.catalog import uploads
from flowctl_registry.catalog.contents import Contents, read_contents
from flowctl_registry.catalog.visible import publish_pending
from flowctl_registry.database.engine import now, reading, writing
from flowctl_registry.database.tables import (
    artifacts,
    components,
    image_blobs,
    manifests,
    namespaces,
    subjects,
    versions,
)
from flowctl_registry.errors import ConflictError, InvalidReleaseError, NotFoundError, UnavailableError
from flowctl_registry.services import Services

_LOG = logging.getLogger(__name__)


def commit(services: Services, key: uploads.Key) -> int:
    """Publish an upload; returns the version's id. Again gives the same answer.

    Raises NotFoundError, ConflictError for another release of that version, InvalidReleaseError, UnavailableError.
    """
    with reading(services.engine) as connection:
        version, publisher, files = uploads.files_of(connection, key)
        present = uploads.present_blobs(connection, {file.digest for file in files})
    missing = {file.digest for file in files} - present
    if missing:
        raise InvalidReleaseError(f"{len(missing)} blobs are missing, among them {min(missing)}")
    limit = services.settings.limits.document_bytes
    contents = read_contents(key.kind, key.name, version, files, lambda digest: services.blobs.read(digest, limit))
    size = sum({file.digest: file.size for file in files}.values())
    try:
        version_id, state = writing(
            services.engine, lambda connection: _record(connection, key, version, publisher, contents, size)
        )
    except IntegrityError as error:
        raise ConflictError(
            "somebody else publishes this version right now, or a blob was collected", hint="Try again."
        ) from error
    if state == "pending":
        services.signer.sign(version_id)
        publish_pending(services, version_id, contents)
    try:
        services.signer.update_index()
    except UnavailableError as error:
        _LOG.warning("the signed index is behind: %s", error.message)
    return version_id


def _record(
    connection: Connection, key: uploads.Key, version: str, publisher: str, contents: Contents, size: int
) -> tuple[int, str]:
    """The version's id and state; a new one is pending."""
    moment = now(connection)
    component_id = _component(connection, key, contents)
    known = connection.execute(
        select(versions.c.id, versions.c.state, versions.c.release_digest).where(
            versions.c.component_id == component_id, versions.c.version == version
        )
    ).one_or_none()
    if known is not None:
        if known.release_digest != contents.release_digest:
            raise ConflictError(
                f"{key.namespace}/{key.name} {version} exists with other contents",
                hint="A version means one thing for ever: publish a new one.",
            )
        return known.id, known.state
    version_id: int = connection.execute(
        insert(versions)
        .values(
            component_id=component_id,
            version=version,
            prerelease="-" in version,
            state="pending",
            release_digest=contents.release_digest,
            document=contents.document,
            source=contents.source,
            size=size,
            publisher=publisher,
            created_at=moment,
        )
        .returning(versions.c.id)
    ).scalar_one()
    rows: list[dict[str, Any]] = [{"version_id": version_id, **vars(each)} for each in contents.artifacts]
    connection.execute(insert(artifacts), rows)
    connection.execute(
        insert(subjects),
        [
            {"version_id": version_id, "name": name, "digest": digest, "recorded_at": moment}
            for name, digest in contents.subjects.items()
        ],
    )
    _images(connection, component_id, version_id, contents)
    return version_id, "pending"


def _component(connection: Connection, key: uploads.Key, contents: Contents) -> int:
    found = connection.execute(
        select(components.c.id).where(
            components.c.kind == key.kind, components.c.namespace == key.namespace, components.c.name == key.name
        )
    ).scalar_one_or_none()
    if found is not None:
        return int(found)
    if connection.execute(select(namespaces.c.name).where(namespaces.c.name == key.namespace)).one_or_none() is None:
        raise NotFoundError(
            f"there is no namespace {key.namespace}", hint="Its owner makes it: `flowctl-registry namespace create`."
        )
    moment = now(connection)
    return int(
        connection.execute(
            insert(components)
            .values(
                kind=key.kind,
                namespace=key.namespace,
                name=key.name,
                type=contents.type,
                language=contents.language,
                description=contents.description,
                created_at=moment,
                updated_at=moment,
            )
            .returning(components.c.id)
        ).scalar_one()
    )


def _images(connection: Connection, component_id: int, version_id: int, contents: Contents) -> None:
    if not contents.manifests:
        return
    owner = {"component_id": component_id, "version_id": version_id}
    connection.execute(insert(manifests), [{**owner, **vars(each)} for each in contents.manifests])
    wanted = {digest for each in contents.manifests for digest in (each.digest, *each.references)}
    connection.execute(insert(image_blobs), [{**owner, "digest": digest} for digest in sorted(wanted)])
