"""Who may pull: a pull token, the registry's own token, or nobody's name for what is public."""

from __future__ import annotations

from starlette.requests import Request

from flowctl_registry.access import image_tokens
from flowctl_registry.access.authenticate import authenticate, limiter_of
from flowctl_registry.access.limiting import client_address
from flowctl_registry.access.principal import Principal
from flowctl_registry.errors import ForbiddenError, NotFoundError, UnauthorizedError
from flowctl_registry.services import Services


def admit(services: Services, request: Request, namespace: str, name: str) -> Principal:
    """The caller, who may pull. Raises UnauthorizedError, also for what somebody without a token cannot see.

    Clients that do not greet first fetch a token only when they are told so: `404` would end a pull of theirs from a
    private namespace. What is missing is answered alike, so that it says nothing.
    """
    grant = _granted(services, request)
    if grant is not None:
        if f"{namespace}/{name}" not in grant.repositories:
            raise UnauthorizedError("the pull token is for another repository", hint="Log in: `docker login`.")
        return Principal(user=grant.user, actions=frozenset({"read"}))
    try:
        return authenticate(services, request, "read", {"ns": namespace, "name": name})
    except (ForbiddenError, NotFoundError):
        if "authorization" in request.headers:
            raise
        raise UnauthorizedError("this repository needs a token", hint="Log in: `docker login`.") from None


def greet(services: Services, request: Request) -> Principal:
    """Docker and skopeo learn here, and only here, where tokens are fetched: without one they are not let in."""
    grant = _granted(services, request)
    if grant is not None:
        return Principal(user=grant.user, actions=frozenset({"read"}))
    if "authorization" not in request.headers:
        limiter_of(request).count_address(client_address(request))
        raise UnauthorizedError("fetch a token first")
    return authenticate(services, request, "read", {})


def _granted(services: Services, request: Request) -> image_tokens.Grant | None:
    """What the request's pull token grants; None where it has none. Raises UnauthorizedError, TooManyRequestsError."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or value.count(".") != 2:
        return None
    limiter, address = limiter_of(request), client_address(request)
    limiter.check_logins(address)
    try:
        grant = image_tokens.verify(services, value.strip())
    except UnauthorizedError:
        limiter.count_failure(address)
        raise
    if grant.user is None:
        limiter.count_address(address)
    else:
        limiter.count_token(f"pull tokens of {grant.user}")
    return grant
