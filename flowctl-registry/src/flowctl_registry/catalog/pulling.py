"""What the distribution API may hand out of a repository `namespace/name`: only what a published version has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, delete, insert, select

from flowctl_registry.catalog.images import MANIFEST_TYPE
from flowctl_registry.database.tables import blobs, components, image_blobs, image_tags, manifests, namespaces, versions
from flowctl_registry.errors import BlobUnknownError, ManifestUnknownError, NotFoundError

LATEST = "latest"


@dataclass(frozen=True)
class Repository:
    """A component whose images are pulled."""

    component_id: int
    private: bool
    """Shared caches must not keep what comes of it."""


@dataclass(frozen=True)
class Descriptor:
    """What is pulled."""

    digest: str
    size: int
    """Bytes."""
    media_type: str
    is_image: bool = False
    """The image of a platform: neither an index nor what refers to an image."""


def find_repository(connection: Connection, namespace: str, name: str) -> Repository:
    """Raises NotFoundError for a component without a published version."""
    row = connection.execute(
        select(components.c.id, namespaces.c.private)
        .join(namespaces, namespaces.c.name == components.c.namespace)
        .where(
            components.c.kind == "component",
            components.c.namespace == namespace,
            components.c.name == name,
            select(versions.c.id)
            .where(versions.c.component_id == components.c.id, versions.c.state == "published")
            .exists(),
        )
    ).one_or_none()
    if row is None:
        raise NotFoundError(f"there is no repository {namespace}/{name}")
    return Repository(row.id, row.private)


def find_manifest(connection: Connection, repository: Repository, reference: str) -> Descriptor:
    """By tag or digest. Raises ManifestUnknownError."""
    digest: str | None = reference
    if not reference.startswith("sha256:"):
        digest = connection.execute(
            select(image_tags.c.digest).where(
                image_tags.c.component_id == repository.component_id, image_tags.c.tag == reference
            )
        ).scalar_one_or_none()
    row = connection.execute(
        _published(select(manifests), manifests)
        .where(manifests.c.component_id == repository.component_id, manifests.c.digest == digest)
        .limit(1)
    ).one_or_none()
    if row is None:
        raise ManifestUnknownError(f"there is no image {reference} in this repository")
    image = row.media_type == MANIFEST_TYPE and row.subject is None
    return Descriptor(row.digest, row.size, row.media_type, image)


def find_blob(connection: Connection, repository: Repository, digest: str) -> Descriptor:
    """A layer, configuration or manifest of the repository. Raises BlobUnknownError."""
    size = connection.execute(
        _published(select(blobs.c.size).join(image_blobs, image_blobs.c.digest == blobs.c.digest), image_blobs)
        .where(image_blobs.c.component_id == repository.component_id, image_blobs.c.digest == digest)
        .limit(1)
    ).scalar_one_or_none()
    if size is None:
        raise BlobUnknownError(f"there is no blob {digest} in this repository")
    return Descriptor(digest, size, "application/octet-stream")


def list_tags(connection: Connection, repository: Repository, limit: int, after: str | None) -> tuple[list[str], bool]:
    """Tags in the order of their bytes, behind `after`; and whether there are more."""
    asked = select(image_tags.c.tag).where(image_tags.c.component_id == repository.component_id)
    if after is not None:
        asked = asked.where(image_tags.c.tag > after)
    found = list(connection.execute(asked.order_by(image_tags.c.tag).limit(limit + 1)).scalars())
    return found[:limit], len(found) > limit


def list_referrers(
    connection: Connection, repository: Repository, subject: str, artifact_type: str | None
) -> list[dict[str, Any]]:
    """Descriptors of the manifests that are about `subject`, as an image index has them; all, or of one type."""
    asked = _published(select(manifests), manifests).where(
        manifests.c.component_id == repository.component_id, manifests.c.subject == subject
    )
    if artifact_type is not None:
        asked = asked.where(manifests.c.artifact_type == artifact_type)
    found: dict[str, dict[str, Any]] = {}
    for row in connection.execute(asked.order_by(manifests.c.digest)):
        found[row.digest] = {
            "mediaType": row.media_type,
            "digest": row.digest,
            "size": row.size,
            **({"artifactType": row.artifact_type} if row.artifact_type else {}),
            **({"annotations": row.annotations} if row.annotations else {}),
        }
    return list(found.values())


def tag_latest(connection: Connection, component_id: int, version_id: int | None) -> None:
    """Let `latest` be the image of a version; without one, or without an image of it, there is no such tag."""
    tagged = image_tags.c.component_id == component_id
    connection.execute(delete(image_tags).where(tagged, image_tags.c.tag == LATEST))
    if version_id is None:
        return
    digest = connection.execute(
        select(image_tags.c.digest).where(tagged, image_tags.c.version_id == version_id).limit(1)
    ).scalar_one_or_none()
    if digest is not None:
        connection.execute(
            insert(image_tags).values(component_id=component_id, tag=LATEST, digest=digest, version_id=version_id)
        )


def _published(asked: Select[Any], table: Any) -> Select[Any]:
    return asked.join(versions, versions.c.id == table.c.version_id).where(versions.c.state == "published")
