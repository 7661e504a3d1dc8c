"""The transparency log: Rekor v2 (rekor-tiles) and Rekor v1, for the entry types that clients make."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from .keys import ServiceKey, b64
from .merkle import Tree


class EntryRefusedError(Exception):
    """The entry's signature is not by its own key over its own digest."""


def canonical(document: dict[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":"), sort_keys=True).encode()


def _check(key: Any, signature: bytes, digest: bytes) -> None:
    try:
        key.verify(signature, digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
    except InvalidSignature as error:
        raise EntryRefusedError("the signature does not verify") from error


def _pem_key(text: str) -> Any:
    pem = base64.b64decode(text)
    if b"CERTIFICATE" in pem:
        return x509.load_pem_x509_certificate(pem).public_key()
    return serialization.load_pem_public_key(pem)


class TransparencyLog:
    """Both versions, each a log of its own with its own key."""

    def __init__(self) -> None:
        self.keys = {1: ServiceKey(), 2: ServiceKey()}
        self._trees = {version: Tree(key) for version, key in self.keys.items()}
        self._lock = threading.Lock()

    def answer_v2(self, body: bytes, origin: str) -> dict[str, Any]:
        """`POST /api/v2/log/entries`: a TransparencyLogEntry."""
        request = json.loads(body)["hashedRekordRequestV002"]
        signature, digest = request["signature"], base64.b64decode(request["digest"])
        verifier = signature["verifier"]
        if "x509Certificate" in verifier:
            key: Any = x509.load_der_x509_certificate(
                base64.b64decode(verifier["x509Certificate"]["rawBytes"])
            ).public_key()
        else:
            key = serialization.load_der_public_key(base64.b64decode(verifier["publicKey"]["rawBytes"]))
        _check(key, base64.b64decode(signature["content"]), digest)
        spec = {"data": {"algorithm": "SHA2_256", "digest": b64(digest)}, "signature": signature}
        kind = {"kind": "hashedrekord", "version": "0.0.2"}
        entry = canonical({"apiVersion": "0.0.2", "kind": "hashedrekord", "spec": {"hashedRekordV002": spec}})
        with self._lock:
            proof = self._trees[2].add(entry, origin)
        return {
            "logIndex": proof["logIndex"],
            "logId": {"keyId": b64(self.keys[2].key_id)},
            "kindVersion": kind,
            "inclusionProof": proof,
            "canonicalizedBody": b64(entry),
        }

    def answer_v1(self, body: bytes, origin: str) -> dict[str, Any]:
        """`POST /api/v1/log/entries`: `{uuid: entry}`, with the promise (SET)."""
        proposed = json.loads(body)
        make = {"hashedrekord": self._hashedrekord, "dsse": self._dsse}[proposed["kind"]]
        entry = canonical({"apiVersion": "0.0.1", "kind": proposed["kind"], "spec": make(proposed["spec"])})
        with self._lock:
            proof = self._trees[1].add(entry, f"{origin} - 1")
        key = self.keys[1]
        logged = {
            "body": b64(entry),
            "integratedTime": int(time.time()),
            "logID": key.key_id.hex(),
            "logIndex": int(proof["logIndex"]),
        }
        inclusion = {
            "logIndex": int(proof["logIndex"]),
            "rootHash": base64.b64decode(proof["rootHash"]).hex(),
            "treeSize": int(proof["treeSize"]),
            "hashes": [base64.b64decode(each).hex() for each in proof["hashes"]],
            "checkpoint": proof["checkpoint"]["envelope"],
        }
        promise = b64(key.sign(canonical(logged)))
        verification = {"inclusionProof": inclusion, "signedEntryTimestamp": promise}
        return {hashlib.sha256(b"\x00" + entry).hexdigest(): logged | {"verification": verification}}

    @staticmethod
    def _hashedrekord(spec: dict[str, Any]) -> dict[str, Any]:
        signature, digest = spec["signature"], spec["data"]["hash"]
        key = _pem_key(signature["publicKey"]["content"])
        _check(key, base64.b64decode(signature["content"]), bytes.fromhex(digest["value"]))
        return {"data": {"hash": digest}, "signature": signature}

    @staticmethod
    def _dsse(spec: dict[str, Any]) -> dict[str, Any]:
        proposed = spec["proposedContent"]
        envelope = json.loads(proposed["envelope"])
        payload, kind = base64.b64decode(envelope["payload"]), envelope["payloadType"].encode()
        message = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)
        signature, verifier = envelope["signatures"][0]["sig"], proposed["verifiers"][0]
        _check(_pem_key(verifier), base64.b64decode(signature), hashlib.sha256(message).digest())
        return {
            "envelopeHash": {"algorithm": "sha256", "value": hashlib.sha256(proposed["envelope"].encode()).hexdigest()},
            "payloadHash": {"algorithm": "sha256", "value": hashlib.sha256(payload).hexdigest()},
            "signatures": [{"signature": signature, "verifier": verifier}],
        }
