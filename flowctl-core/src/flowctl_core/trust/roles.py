"""What a role's metadata says, as reports show it."""

from __future__ import annotations

from tuf.api.metadata import Root, Signed, Targets

from flowctl_core.models.trust import MetadataState


def state_of(role: str, signed: Signed, delegator: Root | Targets) -> MetadataState:
    """Version, expiry and keys of a role."""
    delegated = delegator.get_delegated_role(role)
    return MetadataState(
        role=role,
        version=signed.version,
        expires=signed.expires,
        keys=tuple(delegated.keyids),
        threshold=delegated.threshold,
    )
