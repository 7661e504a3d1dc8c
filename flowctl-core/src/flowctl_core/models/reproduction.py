"""What came of building a release again."""

from __future__ import annotations

from flowctl_core.models.base import Frozen


class Difference(Frozen):
    """A file that is not the same in both."""

    path: str
    """Relative to the release's folder."""
    expected: str | None
    """`sha256:<hex>` in the release; None when it was not there."""
    found: str | None
    """`sha256:<hex>` in the new one; None when it was not made."""
    detail: str | None = None
    """What differs inside, where diffoscope is installed."""


class ReproductionReport(Frozen):
    """The answer of `flowctl component reproduce` (`-o json` prints exactly these fields)."""

    component: str
    """Name of the component."""
    version: str
    """Of the release."""
    reproduced: bool
    """True: every file that was compared has the same bytes."""
    compared: int
    """Number of files; the scan's result and the checksums are left out, since advisories change."""
    differences: tuple[Difference, ...] = ()
    """Files that are not the same, by path."""
    left_out: tuple[str, ...] = ()
    """What was not compared, and why: images that a Docker engine built from a Dockerfile."""
    made_with: tuple[str, ...] = ()
    """Tools, plugins and variables that are not those of the release."""
    duration_s: float
    """Seconds."""
