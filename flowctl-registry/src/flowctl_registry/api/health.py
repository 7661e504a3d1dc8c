"""Is it alive, and ready?"""

from __future__ import annotations

from importlib.metadata import version

from flowctl_registry.api.routing import Call, Endpoint
from flowctl_registry.models.status import Health


def health(_call: Call) -> Health:
    """Whatever happens to the database."""
    return Health(version=version("flowctl-registry"))


ENDPOINTS = (Endpoint("GET", "/healthz", health, None, "Is the process alive?", "operations", answer=Health),)
