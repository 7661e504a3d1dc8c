"""Trusted publishers, and the exchange of their OIDC tokens."""

from __future__ import annotations

from flowctl_registry.access import publishers
from flowctl_registry.access.authenticate import limiter_of
from flowctl_registry.access.exchange import exchange as exchanged
from flowctl_registry.access.limiting import client_address
from flowctl_registry.api.routing import Call, Endpoint
from flowctl_registry.database.engine import reading, writing
from flowctl_registry.errors import ForbiddenError, UnauthorizedError
from flowctl_registry.models.publisher import (
    ExchangedToken,
    ExchangeRequest,
    PublisherDocument,
    PublisherList,
    PublisherRequest,
)


def listed(call: Call) -> PublisherList:
    """Those of a namespace."""
    with reading(call.services.engine) as connection:
        return PublisherList(publishers=tuple(publishers.listed(connection, call.path["ns"])))


def add(call: Call) -> PublisherDocument:
    """Trust one."""
    asked: PublisherRequest = call.body
    access, actor = call.services.settings.access, call.principal.shown
    return writing(
        call.services.engine,
        lambda c: publishers.add(c, call.path["ns"], asked, access, actor, call.request_id),
    )


def remove(call: Call) -> None:
    """Trust one no more."""
    namespace, identity, actor = call.path["ns"], int(call.path["publisher"]), call.principal.shown
    writing(call.services.engine, lambda c: publishers.remove(c, namespace, identity, actor, call.request_id))


def exchange(call: Call) -> ExchangedToken:
    """Check an OIDC token and give one of the registry for it."""
    asked: ExchangeRequest = call.body
    limiter, address = limiter_of(call.request), client_address(call.request)
    limiter.check_logins(address)
    try:
        return exchanged(call.services, call.request.app.state.oidc_keys, asked.token, call.request_id)
    except (UnauthorizedError, ForbiddenError):
        limiter.count_failure(address)
        raise


_ALL = "/v1/namespaces/{ns}/publishers"
ENDPOINTS = (
    Endpoint("GET", _ALL, listed, "manage", "Trusted publishers", "access", answer=PublisherList, errors=(404,)),
    Endpoint(
        "POST", _ALL, add, "manage", "Trust a publisher", "access",
        body=PublisherRequest, answer=PublisherDocument, status=201, errors=(404, 413),
    ),
    Endpoint(
        "DELETE", _ALL + "/{publisher}", remove, "manage", "Trust a publisher no more", "access",
        status=204, errors=(404,),
    ),
    Endpoint(
        "POST", "/v1/oidc/token", exchange, None, "Exchange a trusted publisher's OIDC token", "access",
        body=ExchangeRequest, answer=ExchangedToken, errors=(401, 403, 413, 429),
    ),
)  # fmt: skip
