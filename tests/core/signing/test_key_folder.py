"""Keys: who may read them, what becomes of them, and what goes wrong."""

from __future__ import annotations

import json
import os
import stat
import threading
from pathlib import Path

import pytest

from flowctl_core.errors import FlowctlError, SigningError, UsageError
from flowctl_core.models import SigningRequest, Subject
from flowctl_core.models.signing import TrustedKey, TrustMaterial
from flowctl_core.sign import key_pair
from flowctl_core.sign.embedded import plugin
from flowctl_core.sign.key_folder import KeyFolder
from flowctl_core.verify.bundle import verify_bundle

DIGEST = "sha256:" + "ab" * 32
SUBJECT = Subject(name="file", digest=DIGEST)


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KeyFolder:
    monkeypatch.setenv("FLOWCTL_KEYS", str(tmp_path / "keys"))
    monkeypatch.delenv(key_pair.PASSPHRASE, raising=False)
    return KeyFolder()


def sign(key: str | None = None) -> bytes:
    (attestation,) = plugin.flowctl_sign((SUBJECT,), SigningRequest(key=key)) or ()
    return attestation.bundle.encode()


def trust(*public_keys: str) -> TrustMaterial:
    return TrustMaterial(
        keys=tuple(TrustedKey(name=f"k{number}", public_key=each) for number, each in enumerate(public_keys))
    )


def test_a_key_signs_and_its_public_half_verifies(keys: KeyFolder) -> None:
    made = keys.generate("default", None)
    verdict = verify_bundle(sign(), DIGEST, trust(made.public_key))
    assert (verdict.signer.key_hint, verdict.tlog, verdict.timestamp) == (made.hint, "none", "none")


def test_empty_lists_may_be_left_out(keys: KeyFolder) -> None:
    """As proto3's JSON does, and cosign with it."""
    made = keys.generate("default", None)
    bundle = json.loads(sign())
    del bundle["verificationMaterial"]["tlogEntries"]
    assert verify_bundle(json.dumps(bundle).encode(), DIGEST, trust(made.public_key)).tlog == "none"


