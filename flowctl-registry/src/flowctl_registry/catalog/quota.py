"""What a namespace may store."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, func, select

from flowctl_registry.database.engine import now
from flowctl_registry.database.tables import components, namespaces, uploads, versions
from flowctl_registry.errors import NotFoundError, QuotaError
from flowctl_registry.settings import Limits


def check_quota(connection: Connection, limits: Limits, namespace: str, size: int, upload: Mapping[str, str]) -> None:
    """Whether `size` more bytes have room beside what is published, pending, or announced by other uploads.

    `upload` has the kind, name and version that are being published: other attempts at the same do not count.
    Locks the namespace. Raises NotFoundError, QuotaError.
    """
    row = connection.execute(
        select(namespaces.c.quota_bytes, namespaces.c.used_bytes)
        .where(namespaces.c.name == namespace)
        .with_for_update()
    ).one_or_none()
    if row is None:
        raise NotFoundError(
            f"there is no namespace {namespace}", hint="An administrator makes it: `flowctl-registry namespace create`."
        )
    quota = limits.namespace_bytes if row.quota_bytes is None else row.quota_bytes
    if not quota:
        return
    pending = connection.execute(
        select(func.coalesce(func.sum(versions.c.size), 0))
        .join(components, components.c.id == versions.c.component_id)
        .where(components.c.namespace == namespace, versions.c.state == "pending")
    ).scalar_one()
    announced = connection.execute(
        select(func.coalesce(func.sum(uploads.c.size), 0)).where(
            uploads.c.namespace == namespace,
            uploads.c.expires_at > now(connection),
            (uploads.c.kind != upload["kind"])
            | (uploads.c.name != upload["name"])
            | (uploads.c.version != upload["version"]),
        )
    ).scalar_one()
    if row.used_bytes + int(pending) + int(announced) + size > quota:
        raise QuotaError(
            f"{namespace} may store {quota} bytes and uses {row.used_bytes}, {pending + announced} more are being "
            f"uploaded: {size} have no room",
            hint="Ask an administrator for more, or remove what is not needed.",
        )
