"""Whether the rows of the catalog agree with one another."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, exists, func, select, text, update

from flowctl_core.models.published import REGISTRY_FOLDER
from flowctl_registry.catalog.contents import release_digest
from flowctl_registry.catalog.visible import order, refresh_latest
from flowctl_registry.database.engine import writing
from flowctl_registry.database.tables import (
    artifacts,
    components,
    image_blobs,
    image_tags,
    index_changes,
    manifests,
    namespaces,
    versions,
)
from flowctl_registry.models.maintenance import Finding
from flowctl_registry.models.upload import UploadedFile
from flowctl_registry.services import Services
from flowctl_registry.signer.subjects import ATTESTATION


def find(connection: Connection) -> list[Finding]:
    """All contradictions of one moment; the connection is a snapshot."""
    return [
        *_contents(connection),
        *_images(connection),
        *_latest(connection),
        *_search(connection),
        *_used(connection),
    ]


def _contents(connection: Connection) -> Iterator[Finding]:
    rows = connection.execute(
        select(versions, components.c.kind, components.c.namespace, components.c.name)
        .join(components, components.c.id == versions.c.component_id)
        .where(versions.c.state.in_(("pending", "published")))
        .order_by(versions.c.id)
    )
    for row in rows.yield_per(200):
        name = f"{row.kind} {row.namespace}/{row.name} {row.version}"
        files = connection.execute(
            select(artifacts.c.path, artifacts.c.digest, artifacts.c.size).where(
                artifacts.c.version_id == row.id,
                artifacts.c.path != ATTESTATION,
                ~artifacts.c.path.startswith(REGISTRY_FOLDER, autoescape=True),
            )
        ).all()
        found = release_digest(
            tuple(UploadedFile.model_construct(path=file.path, digest=file.digest, size=file.size) for file in files)
        )
        if found != row.release_digest:
            yield Finding(kind="version", target=name, detail="its files are not those that were published")
        if (
            row.state == "published"
            and not connection.execute(
                select(exists().where(index_changes.c.version_id == row.id, index_changes.c.change == "publish"))
            ).scalar_one()
        ):
            yield Finding(kind="index", target=name, detail="the signed index was never told of it")


def _images(connection: Connection) -> Iterator[Finding]:
    dangling = connection.execute(
        select(image_tags.c.tag, image_tags.c.digest, components.c.namespace, components.c.name)
        .join(components, components.c.id == image_tags.c.component_id)
        .where(
            ~exists().where(
                manifests.c.component_id == image_tags.c.component_id, manifests.c.digest == image_tags.c.digest
            )
        )
    ).all()
    for row in dangling:
        name = f"component {row.namespace}/{row.name} {row.tag}"
        yield Finding(kind="image", target=name, detail=f"the tag leads to {row.digest}, which is no manifest")
    for row in connection.execute(select(manifests).order_by(manifests.c.version_id)).yield_per(500):
        wanted = set(row.references)
        query = select(image_blobs.c.digest).where(
            image_blobs.c.version_id == row.version_id, image_blobs.c.digest.in_(wanted)
        )
        for digest in sorted(wanted - set(connection.execute(query).scalars())):
            yield Finding(kind="image", target=row.digest, detail=f"the manifest refers to {digest}, which it lacks")


def _latest(connection: Connection) -> Iterator[Finding]:
    rows = connection.execute(
        select(versions.c.component_id, versions.c.version).where(
            versions.c.state == "published", versions.c.yanked_at.is_(None)
        )
    )
    newest: dict[int, str] = {}
    for row in rows:
        before = newest.get(row.component_id)
        if before is None or order(row.version) > order(before):
            newest[row.component_id] = row.version
    for row in connection.execute(select(components)):
        if row.latest != newest.get(row.id):
            yield Finding(
                kind="latest",
                target=f"{row.kind} {row.namespace}/{row.name}",
                detail=f"shows {row.latest} as the newest version, not {newest.get(row.id)}",
            )


def _search(connection: Connection) -> Iterator[Finding]:
    key = "rowid" if connection.dialect.name == "sqlite" else "component_id"
    indexed = set(connection.execute(text(f"SELECT {key} FROM component_search")).scalars())  # noqa: S608 - a name of ours
    for row in connection.execute(select(components)):
        if (row.id in indexed) != (row.latest is not None):
            detail = "the search shows it" if row.id in indexed else "the search does not find it"
            yield Finding(kind="search", target=f"{row.kind} {row.namespace}/{row.name}", detail=detail)


def _used(connection: Connection) -> Iterator[Finding]:
    rows = connection.execute(select(namespaces.c.name, namespaces.c.used_bytes)).all()
    for row in rows:
        used = _used_bytes(connection, row.name)
        if used != row.used_bytes:
            detail = f"counts {row.used_bytes} bytes, its versions have {used}"
            yield Finding(kind="used-bytes", target=f"namespace {row.name}", detail=detail)


def _used_bytes(connection: Connection, namespace: str) -> int:
    return int(
        connection.execute(
            select(func.coalesce(func.sum(versions.c.size), 0))
            .join(components, components.c.id == versions.c.component_id)
            .where(components.c.namespace == namespace, versions.c.state == "published")
        ).scalar_one()
    )


def repair(services: Services, finding: Finding) -> Finding:
    """Correct what can be derived from other rows; other findings stay as they are."""
    kind, _, name = finding.target.partition(" ")
    if finding.kind not in ("latest", "search", "used-bytes"):
        return finding

    def change(connection: Connection) -> None:
        if finding.kind == "used-bytes":
            connection.execute(select(namespaces.c.name).where(namespaces.c.name == name).with_for_update())
            used = _used_bytes(connection, name)
            connection.execute(update(namespaces).where(namespaces.c.name == name).values(used_bytes=used))
            return
        namespace, _, component = name.partition("/")
        found = connection.execute(
            select(components.c.id)
            .where(components.c.kind == kind, components.c.namespace == namespace, components.c.name == component)
            .with_for_update()
        ).scalar_one_or_none()
        if found is not None:
            refresh_latest(connection, found)

    writing(services.engine, change)
    return finding.model_copy(update={"repaired": True})
