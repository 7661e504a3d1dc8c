"""Lists of components and bundles, the search, and each one."""

from __future__ import annotations

from flowctl_registry.access.visibility import visible_namespaces
from flowctl_registry.api.routing import Call, Endpoint
from flowctl_registry.catalog import listing
from flowctl_registry.catalog.search import search
from flowctl_registry.models.component import ComponentDocument, ComponentPage, ListQuery, SearchPage, SearchQuery


def list_components(call: Call) -> ComponentPage:
    """Those that the caller may see and that have a version which is not yanked."""
    visible = visible_namespaces(call.services, call.principal)
    return listing.list_components(call.services, call.kind, call.query, visible)


def find_components(call: Call) -> SearchPage:
    """Those that match all that is asked, ranked."""
    return search(call.services, call.kind, call.query, visible_namespaces(call.services, call.principal))


def show(call: Call) -> ComponentDocument:
    """By its latest version."""
    return listing.component_document(call.services, call.kind, call.path["ns"], call.path["name"])


def _endpoints(kinds: str) -> tuple[Endpoint, ...]:
    base = f"/v1/{kinds}"
    return (
        Endpoint(
            "GET", base, list_components, "read", f"All {kinds}", kinds,
            query=ListQuery, answer=ComponentPage, errors=(404,), repeatable=True,
        ),
        Endpoint(
            "GET", base + "/search", find_components, "read", f"Search {kinds}", kinds,
            query=SearchQuery, answer=SearchPage, errors=(404,), repeatable=True,
        ),
        Endpoint(
            "GET", base + "/{ns}/{name}", show, "read", f"One of the {kinds}", kinds,
            answer=ComponentDocument, errors=(404,), repeatable=True,
        ),
    )  # fmt: skip


ENDPOINTS = (*_endpoints("components"), *_endpoints("bundles"))
