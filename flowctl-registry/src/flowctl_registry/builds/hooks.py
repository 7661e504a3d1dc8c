"""Outgoing webhooks: whom to tell."""

from __future__ import annotations

import base64
import secrets
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Connection, Row, delete, func, insert, select

from flowctl_registry import audit
from flowctl_registry.access.namespaces import find
from flowctl_registry.builds.git_url import check_host
from flowctl_registry.database.build_tables import hook_messages, hooks
from flowctl_registry.database.engine import now
from flowctl_registry.errors import BadRequestError, ConflictError, NotFoundError
from flowctl_registry.models.hook import HookDocument, HookMessage, HookRequest, NewHook
from flowctl_registry.settings import Hooks

_MOST = 50
_SHOWN = 100


def add(
    connection: Connection,
    settings: Hooks,
    namespace: str,
    asked: HookRequest,
    actor: str,
    request_id: str | None = None,
) -> NewHook:
    """Tell somebody from now on. Raises BadRequestError, NotFoundError, ConflictError for too many."""
    check_url(asked.url, settings)
    find(connection, namespace)
    there = connection.execute(select(func.count()).select_from(hooks).where(hooks.c.namespace == namespace))
    if there.scalar_one() >= _MOST:
        raise ConflictError(f"{namespace} has {_MOST} webhooks", hint="Remove one of them.")
    row = {
        "id": secrets.token_hex(16),
        "namespace": namespace,
        "url": asked.url,
        "secret": "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode(),
        "events": list(dict.fromkeys(asked.events)),
        "created_at": now(connection),
    }
    connection.execute(insert(hooks).values(**row))
    detail = {"hook": row["id"], "host": urlsplit(asked.url).hostname, "events": row["events"]}
    audit.record(connection, actor, "hook.add", namespace, detail, request_id)
    return NewHook.model_validate(row)


def remove(connection: Connection, namespace: str, hook: str, actor: str, request_id: str | None = None) -> None:
    """Tell it no more; what waits is not sent. Raises NotFoundError."""
    gone = connection.execute(delete(hooks).where(hooks.c.id == hook, hooks.c.namespace == namespace))
    if not gone.rowcount:
        raise _unknown(namespace, hook)
    audit.record(connection, actor, "hook.remove", namespace, {"hook": hook}, request_id)


def listed(connection: Connection, namespace: str) -> list[HookDocument]:
    """Those of a namespace, oldest first."""
    asked = select(hooks).where(hooks.c.namespace == namespace).order_by(hooks.c.created_at, hooks.c.id)
    return [HookDocument.model_validate(dict(row._mapping)) for row in connection.execute(asked)]


def messages(connection: Connection, namespace: str, hook: str) -> list[HookMessage]:
    """What was and will be sent, newest first. Raises NotFoundError."""
    there = connection.execute(select(hooks.c.id).where(hooks.c.id == hook, hooks.c.namespace == namespace)).first()
    if there is None:
        raise _unknown(namespace, hook)
    asked = select(hook_messages).where(hook_messages.c.hook_id == hook)
    rows = connection.execute(asked.order_by(hook_messages.c.created_at.desc(), hook_messages.c.id).limit(_SHOWN))
    return [_message(row) for row in rows]


def _message(row: Row[Any]) -> HookMessage:
    return HookMessage.model_validate({**row._mapping, "event": row.body["type"]})


def _unknown(namespace: str, hook: str) -> NotFoundError:
    return NotFoundError(f"{namespace} has no webhook {hook}")


def check_url(url: str, settings: Hooks) -> None:
    """An address that messages may be sent to; where it leads is looked at when they are. Raises BadRequestError."""
    hint = "Write https://HOST/PATH, without user and password."
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise BadRequestError("the webhook's address has characters that do not belong there", hint=hint)
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname or "", parts.port
    except ValueError:
        raise BadRequestError("the webhook's address cannot be read", hint=hint) from None
    if parts.scheme not in (("https", "http") if settings.allow_http else ("https",)):
        raise BadRequestError("webhooks are sent by https:// only", hint="The operator allows more: hooks.allow_http.")
    if "@" in parts.netloc or parts.fragment:
        raise BadRequestError("the webhook's address holds a user, a password or a fragment", hint=hint)
    check_host(host)
