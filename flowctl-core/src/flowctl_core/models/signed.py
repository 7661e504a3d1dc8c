"""What signing a release made, and what verifying one found."""

from __future__ import annotations

from typing import Literal

from flowctl_core.models.base import Frozen

Kind = Literal["signature", "attestation", "image"]


class SignedFile(Frozen):
    """One Sigstore bundle that was written."""

    path: str
    """Relative to the release; of an image's, the image layout."""
    subject: str
    """Name of the file, image or release that it is about."""
    kind: Kind
    """`signature` of a file, `attestation` of the release, `image` for what refers to an image."""
    predicate_type: str | None = None
    """Of an attestation."""


class SigningReport(Frozen):
    """The answer of `flowctl component sign`."""

    component: str
    """Name of the component."""
    version: str
    """Of the component."""
    directory: str
    """The release's folder."""
    signed: bool
    """False: `build.remote.sign_artifacts` is off; the release says so."""
    signer: str
    """Name of the signer plugin."""
    bundles: tuple[SignedFile, ...] = ()
    """What was written."""
    pushed: str | None = None
    """Reference that the images' attestations were pushed to."""
    duration_s: float
    """Seconds."""
