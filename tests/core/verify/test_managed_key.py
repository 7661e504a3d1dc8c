"""Bundles of the client's own keys: what is believed, and what each change to one makes of it."""

from __future__ import annotations

import base64
import json
import random
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from flowctl_core.errors import TrustError, VerificationError
from flowctl_core.models.signing import BundleVerdict, TrustedKey, TrustMaterial
from flowctl_core.verify.bundle import MAX_BUNDLE, verify_bundle

from .key_bundles import FILE, KeyHolder, b64, sha256, statement

NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def holder() -> KeyHolder:
    return KeyHolder()


def verify(bundle: dict[str, Any] | bytes, trust: TrustMaterial, digest: str = "", **need: bool) -> BundleVerdict:
    raw = bundle if isinstance(bundle, bytes) else json.dumps(bundle).encode()
    return verify_bundle(raw, digest or sha256(FILE), trust, **need)


def refused(bundle: dict[str, Any] | bytes, trust: TrustMaterial, digest: str = "", **need: bool) -> VerificationError:
    with pytest.raises(VerificationError) as caught:
        verify(bundle, trust, digest, **need)
    assert caught.value.hint
    return caught.value


def test_a_file_signed_with_a_trusted_key(holder: KeyHolder) -> None:
    verdict = verify(holder.over_file(), holder.trusted())
    assert verdict.content == "signature"
    assert (verdict.signer.kind, verdict.signer.key_name, verdict.signer.key_hint) == ("key", "publisher", holder.hint)
    assert (verdict.tlog, verdict.timestamp, verdict.signed_at, verdict.statement) == ("none", "none", None, None)


def test_a_statement_that_has_the_file_among_its_subjects(holder: KeyHolder) -> None:
    payload = statement(sha256(b"another"), sha256(FILE))
    verdict = verify(holder.over_statement(payload), holder.trusted())
    assert verdict.content == "statement"
    assert verdict.statement == payload.decode()


def test_a_p384_key(holder: KeyHolder) -> None:
    other = KeyHolder(ec.generate_private_key(ec.SECP384R1()))
    assert verify(other.over_file(), other.trusted()).signer.key_hint == other.hint


def test_another_file(holder: KeyHolder) -> None:
    error = refused(holder.over_file(), holder.trusted(), sha256(b"other bytes"))
    assert (error.check, "for another file" in error.message) == ("digest", True)


def test_another_file_where_the_bundle_tells_no_digest(holder: KeyHolder) -> None:
    bundle = holder.over_file()
    del bundle["messageSignature"]["messageDigest"]
    assert verify(bundle, holder.trusted()).content == "signature"
    assert refused(bundle, holder.trusted(), sha256(b"other bytes")).check == "signature"


def test_a_digest_of_another_kind(holder: KeyHolder) -> None:
    bundle = holder.over_file()
    bundle["messageSignature"]["messageDigest"]["algorithm"] = "SHA2_512"
    assert "SHA2_512" in refused(bundle, holder.trusted()).message
    assert refused(holder.over_file(), holder.trusted(), "sha256:00").check == "digest"


def test_a_statement_about_other_files(holder: KeyHolder) -> None:
    error = refused(holder.over_statement(statement(sha256(b"another"))), holder.trusted())
    assert (error.check, "not among its subjects" in error.message) == ("statement", True)


@pytest.mark.parametrize(
    "payload",
    [b"", b"[]", b"{}", b"\xff\xfe", statement(), statement(sha256(FILE)).replace(b"Statement/v1", b"Statement/v9")],
)
def test_a_payload_that_is_no_statement(holder: KeyHolder, payload: bytes) -> None:
    assert refused(holder.over_statement(payload), holder.trusted()).check == "statement"


def test_an_envelope_of_another_type(holder: KeyHolder) -> None:
    bundle = holder.over_statement(statement(sha256(FILE)), "text/plain")
    assert "text/plain" in refused(bundle, holder.trusted()).message


@pytest.mark.parametrize("count", [0, 2])
def test_an_envelope_with_no_signature_or_several(holder: KeyHolder, count: int) -> None:
    bundle = holder.over_statement(statement(sha256(FILE)))
    bundle["dsseEnvelope"]["signatures"] *= count
    assert "exactly one signature" in refused(bundle, holder.trusted()).message


def test_a_key_that_is_not_trusted(holder: KeyHolder) -> None:
    error = refused(KeyHolder().over_file(), holder.trusted())
    assert (error.check, "not trusted" in error.message) == ("signature", True)
    assert refused(holder.over_file(), TrustMaterial()).check == "signature"


def test_another_key_that_claims_to_be_the_trusted_one(holder: KeyHolder) -> None:
    bundle = KeyHolder().over_file()
    bundle["verificationMaterial"]["publicKey"]["hint"] = holder.hint
    error = refused(bundle, holder.trusted())
    assert (error.check, "not by the key publisher" in error.message) == ("signature", True)


@pytest.mark.parametrize("hint", ["", None])
def test_a_bundle_that_names_no_key(holder: KeyHolder, hint: str | None) -> None:
    bundle = holder.over_file()
    bundle["verificationMaterial"]["publicKey"]["hint"] = hint
    assert "does not say which key" in refused(bundle, holder.trusted()).message


