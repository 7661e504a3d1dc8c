"""What a command reports when it is done."""

from __future__ import annotations

from typing import Literal

from flowctl_core.models.artifact import Artifact
from flowctl_core.models.base import Frozen
from flowctl_core.models.plan import Profile
from flowctl_core.models.platform import Platform

CacheOutcome = Literal["fresh", "hit", "miss"]


class BuildReport(Frozen):
    """The answer of `flowctl component build` (`-o json` prints exactly these fields)."""

    component: str
    version: str
    language: str
    platform: Platform
    profile: Profile
    cache: CacheOutcome
    """`fresh`: up to date, nothing ran; `hit`: restored from the cache; `miss`: built."""
    duration_s: float
    artifacts: tuple[Artifact, ...]
    warnings: tuple[str, ...] = ()
    explanation: tuple[str, ...] = ()
    """With `--explain`: which inputs caused the miss."""
    link: str | None = None
    """`./<name>`, when it leads to the program."""
