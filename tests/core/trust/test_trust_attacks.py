"""What an attacker can do who holds the server, the network, or some of the keys."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tuf.api.metadata import Metadata, MetaFile, TargetFile

from flowctl_core.errors import TrustError
from flowctl_core.trust import pinning, publishing
from flowctl_core.trust.fetcher import HttpFetcher, InsecureError
from flowctl_core.trust.repository import Repository
from flowctl_core.trust.role_keys import KeyFolders

from .conftest import ONE, QUICK, TWO, World, brief, outlive, public_key


def forge(world: World, role: str, change: Callable[[Any], None], *, by: str | None = None) -> None:
    """Change a role's newest metadata and sign it, and what names it, with the keys of the repository.

    `by`: the role whose key signs in place of the right one.
    """
    repository = world.repository
    with repository.edit() as draft:
        change(draft.targets[role].signed if role in draft.targets else draft.signed(role))
        draft.changed.add(role if role not in ("timestamp",) else "snapshot")
        if by is None:
            return
        keys, _ = draft.keys_of(by)
        signers = repository.keys.signers(by, keys, 1)
    metadata = Metadata.from_file(str(newest(world, role)))
    metadata.signatures.clear()
    for signer in signers:
        metadata.sign(signer, append=True)
    data = metadata.to_bytes()
    newest(world, role).write_bytes(data)
    with repository.edit() as draft:
        draft.snapshot.signed.meta[f"{role}.json"] = MetaFile.from_data(metadata.signed.version, data, ["sha256"])
        draft.changed.add("snapshot")


def newest(world: World, role: str) -> Path:
    folder = world.repository.folder / "metadata"
    return max(folder.glob(f"*.{role}.json"), key=lambda path: int(path.name.partition(".")[0]))


def test_frozen_registry(world: World) -> None:
    publishing.refresh(Repository(world.repository.folder, world.repository.keys, brief(6)))
    assert world.versions() == ["1.0.0"]
    world.server.folder = world.copy("frozen").folder
    outlive(world)
    world.publish("1.1.0")
    with world.client() as store, pytest.raises(TrustError, match=r"has expired .*timestamp") as caught:
        store.material()
    assert "frozen" in (caught.value.hint or "")
    world.server.folder = world.repository.folder
    assert world.versions() == ["1.0.0", "1.1.0"]


@pytest.mark.parametrize("role", ["root", "targets", "snapshot", "namespace-acme"])
def test_expiry_of_each_role_is_enforced(world: World, role: str) -> None:
    lifetimes = {"root": "root", "snapshot": "snapshot"}.get(role, "targets")
    short = Repository(
        world.repository.folder, world.repository.keys, type(brief(1))(**{lifetimes: timedelta(seconds=1)})
    )
    with short.edit() as draft:
        draft.changed.add(role)
    time.sleep(1.1)
    with world.client() as store, pytest.raises(TrustError, match="has expired"):
        store.index("acme", "greeting")


def test_rollback_of_everything(world: World) -> None:
    old = world.copy("old")
    world.publish("1.1.0")
    assert world.versions() == ["1.0.0", "1.1.0"]
    world.server.folder = old.folder
    for _ in range(2):
        with world.client() as store, pytest.raises(TrustError, match="rollback"):
            store.index("acme", "greeting")
    # One that knows nothing newer cannot notice until it expires.
    assert world.versions("new") == ["1.0.0"]


def test_rollback_of_one_namespace(world: World) -> None:
    """The registry's online keys sign a snapshot that names an older index."""
    old = newest(world, "namespace-acme").read_bytes()
    world.publish("1.1.0")
    assert world.versions() == ["1.0.0", "1.1.0"]
    forge(
        world,
        "snapshot",
        lambda snapshot: snapshot.meta.update({"namespace-acme.json": MetaFile.from_data(2, old, ["sha256"])}),
    )
    with world.client() as store, pytest.raises(TrustError, match="rollback"):
        store.index("acme", "greeting")


def test_mix_and_match(world: World) -> None:
    """Parts of two states, each rightly signed, are not one state."""
    files = world.repository.folder / "metadata"
    old = {path.name.partition(".")[2]: path.read_bytes() for path in sorted(files.glob("*.snapshot.json"))}
    old_index = newest(world, "namespace-acme").read_bytes()
    world.publish("1.1.0")
    for path, data in ((newest(world, "snapshot"), old["snapshot.json"]), (newest(world, "namespace-acme"), old_index)):
        name = f"metadata/{path.name}"
        world.server.instead = {name: data}
        with world.client() as store, pytest.raises(TrustError, match=r"do not belong together|more than its metadata"):
            store.index("acme", "greeting")
        assert name in world.server.asked
    world.server.instead = {}
    assert world.versions() == ["1.0.0", "1.1.0"]


