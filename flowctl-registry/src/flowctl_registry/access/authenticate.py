"""The caller of a request, and whether it may do what it asks."""

from __future__ import annotations

import base64
import binascii
import logging

from starlette.requests import Request

from flowctl_registry.access import roles, tokens
from flowctl_registry.access.principal import Action, Principal
from flowctl_registry.database.engine import reading
from flowctl_registry.errors import BadRequestError, UnauthorizedError, UnavailableError
from flowctl_registry.services import Services

_LOG = logging.getLogger(__name__)


def authenticate(services: Services, request: Request, action: Action | None, path: dict[str, str]) -> Principal:
    """The caller, who is allowed `action` in the namespace `path["ns"]`.

    Raises UnauthorizedError, ForbiddenError, NotFoundError for a private namespace, TooManyRequestsError.
    """
    if action is None:
        return Principal()
    principal = identify(services, request)
    allow(services, principal, action, path.get("ns"), path.get("name"))
    return principal


def identify(services: Services, request: Request) -> Principal:
    """The caller, whatever it may do. Raises UnauthorizedError for a token that is not valid, TooManyRequestsError."""
    token = sent_token(request)
    if token is None:
        return Principal()
    try:
        principal = tokens.find_principal(services, token)
    except UnavailableError:
        _LOG.warning("a token cannot be looked up")
        raise
    if principal is None:
        raise UnauthorizedError(
            "the token is unknown, expired or revoked", hint="Make a new one with `flowctl-registry token create`."
        )
    return principal


def allow(
    services: Services, principal: Principal, action: Action, namespace: str | None, component: str | None
) -> None:
    """Raises UnauthorizedError, ForbiddenError, or NotFoundError for what the caller must not know of."""
    with reading(services.engine) as connection:
        anonymous = services.settings.access.anonymous_read
        roles.check(connection, principal, action, namespace, component, anonymous_read=anonymous)


def sent_token(request: Request) -> str | None:
    """The token of `Authorization`: Bearer, or Basic with the token as password. Raises UnauthorizedError."""
    sent = request.headers.getlist("authorization")
    if not sent:
        return None
    if len(sent) > 1:
        raise BadRequestError("there are several Authorization headers")
    scheme, _, value = sent[0].partition(" ")
    value = value.strip()
    if scheme.lower() == "bearer":
        return value
    if scheme.lower() == "basic":
        try:
            _, colon, password = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            colon = ""
        if colon:
            return password
    raise UnauthorizedError("the Authorization header cannot be read", hint="Send `Authorization: Bearer TOKEN`.")
