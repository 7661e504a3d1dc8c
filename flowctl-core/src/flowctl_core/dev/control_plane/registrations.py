"""Which components have said that they are there, and how they are."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from flowctl_core.dev.control_plane import flowctl_v1_pb2 as pb
from flowctl_core.dev.control_plane.health import STALE_AFTER, Health
from flowctl_core.errors import FlowctlError

REGISTRATION_LIMIT = 1000
"""Components that can be registered at once; a pipeline has fewer, a component in a loop has no end."""

_HEALTH = {
    pb.HEALTH_STATUS_UNKNOWN: Health.HEALTHY,  # it spoke: that is what upstream makes of it as well
    pb.HEALTH_STATUS_STARTING: Health.STARTING,
    pb.HEALTH_STATUS_HEALTHY: Health.HEALTHY,
    pb.HEALTH_STATUS_DEGRADED: Health.DEGRADED,
    pb.HEALTH_STATUS_UNHEALTHY: Health.UNHEALTHY,
    pb.HEALTH_STATUS_STOPPING: Health.STOPPING,
}
_STATUS = {health: status for status, health in _HEALTH.items() if status != pb.HEALTH_STATUS_UNKNOWN}


class UnknownServiceError(FlowctlError):
    """No component is registered under this id; it should register (again)."""


class TooManyServicesError(FlowctlError):
    """As many components as can be are registered."""


class NamelessServiceError(FlowctlError):
    """A component registers without any id."""


@dataclass
class _Registration:
    info: pb.ComponentInfo
    health: Health
    registered_at: float
    seen_at: float
    seen: float
    metrics: dict[str, str] = field(default_factory=dict)


class Registrations:
    """Safe for threads. Nothing runs in the background: who asks learns whether a heartbeat is overdue."""

    def __init__(
        self, *, on_change: Callable[[str, Health], None] | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._on_change = on_change
        self._clock = clock
        self._lock = threading.Lock()
        self._registered: dict[str, _Registration] = {}

    def register(self, request: pb.RegisterRequest) -> str:
        """Note the component, in place of an earlier one of its id; returns the id. Raises what its name says."""
        service = request.component_id or request.component.id
        if not service:
            raise NamelessServiceError(
                "a component registers without component_id and component.id",
                hint="Send the value of FLOWCTL_COMPONENT_ID as component_id.",
            )
        now = time.time()
        with self._lock:
            if service not in self._registered and len(self._registered) >= REGISTRATION_LIMIT:
                raise TooManyServicesError(f"{REGISTRATION_LIMIT:,} components are registered, no more are taken")
            self._registered[service] = _Registration(request.component, Health.HEALTHY, now, now, self._clock())
        self._tell(service, Health.HEALTHY)
        return service

    def unregister(self, service: str) -> None:
        """It goes; an id that is not registered is no mistake."""
        with self._lock:
            known = self._registered.pop(service, None)
        if known is not None:
            self._tell(service, Health.STOPPING)

    def heartbeat(self, request: pb.HeartbeatRequest) -> None:
        """It is still there. Raises UnknownServiceError."""
        health = _HEALTH.get(request.status, Health.HEALTHY)
        with self._lock:
            known = self._get(request.service_id)
            before = self._health_of(known)
            known.seen_at, known.seen, known.health = time.time(), self._clock(), health
            known.metrics.update(request.metrics)
        if health is not before:
            self._tell(request.service_id, health)

    def health(self, service: str) -> Health | None:
        """How it is; None when it is not registered."""
        with self._lock:
            known = self._registered.get(service)
            return None if known is None else self._health_of(known)

    def endpoint(self, service: str) -> str | None:
        """host:port that it said it serves, if it did."""
        with self._lock:
            known = self._registered.get(service)
            return (known.info.endpoint or None) if known is not None else None

    def status(self, service: str) -> pb.ComponentStatusResponse:
        """All that is known of it. Raises UnknownServiceError."""
        with self._lock:
            return self._status_of(self._get(service))

    def statuses(self, kind: int, *, with_unhealthy: bool) -> list[pb.ComponentStatusResponse]:
        """All that is known of all of this kind (0: any)."""
        with self._lock:
            return [
                self._status_of(known)
                for known in self._registered.values()
                if kind in (pb.COMPONENT_TYPE_UNSPECIFIED, known.info.type)
                and (with_unhealthy or self._health_of(known) is Health.HEALTHY)
            ]

    def find(self, kind: int, event_types: set[str], metadata: Mapping[str, str]) -> list[pb.ComponentInfo]:
        """Of this kind (0: any), with one of these event types (none: any), and with all of this metadata."""
        with self._lock:
            infos = [known.info for known in self._registered.values()]
        return [
            info
            for info in infos
            if kind in (pb.COMPONENT_TYPE_UNSPECIFIED, info.type)
            and (not event_types or event_types & {*info.input_event_types, *info.output_event_types})
            and all(info.metadata.get(key) == value for key, value in metadata.items())
        ]

    def _get(self, service: str) -> _Registration:
        if service not in self._registered:
            raise UnknownServiceError(f"no component is registered as {service!r}", hint="Register it again.")
        return self._registered[service]

    def _health_of(self, known: _Registration) -> Health:
        return Health.STALE if self._clock() - known.seen > STALE_AFTER else known.health

    def _status_of(self, known: _Registration) -> pb.ComponentStatusResponse:
        answer = pb.ComponentStatusResponse(component=known.info, metrics=known.metrics)
        answer.status = _STATUS.get(self._health_of(known), pb.HEALTH_STATUS_UNHEALTHY)
        answer.last_heartbeat.FromNanoseconds(int(known.seen_at * 1e9))
        answer.registered_at.FromNanoseconds(int(known.registered_at * 1e9))
        return answer

    def _tell(self, service: str, health: Health) -> None:
        if self._on_change is not None:
            self._on_change(service, health)
