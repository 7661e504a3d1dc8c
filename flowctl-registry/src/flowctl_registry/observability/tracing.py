"""Traces by OpenTelemetry, where an endpoint is configured."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flowctl_core.errors import ConfigError
from flowctl_registry.settings import Telemetry


class Tracing:
    """A span a request, in the trace that the client began (W3C `traceparent`)."""

    def __init__(self, tracer: Any, propagator: Any, provider: Any) -> None:
        self._tracer = tracer
        self._propagator = propagator
        self._provider = provider

    @contextmanager
    def span(self, scope: Any, noted: Any) -> Iterator[None]:
        """Names as in OpenTelemetry's semantic conventions for HTTP servers."""
        carrier = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        from opentelemetry.trace import SpanKind

        with self._tracer.start_as_current_span(
            scope["method"], context=self._propagator.extract(carrier), kind=SpanKind.SERVER
        ) as span:
            try:
                yield
            finally:
                route = getattr(scope.get("route"), "path", None)
                span.update_name(f"{scope['method']} {route}" if route else scope["method"])
                span.set_attribute("http.request.method", scope["method"])
                span.set_attribute("http.response.status_code", noted.status)
                span.set_attribute("flowctl.request_id", noted.id)
                if route:
                    span.set_attribute("http.route", route)

    def close(self) -> None:
        """Send what waits."""
        self._provider.shutdown()


def open_tracing(telemetry: Telemetry) -> Tracing | None:
    """None where no endpoint is configured. Raises ConfigError when the extra is missing."""
    if telemetry.otlp_endpoint is None:
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
    except ImportError as error:
        raise ConfigError(
            "telemetry.otlp_endpoint needs OpenTelemetry", hint="Install flowctl-registry[telemetry]."
        ) from error
    provider = TracerProvider(resource=Resource.create({"service.name": "flowctl-registry"}))
    endpoint = telemetry.otlp_endpoint.rstrip("/") + "/v1/traces"
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
    return Tracing(provider.get_tracer("flowctl_registry"), TraceContextTextMapPropagator(), provider)
