"""The token service of container clients (distribution's token authentication specification)."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from flowctl_registry.access import image_tokens
from flowctl_registry.access.authenticate import allow, identify, limiter_of
from flowctl_registry.access.limiting import client_address
from flowctl_registry.access.principal import Principal
from flowctl_registry.api.image_errors import VERSION_HEADER
from flowctl_registry.errors import BadRequestError, ForbiddenError, NotFoundError, UnauthorizedError
from flowctl_registry.models.names import NAME_PATTERN
from flowctl_registry.services import Services

_NAME = NAME_PATTERN.removeprefix("^").removesuffix("$")
_SCOPE = re.compile(rf"repository(?:\([a-z0-9]+\))?:(({_NAME})/({_NAME})):([a-z*,]+)")
_SCOPES_LIMIT = 20
_NO_CREDENTIALS = "Basic Og=="
"""An empty name with an empty password: what some clients send when they have none."""


def give_token(services: Services, request: Request) -> Response:
    """A pull token for those repositories of the scopes that the caller may read; nobody's is for public ones.

    Raises UnauthorizedError for credentials that are wrong, BadRequestError.
    """
    asked = request.query_params
    if asked.get("service", image_tokens.SERVICE) != image_tokens.SERVICE:
        raise BadRequestError("this is not that service", hint=f"Ask for service={image_tokens.SERVICE}.")
    scopes = [scope for each in asked.getlist("scope") for scope in each.split()]
    if len(scopes) > _SCOPES_LIMIT:
        raise BadRequestError(f"more than {_SCOPES_LIMIT} scopes are asked for")
    if request.headers.get("authorization") == _NO_CREDENTIALS:
        limiter_of(request).count_address(client_address(request))
        principal = Principal()
    else:
        principal = identify(services, request)
    allow(services, principal, "read", None, None)
    request.state.principal = principal
    granted = set()
    for scope in scopes:
        match = _SCOPE.fullmatch(scope)
        if match is None or not {"pull", "*"} & set(match[4].split(",")):
            continue
        try:
            allow(services, principal, "read", match[2], match[3])
        except (ForbiddenError, NotFoundError, UnauthorizedError):
            continue
        granted.add(match[1])
    token, moment = image_tokens.issue(services, image_tokens.Grant(principal.user, frozenset(granted)))
    body = {
        "token": token,
        "access_token": token,
        "expires_in": image_tokens.LIFETIME_S,
        "issued_at": datetime.fromtimestamp(moment, UTC).isoformat().replace("+00:00", "Z"),
    }
    return JSONResponse(body, headers={**VERSION_HEADER, "Cache-Control": "no-store"})
