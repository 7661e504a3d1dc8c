"""Where an artifact comes from, and how much of that is proved."""

from __future__ import annotations

from flowctl_core.models.base import Frozen
from flowctl_core.models.verification import VerificationReport


class Ingredient(Frozen):
    """Something that the artifact was made from or with."""

    kind: str
    """`source`, `base image`, `tool`, `builder`, `wrapper` or `material`."""
    name: str
    """What it is called; of a source and a base image, its address where it has one."""
    version: str = ""
    """As it says itself."""
    digest: str = ""
    """`<algorithm>:<hex>`."""


class Explanation(Frozen):
    """The answer of `flowctl why`."""

    target: str
    """What was asked about."""
    proved: bool
    """True: all of it comes from a verified provenance. False: it is what the artifact says of itself."""
    why_not: str | None = None
    """Why nothing is proved."""
    component: str | None = None
    """Name of the component."""
    version: str | None = None
    """Of the component."""
    built_by: str | None = None
    """builder.id."""
    signed_by: tuple[str, ...] = ()
    """Who signed, as it was proved; nobody where nothing is."""
    repository: str | None = None
    """Of the source."""
    commit: str | None = None
    """Of the source."""
    dirty: bool = False
    """True: the files were not those of the commit."""
    ingredients: tuple[Ingredient, ...] = ()
    """Source, base images, tools, plugins and materials."""
    verification: VerificationReport | None = None
    """The checks; None where there was nothing to check against."""
