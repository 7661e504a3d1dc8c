"""Tokens: `flowctl_<id>_<secret>`, kept as the SHA-256 of the secret, which is 192 random bits."""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, or_, select, update

from flowctl_registry import audit
from flowctl_registry.access.principal import Action, Principal
from flowctl_registry.database.engine import now, reading, writing
from flowctl_registry.database.tables import tokens
from flowctl_registry.errors import NotFoundError, UnavailableError
from flowctl_registry.models.access import CreatedToken, TokenDocument
from flowctl_registry.services import Services

_LOG = logging.getLogger(__name__)
_FORM = re.compile(r"flowctl_([0-9a-f]{16})_([0-9a-f]{48})", re.ASCII)
_TOKEN = select(tokens).where(tokens.c.id == bindparam("identity"))
_USED_EVERY = timedelta(minutes=1)


def create(
    connection: Connection,
    *,
    name: str,
    user: str,
    actions: Iterable[Action],
    lifetime: timedelta | None,
    created_by: str,
    namespace: str | None = None,
    component: str | None = None,
    grants: list[tuple[str, str | None]] | None = None,
    request_id: str | None = None,
) -> CreatedToken:
    """Make a token; its text is in the answer and nowhere else. The caller has checked that it may be made."""
    identity, secret = secrets.token_hex(8), secrets.token_hex(24)
    moment = now(connection)
    row: dict[str, Any] = {
        "id": identity,
        "hash": _hash(secret),
        "name": name,
        "user": user,
        "namespace": namespace,
        "component": component,
        "actions": sorted(set(actions)),
        "grants": grants,
        "created_by": created_by,
        "created_at": moment,
        "expires_at": None if lifetime is None else moment + lifetime,
    }
    connection.execute(insert(tokens).values(**row))
    detail = {key: row[key] for key in ("name", "user", "namespace", "component", "actions") if row[key] is not None}
    audit.record(connection, created_by, "token.create", identity, detail, request_id)
    made = connection.execute(select(tokens).where(tokens.c.id == identity)).one()
    return CreatedToken(token=f"flowctl_{identity}_{secret}", **document(made).model_dump())


def find_principal(services: Services, token: str) -> Principal | None:
    """Whose token it is; None for one that is unknown, expired or revoked."""
    with reading(services.engine) as connection:
        found = find(connection, token)
    if found is None:
        return None
    note_use(services, *found)
    return found[0]


def find(connection: Connection, token: str) -> tuple[Principal, datetime | None] | None:
    """As `find_principal`, with the moment when the token was used last."""
    parts = _FORM.fullmatch(token)
    if parts is None:
        return None
    row = connection.execute(_TOKEN, {"identity": parts[1]}).one_or_none()
    right = hmac.compare_digest(_hash(parts[2]), row.hash if row is not None else "0" * 64)
    if row is None or not right or row.revoked_at is not None:
        return None
    if row.expires_at is not None and row.expires_at <= now(connection):
        return None
    grants = None if row.grants is None else tuple((space, only) for space, only in row.grants)
    principal = Principal(row.user, row.id, frozenset(row.actions), row.namespace, row.component, grants)
    return principal, row.last_used_at


def note_use(services: Services, principal: Principal, used: datetime | None) -> None:
    """Write that a token is used, when that was written a minute ago: every use would be a transaction."""
    if principal.token_id is None or (used is not None and datetime.now(UTC) - used < _USED_EVERY):
        return

    def change(connection: Connection) -> None:
        mine = tokens.c.id == principal.token_id
        connection.execute(update(tokens).where(mine).values(last_used_at=now(connection)))

    try:
        writing(services.engine, change)
    except UnavailableError:
        _LOG.warning("the use of token %s cannot be noted", principal.token_id)


def revoke(connection: Connection, identity: str, actor: str, request_id: str | None = None) -> None:
    """End a token at once; again changes nothing. Raises NotFoundError."""
    row = find_row(connection, identity)
    if row.revoked_at is None:
        connection.execute(update(tokens).where(tokens.c.id == identity).values(revoked_at=now(connection)))
        audit.record(connection, actor, "token.revoke", identity, {"user": row.user, "name": row.name}, request_id)


def find_row(connection: Connection, identity: str) -> Row[Any]:
    """A token's row. Raises NotFoundError."""
    row = connection.execute(select(tokens).where(tokens.c.id == identity)).one_or_none()
    if row is None:
        raise no_token(identity)
    return row


def no_token(identity: str) -> NotFoundError:
    """The same answer for one that is missing and one that the caller must not know of."""
    return NotFoundError(f"there is no token {identity}", hint="`flowctl-registry token list` shows them.")


def listed(connection: Connection, *, user: str | None = None, namespace: str | None = None) -> list[TokenDocument]:
    """Tokens that are valid, of a user or of a namespace, newest first."""
    asked = select(tokens).where(
        tokens.c.revoked_at.is_(None), or_(tokens.c.expires_at.is_(None), tokens.c.expires_at > now(connection))
    )
    if user is not None:
        asked = asked.where(tokens.c.user == user)
    if namespace is not None:
        asked = asked.where(tokens.c.namespace == namespace)
    rows = connection.execute(asked.order_by(tokens.c.created_at.desc(), tokens.c.id)).all()
    return [document(row) for row in rows]


def document(row: Row[Any]) -> TokenDocument:
    """As the API shows it: without the hash."""
    return TokenDocument.model_validate(dict(row._mapping))


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
