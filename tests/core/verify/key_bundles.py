"""Bundles of a managed key, put together by hand from the format's description, so that no code under test makes them."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from flowctl_core.models.signing import TrustedKey, TrustMaterial

FILE = b"the bytes of a program\n"
PAYLOAD_TYPE = "application/vnd.in-toto+json"


def sha256(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def statement(*digests: str, predicate_type: str = "https://slsa.dev/provenance/v1") -> bytes:
    subjects = [{"name": f"file-{n}", "digest": {"sha256": each[7:]}} for n, each in enumerate(digests)]
    document = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": subjects,
        "predicateType": predicate_type,
        "predicate": {},
    }
    return json.dumps(document).encode()


@dataclass
class KeyHolder:
    """A key pair and what it signs."""

    private: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    @property
    def spki(self) -> bytes:
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return self.private.public_key().public_bytes(serialization.Encoding.DER, form)

    @property
    def pem(self) -> str:
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return self.private.public_key().public_bytes(serialization.Encoding.PEM, form).decode()

    @property
    def hint(self) -> str:
        return b64(hashlib.sha256(self.spki).digest())

    def trusted(self, **changes: Any) -> TrustMaterial:
        roots = changes.pop("trusted_roots", ())
        return TrustMaterial(keys=(TrustedKey(name="publisher", public_key=self.pem, **changes),), trusted_roots=roots)

    def sign(self, data: bytes) -> bytes:
        return self.private.sign(data, ec.ECDSA(hashes.SHA256()))

    def over_file(self, data: bytes = FILE) -> dict[str, Any]:
        digest = {"algorithm": "SHA2_256", "digest": b64(hashlib.sha256(data).digest())}
        return self._bundle(messageSignature={"messageDigest": digest, "signature": b64(self.sign(data))})

    def over_statement(self, payload: bytes, payload_type: str = PAYLOAD_TYPE) -> dict[str, Any]:
        pae = b"DSSEv1 %d %s %d %s" % (len(payload_type), payload_type.encode(), len(payload), payload)
        signatures = [{"sig": b64(self.sign(pae))}]
        envelope = {"payload": b64(payload), "payloadType": payload_type, "signatures": signatures}
        return self._bundle(dsseEnvelope=envelope)

    def _bundle(self, **content: Any) -> dict[str, Any]:
        return {
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {"publicKey": {"hint": self.hint}, "tlogEntries": []},
            **content,
        }
