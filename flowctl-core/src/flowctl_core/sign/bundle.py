"""Sigstore bundles v0.3 by a key (https://github.com/sigstore/protobuf-specs, sigstore_bundle.proto).

No certificate and no log entry: a verifier has the key already, and the bundle names it by `publicKey.hint`.
"""

from __future__ import annotations

import base64
import json
from hashlib import sha256

from flowctl_core.models.artifact import Subject

MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
PAYLOAD_TYPE = "application/vnd.in-toto+json"


def pre_authentication_encoding(payload: bytes) -> bytes:
    """What is signed of a statement (DSSE v1, https://github.com/secure-systems-lab/dsse/blob/master/protocol.md)."""
    return b"DSSEv1 %d %b %d %b" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)


def digest_to_sign(subject: Subject) -> bytes:
    """What a key signs of a subject: the SHA-256 of its statement's encoding, else the digest itself."""
    if subject.statement is not None:
        return sha256(pre_authentication_encoding(subject.statement.encode())).digest()
    return bytes.fromhex(subject.digest.removeprefix("sha256:"))


def key_bundle(subject: Subject, signature: bytes, hint: str) -> str:
    """The bundle's JSON text, held to the format's own model."""
    from sigstore_models.bundle.v1 import Bundle

    encoded = base64.b64encode(signature).decode()
    content: dict[str, object]
    if subject.statement is None:
        digest = base64.b64encode(bytes.fromhex(subject.digest.removeprefix("sha256:"))).decode()
        content = {
            "messageSignature": {
                "messageDigest": {"algorithm": "SHA2_256", "digest": digest},
                "signature": encoded,
            }
        }
    else:
        payload = base64.b64encode(subject.statement.encode()).decode()
        content = {
            "dsseEnvelope": {
                "payload": payload,
                "payloadType": PAYLOAD_TYPE,
                "signatures": [{"sig": encoded, "keyid": ""}],
            }
        }
    document = {
        "mediaType": MEDIA_TYPE,
        "verificationMaterial": {"publicKey": {"hint": hint}, "tlogEntries": []},
        **content,
    }
    text = json.dumps(document)
    Bundle.from_json(text)
    return text
