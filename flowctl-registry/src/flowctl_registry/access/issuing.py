"""Which tokens a caller may make, see and revoke."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Row

from flowctl_registry.access import tokens
from flowctl_registry.access.principal import Principal
from flowctl_registry.access.roles import check
from flowctl_registry.errors import BadRequestError, ForbiddenError, RegistryError
from flowctl_registry.models.access import TokenDocument, TokenRequest


def values(asked: TokenRequest, user: str, created_by: str) -> dict[str, Any]:
    """Arguments of `tokens.create`. Raises BadRequestError for a scope that means nothing."""
    if asked.component is not None and asked.namespace is None:
        raise BadRequestError("a component without a namespace names nothing", hint="Give the namespace too.")
    if "admin" in asked.actions and asked.namespace is not None:
        raise BadRequestError("an administrator's token is for all namespaces", hint="Leave out `admin`, or the scope.")
    days = asked.expires_in_days
    return {
        "name": asked.name,
        "user": user,
        "actions": asked.actions,
        "lifetime": None if days is None else timedelta(days=days),
        "namespace": asked.namespace,
        "component": asked.component,
        "created_by": created_by,
    }


def check_request(principal: Principal, asked: TokenRequest) -> str:
    """The user of the new token. A token makes none that could do more than itself. Raises ForbiddenError."""
    user = asked.user or str(principal.user)
    if principal.grants is not None:
        raise ForbiddenError("a trusted publisher's token makes no others", hint="Exchange another OIDC token.")
    if user != principal.user and not principal.is_admin:
        raise ForbiddenError("only an administrator makes tokens for others", hint="Leave out `user`.")
    beyond = sorted(set(asked.actions) - principal.actions)
    if beyond:
        raise ForbiddenError(f"the token that you use does not allow {', '.join(beyond)} itself")
    if not _within(principal, asked):
        raise ForbiddenError("the new token would be for more than the one that you use", hint="Give the same scope.")
    return user


def check_revoking(connection: Connection, principal: Principal, identity: str, *, anonymous_read: bool) -> None:
    """Its user may, an administrator, and whoever manages the namespace that the token is for.

    Raises ForbiddenError, NotFoundError.
    """
    row = tokens.find_row(connection, identity)
    if identity == principal.token_id or principal.is_admin:
        return
    if row.user == principal.user and "manage" in principal.actions and _within(principal, row):
        return
    try:
        if row.namespace is None:
            raise ForbiddenError("it is another user's token")
        check(connection, principal, "manage", row.namespace, row.component, anonymous_read=anonymous_read)
    except RegistryError:
        raise tokens.no_token(identity) from None


def visible(connection: Connection, principal: Principal, namespace: str | None) -> list[TokenDocument]:
    """Tokens that the caller may know of; those for `namespace` alone when it manages that (the caller checked)."""
    if namespace is not None:
        return tokens.listed(connection, namespace=namespace)
    found = tokens.listed(connection, user=None if principal.is_admin else principal.user)
    return [each for each in found if _within(principal, each)]


def _within(principal: Principal, token: TokenRequest | TokenDocument | Row[Any]) -> bool:
    """Is a token for no more than the caller's is?"""
    return principal.namespace in (None, token.namespace) and principal.component in (None, token.component)