def test_only_the_owner_can_read_it(keys: KeyFolder) -> None:
    old = os.umask(0)
    try:
        keys.generate("default", None)
    finally:
        os.umask(old)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in keys.folder.iterdir()}
    assert modes["default.key"] == 0o600
    assert stat.S_IMODE(keys.folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_key_that_others_can_read_is_refused(keys: KeyFolder, mode: int) -> None:
    keys.generate("default", None)
    (keys.folder / "default.key").chmod(mode)
    with pytest.raises(SigningError, match="others than its owner") as failure:
        sign()
    assert "chmod 600" in (failure.value.hint or "")


def test_a_passphrase(keys: KeyFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    made = keys.generate("default", b"geheim")
    assert made.encrypted and b"ENCRYPTED" in (keys.folder / "default.key").read_bytes()
    with pytest.raises(SigningError, match="is encrypted"):
        sign()
    monkeypatch.setenv(key_pair.PASSPHRASE, "falsch")
    with pytest.raises(SigningError, match="does not open") as failure:
        sign()
    assert "falsch" not in str(failure.value) + (failure.value.hint or "")
    monkeypatch.setenv(key_pair.PASSPHRASE, "geheim")
    assert verify_bundle(sign(), DIGEST, trust(made.public_key))


def test_a_replaced_key_still_verifies_and_the_new_one_signs(keys: KeyFolder) -> None:
    old = keys.generate("default", None)
    before = sign()
    new = keys.rotate("default", None)
    assert new.hint != old.hint
    lives = keys.lives("default")
    assert [each.hint for each in lives] == [new.hint, old.hint]
    assert lives[0].retired is None and lives[1].retired is not None
    both = trust(*(each.public_key for each in lives))
    assert verify_bundle(before, DIGEST, both).signer.key_hint == old.hint
    assert verify_bundle(sign(), DIGEST, both).signer.key_hint == new.hint


def test_a_revoked_key_signs_no_more(keys: KeyFolder) -> None:
    keys.generate("default", None)
    revoked = keys.revoke("default", None, "lost laptop")
    assert revoked.revoked and revoked.reason == "lost laptop"
    assert not (keys.folder / "default.key").exists()
    with pytest.raises(SigningError, match="is revoked"):
        sign()
    assert keys.revoke("default", None, "again").reason == "lost laptop"
    assert not keys.rotate("default", None).revoked
    sign()


def test_an_old_key_is_revoked_by_its_hint(keys: KeyFolder) -> None:
    old = keys.generate("default", None)
    keys.rotate("default", None)
    keys.revoke("default", old.hint, None)
    new, first = keys.lives("default")
    assert first.revoked and not new.revoked
    sign()
    with pytest.raises(SigningError, match="no key default has the hint"):
        keys.revoke("default", "nothing", None)


@pytest.mark.parametrize("name", ["", "../x", "a/b", "A", ".x", "x" * 64, "ü", "a\n"])
def test_what_is_no_name(keys: KeyFolder, name: str) -> None:
    with pytest.raises(UsageError):
        keys.generate(name, None)


def test_a_name_that_is_taken(keys: KeyFolder) -> None:
    keys.generate("default", None)
    before = (keys.folder / "default.key").read_bytes()
    with pytest.raises(SigningError, match="already"):
        keys.generate("default", None)
    assert (keys.folder / "default.key").read_bytes() == before


def test_two_at_once_make_one_key(keys: KeyFolder) -> None:
    failures: list[FlowctlError] = []

    def make() -> None:
        try:
            KeyFolder().generate("default", None)
        except FlowctlError as failure:
            failures.append(failure)

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(failures) == 3 and all(isinstance(each, SigningError) for each in failures)
    sign()


def test_a_key_whose_making_was_interrupted(keys: KeyFolder) -> None:
    """kill -9 between the private half and the record: the record names the old key."""
    keys.generate("default", None)
    private, _ = key_pair.generate(None)
    (keys.folder / "default.key").write_bytes(private)
    with pytest.raises(SigningError, match="interrupted") as failure:
        sign()
    assert "rotate" in (failure.value.hint or "")
    keys.rotate("default", None)
    sign()


@pytest.mark.parametrize("text", ["", "{", "[]", '[{"name": 1}]'])
def test_a_damaged_record(keys: KeyFolder, text: str) -> None:
    keys.generate("default", None)
    (keys.folder / "default.json").write_text(text)
    with pytest.raises(SigningError, match="damaged"):
        keys.lives("default")


def test_no_key(keys: KeyFolder) -> None:
    with pytest.raises(SigningError, match="there is no key default"):
        sign()
    assert keys.all() == ()


@pytest.mark.parametrize("content", [b"", b"hello", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_a_file_that_is_no_key(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "x.key"
    file.write_bytes(content)
    file.chmod(0o600)
    with pytest.raises(SigningError, match="is no private key"):
        sign(str(file))


def test_keys_of_another_kind_are_refused(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization as s
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    for number, key in enumerate((ec.generate_private_key(ec.SECP384R1()), ed25519.Ed25519PrivateKey.generate())):
        file = tmp_path / f"{number}.key"
        file.write_bytes(key.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption()))
        file.chmod(0o600)
        with pytest.raises(SigningError, match="no ECDSA P-256 key"):
            sign(str(file))


def test_a_folder_or_pipe_is_no_key(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.key", 0o600)
    for path in (tmp_path / "pipe.key", tmp_path):
        with pytest.raises(SigningError):
            sign(f"{path}/" if path.is_dir() else str(path))


def test_the_record_holds_no_private_half(keys: KeyFolder) -> None:
    keys.generate("default", None)
    record = json.loads((keys.folder / "default.json").read_text())
    assert "PRIVATE" not in json.dumps(record)
    assert "PRIVATE" not in (keys.folder / "default.pub").read_text()
