"""Sends messages to webhooks: signed as Standard Webhooks says, tried again, never to private addresses.

A worker leases a message by setting its next time: whoever dies over it leaves it to be sent then. So a receiver may
get a message twice, with one `webhook-id`.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Connection, delete, select, update

from flowctl_registry.builds.reaching import NotAllowedError, find_addresses
from flowctl_registry.database.build_tables import hook_messages, hooks
from flowctl_registry.database.engine import now, reading, writing
from flowctl_registry.services import Services
from flowctl_registry.settings import Hooks

_GROWTH = 4
_LONGEST_S = 86_400.0
_KEPT_DAYS = 30
_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True)
class Message:
    """A message that this process sends now."""

    id: str
    url: str
    secret: str
    body: Mapping[str, Any]
    attempt: int


class _GivenUpError(Exception):
    """Another try would not help."""


def send_due(services: Services) -> bool:
    """Send one message that is due; False when none is. Raises UnavailableError."""
    settings = services.settings.hooks
    with reading(services.engine) as connection:
        if connection.execute(_due(connection).limit(1)).first() is None:
            return False
    message = writing(services.engine, lambda connection: _lease(connection, settings))
    if message is None:
        return False
    problem, again = None, True
    try:
        send(message, settings)
    except _GivenUpError as error:
        problem, again = str(error), False
    except Exception as error:  # noqa: BLE001 - whatever a receiver does, the others are told
        problem = _told(error)
    writing(services.engine, lambda connection: _ended(connection, settings, message, problem, again))
    return True


def send(message: Message, settings: Hooks) -> None:
    """Send it once, to an address that was looked at; redirects are not followed, answers are not read."""
    import httpx
    from standardwebhooks import Webhook

    parts = urlsplit(message.url)
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    if parts.scheme == "http" and not settings.allow_http:
        raise _GivenUpError("http:// is not allowed")
    try:
        address = find_addresses(host, port, settings.allow_private)[0]
    except NotAllowedError as error:
        raise _GivenUpError(f"{error} (hooks.allow_private)") from None
    moment = datetime.now(UTC)
    body = json.dumps(message.body, separators=(",", ":"), ensure_ascii=False)
    headers = {
        "Host": parts.netloc,
        "Content-Type": "application/json",
        "User-Agent": f"flowctl-registry/{version('flowctl-registry')}",
        "webhook-id": message.id,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": Webhook(message.secret).sign(message.id, moment, body),
    }
    place = f"[{address}]" if ":" in address else address
    target = f"{parts.scheme}://{place}:{port}{parts.path or '/'}" + (f"?{parts.query}" if parts.query else "")
    with (
        httpx.Client(trust_env=False, follow_redirects=False, timeout=settings.timeout_s) as client,
        # the certificate must be the host's, though the address is the one that was looked at
        client.stream("POST", target, content=body, headers=headers, extensions={"sni_hostname": host}) as answer,
    ):
        if answer.status_code == 410:
            raise _GivenUpError("the receiver answered 410: it is gone")
        if not answer.is_success:
            raise ConnectionError(f"the receiver answered {answer.status_code}")


def sweep(connection: Connection) -> None:
    """Forget messages that were taken or given up long ago."""
    before = now(connection) - timedelta(days=_KEPT_DAYS)
    connection.execute(
        delete(hook_messages).where(hook_messages.c.due_at.is_(None), hook_messages.c.created_at < before)
    )


def _due(connection: Connection) -> Any:
    query = select(hook_messages.c.id, hook_messages.c.hook_id, hook_messages.c.body, hook_messages.c.attempts)
    due = (hook_messages.c.due_at.is_not(None), hook_messages.c.due_at <= now(connection))
    return query.where(*due).order_by(hook_messages.c.due_at)


def _lease(connection: Connection, settings: Hooks) -> Message | None:
    row = connection.execute(_due(connection).limit(1).with_for_update(skip_locked=True)).one_or_none()
    if row is None:
        return None
    hook = connection.execute(select(hooks.c.url, hooks.c.secret).where(hooks.c.id == row.hook_id)).one()
    attempt = row.attempts + 1
    due = now(connection) + timedelta(seconds=2 * settings.timeout_s + _pause_s(settings, attempt))
    connection.execute(update(hook_messages).where(hook_messages.c.id == row.id).values(attempts=attempt, due_at=due))
    return Message(row.id, hook.url, hook.secret, row.body, attempt)


def _ended(connection: Connection, settings: Hooks, message: Message, problem: str | None, again: bool) -> None:
    moment = now(connection)
    values: dict[str, Any] = {"problem": problem, "due_at": None}
    if problem is None:
        values["sent_at"] = moment
    elif again and message.attempt < settings.tries:
        values["due_at"] = moment + timedelta(seconds=_pause_s(settings, message.attempt))
    mine = [hook_messages.c.id == message.id, hook_messages.c.sent_at.is_(None)]
    if problem is not None:
        mine.append(hook_messages.c.attempts == message.attempt)  # else somebody sends it anew
    connection.execute(update(hook_messages).where(*mine).values(**values))


def _pause_s(settings: Hooks, attempt: int) -> float:
    """Before the next try, up to a tenth longer: receivers that were away are not asked by all at once."""
    return float(min(settings.retry_s * _GROWTH ** (attempt - 1), _LONGEST_S) * random.uniform(1, 1.1))  # noqa: S311


def _told(error: Exception) -> str:
    return (str(error) if isinstance(error, ConnectionError | OSError) else f"{type(error).__name__}: {error}")[:500]
