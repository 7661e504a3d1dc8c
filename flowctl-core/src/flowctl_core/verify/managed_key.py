"""Bundles that a key signed: nothing but the key's hint is in them, the key itself is the client's."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from flowctl_core.models.signing import BundleVerdict, SignerIdentity, TrustedKey, TrustMaterial
from flowctl_core.verify import statement
from flowctl_core.verify.rejection import rejected

if TYPE_CHECKING:
    from sigstore_models.bundle.v1 import Bundle


def verify_key_bundle(document: Bundle, digest: str, trust: TrustMaterial) -> BundleVerdict:
    """Check a bundle whose verification material is a public key's hint. Raises VerificationError."""
    from flowctl_core.verify.transparency import Proof, prove

    claimed = document.verification_material.public_key
    hint = claimed.hint if claimed is not None and claimed.hint else ""
    candidates = [(key, _load(key)) for key in trust.keys]
    if not candidates:
        raise rejected("signature", "a key signed this, and no key is trusted here")
    # A hint is a name, not a proof: other signers use other hints, so what no hint finds is tried by signature.
    named = [pair for pair in candidates if hint and key_hint(pair[1]) == hint]
    signature, message, text = _signed(document, digest)
    made_it = (pair for pair in named or candidates if _is_signature(pair[1], signature, message, text is None))
    if (found := next(made_it, None)) is None:
        names = ", ".join(key.name for key, _ in named or candidates)
        raise rejected("signature", f"no trusted key made this signature (tried: {names})")
    key, public_key = found
    proof = prove(document, signature, public_key, trust) if document.verification_material.tlog_entries else Proof()
    _check_validity(key, proof.signed_at)
    return BundleVerdict(
        content="signature" if text is None else "statement",
        signer=SignerIdentity(kind="key", key_hint=key_hint(public_key), key_name=key.name),
        tlog=proof.tlog,
        log_index=proof.log_index,
        timestamp=proof.timestamp,
        signed_at=proof.signed_at,
        statement=text,
    )


def key_hint(public_key: Any) -> str:
    """Base64 of the SHA-256 of the DER SubjectPublicKeyInfo: cosign's and our spelling of `publicKey.hint`."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    der = public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(der).digest()).decode()


def _load(key: TrustedKey) -> Any:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    from flowctl_core.errors import TrustError

    try:
        return load_pem_public_key(key.public_key.encode())
    except (ValueError, UnsupportedAlgorithm) as problem:
        raise TrustError(
            f"the trusted key {key.name} is no public key: {problem}", hint="A PEM file that begins with PUBLIC KEY."
        ) from None


def _signed(document: Bundle, digest: str) -> tuple[bytes, bytes, str | None]:
    """Signature, what it is over (for a file: its digest's bytes), and the statement's text if it is one."""
    if (envelope := document.dsse_envelope) is not None:
        if len(envelope.signatures) != 1:
            raise rejected("signature", f"the envelope has {len(envelope.signatures)} signatures; one is allowed")
        kind = envelope.payload_type.encode()
        message = b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(envelope.payload), envelope.payload)
        return envelope.signatures[0].sig, message, statement.about(envelope.payload_type, envelope.payload, digest)
    if (signed := document.message_signature) is None:
        raise rejected("signature", "the bundle holds neither a signature nor a statement")
    expected = bytes.fromhex(digest.removeprefix("sha256:"))
    said = signed.message_digest
    if said is not None and (said.algorithm.value != "SHA2_256" or said.digest != expected):
        raise rejected("signature", "the bundle was made for a file with another digest")
    return signed.signature, expected, None


def _is_signature(public_key: Any, signature: bytes, message: bytes, prehashed: bool) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
    from cryptography.hazmat.primitives.hashes import SHA256

    algorithm = utils.Prehashed(SHA256()) if prehashed else SHA256()
    try:
        if isinstance(public_key, ec.EllipticCurvePublicKey):
            public_key.verify(signature, message, ec.ECDSA(algorithm))
        elif isinstance(public_key, rsa.RSAPublicKey):
            public_key.verify(signature, message, padding.PKCS1v15(), algorithm)
        elif prehashed:
            return False  # Ed25519 signs the bytes themselves, and here is only their digest
        else:
            public_key.verify(signature, message)
    except (InvalidSignature, AttributeError, TypeError):
        return False
    return True


def _check_validity(key: TrustedKey, signed_at: datetime | None) -> None:
    """The key's own validity: at the trusted time, else now. A revoked key is never believed."""
    if key.revoked:
        raise rejected("signature", f"the key {key.name} is revoked")
    moment = signed_at or datetime.now(UTC)
    when = "when this was signed" if signed_at else "now, and no trusted time stamp says when this was signed"
    if key.valid_from is not None and moment < key.valid_from:
        raise rejected("signature", f"the key {key.name} is valid from {key.valid_from.isoformat()}: not yet {when}")
    if key.valid_until is not None and moment > key.valid_until:
        raise rejected("signature", f"the key {key.name} was valid until {key.valid_until.isoformat()}: not {when}")
