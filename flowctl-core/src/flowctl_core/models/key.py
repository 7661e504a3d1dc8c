"""Signing keys on this machine, as `flowctl keys` reports them."""

from __future__ import annotations

from datetime import datetime

from flowctl_core.models.base import Frozen


class KeyInfo(Frozen):
    """One key pair; never the private half."""

    name: str
    """What people call it."""
    hint: str
    """base64 of the SHA-256 of the DER SubjectPublicKeyInfo: how a bundle names the key."""
    public_key: str
    """PEM."""
    created: datetime
    """When it was generated."""
    encrypted: bool = False
    """True: a passphrase is needed to sign."""
    retired: datetime | None = None
    """When a newer key of the same name took its place; what it signed before stays good."""
    revoked: datetime | None = None
    """When it was revoked: nothing that it ever signed is believed."""
    reason: str | None = None
    """Why it was revoked."""


class KeyReport(Frozen):
    """The answer of `flowctl keys`."""

    folder: str
    """Where the keys are."""
    keys: tuple[KeyInfo, ...]
    """By name; the one in use before those that it replaced."""
