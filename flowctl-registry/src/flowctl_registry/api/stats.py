"""Numbers of what the registry has."""

from __future__ import annotations

from flowctl_registry.api.routing import Call, Endpoint
from flowctl_registry.catalog.counting import count
from flowctl_registry.models.status import Stats


def stats(call: Call) -> Stats:
    """Counted once a minute."""
    return count(call.services)


ENDPOINTS = (Endpoint("GET", "/v1/stats", stats, "read", "Numbers of what there is", "operations", answer=Stats),)