def test_a_revoked_key_even_where_the_same_key_is_trusted_under_another_name(holder: KeyHolder) -> None:
    assert "revoked" in refused(holder.over_file(), holder.trusted(revoked=True)).message
    both = (holder.trusted().keys[0], TrustedKey(name="old", public_key=holder.pem, revoked=True))
    assert "old, which is revoked" in refused(holder.over_file(), TrustMaterial(keys=both)).message


def test_a_key_outside_its_time(holder: KeyHolder) -> None:
    day = timedelta(days=1)
    assert verify(holder.over_file(), holder.trusted(valid_from=NOW - day, valid_until=NOW + day))
    assert "has expired" in refused(holder.over_file(), holder.trusted(valid_until=NOW - day)).message
    assert "not believed before" in refused(holder.over_file(), holder.trusted(valid_from=NOW + day)).message
    naive = (NOW - day).replace(tzinfo=None)
    assert "has expired" in refused(holder.over_file(), holder.trusted(valid_until=naive)).message


def test_what_is_required_and_not_there(holder: KeyHolder) -> None:
    assert "log" in refused(holder.over_file(), holder.trusted(), require_tlog=True).message
    error = refused(holder.over_file(), holder.trusted(), require_timestamp=True)
    assert (error.check, "time stamp is required" in error.message) == ("tlog", True)


def test_the_clients_own_key_or_root_is_no_key_or_root(holder: KeyHolder) -> None:
    trust = TrustMaterial(keys=(TrustedKey(name="broken", public_key="-----BEGIN"),))
    with pytest.raises(TrustError, match="broken"):
        verify(holder.over_file(), trust)
    with pytest.raises(TrustError, match="trusted root"):
        verify(holder.over_file(), holder.trusted(trusted_roots=("{}",)))


NO_BUNDLES: list[Callable[[], bytes]] = [
    lambda: b"",
    lambda: b"null",
    lambda: b"[]",
    lambda: b"{}",
    lambda: b"\xff\xfe\x00",
    lambda: b'{"mediaType": "text/plain"}',
    lambda: b"[" * 1_000_000,
    lambda: b'{"mediaType":' * 100_000,
    lambda: b"x" * (MAX_BUNDLE + 1),
    lambda: (
        b'{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":'
        + b'{"publicKey":{"hint":"x"},"tlogEntries":['
        + b'{"logIndex":"'
        + b"9" * 5000
        + b'"}]}}'
    ),
]


@pytest.mark.parametrize("make", NO_BUNDLES)
def test_what_is_no_bundle(make: Callable[[], bytes], holder: KeyHolder) -> None:
    error = refused(make(), holder.trusted())
    assert (error.check, "no Sigstore bundle" in error.message) == ("signature", True)
    assert len(error.message) < 300


def test_a_field_that_the_format_does_not_have(holder: KeyHolder) -> None:
    assert "extra" in refused(holder.over_file() | {"extra": 1}, holder.trusted()).message.lower()


@pytest.mark.parametrize("content", ["file", "statement"])
def test_no_changed_byte_of_what_is_signed_is_accepted(holder: KeyHolder, content: str) -> None:
    """Bits of the decoded fields; every one that a signature or hint covers."""
    chance = random.Random(20)
    payload = statement(sha256(FILE))
    for _ in range(120):
        bundle = holder.over_file() if content == "file" else holder.over_statement(payload)
        places = (
            [(bundle["messageSignature"], "signature"), (bundle["messageSignature"]["messageDigest"], "digest")]
            if content == "file"
            else [(bundle["dsseEnvelope"], "payload"), (bundle["dsseEnvelope"]["signatures"][0], "sig")]
        )
        field, name = chance.choice([*places, (bundle["verificationMaterial"]["publicKey"], "hint")])
        raw = bytearray(base64.b64decode(field[name]))
        raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
        field[name] = b64(bytes(raw))
        refused(bundle, holder.trusted())


def test_random_changes_make_no_traceback(holder: KeyHolder) -> None:
    chance = random.Random(4)
    good = json.dumps(holder.over_statement(statement(sha256(FILE)))).encode()
    for _ in range(1500):
        raw = bytearray(good)
        for _ in range(chance.randrange(1, 6)):
            place = chance.randrange(len(raw))
            raw[place : place + chance.randrange(3)] = chance.randbytes(chance.randrange(3))
        try:
            verdict = verify(bytes(raw), holder.trusted())
        except VerificationError:
            continue
        assert verdict.statement is not None  # white space, or a letter that base64 leaves out
        assert sha256(FILE)[7:] in verdict.statement


def test_importing_the_verifier_imports_nothing_heavy() -> None:
    code = (
        "import sys, flowctl_core.verify.bundle\n"
        "print([name for name in ('sigstore', 'cryptography', 'sigstore_models', 'tuf') if name in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_a_managed_key_needs_no_sigstore(holder: KeyHolder) -> None:
    """sigstore takes most of a second to import; keys need only its models."""
    code = (
        "import sys\n"
        "from flowctl_core.models.signing import TrustedKey, TrustMaterial\n"
        "from flowctl_core.verify.bundle import verify_bundle\n"
        f"trust = TrustMaterial(keys=(TrustedKey(name='k', public_key={holder.pem!r}),))\n"
        f"verify_bundle({json.dumps(holder.over_file()).encode()!r}, {sha256(FILE)!r}, trust)\n"
        "print('sigstore' in sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"
