"""The signer's process."""

from __future__ import annotations

from typing import Any

from flowctl_registry.settings import Settings
from flowctl_registry.signer.server import listen, serve


def run(settings: Settings) -> None:
    """Serve the socket until the process is ended."""
    with listen(settings.socket) as server:
        serve(server, _handle)


def _handle(request: dict[str, Any]) -> dict[str, Any]:
    return {}
