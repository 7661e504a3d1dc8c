"""Tokens: whoever may `manage` makes and ends them."""

from __future__ import annotations

from flowctl_core.models.base import Frozen
from flowctl_registry.access import issuing, namespaces, tokens
from flowctl_registry.access.authenticate import allow
from flowctl_registry.api.routing import Call, Endpoint
from flowctl_registry.database.engine import reading, writing
from flowctl_registry.models.access import Caller, CreatedToken, TokenList, TokenRequest
from flowctl_registry.models.names import Name


class TokenQuery(Frozen):
    """Which tokens to list."""

    namespace: Name | None = None
    """Tokens for this namespace alone, whoever has them."""


def whoami(call: Call) -> Caller:
    """The caller, its token's actions, and its roles in the namespaces that the token is for."""
    who = call.principal
    with reading(call.services.engine) as connection:
        roles = {} if who.user is None else namespaces.roles_of(connection, who.user)
    roles = {name: role for name, role in roles.items() if who.namespace in (None, name)}
    return Caller(user=who.user, token_id=who.token_id, actions=tuple(sorted(who.actions)), namespaces=roles)


def create(call: Call) -> CreatedToken:
    """Make a token that can do no more than the caller's."""
    asked: TokenRequest = call.body
    user = issuing.check_request(call.principal, asked)
    values = issuing.values(asked, user, call.principal.shown)
    return writing(call.services.engine, lambda c: tokens.create(c, **values, request_id=call.request_id))


def listed(call: Call) -> TokenList:
    """The caller's own (all, for an administrator), or those for a namespace that it manages."""
    asked: TokenQuery = call.query
    if asked.namespace is not None:
        allow(call.services, call.principal, "manage", asked.namespace, None)
    with reading(call.services.engine) as connection:
        return TokenList(tokens=tuple(issuing.visible(connection, call.principal, asked.namespace)))


def revoke(call: Call) -> None:
    """End a token at once."""
    services, who, identity = call.services, call.principal, call.path["token_id"]
    anonymous = services.settings.access.anonymous_read
    with reading(services.engine) as connection:
        issuing.check_revoking(connection, who, identity, anonymous_read=anonymous)
    writing(services.engine, lambda c: tokens.revoke(c, identity, who.shown, call.request_id))


ENDPOINTS = (
    Endpoint("GET", "/v1/whoami", whoami, "read", "Whom the registry takes the caller for", "access", answer=Caller),
    Endpoint(
        "GET", "/v1/tokens", listed, "manage", "Tokens that are valid", "access",
        query=TokenQuery, answer=TokenList, errors=(404,),
    ),
    Endpoint(
        "POST", "/v1/tokens", create, "manage", "Make a token", "access",
        body=TokenRequest, answer=CreatedToken, status=201, errors=(413,),
    ),
    Endpoint(
        "DELETE", "/v1/tokens/{token_id}", revoke, "manage", "End a token", "access", status=204, errors=(404,),
    ),
)  # fmt: skip
