"""What an endpoint's change of a version leaves in the audit log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from flowctl_registry import audit
from flowctl_registry.api.routing import Call
from flowctl_registry.catalog.visible import Note


def noted(call: Call, action: str, detail: Mapping[str, Any] | None = None) -> Note:
    """To be called in the transaction of the change."""
    path = call.path
    target = f"{path['ns']}/{path['name']}@{path['version']}"
    request_id = getattr(call.request.state, "request_id", None)

    def note(connection: Connection) -> None:
        audit.record(connection, call.principal.shown, action, target, detail, request_id)

    return note
