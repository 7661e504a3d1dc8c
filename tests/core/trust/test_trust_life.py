"""The life of a trust repository, as clients see it over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flowctl_core.errors import SigningError, TrustError, VerificationError
from flowctl_core.models.trust import Yank
from flowctl_core.trust import pinning, publishing
from flowctl_core.trust.repository import Repository
from flowctl_core.trust.role_keys import KeyFolders

from .conftest import ONE, THREE, TWO, World, public_key


def test_publish_then_yank(world: World) -> None:
    with world.client() as store:
        index = store.index("acme", "greeting")
        assert index is not None
        assert index.check_version("1.0.0", {"greeting": ONE}).digests == {"greeting": ONE}
        assert index.check_version("1.0.0", [ONE], newest=True)
        assert store.index("acme", "unheard") is None
        assert store.index("nobody", "greeting") is None
    publishing.yank(world.repository, "acme", "greeting", "1.0.0", "loses data")
    with world.client() as store:
        index = store.index("acme", "greeting")
        assert index is not None
        with pytest.raises(VerificationError, match=r"yanked on .*: loses data") as caught:
            index.check_version("1.0.0", {"greeting": ONE})
        assert caught.value.check == "identity"


def test_a_yank_can_be_taken_back(world: World) -> None:
    publishing.yank(world.repository, "acme", "greeting", "1.0.0", "loses data")
    publishing.unyank(world.repository, "acme", "greeting", "1.0.0")
    with world.client() as store:
        index = store.index("acme", "greeting")
        assert index is not None
        assert index.check_version("1.0.0", {"greeting": ONE}, newest=True)
    with pytest.raises(TrustError, match=r"there is no acme/greeting 3\.0\.0"):
        publishing.unyank(world.repository, "acme", "greeting", "3.0.0")


def test_a_database_is_entered_as_one_change(world: World) -> None:
    at = datetime(2026, 1, 2, tzinfo=UTC)
    why = Yank(at=at, reason="loses data")
    new = publishing.Recorded("other", "parting", "0.1.0", {"parting": TWO}, at)
    yanked = publishing.Recorded("acme", "greeting", "1.0.0", {}, at, why)
    for _ in range(2):
        publishing.record(world.repository, [new, yanked])
    with world.client() as store:
        index, other = store.index("acme", "greeting"), store.index("other", "parting")
        assert index is not None and other is not None
        assert index.versions["1.0.0"].yanked == why
        assert index.versions["1.0.0"].digests == {"greeting": ONE}
        assert other.versions["0.1.0"].published == at
    written = len(world.repository.written)
    with pytest.raises(TrustError, match="was published with other digests"):
        publishing.record(world.repository, [publishing.Recorded("acme", "greeting", "1.0.0", {"greeting": TWO}, at)])
    assert len(world.repository.written) == written


def test_what_is_current_is_all_that_a_client_needs(world: World) -> None:
    world.publish("2.0.0", TWO)
    current = world.repository.current()
    for path in world.repository.folder.rglob("*.json"):
        if path not in current:
            path.unlink()
    with world.client() as store:
        index = store.index("acme", "greeting")
        assert index is not None and index.newest() == "2.0.0"


@pytest.mark.parametrize(
    ("version", "digests", "newest", "said"),
    [
        ("3.0.0", {"greeting": ONE}, False, "knows no acme/greeting 3.0.0"),
        ("1.9.0", {"greeting": THREE}, False, "the signed index has sha256:1111"),
        ("1.9.0", {"other": ONE}, False, "nothing of that name"),
        ("1.9.0", [ONE, THREE], False, "is no part of"),
        ("1.9.0", {}, False, "no digest"),
        ("1.9.0", {"greeting": ONE}, True, "the signed index has 1.10.0"),
    ],
)
def test_check_version_refuses(
    world: World, version: str, digests: dict[str, str] | list[str], newest: bool, said: str
) -> None:
    world.publish("1.10.0", TWO)
    world.publish("1.9.0")
    world.publish("1.11.0-rc.1")
    publishing.yank(world.repository, "acme", "greeting", "1.11.0-rc.1", "too early")
    with world.client() as store:
        index = store.index("acme", "greeting")
    assert index is not None
    assert index.check_version("1.10.0", {"greeting": TWO}, newest=True)
    assert index.check_version("1.9.0", {"greeting": ONE.removeprefix("sha256:")})
    with pytest.raises(VerificationError, match=said) as caught:
        index.check_version(version, digests, newest=newest)
    assert caught.value.check == "identity"


def test_a_version_has_one_set_of_digests_for_ever(world: World) -> None:
    world.publish("1.0.0")  # the same again is fine
    with pytest.raises(TrustError, match="was published with other digests"):
        world.publish("1.0.0", TWO)
    publishing.yank(world.repository, "acme", "greeting", "1.0.0", "loses data")
    with pytest.raises(TrustError, match="was yanked"):
        world.publish("1.0.0")


def test_keys_come_and_go(world: World) -> None:
    key = public_key().model_copy(update={"valid_until": datetime.now(UTC) + timedelta(days=1)})
    publishing.add_key(world.repository, key)
    with world.client() as store:
        assert store.material().keys == (key,)
    with pytest.raises(TrustError, match="there is a key named team"):
        publishing.add_key(world.repository, public_key())
    publishing.revoke_key(world.repository, "team")
    with world.client() as store:
        assert [(found.name, found.revoked) for found in store.material().keys] == [("team", True)]
    with pytest.raises(TrustError, match="no key named nobody"):
        publishing.revoke_key(world.repository, "nobody")
    with pytest.raises(TrustError, match="no public key in PEM"):
        publishing.add_key(world.repository, key.model_copy(update={"name": "bad", "public_key": "x"}))


def test_sigstore_root_reaches_clients(world: World, shared_data: Path) -> None:
    with world.client() as store:
        assert store.material().trusted_roots == ()
    root = next((shared_data / "sigstore-conformance").rglob("trusted_root.json")).read_bytes()
    publishing.set_trusted_root(world.repository, root)
    with world.client() as store:
        assert store.material().trusted_roots == (root.decode(),)
    with pytest.raises(TrustError, match="no Sigstore TrustedRoot"):
        publishing.set_trusted_root(world.repository, b'{"mediaType": 1}')


def test_client_that_missed_rotations_follows(world: World) -> None:
    assert world.versions() == ["1.0.0"]
    for step, role in enumerate(("root", "timestamp", "root", "snapshot", "targets", "namespace-acme", "root"), 1):
        publishing.rotate(world.repository, role)
        assert len(world.versions("each")) == len(world.versions(f"just-{step}")) == step
        world.publish(f"1.{step}.0")
        # Those who look after each step, and those who come new, follow too.
        assert len(world.versions("each")) == len(world.versions(f"new-{step}")) == step + 1
    assert len(world.versions()) == 8
    with world.client() as store:
        assert store.state().roles[0].version == 7
    # The keys of before are of no use any more.
    assert len(list(world.repository.keys.offline.glob("root-*.key"))) == 4


def test_root_needs_its_threshold(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "r", KeyFolders(tmp_path / "offline", tmp_path / "online"))
    publishing.init(repository, root_keys=3, root_threshold=2)
    first, second, _ = sorted(repository.keys.offline.glob("root-*.key"))
    first.unlink()
    publishing.rotate(repository, "timestamp")
    second.unlink()
    before = sorted(path.name for path in (repository.folder / "metadata").iterdir())
    with pytest.raises(SigningError, match=r"root is to be signed by 2 of the keys .*; 1 found"):
        publishing.rotate(repository, "timestamp")
    assert sorted(path.name for path in (repository.folder / "metadata").iterdir()) == before


def test_server_needs_no_offline_keys(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.repository.keys.offline.rename(world.path / "away")
    publishing.refresh(world.repository)
    world.publish("1.1.0")
    assert world.versions() == ["1.0.0", "1.1.0"]
    for change in (
        lambda: publishing.add_key(world.repository, public_key()),
        lambda: publishing.rotate(world.repository, "root"),
        lambda: publishing.add_namespace(world.repository, "third"),
    ):
        with pytest.raises(SigningError, match=r"--keys|0 found"):
            change()
    assert world.versions() == ["1.0.0", "1.1.0"]


def test_encrypted_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = Repository(tmp_path / "r", KeyFolders(tmp_path / "offline", tmp_path / "online"))
    monkeypatch.setenv("FLOWCTL_KEY_PASSPHRASE", "correct horse")
    publishing.init(repository)
    for key in tmp_path.glob("*/*.key"):
        assert key.read_text().startswith("-----BEGIN ENCRYPTED PRIVATE KEY-----")
        assert key.stat().st_mode & 0o777 == 0o600
    publishing.refresh(repository)
    monkeypatch.setenv("FLOWCTL_KEY_PASSPHRASE", "wrong horse")
    with pytest.raises(SigningError, match="FLOWCTL_KEY_PASSPHRASE is wrong"):
        publishing.refresh(repository)
    monkeypatch.delenv("FLOWCTL_KEY_PASSPHRASE")
    with pytest.raises(SigningError, match="is encrypted") as caught:
        publishing.refresh(repository)
    assert "horse" not in str(caught.value)


def test_pin_by_fingerprint_and_file(world: World) -> None:
    registry, home = pinning.normal(world.server.url), world.path / "home"
    first = (world.repository.folder / "metadata/1.root.json").read_bytes()
    publishing.rotate(world.repository, "root")
    newest = pinning.offered_root(registry, None)
    assert newest != first
    # What was published before a rotation is good for ever.
    assert pinning.offered_root(registry, pinning.fingerprint_of(first).removeprefix("sha256:").upper()) == first
    with pytest.raises(TrustError, match="has no root with the fingerprint sha256:1111"):
        pinning.offered_root(registry, ONE)
    assert pinning.pin(registry, first, home=home).changed
    assert not pinning.pin(registry, first, home=home).changed
    with pytest.raises(TrustError, match="another root"):
        pinning.pin(registry, newest, home=home)
    assert pinning.pin(registry, newest, home=home, replace=True).root_version == 2
    assert pinning.pinned(home) == (registry,)
    for damaged in (
        b"",
        b"{}",
        first.replace(b'"version": 1', b'"version": 2').replace(b'"version":1', b'"version":2'),
    ):
        with pytest.raises(TrustError):
            pinning.pin(registry, damaged, home=home, replace=True)


@pytest.mark.parametrize("name", ["", "..", "a/b", "a b", ".a", "a*", "é"])
def test_names_that_would_leave_their_place(world: World, name: str) -> None:
    with pytest.raises(TrustError):
        publishing.publish(world.repository, "acme", name, "1.0.0", {"x": ONE})
    with pytest.raises(TrustError):
        publishing.add_namespace(world.repository, name)
    with world.client() as store, pytest.raises(TrustError):
        store.index("acme", name)
