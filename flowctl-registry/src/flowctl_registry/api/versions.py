"""A version of a component or bundle."""

from __future__ import annotations

from flowctl_registry.api.routing import Call, Endpoint
from flowctl_registry.catalog import reading
from flowctl_registry.models.names import Kind
from flowctl_registry.models.version import VersionDocument


def _kind(call: Call) -> Kind:
    return "bundle" if call.request.url.path.startswith("/v1/bundles/") else "component"


def show(call: Call) -> VersionDocument:
    """The version with its files."""
    found = reading.find_version(call.services, _kind(call), call.path["ns"], call.path["name"], call.path["version"])
    return reading.version_document(call.services, found)


ENDPOINTS = tuple(
    Endpoint(
        "GET", f"/v1/{kinds}/{{ns}}/{{name}}/{{version}}", show, "read", "A version with its files", kinds,
        answer=VersionDocument, errors=(404,),
    )
    for kinds in ("components", "bundles")
)  # fmt: skip
