"""Versions as the API lists them."""

from __future__ import annotations

from sqlalchemy import select

from flowctl_registry.database.engine import reading
from flowctl_registry.database.tables import artifacts, components, versions
from flowctl_registry.errors import NotFoundError
from flowctl_registry.models.names import Kind
from flowctl_registry.models.version import ListedFile, Source, VersionDocument, Yanked
from flowctl_registry.services import Services


def find_version(services: Services, kind: Kind, namespace: str, name: str, version: str) -> int:
    """The id of a published version. Raises NotFoundError."""
    with reading(services.engine) as connection:
        found = connection.execute(
            select(versions.c.id)
            .join(components, components.c.id == versions.c.component_id)
            .where(
                components.c.kind == kind,
                components.c.namespace == namespace,
                components.c.name == name,
                versions.c.version == version,
                versions.c.state == "published",
            )
        ).scalar_one_or_none()
    if found is None:
        raise NotFoundError(f"there is no {kind} {namespace}/{name} {version}")
    return int(found)


def version_document(services: Services, version_id: int) -> VersionDocument:
    """A version with its files."""
    with reading(services.engine) as connection:
        row = connection.execute(
            select(versions, components.c.kind, components.c.namespace, components.c.name)
            .join(components, components.c.id == versions.c.component_id)
            .where(versions.c.id == version_id)
        ).one()
        files = connection.execute(
            select(artifacts).where(artifacts.c.version_id == version_id).order_by(artifacts.c.path)
        ).all()
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
    )