def test_changed_target(world: World) -> None:
    world.client().close()
    target = next((world.repository.folder / "targets/index/acme").iterdir())
    for data in (target.read_bytes().replace(b"1" * 64, b"2" * 64), target.read_bytes()[:-5], b""):
        target.write_bytes(data)
        with world.client() as store, pytest.raises(TrustError, match="do not belong together, or were changed"):
            store.index("acme", "greeting")


@pytest.mark.parametrize("part", ["metadata/timestamp.json", "metadata/2.root.json", "snapshot", "index"])
def test_endless_data(world: World, part: str) -> None:
    world.client().close()  # pins
    if part == "snapshot":
        part = f"metadata/{newest(world, 'snapshot').name}"
    if part == "index":
        part = f"targets/index/acme/{next((world.repository.folder / 'targets/index/acme').iterdir()).name}"
    world.server.endless.add(part)
    began = time.monotonic()
    with world.client() as store, pytest.raises(TrustError, match="sends more than its metadata allows"):
        store.index("acme", "greeting")
    assert time.monotonic() - began < QUICK.total_s
    assert world.server.asked.count(part) == 1


def test_slow_server(world: World) -> None:
    """A byte at a time defeats time-outs for each read; the whole has one."""
    world.server.slow.add("metadata/timestamp.json")
    with world.client("new") as store:
        began = time.monotonic()
        with pytest.raises(TrustError, match=r"cannot be reached .*took longer than 4 s"):
            store.material()
        assert time.monotonic() - began < QUICK.total_s + 2


def test_time_between_two_questions_is_the_callers(world: World) -> None:
    with world.client() as store:
        store.material()
        time.sleep(QUICK.total_s + 0.5)
        assert store.index("acme", "greeting") is not None


def test_server_leads_out_of_tls() -> None:
    fetcher = HttpFetcher("https://registry.example/trust", QUICK)
    with closing(fetcher), pytest.raises(InsecureError, match=r"leads to registry\.example without TLS"):
        fetcher.read("http://registry.example/trust/metadata/timestamp.json", 100)


def test_fast_forward_is_recovered_from(world: World) -> None:
    """Stolen online keys sign huge versions; new online keys make the old ones' versions count no more."""
    assert world.versions() == ["1.0.0"]
    stolen = world.copy("stolen")
    with stolen.edit() as draft:
        draft.timestamp.signed.version = draft.snapshot.signed.version = 2**31
        draft.changed.add("snapshot")
    world.server.folder = stolen.folder
    assert world.versions() == ["1.0.0"]
    world.server.folder = world.repository.folder
    with world.client() as store, pytest.raises(TrustError, match="rollback"):
        store.material()
    publishing.rotate(world.repository, "timestamp")
    publishing.rotate(world.repository, "snapshot")
    world.publish("1.1.0")
    assert world.versions() == ["1.0.0", "1.1.0"]


def test_other_keys(world: World) -> None:
    """A repository made anew by somebody else, or metadata that another role's key signed."""
    assert world.versions() == ["1.0.0"]
    foreign = Repository(world.path / "foreign", KeyFolders(world.path / "k", world.path / "k"))
    publishing.init(foreign, namespaces=["acme"])
    publishing.rotate(foreign, "root")
    for _ in range(3):
        publishing.publish(foreign, "acme", "greeting", f"9.0.{_}", {"greeting": TWO})
    world.server.folder = foreign.folder
    with world.client() as store, pytest.raises(TrustError, match="not signed by the keys"):
        store.index("acme", "greeting")
    with pytest.raises(TrustError, match="another root"):
        pinning.pin(
            pinning.normal(world.server.url),
            pinning.offered_root(pinning.normal(world.server.url), None),
            home=world.path / "client",
        )


def test_root_that_the_old_keys_did_not_sign(world: World) -> None:
    assert world.versions() == ["1.0.0"]
    publishing.rotate(world.repository, "root")
    path = newest(world, "root")
    document = json.loads(path.read_bytes())
    document["signatures"] = document["signatures"][:1]
    path.write_text(json.dumps(document))
    with world.client() as store, pytest.raises(TrustError, match="not signed by the keys"):
        store.index("acme", "greeting")


def test_removed_online_key_signs_no_more(world: World) -> None:
    """Removal revokes: who has the timestamp key of before can serve nothing to those who know the new root."""
    stolen = world.copy("stolen")
    publishing.rotate(world.repository, "timestamp")
    assert world.versions() == ["1.0.0"]
    publishing.refresh(stolen)
    publishing.refresh(stolen)
    shutil.copy(newest(world, "root"), stolen.folder / "metadata")
    world.server.folder = stolen.folder
    with world.client() as store, pytest.raises(TrustError, match="not signed by the keys"):
        store.material()


