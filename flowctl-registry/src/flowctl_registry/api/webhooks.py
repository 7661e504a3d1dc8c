"""Webhooks that come in."""

from __future__ import annotations

from anyio import to_thread

from flowctl_registry.access.authenticate import limiter_of
from flowctl_registry.access.limiting import client_address
from flowctl_registry.api.body import read_body
from flowctl_registry.api.routing import Call, Endpoint
from flowctl_registry.builds.github import Delivery, receive
from flowctl_registry.models.source import DeliveryDocument


async def github(call: Call) -> DeliveryDocument:
    """Start builds for a pushed tag or a published release."""
    limiter_of(call.request).count_address(client_address(call.request))
    settings = call.services.settings
    body = await read_body(call.request, settings.sources.webhook_bytes, settings.limits)
    delivery = Delivery.of(call.request.headers, body)
    return await to_thread.run_sync(receive, call.services, delivery, call.request_id)


ENDPOINTS = (
    Endpoint(
        "POST", "/v1/webhooks/github", github, None, "Take a delivery of GitHub", "builds",
        answer=DeliveryDocument, errors=(400, 401, 409, 413, 429),
    ),
)  # fmt: skip
