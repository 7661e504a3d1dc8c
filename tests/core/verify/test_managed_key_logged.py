"""Log entries and time stamps of bundles of managed keys: verified against the client's trusted roots, or not believed."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest
from rfc3161_client import TimestampRequestBuilder
from rfc3161_client.base import HashAlgorithm

from flowctl_core.errors import VerificationError
from flowctl_core.models.signing import BundleVerdict, TrustMaterial
from flowctl_core.verify.bundle import verify_bundle
from sigstore_instance import SigstoreInstance, running
from sigstore_instance.instance import moment

from .key_bundles import FILE, PAYLOAD_TYPE, KeyHolder, b64, sha256, statement

STATEMENT = statement(sha256(FILE))
Kind = Literal["file", "statement"]
KINDS: tuple[Kind, ...] = ("file", "statement")


@pytest.fixture(scope="module")
def instance() -> Iterator[SigstoreInstance]:
    with running() as one:
        yield one


@pytest.fixture(scope="module")
def holder() -> KeyHolder:
    return KeyHolder()


def signature_of(bundle: dict[str, Any]) -> str:
    if "messageSignature" in bundle:
        return str(bundle["messageSignature"]["signature"])
    return str(bundle["dsseEnvelope"]["signatures"][0]["sig"])


def signed(holder: KeyHolder, kind: Kind) -> dict[str, Any]:
    return holder.over_file() if kind == "file" else holder.over_statement(STATEMENT)


def entry_v2(instance: SigstoreInstance, holder: KeyHolder, bundle: dict[str, Any]) -> dict[str, Any]:
    verifier = {"publicKey": {"rawBytes": b64(holder.spki)}, "keyDetails": "PKIX_ECDSA_P256_SHA_256"}
    message = FILE
    if "dsseEnvelope" in bundle:
        payload = base64.b64decode(bundle["dsseEnvelope"]["payload"])
        message = b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)
    request = {
        "digest": b64(hashlib.sha256(message).digest()),
        "signature": {"content": signature_of(bundle), "verifier": verifier},
    }
    return instance.log.answer_v2(json.dumps({"hashedRekordRequestV002": request}).encode(), instance.name)


def entry_v1(instance: SigstoreInstance, holder: KeyHolder, bundle: dict[str, Any]) -> dict[str, Any]:
    pem = b64(holder.pem.encode())
    kind, spec = (
        "hashedrekord",
        {
            "signature": {"content": signature_of(bundle), "publicKey": {"content": pem}},
            "data": {"hash": {"algorithm": "sha256", "value": sha256(FILE)[7:]}},
        },
    )
    if "dsseEnvelope" in bundle:
        kind = "dsse"
        spec = {"proposedContent": {"envelope": json.dumps(bundle["dsseEnvelope"]), "verifiers": [pem]}}
    answer = instance.log.answer_v1(json.dumps({"kind": kind, "spec": spec}).encode(), instance.name)
    logged = next(iter(answer.values()))
    proof = logged["verification"]["inclusionProof"]
    return {
        "logIndex": str(logged["logIndex"]),
        "logId": {"keyId": b64(bytes.fromhex(logged["logID"]))},
        "kindVersion": {"kind": kind, "version": "0.0.1"},
        "integratedTime": str(logged["integratedTime"]),
        "inclusionPromise": {"signedEntryTimestamp": logged["verification"]["signedEntryTimestamp"]},
        "inclusionProof": {
            "logIndex": str(proof["logIndex"]),
            "rootHash": b64(bytes.fromhex(proof["rootHash"])),
            "treeSize": str(proof["treeSize"]),
            "hashes": [b64(bytes.fromhex(each)) for each in proof["hashes"]],
            "checkpoint": {"envelope": proof["checkpoint"]},
        },
        "canonicalizedBody": logged["body"],
    }


ENTRIES = {1: entry_v1, 2: entry_v2}


def stamp(instance: SigstoreInstance, bundle: dict[str, Any]) -> dict[str, Any]:
    builder = (
        TimestampRequestBuilder().hash_algorithm(HashAlgorithm.SHA256).data(base64.b64decode(signature_of(bundle)))
    )
    return {"signedTimestamp": b64(instance.timestamps.answer(builder.build().as_bytes()))}


def logged(
    instance: SigstoreInstance, holder: KeyHolder, kind: Kind = "file", *, rekor: int = 2, stamped: bool = False
) -> dict[str, Any]:
    bundle = signed(holder, kind)
    bundle["verificationMaterial"]["tlogEntries"] = [ENTRIES[rekor](instance, holder, bundle)]
    if stamped:
        bundle["verificationMaterial"]["timestampVerificationData"] = {"rfc3161Timestamps": [stamp(instance, bundle)]}
    return bundle


def trust(
    instance: SigstoreInstance, holder: KeyHolder, ends: dict[str, str] | None = None, **key: Any
) -> TrustMaterial:
    return holder.trusted(trusted_roots=(json.dumps(instance.trusted_root(**(ends or {}))),), **key)


def verify(bundle: dict[str, Any], material: TrustMaterial, **need: bool) -> BundleVerdict:
    return verify_bundle(json.dumps(bundle).encode(), sha256(FILE), material, **need)


def refused(bundle: dict[str, Any], material: TrustMaterial) -> VerificationError:
    with pytest.raises(VerificationError) as caught:
        verify(bundle, material)
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("rekor", "stamped", "timestamp"),
    [(1, False, "tlog"), (2, False, "none"), (1, True, "rfc3161"), (2, True, "rfc3161")],
)
def test_an_entry_and_a_time_stamp(
    instance: SigstoreInstance, holder: KeyHolder, kind: Kind, rekor: int, stamped: bool, timestamp: str
) -> None:
    bundle = logged(instance, holder, kind, rekor=rekor, stamped=stamped)
    verdict = verify(bundle, trust(instance, holder), require_tlog=True, require_timestamp=timestamp != "none")
    assert (verdict.tlog, verdict.timestamp) == ("verified", timestamp)
    assert (verdict.signed_at is None) == (timestamp == "none")
    assert str(verdict.log_index) == bundle["verificationMaterial"]["tlogEntries"][0]["logIndex"]
    assert verdict.signer.key_name == "publisher"


@pytest.mark.parametrize("rekor", [1, 2])
def test_without_a_trusted_root_nothing_is_said_of_a_log(
    instance: SigstoreInstance, holder: KeyHolder, rekor: int
) -> None:
    verdict = verify(logged(instance, holder, rekor=rekor, stamped=True), holder.trusted())
    assert (verdict.tlog, verdict.timestamp, verdict.log_index, verdict.signed_at) == ("none", "none", None, None)


@pytest.mark.parametrize("rekor", [1, 2])
def test_a_log_or_authority_of_another_instance(instance: SigstoreInstance, holder: KeyHolder, rekor: int) -> None:
    with running() as other:
        for stamped in (False, True):
            bundle = logged(instance, holder, rekor=rekor, stamped=stamped)
            assert refused(bundle, trust(other, holder)).check == "tlog"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rekor", [1, 2])
def test_the_entry_of_another_signature_by_the_same_key(
    instance: SigstoreInstance, holder: KeyHolder, kind: Kind, rekor: int
) -> None:
    bundle, another = logged(instance, holder, kind, rekor=rekor), logged(instance, holder, kind, rekor=rekor)
    bundle["verificationMaterial"]["tlogEntries"] = another["verificationMaterial"]["tlogEntries"]
    assert "another signature" in refused(bundle, trust(instance, holder)).message


@pytest.mark.parametrize("rekor", [1, 2])
def test_the_entry_of_a_statement_for_a_file(instance: SigstoreInstance, holder: KeyHolder, rekor: int) -> None:
    bundle, another = logged(instance, holder, "file", rekor=rekor), logged(instance, holder, "statement", rekor=rekor)
    bundle["verificationMaterial"]["tlogEntries"] = another["verificationMaterial"]["tlogEntries"]
    assert refused(bundle, trust(instance, holder)).check == "tlog"


PLACES = ("canonicalizedBody", "inclusionProof.rootHash", "inclusionProof.hashes.0")
PROMISE = "inclusionPromise.signedEntryTimestamp"


@pytest.mark.parametrize(("rekor", "place"), [(1, PROMISE), *((rekor, place) for rekor in (1, 2) for place in PLACES)])
def test_no_changed_byte_of_an_entry_is_accepted(
    instance: SigstoreInstance, holder: KeyHolder, rekor: int, place: str
) -> None:
    bundle = logged(instance, holder, rekor=rekor)
    field: Any = bundle["verificationMaterial"]["tlogEntries"][0]
    *path, last = [int(part) if part.isdigit() else part for part in place.split(".")]
    for part in path:
        field = field[part]
    raw = bytearray(base64.b64decode(field[last]))
    raw[-3] ^= 1
    field[last] = b64(bytes(raw))
    assert refused(bundle, trust(instance, holder)).check == "tlog"


@pytest.mark.parametrize("change", ["integratedTime", "logIndex"])
def test_a_promise_binds_time_and_index(instance: SigstoreInstance, holder: KeyHolder, change: str) -> None:
    bundle = logged(instance, holder, rekor=1)
    entry = bundle["verificationMaterial"]["tlogEntries"][0]
    entry[change] = str(int(entry[change]) - 1)
    assert refused(bundle, trust(instance, holder)).check == "tlog"


def test_a_time_without_a_promise_is_no_time(instance: SigstoreInstance, holder: KeyHolder) -> None:
    bundle = logged(instance, holder, rekor=1)
    del bundle["verificationMaterial"]["tlogEntries"][0]["inclusionPromise"]
    bundle["verificationMaterial"]["tlogEntries"][0]["integratedTime"] = "1"
    verdict = verify(bundle, trust(instance, holder))
    assert (verdict.tlog, verdict.timestamp, verdict.signed_at) == ("verified", "none", None)


@pytest.mark.parametrize("time", ["18446744073709551615", "99999999999999"])
def test_a_time_that_no_calendar_has(instance: SigstoreInstance, holder: KeyHolder, time: str) -> None:
    bundle = logged(instance, holder, rekor=1)
    bundle["verificationMaterial"]["tlogEntries"][0]["integratedTime"] = time
    assert refused(bundle, trust(instance, holder)).check == "tlog"


def test_a_key_that_expired_after_it_signed(instance: SigstoreInstance, holder: KeyHolder) -> None:
    """Only a trusted time tells before from after."""
    now = datetime.now(UTC)
    old = logged(instance, holder, rekor=2, stamped=True)
    assert verify(old, trust(instance, holder, valid_until=now + timedelta(seconds=2))).signed_at is not None
    late = trust(instance, holder, valid_until=now - timedelta(minutes=1))
    for bundle in (old, logged(instance, holder, rekor=1), logged(instance, holder, rekor=2)):
        assert "has expired" in refused(bundle, late).message
    assert "revoked" in refused(old, trust(instance, holder, revoked=True)).message


@pytest.mark.parametrize("rekor", [1, 2])
@pytest.mark.parametrize("stamped", [False, True])
def test_a_log_or_authority_that_had_ended(
    instance: SigstoreInstance, holder: KeyHolder, rekor: int, stamped: bool
) -> None:
    bundle = logged(instance, holder, rekor=rekor, stamped=stamped)
    for ended in ("log", "tsa") if stamped else ("log",):
        assert verify(bundle, trust(instance, holder, {ended: moment(hours=1)}))
        assert refused(bundle, trust(instance, holder, {ended: moment(hours=-1)})).check == "tlog"


def test_the_time_stamp_of_another_signature(instance: SigstoreInstance, holder: KeyHolder) -> None:
    bundle = signed(holder, "file")
    other = stamp(instance, signed(holder, "file"))
    bundle["verificationMaterial"]["timestampVerificationData"] = {"rfc3161Timestamps": [other]}
    assert "over this signature" in refused(bundle, trust(instance, holder)).message


def test_time_stamps_that_are_none_or_twice(instance: SigstoreInstance, holder: KeyHolder) -> None:
    bundle = signed(holder, "file")
    own = stamp(instance, bundle)
    for stamps in ([own, own], [{"signedTimestamp": b64(b"no time stamp")}], [own] * 40):
        bundle["verificationMaterial"]["timestampVerificationData"] = {"rfc3161Timestamps": stamps}
        assert refused(bundle, trust(instance, holder)).check in ("tlog", "signature")
    bundle["verificationMaterial"]["timestampVerificationData"] = {"rfc3161Timestamps": [own]}
    assert verify(bundle, trust(instance, holder)).timestamp == "rfc3161"
