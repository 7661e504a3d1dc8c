"""The time-stamping authority (RFC 3161 over HTTP; the token is CMS, RFC 5652)."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

from cryptography.hazmat.primitives import serialization
from cryptography.x509 import random_serial_number
from cryptography.x509.oid import ExtendedKeyUsageOID
from rfc3161_client._rust import parse_timestamp_request

from . import der
from .authority import certificate
from .keys import ServiceKey

_SHA256 = der.sequence(der.oid("2.16.840.1.101.3.4.2.1"), der.element(der.NULL))
_ECDSA_SHA256 = der.sequence(der.oid("1.2.840.10045.4.3.2"))
_SIGNED_DATA, _TST_INFO = der.oid("1.2.840.113549.1.7.2"), der.oid("1.2.840.113549.1.9.16.1.4")
_CONTENT_TYPE, _MESSAGE_DIGEST = der.oid("1.2.840.113549.1.9.3"), der.oid("1.2.840.113549.1.9.4")
_SIGNING_CERTIFICATE_V2 = der.oid("1.2.840.113549.1.9.16.2.47")
_POLICY = der.oid("1.3.6.1.4.1.57264.2")


class TimestampAuthority:
    def __init__(self) -> None:
        root_key, self._key = ServiceKey(), ServiceKey()
        root = certificate("tsa root", root_key, None, ca=True, usage=None)
        usage = ExtendedKeyUsageOID.TIME_STAMPING
        self._own = certificate("tsa", self._key, ("tsa root", root_key), ca=False, usage=usage)
        self.chain = [self._own, root]

    def answer(self, body: bytes) -> bytes:
        """A TimeStampResp for a TimeStampReq."""
        request = parse_timestamp_request(body)
        imprint = der.sequence(_SHA256, der.element(der.OCTETS, request.message_imprint.message))
        nonce = [] if request.nonce is None else [der.integer(request.nonce)]
        now = der.generalized_time(datetime.now(UTC))
        info = der.sequence(der.integer(1), _POLICY, imprint, der.integer(random_serial_number()), now, *nonce)
        status = der.sequence(der.integer(0))
        return der.sequence(status, der.sequence(_SIGNED_DATA, der.element(0xA0, self._signed(info))))

    def _signed(self, info: bytes) -> bytes:
        encoded = self._own.public_bytes(serialization.Encoding.DER)
        fingerprint = der.element(der.OCTETS, hashlib.sha256(encoded).digest())
        attributes = sorted(
            der.sequence(kind, der.element(der.SET, value))
            for kind, value in (
                (_CONTENT_TYPE, _TST_INFO),
                (_MESSAGE_DIGEST, der.element(der.OCTETS, hashlib.sha256(info).digest())),
                (_SIGNING_CERTIFICATE_V2, der.sequence(der.sequence(der.sequence(fingerprint)))),
            )
        )
        signature = self._key.sign(der.element(der.SET, *attributes))
        signer = der.sequence(
            der.integer(1),
            der.sequence(self._own.issuer.public_bytes(), der.integer(self._own.serial_number)),
            _SHA256,
            der.element(0xA0, *attributes),
            _ECDSA_SHA256,
            der.element(der.OCTETS, signature),
        )
        content = der.sequence(_TST_INFO, der.element(0xA0, der.element(der.OCTETS, info)))
        digests, signers = der.element(der.SET, _SHA256), der.element(der.SET, signer)
        return der.sequence(der.integer(3), digests, content, der.element(0xA0, encoded), signers)
