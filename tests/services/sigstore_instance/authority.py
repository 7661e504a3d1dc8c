"""The certificate authority (Fulcio's REST API, v2) with a CT log's SCT embedded in each certificate (RFC 6962)."""

from __future__ import annotations

import base64
import json
import struct
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from . import der
from .issuer import Issuer, TokenRefusedError
from .keys import ServiceKey

_FULCIO = "1.3.6.1.4.1.57264.1"
_SCT_LIST = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
_LIFETIME = timedelta(minutes=10)
_CLAIMS = {"repository_uri": 12, "sha": 13, "ref_uri": 14, "run_uri": 21}
"""Claims of a token that go into extensions, and their numbers."""


def certificate(
    name: str, key: ServiceKey, issuer: tuple[str, ServiceKey] | None, *, ca: bool, usage: x509.ObjectIdentifier | None
) -> x509.Certificate:
    """A certificate of a service: self-signed without an issuer."""
    signer_name, signer = issuer or (name, key)
    now = datetime.now(UTC)

    def distinguished(common_name: str) -> x509.Name:
        return x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "private"),
                x509.NameAttribute(NameOID.COMMON_NAME, common_name),
            ]
        )

    builder = (
        x509.CertificateBuilder()
        .subject_name(distinguished(name))
        .issuer_name(distinguished(signer_name))
        .public_key(key.private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=3650))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(key_usage(ca=ca), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.private.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.private.public_key()), critical=False)
    )
    if usage is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=not ca)
    return builder.sign(signer.private, hashes.SHA256())


def key_usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        key_cert_sign=ca,
        crl_sign=ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


class CertificateAuthority:
    """A root, an intermediate that issues, and the CT log."""

    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer
        root_key, self._key, self.ct_log = ServiceKey(), ServiceKey(), ServiceKey()
        root = certificate("root", root_key, None, ca=True, usage=None)
        self._own = certificate(
            "intermediate", self._key, ("root", root_key), ca=True, usage=ExtendedKeyUsageOID.CODE_SIGNING
        )
        self.chain = [self._own, root]

    def answer(self, body: bytes, authorization: str) -> tuple[int, dict[str, Any]]:
        """`POST /api/v2/signingCert`."""
        try:
            claims = self._issuer.check(authorization.removeprefix("Bearer "))
            request = x509.load_pem_x509_csr(base64.b64decode(json.loads(body)["certificateSigningRequest"]))
        except TokenRefusedError as error:
            return 400, {"code": 3, "message": f"There was an error processing the identity token: {error}"}
        except (ValueError, KeyError) as error:
            return 400, {"code": 3, "message": f"The signing request cannot be read: {error}"}
        key = request.public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey) or not request.is_signature_valid:
            return 400, {"code": 3, "message": "The key was not proved to be the requester's"}
        issued = [self._issue(key, claims), *self.chain]
        texts = [each.public_bytes(serialization.Encoding.PEM).decode() for each in issued]
        return 201, {"signedCertificateEmbeddedSct": {"chain": {"certificates": texts}}}

    def _issue(self, key: ec.EllipticCurvePublicKey, claims: dict[str, Any]) -> x509.Certificate:
        builder = self._leaf(key, claims)
        # The log signs the certificate as it would be without its own signature in it.
        bare = builder.sign(self._key.private, hashes.SHA256())
        stamp = x509.UnrecognizedExtension(_SCT_LIST, self._stamp(bare.tbs_certificate_bytes))
        return builder.add_extension(stamp, critical=False).sign(self._key.private, hashes.SHA256())

    def _leaf(self, key: ec.EllipticCurvePublicKey, claims: dict[str, Any]) -> x509.CertificateBuilder:
        now = datetime.now(UTC).replace(microsecond=0)
        name: x509.GeneralName = x509.UniformResourceIdentifier(claims["sub"])
        if "@" in claims["sub"] and "://" not in claims["sub"]:
            name = x509.RFC822Name(claims["sub"])
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(self._own.subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now)
            .not_valid_after(now + _LIFETIME)
            .add_extension(key_usage(ca=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.private.public_key()), critical=False
            )
            .add_extension(x509.SubjectAlternativeName([name]), critical=True)
        )
        values = {1: claims["iss"].encode(), 8: der.utf8(claims["iss"])}
        values |= {number: der.utf8(claims[claim]) for claim, number in _CLAIMS.items() if claim in claims}
        for number, value in values.items():
            extension = x509.UnrecognizedExtension(x509.ObjectIdentifier(f"{_FULCIO}.{number}"), value)
            builder = builder.add_extension(extension, critical=False)
        return builder

    def _stamp(self, tbs: bytes) -> bytes:
        moment = int(time.time() * 1000)
        entry = self._key.key_id + len(tbs).to_bytes(3, "big") + tbs
        signature = self.ct_log.sign(struct.pack("!BBQH", 0, 0, moment, 1) + entry + der.opaque16(b""))
        # version 1, log, time, no extensions, SHA-256 (4) with ECDSA (3)
        stamp = bytes([0]) + self.ct_log.key_id + struct.pack("!Q", moment) + der.opaque16(b"")
        stamp += bytes([4, 3]) + der.opaque16(signature)
        return der.element(der.OCTETS, der.opaque16(der.opaque16(stamp)))
