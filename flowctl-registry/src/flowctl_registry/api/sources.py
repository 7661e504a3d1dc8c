"""Where components' sources are."""

from __future__ import annotations

from flowctl_registry.api.routing import Call, Endpoint
from flowctl_registry.builds import sources
from flowctl_registry.database.engine import reading, writing
from flowctl_registry.models.names import Kind
from flowctl_registry.models.source import SourceDocument, SourceRequest


def show(call: Call) -> SourceDocument:
    """Where it is."""
    with reading(call.services.engine) as connection:
        return sources.get(connection, _key(call))


def put(call: Call) -> SourceDocument:
    """Register or change it."""
    asked: SourceRequest = call.body
    settings, actor = call.services.settings.sources, call.principal.shown
    return writing(call.services.engine, lambda c: sources.put(c, settings, _key(call), asked, actor, call.request_id))


def remove(call: Call) -> None:
    """Start no more builds from it."""
    actor = call.principal.shown
    writing(call.services.engine, lambda c: sources.remove(c, _key(call), actor, call.request_id))


def _key(call: Call) -> tuple[Kind, str, str]:
    kind: Kind = "bundle" if call.request.url.path.startswith("/v1/bundles/") else "component"
    return kind, call.path["ns"], call.path["name"]


def _endpoints(kinds: str) -> tuple[Endpoint, ...]:
    path = f"/v1/{kinds}/{{ns}}/{{name}}/source"
    return (
        Endpoint("GET", path, show, "read", "Where it is built from", "builds", answer=SourceDocument, errors=(404,)),
        Endpoint(
            "PUT", path, put, "manage", "Register where it is built from", "builds",
            body=SourceRequest, answer=SourceDocument, errors=(404, 413),
        ),
        Endpoint("DELETE", path, remove, "manage", "Build it no more from there", "builds", status=204, errors=(404,)),
    )  # fmt: skip


ENDPOINTS = (*_endpoints("components"), *_endpoints("bundles"))
