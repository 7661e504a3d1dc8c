"""Where components' sources are: what webhooks and the reconciler build."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from flowctl_registry import audit
from flowctl_registry.access.namespaces import find
from flowctl_registry.builds import git_url
from flowctl_registry.database.build_tables import sources
from flowctl_registry.database.engine import now
from flowctl_registry.errors import NotFoundError
from flowctl_registry.models.names import Kind
from flowctl_registry.models.source import SourceDocument, SourceRequest
from flowctl_registry.settings import Sources


def put(
    connection: Connection,
    settings: Sources,
    key: tuple[Kind, str, str],
    asked: SourceRequest,
    actor: str,
    request_id: str | None = None,
) -> SourceDocument:
    """Register where `kind, namespace, name` is built from, or change it. Raises BadRequestError, NotFoundError."""
    kind, namespace, name = key
    url = git_url.parse(asked.repository, settings)
    values: dict[str, Any] = {
        "repository": url.text,
        "repository_key": url.key,
        "subdirectory": git_url.check_subdirectory(asked.subdirectory),
        "tag_pattern": git_url.check_pattern(asked.tag_pattern),
        "active": asked.active,
    }
    told = dict(values)
    if asked.webhook_secret is not None:
        values["webhook_secret"] = asked.webhook_secret.get_secret_value()
        told["changes_secret"] = True
    find(connection, namespace)
    known = _row(connection, key)
    if known is None:
        moment = now(connection)
        there = {"kind": kind, "namespace": namespace, "name": name, "created_at": moment, "due_at": moment}
        connection.execute(insert(sources).values(**values, **there))
    else:
        if (known.repository_key, known.tag_pattern) != (values["repository_key"], values["tag_pattern"]):
            # tags of before say nothing now: those that are there when the reconciler first looks are no news
            values |= {"tags": None, "reconciled_at": None, "problem": None, "due_at": now(connection)}
        connection.execute(update(sources).where(sources.c.id == known.id).values(**values))
    audit.record(connection, actor, "source.set", f"{namespace}/{name}", {"kind": kind, **told}, request_id)
    return document(_found(connection, key))


def get(connection: Connection, key: tuple[Kind, str, str]) -> SourceDocument:
    """Raises NotFoundError."""
    return document(_found(connection, key))


def remove(connection: Connection, key: tuple[Kind, str, str], actor: str, request_id: str | None = None) -> None:
    """Start no more builds from it. Raises NotFoundError."""
    row = _found(connection, key)
    connection.execute(delete(sources).where(sources.c.id == row.id))
    detail = {"kind": key[0], "repository": row.repository}
    audit.record(connection, actor, "source.remove", f"{key[1]}/{key[2]}", detail, request_id)


def find_source(connection: Connection, key: tuple[Kind, str, str]) -> Row[Any] | None:
    """The row, locked until the transaction ends; None when none is registered."""
    return _row(connection, key)


def _found(connection: Connection, key: tuple[Kind, str, str]) -> Row[Any]:
    row = _row(connection, key)
    if row is None:
        raise NotFoundError(
            f"no source is registered for {key[1]}/{key[2]}", hint="An owner registers it: PUT …/source."
        )
    return row


def _row(connection: Connection, key: tuple[Kind, str, str]) -> Row[Any] | None:
    kind, namespace, name = key
    query = select(sources).where(sources.c.kind == kind, sources.c.namespace == namespace, sources.c.name == name)
    return connection.execute(query.with_for_update()).one_or_none()


def document(row: Row[Any]) -> SourceDocument:
    """As the API shows it."""
    hidden = {"id", "repository_key", "webhook_secret", "due_at", "tags"}
    shown = {name: value for name, value in row._mapping.items() if name not in hidden}
    return SourceDocument.model_validate({**shown, "has_webhook_secret": row.webhook_secret is not None})
