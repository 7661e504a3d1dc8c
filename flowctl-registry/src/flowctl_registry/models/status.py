"""What the service says of itself."""

from __future__ import annotations

from datetime import datetime
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

    status: Literal["ready", "degraded", "not-ready"]
    """`not-ready` (database or blobs do not answer) is answered with 503. `degraded`: all can be read, but nothing
    can be published (signer), or clients refuse the signed index (index)."""
    checks: dict[str, str]
    """`database`, `blobs`, `signer` and `index`: `ok`, or what is wrong."""


class Stats(Frozen):
    """Numbers of what the registry has."""

    namespaces: int
    """Private ones too."""
    components: int
    """With at least one published version."""
    bundles: int
    """Likewise."""
    versions: int
    """Published ones, the yanked ones too."""
    yanked: int
    """Of them."""
    downloads: int
    """Of all components, as they were counted."""
    blobs: int
    """Stored files; equal ones count once."""
    blob_bytes: int
    """Their size."""
    index_waiting: int
    """Changes that the signed index has not yet."""
    counted_at: datetime
    """When this was counted: at most a minute ago."""


class BuilderTool(Frozen):
    """A tool that a builder uses here."""

    name: str
    """Of the tool."""
    version: str
    """Empty where any will do."""
    digest: str
    """`sha256:<hex>` of the executable."""
    origin: str
    """`PATH`, or the distribution whose wheel carries it."""


class Builder(Frozen):
    """An installed plugin."""

    name: str
    """Of its entry point."""
    distribution: str
    """Distribution that it comes from."""
    version: str
    """Of the distribution."""
    digest: str
    """Canonical digest of its installed RECORD: equal where the same code is installed."""
    kind: str
    """`builder`, `signer`, `wrapper`."""
    hooks: tuple[str, ...]
    """Hooks of the contract that it has."""
    tools: tuple[BuilderTool, ...] = ()
    """What it finds here."""
    missing: tuple[str, ...] = ()
    """Tools that it needs and that are not here: it cannot build."""


class Builders(Frozen):
    """What this registry builds with."""

    flowctl: str
    """Version of flowctl-core."""
    builders: tuple[Builder, ...]
    """By name."""
