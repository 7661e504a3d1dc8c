"""Versions of a component or bundle."""

from __future__ import annotations

from flowctl_registry.api.routing import Call, Endpoint
from flowctl_registry.catalog import listing, reading
from flowctl_registry.models.component import PageQuery, VersionPage
from flowctl_registry.models.version import VersionDocument


def list_versions(call: Call) -> VersionPage:
    """All that were published, yanked ones too."""
    return listing.list_versions(call.services, call.kind, call.path["ns"], call.path["name"], call.query)


def show(call: Call) -> VersionDocument:
    """The version with its files."""
    path = call.path
    return reading.find_document(call.services, call.kind, path["ns"], path["name"], path["reference"])


def _endpoints(kinds: str) -> tuple[Endpoint, ...]:
    base = f"/v1/{kinds}/{{ns}}/{{name}}"
    return (
        Endpoint(
            "GET", base + "/versions", list_versions, "read", "Its versions, newest first", kinds,
            query=PageQuery, answer=VersionPage, errors=(404,), repeatable=True,
        ),
        Endpoint(
            "GET", base + "/{reference}", show, "read", "A version with its files", kinds,
            answer=VersionDocument, errors=(404,), repeatable=True,
        ),
    )  # fmt: skip


ENDPOINTS = (*_endpoints("components"), *_endpoints("bundles"))
