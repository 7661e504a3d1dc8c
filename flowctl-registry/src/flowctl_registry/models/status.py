"""What the service says of itself."""

from __future__ import annotations

from typing import Literal

from flowctl_core.models.base import Frozen


class Health(Frozen):
    """The process runs."""

    status: Literal["ok"] = "ok"
    """Always `ok`."""
    version: str
    """Of flowctl-registry."""


class Readiness(Frozen):
    """Whether requests can be served now."""

    status: Literal["ready", "not-ready"]
    """`not-ready` is answered with 503."""
    checks: dict[str, str]
    """Database, blob store and signer: `ok`, or what is wrong."""
