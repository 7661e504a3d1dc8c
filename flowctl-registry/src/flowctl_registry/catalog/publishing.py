"""From an upload to a published version: recorded, signed, visible. Each step finds its own work done.

    all stored ─► pending (unique, invisible, its subjects recorded) ─► signed ─► published (visible, in the outbox
    of the signed index) ─► indexed

A process that is killed leaves the version in one of these states; `commit` again goes on from there.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import DataError, IntegrityError

from flowctl_registry import audit
from flowctl_registry.blobs import claims
from flowctl_registry.catalog import uploads
from flowctl_registry.catalog.contents import Contents, read_contents
from flowctl_registry.catalog.quota import check_quota
from flowctl_registry.catalog.visible import publish_pending
from flowctl_registry.database.build_tables import materials
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
from flowctl_registry.models.upload import UploadedFile
from flowctl_registry.services import Services
from flowctl_registry.settings import Limits

_LOG = logging.getLogger(__name__)
_ATTEMPTS = 5


@dataclass(frozen=True)
class Release:
    """What is being published."""

    key: uploads.Key
    version: str
    publisher: str
    size: int
    """Bytes of all its blobs, each counted once."""


def commit(services: Services, key: uploads.Key, actor: str, request_id: str | None = None) -> int:
    """Publish an upload; returns the version's id. Again gives the same answer.

    Raises NotFoundError, ConflictError for another release of that version, InvalidReleaseError, QuotaError,
    UnavailableError.
    """
    with reading(services.engine) as connection:
        version, publisher, files = uploads.files_of(connection, key)
        _complete(connection, key, files)
    limit = services.settings.limits.document_bytes
    contents = read_contents(key.kind, key.name, version, files, lambda digest: services.blobs.read(digest, limit))
    release = Release(key, version, publisher, sum({file.digest: file.size for file in files}.values()))
    version_id, state = _recorded(services, release, files, contents)
    if state == "pending":
        services.signer.sign(version_id)
        detail = {"release": contents.release_digest}
        target = f"{key.namespace}/{key.name}@{version}"
        publish_pending(
            services, version_id, lambda c: audit.record(c, actor, "version.publish", target, detail, request_id)
        )
    writing(services.engine, lambda connection: uploads.settle(connection, key))
    update_index(services)
    return version_id


def update_index(services: Services) -> None:
    """Let the signed index learn what changed; when it cannot now, the outbox waits for the next time."""
    try:
        services.signer.update_index()
    except UnavailableError as error:
        _LOG.warning("the signed index is behind: %s", error.message)


def _complete(connection: Connection, key: uploads.Key, files: tuple[UploadedFile, ...]) -> None:
    digests = {file.digest for file in files}
    missing = digests - claims.usable(connection, key.id, key.namespace, digests)
    if missing:
        raise InvalidReleaseError(
            f"{len(missing)} blobs are missing, among them {min(missing)}", hint="Send them, then commit again."
        )


def _recorded(
    services: Services, release: Release, files: tuple[UploadedFile, ...], contents: Contents
) -> tuple[int, str]:
    def change(connection: Connection) -> tuple[int, str]:
        claims.guard(connection)
        _complete(connection, release.key, files)
        return _record(connection, services.settings.limits, release, contents)

    for _ in range(_ATTEMPTS):
        try:
            return writing(services.engine, change)
        except IntegrityError as error:  # another commit was first with a row that both made: look at it
            last = error
        except DataError:
            raise InvalidReleaseError("the release's texts have characters or lengths that are not taken") from None
    raise UnavailableError("others publish in this component all the time", hint="Try again.") from last


def _record(connection: Connection, limits: Limits, release: Release, contents: Contents) -> tuple[int, str]:
    """The version's id and state; a new one is pending."""
    key, version = release.key, release.version
    component_id = _component(connection, key, contents)
    known = connection.execute(
        select(versions.c.id, versions.c.state, versions.c.release_digest).where(
            versions.c.component_id == component_id, versions.c.version == version
        )
    ).one_or_none()
    if known is not None:
        _same(key, version, known, contents)
        return known.id, known.state
    upload = {"kind": key.kind, "name": key.name, "version": version}
    check_quota(connection, limits, key.namespace, release.size, upload)
    moment = now(connection)
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
            type=contents.type,
            language=contents.language,
            description=contents.description,
            labels=contents.labels,
            image=contents.image,
            size=release.size,
            publisher=release.publisher,
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
    if contents.materials:
        made_of = [{"version_id": version_id, **vars(each)} for each in contents.materials]
        connection.execute(insert(materials), made_of)
    return version_id, "pending"


def _same(key: uploads.Key, version: str, known: Any, contents: Contents) -> None:
    name = f"{key.namespace}/{key.name} {version}"
    if known.state == "removed":
        raise ConflictError(f"{name} was removed", hint="A version means one thing for ever: publish a new one.")
    if known.release_digest != contents.release_digest:
        raise ConflictError(
            f"{name} exists with other contents", hint="A version means one thing for ever: publish a new one."
        )


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
