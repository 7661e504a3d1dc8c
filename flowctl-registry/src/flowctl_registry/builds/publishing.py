"""The last step of a build: its files become a version, by the way that uploads take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Row

from flowctl_registry.blobs import claims
from flowctl_registry.catalog import publishing, uploads
from flowctl_registry.catalog.uploads import Key
from flowctl_registry.database.engine import now, writing
from flowctl_registry.database.tables import uploads as upload_rows
from flowctl_registry.database.upsert import insertion_into
from flowctl_registry.models.upload import UploadedFile, UploadRequest
from flowctl_registry.services import Services


def publish(services: Services, build: Row[Any], version: str, files: Iterable[Mapping[str, Any]]) -> int:
    """Publish what a build has made and claims; the version's id. Again gives the same answer.

    The upload is called as the build is, which so holds the claims of both. Raises what `commit` raises.
    """
    key = Key(build.kind, build.namespace, build.name, build.id)
    asked = UploadRequest(version=version, files=tuple(UploadedFile.model_validate(each) for each in files))
    size = uploads.check(asked, services.settings.limits)
    ttl_s = services.settings.limits.upload_ttl_s

    def announce(connection: Connection) -> None:
        claims.guard(connection)
        moment = now(connection)
        insertion = insertion_into(connection, upload_rows).values(
            id=key.id,
            kind=key.kind,
            namespace=key.namespace,
            name=key.name,
            version=version,
            files=[file.model_dump() for file in asked.files],
            size=size,
            publisher=build.requested_by,
            created_at=moment,
            expires_at=moment + timedelta(seconds=ttl_s),
        )
        connection.execute(insertion.on_conflict_do_nothing(index_elements=["id"]))

    writing(services.engine, announce)
    return publishing.commit(services, key, build.requested_by, f"build {build.id}")
