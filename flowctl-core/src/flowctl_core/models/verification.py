"""What a verification found."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from flowctl_core.errors import VerificationCheck
from flowctl_core.models.base import Frozen
from flowctl_core.models.signing import SignerIdentity

Verdict = Literal["passed", "failed", "not required", "not reached"]


class CheckVerdict(Frozen):
    """One of the seven checks."""

    check: VerificationCheck
    """Its name; the order is that of the checks."""
    verdict: Verdict
    """`not reached`: an earlier one failed."""
    detail: str = ""
    """What was found, for people."""


class VerifiedSubject(Frozen):
    """One file or image whose signature was verified."""

    name: str
    """Of the file; of an image, its platform or `index`."""
    digest: str
    """`sha256:<hex>`."""


class VerificationReport(Frozen):
    """The answer of `flowctl verify`."""

    target: str
    """What was verified, as it was named."""
    kind: Literal["file", "release", "image"]
    """What it is."""
    verified: bool
    """True only when every check passed or is not required."""
    component: str | None = None
    """Name that it was verified as."""
    version: str | None = None
    """Of the component, as its provenance says."""
    policy: str
    """The policy's file, or the options that stood for one."""
    checks: tuple[CheckVerdict, ...]
    """All seven, in their order."""
    subjects: tuple[VerifiedSubject, ...] = ()
    """What is signed."""
    attestations: tuple[str, ...] = ()
    """Which of provenance, sbom and scan were there and verified."""
    signers: tuple[SignerIdentity, ...] = ()
    """Who signed, as it was proved."""
    tlog: Literal["none", "some", "verified"] = "none"
    """`verified`: every bundle has a proved entry of a transparency log."""
    timestamp: Literal["none", "some", "verified"] = "none"
    """`verified`: every bundle has a trusted time."""
    signed_at: datetime | None = None
    """The latest trusted time; None where there is none."""
    builder: str | None = None
    """builder.id of the provenance."""
    repository: str | None = None
    """Source repository, as the provenance says."""
    commit: str | None = None
    """Source commit, as the provenance says."""
    duration_s: float = 0.0
    """Seconds."""
