"""RFC 3161 time stamps of a bundle, over its signature."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from flowctl_core.errors import TrustError, VerificationError
from flowctl_core.verify.trusted_roots import covers

if TYPE_CHECKING:
    from rfc3161_client import TimeStampResponse
    from sigstore_models.bundle.v1 import Bundle
    from sigstore_models.trustroot.v1 import CertificateAuthority, TrustedRoot

_HINT = "The bundle is damaged or was changed. Get it again from where it was published."


def bundle_signature(bundle: Bundle) -> bytes:
    """The signature's bytes: the message's, or the envelope's one."""
    if bundle.message_signature is not None:
        return bundle.message_signature.signature
    if bundle.dsse_envelope is None or len(bundle.dsse_envelope.signatures) != 1:
        raise VerificationError("the envelope must have exactly one signature", check="signature", hint=_HINT)
    return bundle.dsse_envelope.signatures[0].sig


def stamped_times(bundle: Bundle, roots: Iterable[TrustedRoot]) -> tuple[datetime, ...]:
    """Times to which authorities of `roots` attest, each within the authority's `validFor`.

    Empty where the bundle has no time stamp. VerificationError where it has some and none holds: what cannot be
    checked was put there by someone, and is no time.
    """
    stamps = bundle.verification_material.timestamp_verification_data
    if stamps is None or not stamps.rfc3161_timestamps:
        return ()
    from rfc3161_client import decode_timestamp_response

    if len({stamp.signed_timestamp for stamp in stamps.rfc3161_timestamps}) != len(stamps.rfc3161_timestamps):
        raise VerificationError("the bundle has the same time stamp twice", check="tlog", hint=_HINT)
    try:
        responses = [decode_timestamp_response(stamp.signed_timestamp) for stamp in stamps.rfc3161_timestamps]
    except ValueError as error:
        raise VerificationError(f"a time stamp cannot be read: {error}", check="tlog", hint=_HINT) from error
    authorities = [authority for root in roots for authority in root.timestamp_authorities]
    signature = bundle_signature(bundle)
    times = tuple(
        response.tst_info.gen_time
        for response in responses
        if any(_attests(authority, response, signature) for authority in authorities)
    )
    if not times:
        raise VerificationError(
            "no time stamp of the bundle is by a trusted time-stamping authority, over this signature, and within the "
            "authority's time",
            check="tlog",
            hint="Is the trusted root the one of the instance that signed?",
        )
    return times


def _attests(authority: CertificateAuthority, response: TimeStampResponse, signature: bytes) -> bool:
    from cryptography.x509 import load_der_x509_certificate
    from rfc3161_client import VerificationError as NotAttestedError
    from rfc3161_client import VerifierBuilder

    try:
        chain = [load_der_x509_certificate(each.raw_bytes) for each in authority.cert_chain.certificates]
    except ValueError as error:
        raise TrustError(
            f"a time-stamping authority's certificate in a trusted root cannot be read: {error}"
        ) from error
    if len(chain) < 2:  # nothing to chain the authority's own certificate to
        return False
    builder = VerifierBuilder().tsa_certificate(chain[0]).add_root_certificate(chain[-1])
    for certificate in chain[1:-1]:
        builder = builder.add_intermediate_certificate(certificate)
    try:
        builder.build().verify_message(response, signature)
    except (NotAttestedError, ValueError):
        return False
    return covers(authority.valid_for, (response.tst_info.gen_time,))
