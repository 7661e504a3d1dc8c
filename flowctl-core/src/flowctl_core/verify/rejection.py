"""How a failed check is told."""

from __future__ import annotations

from flowctl_core.errors import VerificationCheck, VerificationError

_HINTS: dict[VerificationCheck, str] = {
    "digest": "The bytes are not those that were signed. Fetch them again, from another place if that does not help.",
    "signature": "Do not use the file. Ask its publisher for the bundle that belongs to it, or for the right key.",
    "tlog": "Ask the publisher to sign with a transparency log and time stamps, or let the policy say `optional`.",
    "identity": "Do not use the file unless you know the signer; if you do, name it in your policy for this namespace.",
    "statement": "The attestation is about something else. Do not use the file.",
    "builder": "Do not use the file unless you know the builder; if you do, name it in your policy for this namespace.",
    "sbom": "The bill of materials is not this release's. Do not use it.",
}


def rejected(check: VerificationCheck, why: str) -> VerificationError:
    """The error for a failed check: «signature: …», with what to do."""
    return VerificationError(f"check {check} failed: {why}", check=check, hint=_HINTS[check])
