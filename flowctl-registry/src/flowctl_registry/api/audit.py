"""The audit log, for administrators."""

from __future__ import annotations

from pydantic import Field

from flowctl_core.models.base import Frozen
from flowctl_registry import audit
from flowctl_registry.api.routing import Call, Endpoint
from flowctl_registry.database.engine import reading
from flowctl_registry.models.access import AuditEntry, AuditHead, AuditPage


class AuditQuery(Frozen):
    """Which entries to list."""

    after: int = Field(0, ge=0, le=2**53)
    """Only those with a higher number."""
    limit: int = Field(100, ge=1, le=1_000)
    """This many at most."""


class VerifyQuery(Frozen):
    """What must be in the log."""

    expect: str | None = Field(None, pattern=r"^[0-9]{1,18}:[0-9a-f]{64}$")
    """`head` of an earlier answer."""


def listed(call: Call) -> AuditPage:
    """Entries in order."""
    asked: AuditQuery = call.query
    with reading(call.services.engine) as connection:
        rows = audit.entries(connection, asked.after, asked.limit)
    return AuditPage(entries=tuple(AuditEntry.model_validate(dict(row._mapping)) for row in rows))


def verify(call: Call) -> AuditHead:
    """The last entry of a log that nobody tampered with; a problem where somebody did."""
    asked: VerifyQuery = call.query
    expected = None if asked.expect is None else audit.Head.parse(asked.expect)
    with reading(call.services.engine) as connection:
        head = audit.verify(connection, expected)
    return AuditHead(entries=head.sequence, head=str(head))


ENDPOINTS = (
    Endpoint("GET", "/v1/audit", listed, "admin", "The audit log", "access", query=AuditQuery, answer=AuditPage),
    Endpoint(
        "GET", "/v1/audit/verify", verify, "admin", "Check the audit log", "access",
        query=VerifyQuery, answer=AuditHead, errors=(409,),
    ),
)  # fmt: skip
