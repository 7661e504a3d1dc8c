"""All endpoints, in the order in which they are matched and documented."""

from __future__ import annotations

from flowctl_registry.api import (
    health,
    trust,
    uploads,
    versions,
    yanks,
)
from flowctl_registry.api.routing import Endpoint

ENDPOINTS: tuple[Endpoint, ...] = (
    *health.ENDPOINTS,
    *trust.ENDPOINTS,
    *uploads.ENDPOINTS,
    *versions.ENDPOINTS,
    *yanks.ENDPOINTS,
)
