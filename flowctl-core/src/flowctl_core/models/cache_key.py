"""What a build's result depends on."""

from __future__ import annotations

from flowctl_core.models.base import Frozen


class CacheKey(Frozen):
    """A key and its named parts, so that a miss can name the input that caused it."""

    primary: str
    """sha256 over all parts but the tools."""
    parts: dict[str, str]
    """Name of an input (`source`, `plan`, `plugin flowctl-lang-go`, `variable CGO_ENABLED`) → its digest or value."""
    tools: dict[str, str]
    """Tool name → `version digest`; apart from `primary`, so that a cached build can be restored where the
    toolchain is missing."""
