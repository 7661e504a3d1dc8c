"""The audit log, for administrators."""

from __future__ import annotations

from pydantic import Field

from flowctl_core.models.base import Frozen
from flowctl_registry import audit
from flowctl_registry.api.routing import Call, Endpoint
from flowctl_registry.database.engine import reading
from flowctl_registry.models.access import AuditEntry, AuditPage


class AuditQuery(Frozen):
    """Which entries to list."""

    after: int = Field(0, ge=0, le=2**53)
    """Only those with a higher number."""
    limit: int = Field(100, ge=1, le=1_000)
    """This many at most."""


def listed(call: Call) -> AuditPage:
    """Entries in order."""
    asked: AuditQuery = call.query
    with reading(call.services.engine) as connection:
        rows = audit.entries(connection, asked.after, asked.limit)
    return AuditPage(entries=tuple(AuditEntry.model_validate(dict(row._mapping)) for row in rows))


ENDPOINTS = (
    Endpoint("GET", "/v1/audit", listed, "admin", "The audit log", "access", query=AuditQuery, answer=AuditPage),
)
