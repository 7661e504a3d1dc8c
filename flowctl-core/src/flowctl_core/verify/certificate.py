"""Bundles by a certificate (keyless): sigstore-python verifies them, without network, against the client's roots."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from flowctl_core.models.signing import BundleVerdict, TrustMaterial
from flowctl_core.verify import statement
from flowctl_core.verify.certificate_identity import identity_of
from flowctl_core.verify.rejection import rejected
from flowctl_core.verify.trusted_roots import load_roots, narrowed

if TYPE_CHECKING:
    from sigstore.models import TrustedRoot
    from sigstore_models.bundle.v1 import Bundle as Document


def verify_certificate_bundle(document: Document, bundle: bytes, digest: str, trust: TrustMaterial) -> BundleVerdict:
    """Check signature, chain, SCT, log entry and time. Raises VerificationError (`signature`, `tlog`, `statement`)."""
    from sigstore.models import Bundle

    roots = load_roots(trust)
    if not roots:
        raise rejected("signature", "a certificate signed this, and no Sigstore instance is trusted here")
    try:
        opened = Bundle.from_json(bundle)
    except Exception as problem:  # noqa: BLE001 - sigstore's own classes, and what its parsers let through
        raise rejected("signature", f"this is no usable bundle: {_told(problem)}") from None
    problems: list[Exception] = []
    for root in roots:
        try:
            moment, kind = _established(opened, root)
            text = _verify(opened, digest, root)
            _verify(opened, digest, narrowed(root, moment))
        except Exception as problem:  # noqa: BLE001 - whatever it is, nothing was proved
            problems.append(problem)
            continue
        entry = document.verification_material.tlog_entries[0]
        return BundleVerdict(
            content="signature" if text is None else "statement",
            signer=identity_of(opened.signing_certificate),
            tlog="verified",
            log_index=entry.log_index,
            timestamp=kind,
            signed_at=moment,
            statement=text,
        )
    raise _rejection(problems)


def _verify(opened: Any, digest: str, root: TrustedRoot) -> str | None:
    from sigstore.hashes import Hashed
    from sigstore.verify import Verifier
    from sigstore_models.common.v1 import HashAlgorithm

    verifier = Verifier(trusted_root=root)
    if opened._dsse_envelope is not None:
        payload_type, payload = verifier.verify_dsse(opened, _Anyone())
        return statement.about(payload_type, payload, digest)
    hashed = Hashed(algorithm=HashAlgorithm.SHA2_256, digest=bytes.fromhex(digest.removeprefix("sha256:")))
    verifier.verify_artifact(hashed, opened, _Anyone())
    return None


class _Anyone:
    """Who may sign is asked after this, of the client's policy (`flowctl_core.verify.policy`)."""

    def verify(self, cert: Any) -> None:
        return None


def _established(opened: Any, root: TrustedRoot) -> tuple[datetime, Any]:
    from sigstore.verify import Verifier

    times = Verifier(trusted_root=root)._establish_time(opened)
    if not times:
        raise rejected("tlog", "there is no trusted time: no time stamp, and no promise of the log")
    latest = max(times, key=lambda each: each.time)
    return latest.time, "rfc3161" if latest.source.name == "TIMESTAMP_AUTHORITY" else "tlog"


def _rejection(problems: list[Exception]) -> Exception:
    from flowctl_core.errors import VerificationError

    for problem in problems:
        if isinstance(problem, VerificationError):
            return problem
    told = "; ".join(dict.fromkeys(_told(problem) for problem in problems))
    about_log = any(word in told.lower() for word in ("log entry", "inclusion", "checkpoint", "timestamp", "rekor"))
    return rejected("tlog" if about_log else "signature", told)


def _told(problem: Exception) -> str:
    return " ".join(str(problem).split())[:400] or type(problem).__name__
