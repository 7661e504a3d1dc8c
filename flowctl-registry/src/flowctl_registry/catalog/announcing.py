"""Tells outgoing webhooks what happened, in the transaction in which it does: it is sent later, by `builds.hooks`."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, insert, select

from flowctl_registry.database.build_tables import hook_messages, hooks
from flowctl_registry.database.engine import now
from flowctl_registry.models.hook import HookEvent


def announce(connection: Connection, namespace: str, event: HookEvent, data: Mapping[str, Any]) -> None:
    """Queue a message for each hook of the namespace that wants such events. `data` is JSON without secrets."""
    rows = connection.execute(select(hooks.c.id, hooks.c.events).where(hooks.c.namespace == namespace)).all()
    moment = now(connection)
    body = {"type": event, "timestamp": moment.isoformat(), "data": dict(data)}
    for row in rows:
        if event in row.events:
            message = {"id": f"msg_{secrets.token_hex(13)}", "hook_id": row.id, "body": body}
            connection.execute(insert(hook_messages).values(**message, created_at=moment, due_at=moment))
