"""Who may pull: a pull token, the registry's own token, or nobody's name for what is public."""

from __future__ import annotations

from starlette.requests import Request

from flowctl_registry.access import image_tokens
from flowctl_registry.access.authenticate import authenticate
from flowctl_registry.access.principal import Principal
from flowctl_registry.errors import ForbiddenError, NotFoundError, UnauthorizedError
from flowctl_registry.services import Services


def admit(services: Services, request: Request, namespace: str, name: str) -> Principal:
    """The caller, who may pull. Raises UnauthorizedError, also for what somebody without a token cannot see.

    Clients that do not greet first fetch a token only when they are told so: `404` would end a pull of theirs from a
    private namespace. What is missing is answered alike, so that it says nothing.
    """
    token = _pull_token(request)
    if token is not None:
        grant = image_tokens.verify(services, token)
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
    token = _pull_token(request)
    if token is not None:
        return Principal(user=image_tokens.verify(services, token).user, actions=frozenset({"read"}))
    if "authorization" not in request.headers:
        raise UnauthorizedError("fetch a token first")
    return authenticate(services, request, "read", {})


def _pull_token(request: Request) -> str | None:
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" and value.count(".") == 2 else None
