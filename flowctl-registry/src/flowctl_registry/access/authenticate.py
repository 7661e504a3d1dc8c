"""The caller of a request, and whether it may do what it asks."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime

from sqlalchemy import Connection
from starlette.requests import Request

from flowctl_registry.access import roles, tokens
from flowctl_registry.access.limiting import Limiter, client_address
from flowctl_registry.access.places import Place
from flowctl_registry.access.principal import Action, Principal
from flowctl_registry.database.engine import reading
from flowctl_registry.errors import BadRequestError, UnauthorizedError
from flowctl_registry.services import Services


def authenticate(
    services: Services, request: Request, action: Action | None, path: dict[str, str], place: Place | None = None
) -> Principal:
    """The caller, who is allowed `action` in the namespace `path["ns"]`, or in that of the thing whose id it has.

    Raises UnauthorizedError, ForbiddenError, NotFoundError for a private namespace, TooManyRequestsError.
    """
    if action is None:
        if request.url.path.startswith("/v1/"):  # health and metrics must answer whatever clients do
            limiter_of(request).count_address(client_address(request))
        return Principal()
    token = _counted_token(request)
    anonymous = services.settings.access.anonymous_read
    with reading(services.engine) as connection:
        principal, used = _identified(connection, request, token)
        if place is not None:
            place.check(connection, principal, action, path[place.what], anonymous_read=anonymous)
        else:
            roles.check(connection, principal, action, path.get("ns"), path.get("name"), anonymous_read=anonymous)
    tokens.note_use(services, principal, used)
    return principal


def identify(services: Services, request: Request) -> Principal:
    """The caller, whatever it may do. Raises UnauthorizedError for a token that is not valid, TooManyRequestsError."""
    token = _counted_token(request)
    if token is None:
        return Principal()
    with reading(services.engine) as connection:
        principal, used = _identified(connection, request, token)
    tokens.note_use(services, principal, used)
    return principal


def allow(
    services: Services, principal: Principal, action: Action, namespace: str | None, component: str | None
) -> None:
    """Raises UnauthorizedError, ForbiddenError, or NotFoundError for what the caller must not know of."""
    with reading(services.engine) as connection:
        anonymous = services.settings.access.anonymous_read
        roles.check(connection, principal, action, namespace, component, anonymous_read=anonymous)


def _counted_token(request: Request) -> str | None:
    """The token that was sent; before the database is asked, whoever asks too often is refused."""
    limiter, address = limiter_of(request), client_address(request)
    limiter.check_logins(address)
    try:
        token = sent_token(request)
    except UnauthorizedError:
        limiter.count_failure(address)
        raise
    if token is None:
        limiter.count_address(address)
    return token


def _identified(connection: Connection, request: Request, token: str | None) -> tuple[Principal, datetime | None]:
    """The caller, and when its token was used last."""
    if token is None:
        return Principal(), None
    found = tokens.find(connection, token)
    if found is None:
        limiter_of(request).count_failure(client_address(request))
        raise UnauthorizedError(
            "the token is unknown, expired or revoked", hint="Make a new one with `flowctl-registry token create`."
        )
    limiter_of(request).count_token(str(found[0].token_id))
    return found


def limiter_of(request: Request) -> Limiter:
    """This process's counters."""
    limiter: Limiter = request.app.state.limiter
    return limiter


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
