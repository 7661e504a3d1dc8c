"""Asks components over HTTP whether they are well."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flowctl_core.dev.pipeline import DevComponent

HOST = "127.0.0.1"
START_TIMEOUT_S = 30.0
"""Seconds that a component has to become well."""
_EAGER_S = 0.1


@dataclass(frozen=True)
class HealthCheck:
    """How a component is asked."""

    path: str
    port: int | None
    """None: the port that it is handed as HEALTH_PORT."""
    initial_delay_s: float = 0.0
    period_s: float = 10.0
    timeout_s: float = 2.0
    failures: int = 3
    """In a row, until it counts as unhealthy."""


def health_check(component: DevComponent) -> HealthCheck | None:
    """The check that pipeline.yaml names, else the readiness probe of component.yaml; None: none."""
    entry = component.entry
    probes = component.body.get("health")
    found = (probes.get("readiness") or probes.get("liveness")) if isinstance(probes, dict) else None
    probe: dict[str, Any] = found if isinstance(found, dict) else {}
    nested = probe.get("http")
    target = {**probe, **(nested if isinstance(nested, dict) else {})}
    path = entry.health_check or (str(target["path"]) if target.get("path") else None)
    if path is None:
        return None
    stated = {
        "initial_delay_s": probe.get("initial_delay"),
        "period_s": probe.get("period"),
        "timeout_s": probe.get("timeout"),
        "failures": probe.get("failure_threshold"),
    }
    port = entry.health_port or (target.get("port") if not entry.health_check else None)
    return HealthCheck(
        path if path.startswith("/") else f"/{path}", port, **{name: value for name, value in stated.items() if value}
    )


class HealthWatch(threading.Thread):
    """Asks one copy until it is stopped: eagerly until it is well, then every period."""

    def __init__(self, check: HealthCheck, port: int, on_change: Callable[[bool, str], None], *, name: str) -> None:
        """`on_change(well, why)` is called with the first answer and whenever it changes, in this thread."""
        super().__init__(name=f"health {name}", daemon=True)
        self._check = check
        self._port = port
        self._on_change = on_change
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Ask no more."""
        self._stopped.set()

    def run(self) -> None:
        """Ask."""
        check = self._check
        if self._stopped.wait(check.initial_delay_s):
            return
        well: bool | None = None
        failures = 0
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._stopped.is_set():
            problem = ask(self._port, check)
            failures = 0 if problem is None else failures + 1
            if problem is None and well is not True:
                well = True
                self._on_change(True, "")
            elif problem is not None and well is None and time.monotonic() > deadline:
                well = False
                self._on_change(False, f"not well {START_TIMEOUT_S:g} s after its start: {problem}")
            elif problem is not None and well is True and failures >= check.failures:
                well = False
                self._on_change(False, f"not well any more: {problem}")
            if self._stopped.wait(check.period_s if well else _EAGER_S):
                return


def ask(port: int, check: HealthCheck) -> str | None:
    """Ask once; None: it is well, else why it is not."""
    connection = http.client.HTTPConnection(HOST, port, timeout=check.timeout_s)
    try:
        connection.request("GET", check.path)
        status = connection.getresponse().status
        return None if 200 <= status < 400 else f"{check.path} answered {status}"
    except (OSError, http.client.HTTPException) as error:
        return f"port {port}: {getattr(error, 'strerror', None) or error or type(error).__name__}"
    finally:
        connection.close()
