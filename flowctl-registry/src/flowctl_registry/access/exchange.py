"""An OIDC token for a token of the registry, once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Connection, delete

from flowctl_registry.access import publishers, tokens
from flowctl_registry.access.issuers import LEEWAY_S, Keys, validated
from flowctl_registry.access.principal import Action
from flowctl_registry.database.engine import now, writing
from flowctl_registry.database.tables import spent_tokens
from flowctl_registry.database.tables import tokens as token_rows
from flowctl_registry.database.upsert import insert_new
from flowctl_registry.errors import ForbiddenError, UnauthorizedError
from flowctl_registry.models.publisher import ExchangedToken, Grant
from flowctl_registry.services import Services

LIFETIME = timedelta(minutes=15)
_ACTIONS: tuple[Action, ...] = ("read", "publish")
_SHOWN = ("sub", "repository", "job_workflow_ref", "environment", "project_path")


def exchange(services: Services, keys: Keys, token: str, request_id: str | None = None) -> ExchangedToken:
    """A token for what the matching publishers may write.

    Raises UnauthorizedError for one that is wrong or was used, ForbiddenError when no publisher matches,
    UnavailableError when the issuer does not answer.
    """
    issuer, claims = validated(token, services.settings.access.issuers, keys)
    user = f"{urlsplit(issuer.url).hostname}:{claims['sub']}"[:256]

    def change(connection: Connection) -> ExchangedToken:
        found = publishers.matching(connection, issuer.url, claims)
        if not found:
            told = ", ".join(f"{name} {claims[name]!r}" for name in _SHOWN if isinstance(claims.get(name), str))
            raise ForbiddenError(
                f"no namespace trusts this publisher: {told[:500]}",
                hint="An owner adds it to the namespace's publishers.",
            )
        moment = now(connection)
        _sweep(connection, moment)
        ends = datetime.fromtimestamp(claims["exp"] + 2 * LEEWAY_S, UTC)
        if not insert_new(connection, spent_tokens, {"issuer": issuer.url, "jti": claims["jti"], "expires_at": ends}):
            raise UnauthorizedError("the OIDC token was exchanged before", hint="Ask the issuer for a new one.")
        grants = list(dict.fromkeys((row.namespace, row.component) for row in found))
        made = tokens.create(
            connection,
            name="trusted publisher",
            user=user,
            actions=_ACTIONS,
            lifetime=LIFETIME,
            created_by=user,
            grants=grants,
            request_id=request_id,
        )
        return ExchangedToken(
            token=made.token,
            expires_at=moment + LIFETIME,
            grants=tuple(Grant(namespace=space, component=only) for space, only in grants),
        )

    return writing(services.engine, change)


def _sweep(connection: Connection, moment: datetime) -> None:
    """What can never be taken again needs no row: the audit log keeps who had it."""
    old: Any = token_rows.c.expires_at < moment - timedelta(days=1)
    connection.execute(delete(spent_tokens).where(spent_tokens.c.expires_at < moment))
    connection.execute(delete(token_rows).where(token_rows.c.grants.is_not(None), old))