def test_removed_namespace_key_signs_no_more(world: World) -> None:
    old = newest(world, "namespace-acme").read_bytes()
    publishing.rotate(world.repository, "namespace-acme")
    signatures = json.loads(old)["signatures"]

    path = newest(world, "namespace-acme")
    document = json.loads(path.read_bytes()) | {"signatures": signatures}
    path.write_text(json.dumps(document))
    forge(
        world,
        "snapshot",
        lambda s: s.meta.update(
            {"namespace-acme.json": MetaFile.from_data(document["signed"]["version"], path.read_bytes(), ["sha256"])}
        ),
    )
    with world.client() as store, pytest.raises(TrustError, match="not signed by the keys"):
        store.index("acme", "greeting")


def test_namespace_key_signs_for_another(world: World) -> None:
    forge(world, "namespace-other", lambda targets: None, by="namespace-acme")
    with world.client() as store:
        with pytest.raises(TrustError, match="not signed by the keys"):
            store.index("other", "greeting")
        assert store.index("acme", "greeting") is not None  # the others are not harmed


def test_namespace_lists_the_index_of_another(world: World) -> None:
    """acme signs a target of `other`: nobody looks for it there."""
    data = b'{"namespace": "other", "component": "greeting"}'
    path = "index/other/greeting.json"
    forge(world, "namespace-acme", lambda targets: targets.targets.update({path: TargetFile.from_data(path, data)}))
    with world.client() as store:
        assert store.index("other", "greeting") is None


def test_namespace_passes_off_another_component(world: World) -> None:
    """A rightly signed index in the place of another one."""
    with world.repository.edit() as draft:
        draft.put("namespace-acme", "index/acme/wave.json", b'{"namespace": "acme", "component": "greeting"}')
    with world.client() as store, pytest.raises(TrustError, match="is that of acme/greeting"):
        store.index("acme", "wave")


@pytest.mark.parametrize(
    ("versions", "said"),
    [
        ({"1.0.0": TWO}, "1.0.0 has other digests in the signed index"),
        ({"1.1.0": ONE}, "1.0.0 is gone from the signed index"),
        (None, "1.0.0 is gone from the signed index"),
    ],
)
def test_version_is_changed_by_who_has_the_key(world: World, versions: dict[str, str] | None, said: str) -> None:
    """Two digests for one version, over time: who saw the first refuses the second."""
    assert world.versions() == ["1.0.0"]
    path = "index/acme/greeting.json"
    if versions is None:
        forge(world, "namespace-acme", lambda targets: targets.targets.pop(path))
    else:
        now = datetime.now(UTC).isoformat()
        entries = {version: {"digests": {"greeting": d}, "published": now} for version, d in versions.items()}
        document = {"namespace": "acme", "component": "greeting", "versions": entries}
        with world.repository.edit() as draft:
            draft.put("namespace-acme", path, json.dumps(document).encode())
    for offline in (False, False, True):
        with world.client(offline=offline) as store, pytest.raises(TrustError, match=said):
            store.index("acme", "greeting")


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"null", b"[" * 15000, b'{"signed": {"_type": "root"}}', b"\xff\xfe"]
)
def test_malformed_metadata(world: World, data: bytes) -> None:
    world.client().close()
    for part in ("metadata/timestamp.json", "metadata/2.root.json"):
        world.server.instead = {part: data}
        with world.client() as store, pytest.raises(TrustError, match="malformed"):
            store.material()


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"keys": [{}]}', b'{"schema_version": 2}', b"\xff"])
def test_malformed_targets(world: World, data: bytes) -> None:
    with world.repository.edit() as draft:
        draft.put("targets", "trust/keys.json", data)
        draft.put("namespace-acme", "index/acme/greeting.json", data)
    with world.client() as store:
        with pytest.raises(TrustError, match="unknown format"):
            store.material()
        with pytest.raises(TrustError, match="unknown format"):
            store.index("acme", "greeting")
    with pytest.raises(TrustError, match="unknown format"):
        publishing.add_key(world.repository, public_key())


def test_busy_server_is_asked_again(world: World) -> None:
    world.client().close()
    world.server.fails = 1
    assert world.versions() == ["1.0.0"]


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_server_without_a_repository(world: World, status: int) -> None:
    world.client().close()
    world.server.status = {"metadata/timestamp.json": status}
    with world.client() as store, pytest.raises(TrustError, match=f"lacks a file .*status {status}"):
        store.material()


def test_redirects_in_circles(world: World) -> None:
    world.client().close()
    world.server.redirect = {"metadata/timestamp.json": "/metadata/timestamp.json"}
    with world.client() as store, pytest.raises(TrustError, match="cannot be asked"):
        store.material()
