"""Uploads that are not committed: what they need is claimed, so that gc leaves it alone."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection, delete, insert, select, update

from flowctl_registry.blobs.claims import claim, guard, may_write, note_sent, record, release, usable
from flowctl_registry.catalog.quota import check_quota
from flowctl_registry.database.engine import now, reading, writing
from flowctl_registry.database.tables import claims, uploads
from flowctl_registry.errors import BadRequestError, NotFoundError, TooLargeError
from flowctl_registry.models.names import Kind
from flowctl_registry.models.upload import Upload, UploadedFile, UploadRequest
from flowctl_registry.services import Services
from flowctl_registry.settings import Limits


@dataclass(frozen=True)
class Key:
    """Names an upload; the id alone must not open another component's."""

    kind: Kind
    namespace: str
    name: str
    id: str


def begin(services: Services, kind: Kind, namespace: str, name: str, asked: UploadRequest, publisher: str) -> Upload:
    """Record an upload and claim all its blobs. Raises BadRequestError, TooLargeError, NotFoundError, QuotaError."""
    limits = services.settings.limits
    size = check(asked, limits)
    key = Key(kind, namespace, name, secrets.token_urlsafe(24))

    def change(connection: Connection) -> Upload:
        guard(connection)
        check_quota(connection, limits, namespace, size, {"kind": kind, "name": name, "version": asked.version})
        moment = now(connection)
        connection.execute(
            insert(uploads).values(
                id=key.id,
                kind=kind,
                namespace=namespace,
                name=name,
                version=asked.version,
                files=[file.model_dump() for file in asked.files],
                size=size,
                publisher=publisher,
                created_at=moment,
                expires_at=moment + timedelta(seconds=limits.upload_ttl_s),
            )
        )
        claim(connection, key.id, {file.digest for file in asked.files}, limits.upload_ttl_s)
        return _shown(connection, key)

    return writing(services.engine, change)


def check(asked: UploadRequest, limits: Limits) -> int:
    """Bytes of what was announced. Raises BadRequestError, TooLargeError."""
    if len(asked.files) > limits.release_files:
        raise TooLargeError(f"the release has {len(asked.files)} files, {limits.release_files} are taken")
    if len({file.path for file in asked.files}) != len(asked.files):
        raise BadRequestError("two files have the same path")
    sizes: dict[str, int] = {}
    for file in asked.files:
        if sizes.setdefault(file.digest, file.size) != file.size:
            raise BadRequestError(f"{file.digest} is said to have two sizes")
        if file.size > limits.blob_bytes:
            raise TooLargeError(f"{file.path} has {file.size} bytes, {limits.blob_bytes} are taken")
    if sum(sizes.values()) > limits.release_bytes:
        raise TooLargeError(f"the release has {sum(sizes.values())} bytes, {limits.release_bytes} are taken")
    return sum(sizes.values())


def show(services: Services, key: Key) -> Upload:
    """What an upload still misses. Raises NotFoundError."""
    with reading(services.engine) as connection:
        return _shown(connection, key)


def files_of(connection: Connection, key: Key) -> tuple[str, str, tuple[UploadedFile, ...]]:
    """Version, publisher and files of an upload that has not expired. Raises NotFoundError."""
    row = connection.execute(
        select(uploads.c.version, uploads.c.publisher, uploads.c.files).where(
            uploads.c.id == key.id,
            uploads.c.kind == key.kind,
            uploads.c.namespace == key.namespace,
            uploads.c.name == key.name,
            uploads.c.expires_at > now(connection),
        )
    ).one_or_none()
    if row is None:
        raise NotFoundError("there is no such upload", hint="It may have expired; begin again.")
    return row.version, row.publisher, tuple(UploadedFile.model_validate(each) for each in row.files)


def _shown(connection: Connection, key: Key) -> Upload:
    version, _, files = files_of(connection, key)
    present = usable(connection, key.id, key.namespace, {file.digest for file in files})
    expires = connection.execute(select(uploads.c.expires_at).where(uploads.c.id == key.id)).scalar_one()
    missing = tuple(dict.fromkeys(file.digest for file in files if file.digest not in present))
    return Upload(
        id=key.id,
        kind=key.kind,
        namespace=key.namespace,
        name=key.name,
        version=version,
        missing=missing,
        expires_at=expires,
    )


def wanted(services: Services, key: Key, digest: str) -> int:
    """The size of a blob that an upload announced and may send now; its claims are renewed.

    Raises NotFoundError, UnavailableError.
    """

    def change(connection: Connection) -> int:
        guard(connection)
        _, _, files = files_of(connection, key)
        sizes = {file.digest: file.size for file in files}
        if digest not in sizes:
            raise NotFoundError(f"the upload has not announced {digest}")
        may_write(connection, digest)
        _renew(connection, key, services.settings.limits.upload_ttl_s)
        return sizes[digest]

    return writing(services.engine, change)


def stored(services: Services, key: Key, digest: str, size: int) -> None:
    """Record that a blob is in the store. Raises NotFoundError when the upload is gone, UnavailableError."""

    def change(connection: Connection) -> None:
        guard(connection)
        files_of(connection, key)
        record(connection, digest, size)
        note_sent(connection, key.id, digest)
        _renew(connection, key, services.settings.limits.upload_ttl_s)

    writing(services.engine, change)


def _renew(connection: Connection, key: Key, ttl_s: float) -> None:
    """Seldom: an upload of 2,000 files has as many claims."""
    moment = now(connection)
    expires = moment + timedelta(seconds=ttl_s)
    old = connection.execute(select(uploads.c.expires_at).where(uploads.c.id == key.id)).scalar_one()
    if old < moment + timedelta(seconds=ttl_s * 0.75):
        connection.execute(update(uploads).where(uploads.c.id == key.id).values(expires_at=expires))
        connection.execute(update(claims).where(claims.c.holder == key.id).values(expires_at=expires))


def settle(connection: Connection, key: Key) -> None:
    """What was published needs no claims; the upload itself stays a while, so that `commit` can be asked again."""
    release(connection, key.id)
    connection.execute(update(uploads).where(uploads.c.id == key.id).values(size=0))


def abandon(services: Services, key: Key) -> None:
    """Forget an upload. Raises NotFoundError."""

    def change(connection: Connection) -> None:
        guard(connection)
        files_of(connection, key)
        release(connection, key.id)
        connection.execute(delete(uploads).where(uploads.c.id == key.id))

    writing(services.engine, change)
