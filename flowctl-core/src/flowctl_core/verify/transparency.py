"""Log entries and time stamps of bundles that a key signed.

sigstore-python does the proofs (Merkle inclusion, checkpoint, promise, RFC 3161) but takes only bundles by certificate,
so the entry's body is compared with the bundle here (the variants of CVE-2022-36056).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from flowctl_core.models.signing import TrustMaterial
from flowctl_core.verify.entry_body import check_body
from flowctl_core.verify.rejection import rejected
from flowctl_core.verify.trusted_roots import load_roots, narrowed

if TYPE_CHECKING:
    from sigstore.models import TrustedRoot
    from sigstore_models.bundle.v1 import Bundle

LARGEST_NUMBER_OF_STAMPS = 32


@dataclass(frozen=True)
class Proof:
    """What the log entry and the time stamps prove."""

    tlog: Literal["none", "verified"] = "none"
    log_index: int | None = None
    timestamp: Literal["none", "rfc3161", "tlog"] = "none"
    signed_at: datetime | None = None


def prove(document: Bundle, signature: bytes, public_key: Any, trust: TrustMaterial) -> Proof:
    """Verify the log entry (exactly one) and every time stamp. Raises VerificationError (`tlog`).

    Without a trusted root nothing of this can be checked, and nothing of it is believed: the answer says `none`.
    """
    entries = document.verification_material.tlog_entries
    if len(entries) != 1:
        raise rejected("tlog", f"the bundle has {len(entries)} log entries; one is allowed")
    if not trust.trusted_roots:
        return Proof()
    problems: list[str] = []
    for root in load_roots(trust):
        try:
            proof = _prove_against(document, signature, root)
            if proof.signed_at is not None:
                _prove_against(document, signature, narrowed(root, proof.signed_at))
        except Exception as problem:  # noqa: BLE001 - sigstore raises a dozen classes, and none of them means «proved»
            problems.append(str(problem) or type(problem).__name__)
        else:
            check_body(json.loads(entries[0].canonicalized_body), entries[0].kind_version, document, public_key)
            return proof
    raise rejected("tlog", "; ".join(dict.fromkeys(problems)))


def _prove_against(document: Bundle, signature: bytes, root: TrustedRoot) -> Proof:
    from sigstore._internal.trust import KeyringPurpose
    from sigstore.models import TransparencyLogEntry

    inner = document.verification_material.tlog_entries[0]
    entry = TransparencyLogEntry(inner)
    entry._verify(root.rekor_keyring(KeyringPurpose.VERIFY))
    stamped = _stamped(document, signature, root)
    if stamped is not None:
        return Proof("verified", inner.log_index, "rfc3161", stamped)
    if inner.integrated_time and inner.inclusion_promise is not None:  # only the promise binds the time
        return Proof("verified", inner.log_index, "tlog", datetime.fromtimestamp(inner.integrated_time, tz=UTC))
    return Proof("verified", inner.log_index)


def _stamped(document: Bundle, signature: bytes, root: TrustedRoot) -> datetime | None:
    """The latest time that a trusted authority stamped; a stamp that no authority made is an error."""
    from sigstore.models import TimestampVerificationData
    from sigstore.verify import Verifier

    data = document.verification_material.timestamp_verification_data
    if data is None or not data.rfc3161_timestamps:
        return None
    if len(data.rfc3161_timestamps) > LARGEST_NUMBER_OF_STAMPS:
        raise ValueError(f"{len(data.rfc3161_timestamps)} time stamps; {LARGEST_NUMBER_OF_STAMPS} are allowed")
    verifier = Verifier(trusted_root=root)
    times = []
    for stamp in TimestampVerificationData(data).rfc3161_timestamps:
        result = verifier._verify_signed_timestamp(stamp, signature)
        if result is None:
            raise ValueError("no trusted time-stamping authority made the time stamp")
        times.append(result.time)
    return max(times)
