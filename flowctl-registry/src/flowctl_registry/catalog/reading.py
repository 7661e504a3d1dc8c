"""Versions as the API lists them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, select

from flowctl_registry.database.engine import reading
from flowctl_registry.database.tables import artifacts, components, namespaces, subjects, versions
from flowctl_registry.errors import NotFoundError
from flowctl_registry.models.names import Kind
from flowctl_registry.models.version import ListedFile, ListedImage, Source, VersionDocument, Yanked
from flowctl_registry.services import Services


def find_row(connection: Connection, kind: Kind, namespace: str, name: str, reference: str) -> Row[Any]:
    """Row of a published version, with `private` of its namespace; `reference` may be `latest` or have a leading v.

    Raises NotFoundError.
    """
    statement = (
        select(versions, components.c.kind, components.c.namespace, components.c.name, namespaces.c.private)
        .join(components, components.c.id == versions.c.component_id)
        .join(namespaces, namespaces.c.name == components.c.namespace)
        .where(
            components.c.kind == kind,
            components.c.namespace == namespace,
            components.c.name == name,
            versions.c.state == "published",
            versions.c.version == (components.c.latest if reference == "latest" else reference.removeprefix("v")),
        )
    )
    row = connection.execute(statement).one_or_none()
    if row is None:
        what = "version that is not yanked" if reference == "latest" else f"version {reference}"
        raise NotFoundError(f"there is no {kind} {namespace}/{name} with a {what}")
    return row


def find_version(services: Services, kind: Kind, namespace: str, name: str, reference: str) -> int:
    """The id of a published version. Raises NotFoundError."""
    with reading(services.engine) as connection:
        return int(find_row(connection, kind, namespace, name, reference).id)


def version_document(services: Services, version_id: int) -> VersionDocument:
    """A version with its files."""
    with reading(services.engine) as connection:
        row = connection.execute(
            select(versions, components.c.kind, components.c.namespace, components.c.name)
            .join(components, components.c.id == versions.c.component_id)
            .where(versions.c.id == version_id)
        ).one()
        return _document(connection, row)


def find_document(services: Services, kind: Kind, namespace: str, name: str, reference: str) -> VersionDocument:
    """A published version with its files. Raises NotFoundError."""
    with reading(services.engine) as connection:
        return _document(connection, find_row(connection, kind, namespace, name, reference))


def _document(connection: Connection, row: Row[Any]) -> VersionDocument:
    files = connection.execute(
        select(artifacts).where(artifacts.c.version_id == row.id).order_by(artifacts.c.path)
    ).all()
    images: tuple[ListedImage, ...] = ()
    if any(file.kind == "image" for file in files):
        images = _images(connection, row)
    base = f"/v1/{row.kind}s/{row.namespace}/{row.name}/{row.version}/files/"
    listed = [
        ListedFile(
            path=file.path,
            kind=file.kind,
            platform=file.platform,
            digest=file.digest,
            size=file.size,
            media_type=file.media_type,
            url=base + file.path,
        )
        for file in files
    ]

    def of(folder: str) -> tuple[ListedFile, ...]:
        return tuple(file for file in listed if file.path.startswith(folder + "/"))

    return VersionDocument(
        kind=row.kind,
        namespace=row.namespace,
        name=row.name,
        version=row.version,
        prerelease=row.prerelease,
        release_digest=row.release_digest,
        published_at=row.published_at,
        publisher=row.publisher,
        yanked=Yanked(at=row.yanked_at, reason=row.yank_reason) if row.yanked_at else None,
        size=row.size,
        source=Source.model_validate(row.source or {}),
        document=row.document,
        binaries=of("binaries"),
        containers=of("containers"),
        metadata=of("metadata"),
        images=images,
    )


def _images(connection: Connection, row: Row[Any]) -> tuple[ListedImage, ...]:
    named = connection.execute(
        select(subjects.c.name, subjects.c.digest).where(subjects.c.version_id == row.id).order_by(subjects.c.name)
    ).all()
    repository = f"{row.namespace}/{row.name}"
    return tuple(
        ListedImage(
            platform=None if subject.name == "index" else subject.name,
            digest=subject.digest,
            reference=f"{repository}:v{row.version}" if subject.name == "index" else f"{repository}@{subject.digest}",
        )
        for subject in named
        if subject.name == "index" or "/" in subject.name  # the others are files
    )
