"""What the database recorded of a version: the only things that the signer signs."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, select

from flowctl_core.models.published import REGISTRY_STATEMENT
from flowctl_registry.database.build_tables import builds
from flowctl_registry.database.tables import artifacts, components, manifests, subjects, uploads, versions
from flowctl_registry.errors import ConflictError, NotFoundError

ATTESTATION = REGISTRY_STATEMENT
"""Path of the registry's own attestation among a version's files."""


@dataclass(frozen=True)
class Image:
    """A manifest or index that is a subject."""

    name: str
    digest: str
    media_type: str
    size: int


@dataclass(frozen=True)
class Recorded:
    """A version that is to be signed."""

    version_id: int
    component_id: int
    namespace: str
    name: str
    version: str
    release_digest: str
    subjects: dict[str, str]
    """Name to digest."""
    images: tuple[Image, ...]
    documents: dict[str, str]
    """Path of each file in `metadata/`, and its digest."""
    built: bool
    """True: a component that a build of this registry makes, so the registry says how."""


def is_signed(connection: Connection, version_id: int) -> bool:
    """Whether the attestation is recorded."""
    found = connection.execute(
        select(artifacts.c.digest).where(artifacts.c.version_id == version_id, artifacts.c.path == ATTESTATION)
    ).one_or_none()
    return found is not None


def read_recorded(connection: Connection, version_id: int) -> Recorded:
    """A pending version.

    Raises NotFoundError, ConflictError for one that is pending no more, has no subjects, or whose subjects are none
    of its files and images.
    """
    row = connection.execute(
        select(
            versions.c.component_id,
            versions.c.version,
            versions.c.state,
            versions.c.release_digest,
            components.c.kind,
            components.c.namespace,
            components.c.name,
        )
        .join(components, components.c.id == versions.c.component_id)
        .where(versions.c.id == version_id)
    ).one_or_none()
    if row is None:
        raise NotFoundError(f"there is no version {version_id}")
    if row.state != "pending":
        raise ConflictError(f"version {version_id} is {row.state}, only pending ones are signed")
    found = {
        each.name: each.digest
        for each in connection.execute(
            select(subjects.c.name, subjects.c.digest)
            .where(subjects.c.version_id == version_id)
            .order_by(subjects.c.name)
        )
    }
    paths = connection.execute(
        select(artifacts.c.path, artifacts.c.digest).where(artifacts.c.version_id == version_id)
    ).all()
    files = {each.digest for each in paths}
    listed = {
        each.digest: each
        for each in connection.execute(
            select(manifests.c.digest, manifests.c.media_type, manifests.c.size).where(
                manifests.c.version_id == version_id, manifests.c.digest.in_(sorted(set(found.values())))
            )
        )
    }
    strange = sorted(name for name, digest in found.items() if digest not in files and digest not in listed)
    if not found or strange:
        raise ConflictError(f"version {version_id} has {'no subjects' if not found else f'no file for {strange[0]}'}")
    images = tuple(
        Image(name, digest, listed[digest].media_type, listed[digest].size)
        for name, digest in found.items()
        if digest in listed
    )
    return Recorded(
        version_id,
        row.component_id,
        row.namespace,
        row.name,
        row.version,
        row.release_digest,
        found,
        images,
        {each.path: each.digest for each in paths if each.path.startswith("metadata/")},
        _is_built(connection, row.kind, row.namespace, row.name, row.version),
    )


def _is_built(connection: Connection, kind: str, namespace: str, name: str, version: str) -> bool:
    """Whether it comes of a running build: a build's upload has the build's id, which no client chooses."""
    if kind != "component":
        return False
    found = connection.execute(
        select(builds.c.id)
        .join(uploads, uploads.c.id == builds.c.id)
        .where(
            builds.c.kind == kind,
            builds.c.namespace == namespace,
            builds.c.name == name,
            builds.c.state == "running",
            uploads.c.version == version,
        )
    ).first()
    return found is not None
