"""Log entries of a bundle that was signed with a managed key (Rekor v1 and v2).

Merkle proof, checkpoint and promise are verified by sigstore-python's own log entry, which its public Verifier offers
only for certificates. That the entry is about this bundle is checked here, so that no other entry can take
its place.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from flowctl_core.errors import VerificationError
from flowctl_core.verify.statement import pae
from flowctl_core.verify.timestamps import bundle_signature
from flowctl_core.verify.trusted_roots import logs_at

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
    from sigstore_models.bundle.v1 import Bundle
    from sigstore_models.rekor.v1 import TransparencyLogEntry
    from sigstore_models.trustroot.v1 import TransparencyLogInstance, TrustedRoot


class Logged(NamedTuple):
    """A verified entry."""

    log_index: int
    integrated_at: datetime | None
    """Rekor v1, with the log's promise: when it took the entry in."""


def verify_entries(
    bundle: Bundle,
    sha256: bytes,
    key: PublicKeyTypes,
    spki: bytes,
    roots: Iterable[TrustedRoot],
    stamped: tuple[datetime, ...],
) -> Logged:
    """The first of the bundle's entries, once all of them hold; VerificationError(check="tlog") otherwise.

    `spki` is the signing key (DER), `stamped` what time-stamping authorities attested.
    """
    logs = [log for root in roots for log in root.tlogs]
    found = []
    for entry in bundle.verification_material.tlog_entries:
        integrated_at = _integrated_at(entry)
        moments = (*stamped, integrated_at) if integrated_at else stamped or (datetime.now(UTC),)
        _verify_inclusion(entry, logs_at(logs, moments))
        _compare(entry, _expected(bundle, entry, sha256, key, spki))
        found.append(Logged(entry.log_index, integrated_at))
    return found[0]


def _integrated_at(entry: TransparencyLogEntry) -> datetime | None:
    """Only the promise binds the time: without one anybody can write any time there."""
    if not entry.integrated_time or entry.inclusion_promise is None:
        return None
    try:
        return datetime.fromtimestamp(entry.integrated_time, tz=UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise _failed("its time is no time") from error


def check_log_name(entry: TransparencyLogEntry, logs: Iterable[TransparencyLogInstance]) -> None:
    """The log that the entry names has to be a trusted one: a Rekor v2 proof itself does not bind that name.

    Raises VerificationError (`tlog`).
    """
    if all(entry.log_id.key_id != log.log_id.key_id for log in logs):
        raise _failed("the entry names a log that is not trusted")


def _verify_inclusion(entry: TransparencyLogEntry, logs: list[TransparencyLogInstance]) -> None:
    from sigstore._internal.trust import Keyring, RekorKeyring
    from sigstore.errors import Error
    from sigstore.models import TransparencyLogEntry as VerifiableEntry

    if not logs:
        raise _failed("no log of the trusted roots was in use at its time")
    check_log_name(entry, logs)
    try:
        verifiable = VerifiableEntry(entry)
        verifiable._verify(RekorKeyring(Keyring([log.public_key for log in logs])))
    except (Error, ValueError) as error:
        raise _failed(str(error)) from error


def _compare(entry: TransparencyLogEntry, expected: dict[str, Any]) -> None:
    """Compares the fields that name what was signed; other fields are the log's."""
    try:
        body = json.loads(entry.canonicalized_body)
    except (ValueError, RecursionError) as error:
        raise _failed("its body is no JSON") from error
    expected = {"kind": entry.kind_version.kind, "apiVersion": entry.kind_version.version, "spec": expected}
    if not _contains(body, expected):
        raise _failed("it is an entry for another signature, key or file")


def _contains(actual: Any, expected: Any) -> bool:
    if isinstance(expected, dict):
        return isinstance(actual, dict) and all(
            key in actual and _contains(actual[key], expected[key]) for key in expected
        )
    if isinstance(expected, list):
        return (
            isinstance(actual, list)
            and len(actual) == len(expected)
            and all(_contains(*pair) for pair in zip(actual, expected, strict=True))
        )
    if isinstance(expected, _KeyInPem):
        return isinstance(actual, str) and expected.matches(actual)
    return bool(actual == expected)


class _KeyInPem(NamedTuple):
    """A public key as Rekor v1 has it: base64 of PEM, whose line breaks are the signer's."""

    spki: bytes

    def matches(self, text: str) -> bool:
        from cryptography.hazmat.primitives import serialization

        try:
            key = serialization.load_pem_public_key(base64.b64decode(text, validate=True))
        except (ValueError, binascii.Error):
            return False
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return key.public_bytes(serialization.Encoding.DER, form) == self.spki


def _expected(
    bundle: Bundle, entry: TransparencyLogEntry, sha256: bytes, key: PublicKeyTypes, spki: bytes
) -> dict[str, Any]:
    """What the entry's `spec` must say (https://github.com/sigstore/rekor/tree/main/pkg/types, and rekor-tiles)."""
    kind = f"{entry.kind_version.kind}/{entry.kind_version.version}"
    signature = base64.b64encode(bundle_signature(bundle)).decode()
    envelope = bundle.dsse_envelope
    if kind == "hashedrekord/0.0.1" and envelope is None:
        return {
            "data": {"hash": {"algorithm": "sha256", "value": sha256.hex()}},
            "signature": {"content": signature, "publicKey": {"content": _KeyInPem(spki)}},
        }
    if kind == "dsse/0.0.1" and envelope is not None:
        return {
            "payloadHash": {"algorithm": "sha256", "value": _digest("SHA2_256", envelope.payload).hex()},
            "signatures": [{"signature": signature, "verifier": _KeyInPem(spki)}],
        }
    verifier = {"publicKey": {"rawBytes": base64.b64encode(spki).decode()}}
    signed = {"content": signature, "verifier": verifier}
    if kind == "hashedrekord/0.0.2":
        algorithm = "SHA2_256" if envelope is None else _algorithm(key)
        digest = sha256 if envelope is None else _digest(algorithm, pae(envelope.payload_type, envelope.payload))
        data = {"algorithm": algorithm, "digest": base64.b64encode(digest).decode()}
        return {"hashedRekordV002": {"data": data, "signature": signed}}
    if kind == "dsse/0.0.2" and envelope is not None:
        digest = _digest("SHA2_256", envelope.payload)
        data = {"algorithm": "SHA2_256", "digest": base64.b64encode(digest).decode()}
        return {"dsseV002": {"payloadHash": data, "signatures": [signed]}}
    raise _failed(f"entries of type {kind} are not supported for this content")


def _algorithm(key: PublicKeyTypes) -> str:
    """The digest that goes with the key, for ECDSA the curve's."""
    from cryptography.hazmat.primitives.asymmetric import ec

    size = key.curve.key_size if isinstance(key, ec.EllipticCurvePublicKey) else 256
    return {384: "SHA2_384", 521: "SHA2_512"}.get(size, "SHA2_256")


def _digest(algorithm: str, data: bytes) -> bytes:
    import hashlib

    return hashlib.new(algorithm.replace("SHA2_", "sha"), data).digest()


def _failed(reason: str) -> VerificationError:
    return VerificationError(
        f"the transparency log's entry does not hold: {reason}",
        check="tlog",
        hint="Is the log in your trusted roots? Otherwise the bundle was changed after signing.",
    )
