"""All endpoints, in the order in which they are matched and documented."""

from __future__ import annotations

from flowctl_registry.api import (
    audit,
    build_logs,
    builders,
    builds,
    components,
    downloads,
    health,
    hooks,
    namespaces,
    openapi,
    publishers,
    sources,
    stats,
    tokens,
    trust,
    uploads,
    versions,
    webhooks,
    yanks,
)
from flowctl_registry.api.routing import Endpoint

ENDPOINTS: tuple[Endpoint, ...] = (
    *health.ENDPOINTS,
    *openapi.ENDPOINTS,
    *stats.ENDPOINTS,
    *builders.ENDPOINTS,
    *trust.ENDPOINTS,
    *uploads.ENDPOINTS,
    *components.ENDPOINTS,
    *sources.ENDPOINTS,  # before versions: `source` is none
    *builds.ENDPOINTS,
    *build_logs.ENDPOINTS,
    *versions.ENDPOINTS,
    *downloads.ENDPOINTS,
    *yanks.ENDPOINTS,
    *tokens.ENDPOINTS,
    *namespaces.ENDPOINTS,
    *publishers.ENDPOINTS,
    *audit.ENDPOINTS,
    *hooks.ENDPOINTS,
    *webhooks.ENDPOINTS,
)
