"""Trusted publishers: which claims of an issuer's token let a workload publish."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select

from flowctl_registry import audit
from flowctl_registry.access.names import requested
from flowctl_registry.access.namespaces import find
from flowctl_registry.database.engine import now
from flowctl_registry.database.tables import publishers
from flowctl_registry.errors import BadRequestError, NotFoundError
from flowctl_registry.models.publisher import PublisherDocument, PublisherRequest
from flowctl_registry.settings import Access

_IDENTIFYING = frozenset({"sub", "repository", "repository_id", "project_path", "project_id"})
"""One of them is needed. `job_workflow_ref` is none: everybody may call a public reusable workflow."""
_PREFIXES = frozenset({"job_workflow_ref", "workflow_ref", "ref"})
"""Claims that change with every release, so that their required value may end in `*`."""


def request(issuer: str, claims: Sequence[str], component: str | None) -> PublisherRequest:
    """What a command asks for. Raises BadRequestError."""
    pairs = [claim.partition("=") for claim in claims]
    if not all(equals for _, equals, _ in pairs):
        raise BadRequestError("a claim has no value", hint="Write NAME=VALUE, as in repository=octo/greeting.")
    values = {"issuer": issuer, "claims": {name: value for name, _, value in pairs}, "component": component}
    return requested(PublisherRequest, values, "publisher")


def add(
    connection: Connection,
    namespace: str,
    asked: PublisherRequest,
    settings: Access,
    actor: str,
    request_id: str | None = None,
) -> PublisherDocument:
    """Trust a publisher. Raises NotFoundError, BadRequestError for one that would trust too many."""
    _check(asked, settings)
    find(connection, namespace)
    values = {**asked.model_dump(), "namespace": namespace, "created_at": now(connection)}
    row = connection.execute(insert(publishers).values(**values).returning(*publishers.c)).one()
    detail = {"publisher": row.id, **asked.model_dump(exclude_none=True)}
    audit.record(connection, actor, "publisher.add", namespace, detail, request_id)
    return document(row)


def _check(asked: PublisherRequest, settings: Access) -> None:
    known = [issuer.url for issuer in settings.issuers]
    if asked.issuer not in known:
        raise BadRequestError(
            "this registry does not know that issuer", hint=f"Known are: {', '.join(known) or 'none'} (access.issuers)."
        )
    if not _IDENTIFYING & set(asked.claims):
        raise BadRequestError(
            "these claims would let strangers publish",
            hint=f"Require one of {', '.join(sorted(_IDENTIFYING))}, and with it `job_workflow_ref` or `environment`.",
        )
    for name, value in asked.claims.items():
        if "*" in value and not (name in _PREFIXES and value.index("*") == len(value) - 1 and len(value) > 1):
            raise BadRequestError(
                f"{name}: `*` cannot stand there", hint=f"Only {', '.join(sorted(_PREFIXES))} may end in it."
            )


def remove(connection: Connection, namespace: str, identity: int, actor: str, request_id: str | None = None) -> None:
    """Trust a publisher no more; what it has got ends within 15 minutes. Raises NotFoundError."""
    gone = connection.execute(
        delete(publishers).where(publishers.c.id == identity, publishers.c.namespace == namespace)
    )
    if not gone.rowcount:
        raise NotFoundError(f"{namespace} has no publisher {identity}")
    audit.record(connection, actor, "publisher.remove", namespace, {"publisher": identity}, request_id)


def listed(connection: Connection, namespace: str) -> list[PublisherDocument]:
    """Those of a namespace, oldest first."""
    asked = select(publishers).where(publishers.c.namespace == namespace).order_by(publishers.c.id)
    return [document(row) for row in connection.execute(asked).all()]


def matching(connection: Connection, issuer: str, claims: Mapping[str, Any]) -> list[Row[Any]]:
    """Publishers whose claims are all there."""
    rows = connection.execute(select(publishers).where(publishers.c.issuer == issuer).order_by(publishers.c.id)).all()
    return [row for row in rows if _matches(row.claims, claims)]


def _matches(required: Mapping[str, str], claims: Mapping[str, Any]) -> bool:
    for name, value in required.items():
        found = claims.get(name)
        if not isinstance(found, str):
            return False
        if value.endswith("*") and name in _PREFIXES:
            if not found.startswith(value[:-1]):
                return False
        elif found != value:
            return False
    return bool(_IDENTIFYING & set(required))


def document(row: Row[Any]) -> PublisherDocument:
    """As the API shows it."""
    return PublisherDocument.model_validate(dict(row._mapping))
