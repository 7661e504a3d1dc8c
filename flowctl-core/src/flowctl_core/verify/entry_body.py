"""A log entry's body against the bundle that carries it: same digest, same signature, same key.

Bodies: Rekor v1 `hashedrekord` and `dsse` 0.0.1, Rekor v2 `hashedrekord` and `dsse` 0.0.2
(https://github.com/sigstore/rekor-tiles, api/proto).
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any

from flowctl_core.verify.rejection import rejected

if TYPE_CHECKING:
    from sigstore_models.bundle.v1 import Bundle


def check_body(body: Any, kind_version: Any, document: Bundle, public_key: Any) -> None:
    """Raises VerificationError (`tlog`) when the entry is about something else, or of a kind that is not known."""
    kind = (kind_version.kind, kind_version.version)
    if not isinstance(body, dict) or (body.get("kind"), body.get("apiVersion")) != kind:
        raise rejected("tlog", f"the log entry's body is not the {kind[0]} {kind[1]} that the bundle says")
    reader = _READERS.get(kind)
    if reader is None:
        raise rejected("tlog", f"log entries of kind {kind[0]} {kind[1]} are not known")
    try:
        digest, signatures, keys = reader(body["spec"])
        logged = [_public_bytes(key) for key in keys]
    except (KeyError, TypeError, ValueError, IndexError):
        raise rejected("tlog", "the log entry's body is malformed") from None
    if (digest, signatures) != _of_bundle(document):
        raise rejected("tlog", "the log entry is about another signature")
    if logged != [_der(public_key)]:
        raise rejected("tlog", "the log entry is about another key")


def _of_bundle(document: Bundle) -> tuple[bytes | None, list[bytes]]:
    if (envelope := document.dsse_envelope) is not None:
        return hashlib.sha256(envelope.payload).digest(), [each.sig for each in envelope.signatures]
    signed = document.message_signature
    if signed is None or signed.message_digest is None:
        return None, []
    return signed.message_digest.digest, [signed.signature]


def _hashedrekord_1(spec: Any) -> tuple[bytes, list[bytes], list[bytes]]:
    signature = spec["signature"]
    return (
        bytes.fromhex(spec["data"]["hash"]["value"]),
        [_bytes(signature["content"])],
        [_bytes(signature["publicKey"]["content"])],
    )


def _dsse_1(spec: Any) -> tuple[bytes, list[bytes], list[bytes]]:
    return (
        bytes.fromhex(spec["payloadHash"]["value"]),
        [_bytes(each["signature"]) for each in spec["signatures"]],
        [_bytes(each["verifier"]) for each in spec["signatures"]],
    )


def _hashedrekord_2(spec: Any) -> tuple[bytes, list[bytes], list[bytes]]:
    record = spec["hashedRekordV002"]
    signature = record["signature"]
    return _bytes(record["data"]["digest"]), [_bytes(signature["content"])], [_verifier_2(signature["verifier"])]


def _dsse_2(spec: Any) -> tuple[bytes, list[bytes], list[bytes]]:
    record = spec["dsseV002"]
    return (
        _bytes(record["payloadHash"]["digest"]),
        [_bytes(each["content"]) for each in record["signatures"]],
        [_verifier_2(each["verifier"]) for each in record["signatures"]],
    )


_READERS = {
    ("hashedrekord", "0.0.1"): _hashedrekord_1,
    ("dsse", "0.0.1"): _dsse_1,
    ("hashedrekord", "0.0.2"): _hashedrekord_2,
    ("dsse", "0.0.2"): _dsse_2,
}


def _verifier_2(verifier: Any) -> bytes:
    return _bytes(verifier["publicKey"]["rawBytes"])


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _public_bytes(key: bytes) -> bytes:
    """DER SubjectPublicKeyInfo of a key that is DER or PEM."""
    if not key.lstrip().startswith(b"-----BEGIN"):
        return key
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    return _der(load_pem_public_key(key))


def _der(public_key: Any) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    encoded: bytes = public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return encoded
