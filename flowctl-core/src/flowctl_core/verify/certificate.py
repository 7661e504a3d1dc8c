"""Bundles with a short-lived certificate (keyless), verified by sigstore-python's own Verifier, offline."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from flowctl_core.errors import VerificationCheck, VerificationError
from flowctl_core.models.signing import BundleVerdict, TrustMaterial
from flowctl_core.verify.fulcio_identity import ReadIdentity
from flowctl_core.verify.statement import checked_statement
from flowctl_core.verify.timestamps import stamped_times
from flowctl_core.verify.trusted_roots import authorities_at, logs_at, parse_trusted_root

if TYPE_CHECKING:
    from cryptography.x509 import Certificate
    from sigstore.models import Bundle as VerifiableBundle
    from sigstore_models.bundle.v1 import Bundle
    from sigstore_models.trustroot.v1 import TrustedRoot

_ROOT_HINT = "Add the trusted root of the Sigstore instance that signed to your policy, if you trust that instance."
_LOG_WORDS = ("log entry", "inclusion", "checkpoint", "timestamp", "verified time", "integrated time")


def verify_with_certificate(bundle: Bundle, raw: bytes, sha256: bytes, trust: TrustMaterial) -> BundleVerdict:
    """The verdict on a bundle with a certificate, by the first trusted root that accepts it.

    VerificationError as `verify_bundle` says; where no root accepts it, with the reason of the one that issued it.
    """
    if not trust.trusted_roots:
        raise VerificationError(
            "signed keyless, and no trusted root is known to check it against", check="signature", hint=_ROOT_HINT
        )
    _check_chain(bundle)
    verifiable = _verifiable(raw)
    roots = [parse_trusted_root(text) for text in trust.trusted_roots]
    # The root whose authority issued the certificate has the telling reason; others only say "not mine".
    roots.sort(key=lambda root: not _issued(root, verifiable.signing_certificate))
    reasons: list[VerificationError] = []
    for root in roots:
        try:
            return _verify_against(verifiable, bundle, sha256, root)
        except VerificationError as error:
            reasons.append(error)
    raise reasons[0]


def _issued(root: TrustedRoot, certificate: Certificate) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.x509 import load_der_x509_certificate

    for authority in root.certificate_authorities:
        for each in authority.cert_chain.certificates:
            try:
                certificate.verify_directly_issued_by(load_der_x509_certificate(each.raw_bytes))
            except (ValueError, TypeError, InvalidSignature):
                continue
            return True
    return False


def _verify_against(verifiable: VerifiableBundle, bundle: Bundle, sha256: bytes, root: TrustedRoot) -> BundleVerdict:
    from sigstore.errors import CertValidationError, Error
    from sigstore.hashes import Hashed
    from sigstore.models import TrustedRoot as VerifiableRoot
    from sigstore.verify import Verifier
    from sigstore_models.common.v1 import HashAlgorithm

    stamped = stamped_times(bundle, (root,))
    logged = _integrated_at(bundle)
    times = (*stamped, logged) if logged else stamped
    if not times:
        raise _refused("there is no trusted time of signing: no time stamp, and no log's promise")
    policy = ReadIdentity()
    statement = None
    try:
        verifier = Verifier(trusted_root=VerifiableRoot(_root_at(root, times, verifiable.signing_certificate)))
        if bundle.dsse_envelope is None:
            verifier.verify_artifact(Hashed(algorithm=HashAlgorithm.SHA2_256, digest=sha256), verifiable, policy)
        else:
            kind, payload = verifier.verify_dsse(verifiable, policy)
            statement = (kind, payload)
    except CertValidationError as error:
        raise _refused(
            "its certificate is not by a trusted authority, or was not valid when it signed", "signature"
        ) from error
    except (Error, ValueError, OverflowError) as error:
        # What sigstore-python shows of an entry after these words is long, and helps nobody.
        raise _refused((str(error) or type(error).__name__).partition(": expected")[0]) from error
    if policy.identity is None:
        raise _refused("the certificate's identity was not read")
    return BundleVerdict(
        content="signature" if statement is None else "statement",
        signer=policy.identity,
        tlog="verified",
        log_index=verifiable.log_entry._inner.log_index,
        timestamp="rfc3161" if stamped else "tlog",
        signed_at=min(times),
        statement=None if statement is None else checked_statement(*statement, sha256),
    )


def _root_at(root: TrustedRoot, times: tuple[datetime, ...], certificate: Certificate) -> TrustedRoot:
    """What of the root counts for a signature of these times: all that the verifier then finds may be believed."""
    authorities = authorities_at(root.certificate_authorities, times)
    tlogs, ctlogs = logs_at(root.tlogs, times), logs_at(root.ctlogs, _logged_times(certificate))
    checks: tuple[tuple[str, object, VerificationCheck], ...] = (
        ("certificate authority", authorities, "signature"),
        ("CT log", ctlogs, "signature"),
        ("transparency log", tlogs, "tlog"),
    )
    for kind, found, check in checks:
        if not found:
            raise _refused(f"the trusted root has no {kind} that was in use at the time of signing", check)
    return root.model_copy(
        update={
            "certificate_authorities": authorities,
            "tlogs": tlogs,
            "ctlogs": ctlogs,
            "timestamp_authorities": authorities_at(root.timestamp_authorities, ()),
        }
    )


def _logged_times(certificate: Certificate) -> Iterator[datetime]:
    """When CT logs took the certificate in (their signature on it is the verifier's to check)."""
    from cryptography.x509 import ExtensionNotFound, PrecertificateSignedCertificateTimestamps

    try:
        stamps = certificate.extensions.get_extension_for_class(PrecertificateSignedCertificateTimestamps).value
    except (ExtensionNotFound, ValueError) as error:
        raise _refused("the certificate has no signed certificate timestamp (it was not logged)") from error
    for stamp in stamps:
        yield stamp.timestamp.replace(tzinfo=UTC)


def _integrated_at(bundle: Bundle) -> datetime | None:
    """The log's time, where a promise binds it; the verifier checks the promise."""
    entries = bundle.verification_material.tlog_entries
    if not entries or not entries[0].integrated_time or entries[0].inclusion_promise is None:
        return None
    try:
        return datetime.fromtimestamp(entries[0].integrated_time, tz=UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise _refused("the log entry's time is no time") from error


def _verifiable(raw: bytes) -> VerifiableBundle:
    from sigstore.errors import Error
    from sigstore.models import Bundle

    try:
        return Bundle.from_json(raw)
    except (Error, ValueError) as error:
        raise _refused(str(error) or type(error).__name__) from error


def _check_chain(bundle: Bundle) -> None:
    """A bundle brings no root of its own (sigstore_bundle.proto: MUST NOT); sigstore-python only warns."""
    from cryptography.x509 import load_der_x509_certificate

    chain = bundle.verification_material.x509_certificate_chain
    for each in (chain.certificates if chain is not None else [])[1:]:
        try:
            certificate = load_der_x509_certificate(each.raw_bytes)
        except ValueError as error:
            raise _refused(f"a certificate of the bundle cannot be read: {error}") from error
        if certificate.issuer == certificate.subject:
            raise _refused("the bundle brings a root certificate of its own")


def _refused(reason: str, check: VerificationCheck | None = None) -> VerificationError:
    """`check` is told by the reason's words where sigstore-python gave it."""
    told: VerificationCheck = "tlog" if any(word in reason.lower() for word in _LOG_WORDS) else "signature"
    return VerificationError(f"the keyless signature does not hold: {reason}", check=check or told, hint=_ROOT_HINT)
