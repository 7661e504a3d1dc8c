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
    """Name of the component."""
    version: str
    """From component.yaml, without a leading v; `0.0.0` where nothing declares one."""
    language: str
    """The builder's, or what component.yaml names; `command` for a build command alone."""
    platform: Platform
    """This machine, `os/arch`."""
    profile: Profile
    """`dev` for a local build."""
    cache: CacheOutcome
    """`fresh`: up to date, nothing ran; `hit`: restored from the cache; `miss`: built."""
    duration_s: float
    """Seconds, from reading the source to the last file written."""
    artifacts: tuple[Artifact, ...]
    """What was made, or is there already."""
    warnings: tuple[str, ...] = ()
    """Texts for people."""
    explanation: tuple[str, ...] = ()
    """With `--explain`: which inputs caused the miss."""
    link: str | None = None
    """`./<name>`, when it leads to the program."""
