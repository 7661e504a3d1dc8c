"""Hands out ports of this machine to components."""

from __future__ import annotations

import contextlib
import errno
import socket

from flowctl_core.dev.check import service_ports
from flowctl_core.dev.environment import FIRST_HEALTH_PORT, FIRST_PORT, Ports, variables
from flowctl_core.dev.health import HOST
from flowctl_core.dev.pipeline import DevComponent
from flowctl_core.errors import ComponentStartError


class PortBook:
    """Which copy has which ports, for as long as the pipeline runs: a new process gets those of the old one."""

    def __init__(self) -> None:
        self._given: dict[tuple[str, int], Ports] = {}
        self._taken: set[int] = set()

    def ports(self, component: DevComponent, replica: int) -> Ports:
        """The ports of one copy; those that the pipeline states are taken as they are."""
        key = (component.id, replica)
        if key not in self._given:
            stated = component.entry.health_port if component.replicas <= 1 else None
            own = variables(component.entry.env).get("HEALTH_PORT", "")
            health = int(own) if own.isdigit() else stated or self._free(FIRST_HEALTH_PORT)
            service = None
            if component.speaks_grpc:
                wanted = service_ports(component)
                service = wanted[0] if wanted and component.replicas <= 1 else self._free(FIRST_PORT)
            self._given[key] = Ports(health, service)
            self._taken.update({health, *(() if service is None else (service,))})
        return self._given[key]

    def _free(self, first: int) -> int:
        port = first
        while port in self._taken or in_use(port):
            port += 1
        return port


def require_free(component: DevComponent, ports: Ports) -> None:
    """Raise ComponentStartError when another program has a port that the pipeline states for this component."""
    stated = {*(p.host_port or p.container_port for p in component.entry.ports)}
    if component.entry.health_port is not None:
        stated.add(ports.health)
    if ports.service is not None:
        stated.add(ports.service)
    for port in sorted(stated):
        if in_use(port):
            raise ComponentStartError(
                f"port {port} is in use by another program{_owner(port)}",
                hint=f"End that program, or give {component.id} another port.",
            )


def in_use(port: int) -> bool:
    """True when something listens on a port of this machine."""
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False


def _owner(port: int) -> str:
    """Who listens there, as far as the system tells this user."""
    import psutil

    try:
        for connection in psutil.net_connections(kind="tcp"):
            if connection.laddr and connection.laddr.port == port and connection.status == psutil.CONN_LISTEN:
                return f" ({psutil.Process(connection.pid).name()}, pid {connection.pid})" if connection.pid else ""
    except (psutil.Error, OSError):
        pass
    return ""
