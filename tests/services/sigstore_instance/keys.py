"""A key pair of a service, and the forms in which its public half is written."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import Certificate


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


class ServiceKey:
    """ECDSA on P-256."""

    def __init__(self) -> None:
        self.private = ec.generate_private_key(ec.SECP256R1())
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        self.spki = self.private.public_key().public_bytes(serialization.Encoding.DER, form)
        self.key_id = hashlib.sha256(self.spki).digest()

    def sign(self, data: bytes) -> bytes:
        return self.private.sign(data, ec.ECDSA(hashes.SHA256()))

    def log_instance(self, url: str, valid_for: dict[str, str]) -> dict[str, Any]:
        """A TransparencyLogInstance of the TrustedRoot."""
        return {
            "baseUrl": url,
            "hashAlgorithm": "SHA2_256",
            "publicKey": {
                "rawBytes": b64(self.spki),
                "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                "validFor": valid_for,
            },
            "logId": {"keyId": b64(self.key_id)},
        }


def chain_instance(url: str, chain: list[Certificate], valid_for: dict[str, str]) -> dict[str, Any]:
    """A CertificateAuthority of the TrustedRoot."""
    certificates = [{"rawBytes": b64(each.public_bytes(serialization.Encoding.DER))} for each in chain]
    return {
        "subject": {"organization": "private", "commonName": url},
        "uri": url,
        "certChain": {"certificates": certificates},
        "validFor": valid_for,
    }
