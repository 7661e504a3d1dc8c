"""Counters of requests, in the format of Prometheus. API processes of one `serve` count together, in shared files.

`prepare` must have run in the parent before this module is imported: the library looks for its folder on import.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector

from flowctl_registry.observability.folder import FOLDER

CONTENT_TYPE = CONTENT_TYPE_LATEST
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)

REQUESTS = Counter(
    "flowctl_registry_requests", "Requests that were answered.", ("method", "route", "status"), registry=None
)
SECONDS = Histogram(
    "flowctl_registry_request_seconds",
    "From a request's head to the last byte of its answer.",
    ("method", "route"),
    buckets=_BUCKETS,
    registry=None,
)
RUNNING = Gauge(
    "flowctl_registry_requests_running", "Requests that are being answered.", multiprocess_mode="livesum", registry=None
)
RECEIVED = Counter("flowctl_registry_received_bytes", "Bytes of bodies that came in.", registry=None)
SENT = Counter("flowctl_registry_sent_bytes", "Bytes of bodies that went out.", registry=None)


class _Facts:
    """Gauges that are known only when somebody asks."""

    def __init__(self, facts: Iterable[tuple[str, str, float]]) -> None:
        self._facts = tuple(facts)

    def collect(self) -> Iterable[GaugeMetricFamily]:
        for name, meaning, value in self._facts:
            yield GaugeMetricFamily(f"flowctl_registry_{name}", meaning, value=value)


def exposition(facts: Iterable[tuple[str, str, float]]) -> bytes:
    """All metrics; `facts` are name, meaning and value of gauges of this moment."""
    registry = CollectorRegistry()
    if os.environ.get(FOLDER) and Path(os.environ[FOLDER]).is_dir():
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    else:
        for metric in (REQUESTS, SECONDS, RUNNING, RECEIVED, SENT):
            registry.register(metric)
    registry.register(_Facts(facts))
    return generate_latest(registry)
