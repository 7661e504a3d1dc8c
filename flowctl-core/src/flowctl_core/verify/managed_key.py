"""Bundles that name a public key of the client's own, instead of a certificate.

sigstore-python has no managed keys (https://github.com/sigstore/sigstore-python/issues/1244), so the signature is
checked here with cryptography. Algorithms: https://github.com/sigstore/architecture-docs/blob/main/algorithm-registry.md.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from flowctl_core.errors import TrustError, VerificationError
from flowctl_core.models.signing import BundleVerdict, SignerIdentity, TrustedKey, TrustMaterial
from flowctl_core.verify.statement import checked_statement, pae
from flowctl_core.verify.timestamps import bundle_signature, stamped_times
from flowctl_core.verify.trusted_roots import parse_trusted_root

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
    from sigstore_models.bundle.v1 import Bundle

_KEY_HINT = "Add the publisher's public key to your policy, or get the artifact from a publisher that you trust."

_ALGORITHM_HINT = "Sign with an ECDSA key on P-256, which every client of the field reads."


class _Loaded(NamedTuple):
    key: PublicKeyTypes
    spki: bytes
    """DER SubjectPublicKeyInfo."""
    hint: str


def verify_with_key(bundle: Bundle, sha256: bytes, trust: TrustMaterial) -> BundleVerdict:
    """The verdict on a bundle with `publicKey`; VerificationError as `verify_bundle` says."""
    trusted, loaded = _trusted_key(bundle, trust)
    _check_signature(bundle, loaded.key, sha256, trusted.name)
    roots = tuple(parse_trusted_root(text) for text in trust.trusted_roots)
    # Without a trusted root there is nothing to check stamps and entries against: the verdict then says `none`.
    stamped = stamped_times(bundle, roots) if roots else ()
    logged = None
    if roots and bundle.verification_material.tlog_entries:
        from flowctl_core.verify.transparency import verify_entries

        logged = verify_entries(bundle, sha256, loaded.key, loaded.spki, roots, stamped)
    signed_at = min(stamped) if stamped else logged.integrated_at if logged else None
    _check_period(trusted, signed_at)
    statement = None
    if bundle.dsse_envelope is not None:
        statement = checked_statement(bundle.dsse_envelope.payload_type, bundle.dsse_envelope.payload, sha256)
    return BundleVerdict(
        content="signature" if statement is None else "statement",
        signer=SignerIdentity(kind="key", key_hint=loaded.hint, key_name=trusted.name),
        tlog="verified" if logged else "none",
        log_index=logged.log_index if logged else None,
        timestamp="rfc3161" if stamped else "tlog" if signed_at else "none",
        signed_at=signed_at,
        statement=statement,
    )


@lru_cache(maxsize=256)
def _load(pem: str, name: str) -> _Loaded:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    try:
        key = serialization.load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise TrustError(
            f"the public key {name} cannot be read: {str(error).partition('. See ')[0]}",
            hint="A public key is a PEM file (BEGIN PUBLIC KEY).",
        ) from error
    spki = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return _Loaded(key, spki, base64.b64encode(hashlib.sha256(spki).digest()).decode())


def _trusted_key(bundle: Bundle, trust: TrustMaterial) -> tuple[TrustedKey, _Loaded]:
    named = bundle.verification_material.public_key
    hint = (named.hint if named is not None else None) or ""
    if not hint:
        raise VerificationError("the bundle does not say which key signed it", check="signature", hint=_KEY_HINT)
    found = [(key, loaded) for key in trust.keys if (loaded := _load(key.public_key, key.name)).hint == hint]
    if not found:
        raise VerificationError(f"signed with a key that is not trusted ({hint})", check="signature", hint=_KEY_HINT)
    for key, _ in found:
        if key.revoked:
            raise VerificationError(
                f"signed with the key {key.name}, which is revoked",
                check="signature",
                hint="Whoever has a revoked key may not be its owner. Get an artifact signed with the present key.",
            )
    return found[0]


def _check_period(key: TrustedKey, signed_at: datetime | None) -> None:
    moment = signed_at or datetime.now(UTC)
    said = f"signed at {moment:%Y-%m-%dT%H:%M:%SZ}" if signed_at else "there is no trusted time of signing, and now"
    if key.valid_from is not None and moment < _aware(key.valid_from):
        problem = f"is not believed before {key.valid_from.isoformat()}"
    elif key.valid_until is not None and moment > _aware(key.valid_until):
        problem = f"has expired: it is not believed after {key.valid_until.isoformat()}"
    else:
        return
    raise VerificationError(
        f"the key {key.name} {problem} ({said if signed_at else said + ' counts'})",
        check="signature",
        hint="Get an artifact signed with the present key, or one with a trusted time stamp.",
    )


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _check_signature(bundle: Bundle, key: PublicKeyTypes, sha256: bytes, name: str) -> None:
    from cryptography.exceptions import InvalidSignature

    signature = bundle_signature(bundle)
    envelope = bundle.dsse_envelope
    try:
        if envelope is not None:
            _verify_message(key, signature, pae(envelope.payload_type, envelope.payload))
        else:
            _verify_digest(key, signature, sha256)
    except InvalidSignature as error:
        what = "the statement" if envelope is not None else "this file"
        raise VerificationError(
            f"the signature is not by the key {name} over {what}",
            check="signature",
            hint="The file, the statement or the bundle was changed after signing.",
        ) from error


def _verify_digest(key: PublicKeyTypes, signature: bytes, sha256: bytes) -> None:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

    prehashed = utils.Prehashed(hashes.SHA256())
    if isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(signature, sha256, ec.ECDSA(prehashed))
    elif isinstance(key, rsa.RSAPublicKey):
        key.verify(signature, sha256, padding.PKCS1v15(), prehashed)
    else:  # Ed25519 signs a file's bytes, and what is signed here is a digest
        raise VerificationError(
            f"a {type(key).__name__} cannot have signed a file's digest", check="signature", hint=_ALGORITHM_HINT
        )


def _verify_message(key: PublicKeyTypes, signature: bytes, message: bytes) -> None:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

    if isinstance(key, ec.EllipticCurvePublicKey):
        strong: dict[int, hashes.HashAlgorithm] = {384: hashes.SHA384(), 521: hashes.SHA512()}
        key.verify(signature, message, ec.ECDSA(strong.get(key.curve.key_size, hashes.SHA256())))
    elif isinstance(key, rsa.RSAPublicKey):
        key.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
    elif isinstance(key, ed25519.Ed25519PublicKey):
        key.verify(signature, message)
    else:
        raise VerificationError(
            f"keys of type {type(key).__name__} are not supported", check="signature", hint=_ALGORITHM_HINT
        )
