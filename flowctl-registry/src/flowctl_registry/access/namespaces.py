"""Namespaces and their members. Each change stands in the audit log."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, Select, delete, func, insert, select, update

from flowctl_registry import audit
from flowctl_registry.access.principal import Role
from flowctl_registry.access.roles import no_namespace
from flowctl_registry.database.engine import now
from flowctl_registry.database.tables import components, members, namespaces
from flowctl_registry.database.upsert import insert_new
from flowctl_registry.errors import ConflictError, NotFoundError
from flowctl_registry.models.access import Member, NamespaceDocument


def create(
    connection: Connection,
    name: str,
    *,
    private: bool,
    owner: str | None,
    quota_bytes: int | None,
    actor: str,
    request_id: str | None = None,
) -> None:
    """Make a namespace with its first owner. Raises ConflictError."""
    moment = now(connection)
    row = {"name": name, "private": private, "quota_bytes": quota_bytes, "used_bytes": 0, "created_at": moment}
    if not insert_new(connection, namespaces, row):
        raise ConflictError(f"the namespace {name} exists", hint="Change it with `flowctl-registry namespace set`.")
    detail = {"private": private, "owner": owner, "quota_bytes": quota_bytes}
    audit.record(connection, actor, "namespace.create", name, detail, request_id)
    if owner is not None:
        set_member(connection, name, owner, "owner", actor, request_id)


def change(
    connection: Connection,
    name: str,
    *,
    actor: str,
    private: bool | None = None,
    quota_bytes: int | None = None,
    request_id: str | None = None,
) -> None:
    """Change what is given. Raises NotFoundError."""
    find(connection, name)
    wanted = {"private": private, "quota_bytes": quota_bytes}
    values = {key: value for key, value in wanted.items() if value is not None}
    if values:
        connection.execute(update(namespaces).where(namespaces.c.name == name).values(**values))
        audit.record(connection, actor, "namespace.change", name, values, request_id)


def remove(connection: Connection, name: str, actor: str, request_id: str | None = None) -> None:
    """Remove an empty namespace. Raises NotFoundError, ConflictError."""
    find(connection, name)
    asked = select(func.count()).select_from(components).where(components.c.namespace == name)
    held = connection.execute(asked).scalar_one()
    if held:
        raise ConflictError(
            f"the namespace {name} has {held} components", hint="Published versions stay: yank them instead."
        )
    connection.execute(delete(namespaces).where(namespaces.c.name == name))
    audit.record(connection, actor, "namespace.delete", name, None, request_id)


def set_member(
    connection: Connection, namespace: str, user: str, role: Role, actor: str, request_id: str | None = None
) -> None:
    """Give a user a role. Raises NotFoundError, ConflictError when no owner would be left."""
    find(connection, namespace)
    there = (members.c.namespace == namespace, members.c.user == user)
    before = connection.execute(select(members.c.role).where(*there)).scalar_one_or_none()
    if before == role:
        return
    if before is None:
        row = {"namespace": namespace, "user": user, "role": role, "added_at": now(connection)}
        connection.execute(insert(members).values(**row))
    else:
        connection.execute(update(members).where(*there).values(role=role))
        _keep_an_owner(connection, namespace)
    audit.record(connection, actor, "member.set", namespace, {"user": user, "role": role}, request_id)


def remove_member(connection: Connection, namespace: str, user: str, actor: str, request_id: str | None = None) -> None:
    """Take a user's role away. Raises NotFoundError, ConflictError when no owner would be left."""
    find(connection, namespace)
    gone = connection.execute(delete(members).where(members.c.namespace == namespace, members.c.user == user))
    if not gone.rowcount:
        raise NotFoundError(f"{user} is no member of {namespace}")
    _keep_an_owner(connection, namespace)
    audit.record(connection, actor, "member.remove", namespace, {"user": user}, request_id)


def _keep_an_owner(connection: Connection, namespace: str) -> None:
    owners = select(members.c.user).where(members.c.namespace == namespace, members.c.role == "owner")
    anybody = select(members.c.user).where(members.c.namespace == namespace)
    if connection.execute(anybody).first() and not connection.execute(owners).first():
        raise ConflictError(f"{namespace} would have no owner", hint="Make somebody else an owner first.")


def find(connection: Connection, name: str) -> Row[Any]:
    """A namespace's row, locked until the transaction ends. Raises NotFoundError."""
    row = connection.execute(select(namespaces).where(namespaces.c.name == name).with_for_update()).one_or_none()
    if row is None:
        raise no_namespace(name)
    return row


def document(row: Row[Any], default_quota: int) -> NamespaceDocument:
    """As the API shows it."""
    quota = default_quota if row.quota_bytes is None else row.quota_bytes
    return NamespaceDocument(
        name=row.name,
        private=row.private,
        quota_bytes=quota,
        used_bytes=row.used_bytes,
        created_at=row.created_at,
    )


def listed(connection: Connection, names: Select[tuple[str]] | None, default_quota: int) -> list[NamespaceDocument]:
    """Namespaces by name, those in `names` where it is given."""
    asked = select(namespaces).order_by(namespaces.c.name)
    if names is not None:
        asked = asked.where(namespaces.c.name.in_(names))
    return [document(row, default_quota) for row in connection.execute(asked).all()]


def members_of(connection: Connection, namespace: str) -> list[Member]:
    """Members by name."""
    asked = select(members).where(members.c.namespace == namespace).order_by(members.c.user)
    return [Member.model_validate(dict(row._mapping)) for row in connection.execute(asked).all()]


def roles_of(connection: Connection, user: str) -> dict[str, Role]:
    """Namespace to role."""
    asked = select(members.c.namespace, members.c.role).where(members.c.user == user).order_by(members.c.namespace)
    return {row.namespace: row.role for row in connection.execute(asked).all()}
