"""How a component says it is."""

from __future__ import annotations

from enum import StrEnum

HEARTBEAT_INTERVAL = 10
"""Seconds between heartbeats that components are asked for (FLOWCTL_HEARTBEAT_INTERVAL)."""

STALE_AFTER = 3 * HEARTBEAT_INTERVAL
"""Seconds without a heartbeat after which a component counts as unwell."""


class Health(StrEnum):
    """What the last heartbeat said; STALE: there was none for too long."""

    STARTING = "starting"
    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"
    STOPPING = "stopping"
    STALE = "stale"
