"""Yanking a version, and taking that back."""

from __future__ import annotations

from flowctl_registry.api.noted import noted
from flowctl_registry.api.routing import Call, Endpoint
from flowctl_registry.catalog import reading, yanking
from flowctl_registry.models.names import Kind
from flowctl_registry.models.version import VersionDocument
from flowctl_registry.models.yank import YankRequest


def yank(call: Call) -> VersionDocument:
    """Warn everybody off the version."""
    asked: YankRequest = call.body
    version_id = _found(call)
    yanking.yank(call.services, version_id, asked.reason, noted(call, "version.yank", {"reason": asked.reason}))
    return reading.version_document(call.services, version_id)


def unyank(call: Call) -> VersionDocument:
    """The version can be used again."""
    version_id = _found(call)
    yanking.unyank(call.services, version_id, noted(call, "version.unyank"))
    return reading.version_document(call.services, version_id)


def _found(call: Call) -> int:
    kind: Kind = "bundle" if call.request.url.path.startswith("/v1/bundles/") else "component"
    return reading.find_version(call.services, kind, call.path["ns"], call.path["name"], call.path["version"])


def _endpoints(kinds: str) -> tuple[Endpoint, ...]:
    path = f"/v1/{kinds}/{{ns}}/{{name}}/{{version}}/yank"
    return (
        Endpoint(
            "POST", path, yank, "yank", "Warn off a version", "publishing",
            body=YankRequest, answer=VersionDocument, errors=(404,),
        ),
        Endpoint(
            "DELETE", path, unyank, "yank", "Take a warning back", "publishing", answer=VersionDocument, errors=(404,),
        ),
    )  # fmt: skip


ENDPOINTS = (*_endpoints("components"), *_endpoints("bundles"))
