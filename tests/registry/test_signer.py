"""The signer signs what the database recorded, once, and nothing else; it and the index survive being killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, update

from flowctl_core.models.signing import TrustedKey, TrustMaterial
from flowctl_core.verify.bundle import verify_bundle
from flowctl_registry.database.engine import now, open_engine, reading, writing
from flowctl_registry.database.tables import artifacts, components, index_changes, manifests, subjects, versions
from flowctl_registry.errors import UnavailableError
from flowctl_registry.settings import load_settings
from flowctl_registry.signer.client import SignerClient

from .client import files_of
from .conftest import Registry

ATTESTATION = "metadata/registry.sigstore.json"
RELEASE = "https://in-toto.io/attestation/release/v0.1"


@pytest.fixture
def published(registry: Registry, release: Path) -> tuple[str, dict[str, Any]]:
    """Namespace and document of a new version."""
    namespace = registry.namespace()
    done = registry.client().publish(release, namespace, "greeting", "1.2.0")
    assert done.status_code == 201, done.text
    return namespace, done.json()


@pytest.fixture
def engine(registry: Registry):
    engine = open_engine(load_settings(None, registry.environment).database)
    yield engine
    engine.dispose()


def ask(registry: Registry) -> SignerClient:
    return SignerClient(load_settings(None, registry.environment).socket)


def trust(registry: Registry) -> TrustMaterial:
    keys = registry.client().get("/v1/keys").json()["keys"]
    return TrustMaterial(keys=tuple(TrustedKey.model_validate(each) for each in keys))


def bundle_of(engine, store_read: Callable[[str], bytes], version_id: int) -> bytes:
    with reading(engine) as connection:
        digest = connection.execute(
            select(artifacts.c.digest).where(artifacts.c.version_id == version_id, artifacts.c.path == ATTESTATION)
        ).scalar_one()
    return store_read(digest)


def blobs_of(registry: Registry) -> Callable[[str], bytes]:
    from flowctl_registry.blobs.store import BlobStore

    store = BlobStore.open(load_settings(None, registry.environment))
    return lambda digest: store.read(digest, 1_000_000)


def version_id(engine, namespace: str) -> int:
    with reading(engine) as connection:
        return connection.execute(
            select(versions.c.id)
            .join(components, components.c.id == versions.c.component_id)
            .where(components.c.namespace == namespace)
        ).scalar_one()


def test_the_attestation_is_about_everything_that_was_recorded(registry: Registry, published, engine) -> None:
    namespace, document = published
    assert ATTESTATION in {file["path"] for file in document["metadata"]}
    found = version_id(engine, namespace)
    with reading(engine) as connection:
        recorded = dict(
            connection.execute(select(subjects.c.name, subjects.c.digest).where(subjects.c.version_id == found)).all()
        )
    bundle = bundle_of(engine, blobs_of(registry), found)
    for digest in recorded.values():
        verdict = verify_bundle(bundle, digest, trust(registry))
    assert verdict.statement is not None
    statement = json.loads(verdict.statement)
    signed = {each["name"]: "sha256:" + each["digest"]["sha256"] for each in statement["subject"]}
    assert signed == recorded
    assert statement["predicateType"] == RELEASE
    assert statement["predicate"]["purl"] == f"pkg:generic/{namespace}/greeting@1.2.0"


def test_every_image_has_a_signature_that_refers_to_it(registry: Registry, published, engine) -> None:
    found, read, trusted = version_id(engine, published[0]), blobs_of(registry), trust(registry)
    with reading(engine) as connection:
        rows = connection.execute(select(manifests).where(manifests.c.version_id == found)).all()
    images = {row.digest for row in rows if row.subject is None and "image" in row.media_type}
    assert len(images) == 2  # the index, and the image of the one platform
    for image in images:
        types = set()
        for row in rows:
            if row.subject == image:
                bundle = json.loads(read(row.digest))["layers"][0]["digest"]
                verdict = verify_bundle(read(bundle), image, trusted)
                assert verdict.statement is not None
                statement = json.loads(verdict.statement)
                types.add(statement["predicateType"])
        assert types == {"https://sigstore.dev/cosign/sign/v1", RELEASE}


def test_nobody_can_bring_the_registrys_attestation(registry: Registry, release: Path, tmp_path: Path) -> None:
    """Else what the signer finds there would pass for its own."""
    shutil.copytree(release, tmp_path / "dist")
    (tmp_path / "dist" / ATTESTATION).write_text("{}")
    answer = registry.client().publish(tmp_path / "dist", registry.namespace(), "greeting", "1.2.0")
    assert answer.status_code == 422
    assert "registry's to make" in answer.json()["detail"]


def test_signing_again_changes_nothing(registry: Registry, published, engine) -> None:
    found = version_id(engine, published[0])
    before = bundle_of(engine, blobs_of(registry), found)
    ask(registry).sign(found)
    assert bundle_of(engine, blobs_of(registry), found) == before


@pytest.mark.parametrize("case", ["published", "no subjects", "a foreign subject", "unknown"])
def test_nothing_else_is_signed(registry: Registry, published, engine, case: str) -> None:
    """What a thief of an API process could ask for."""
    found = version_id(engine, published[0])
    strange = "sha256:" + "0" * 64

    def change(connection) -> None:
        connection.execute(delete(artifacts).where(artifacts.c.version_id == found, artifacts.c.path == ATTESTATION))
        connection.execute(
            update(versions)
            .where(versions.c.id == found)
            .values(state="published" if case == "published" else "pending")
        )
        if case == "no subjects":
            connection.execute(delete(subjects).where(subjects.c.version_id == found))
        if case == "a foreign subject":
            connection.execute(
                insert(subjects).values(version_id=found, name="x", digest=strange, recorded_at=now(connection))
            )

    writing(engine, change)
    said = {"published": "is published", "no subjects": "no subjects", "a foreign subject": "no file for x"}
    with pytest.raises(UnavailableError, match=said.get(case, "there is no version")):
        ask(registry).sign(10**9 if case == "unknown" else found)
    with reading(engine) as connection:
        query = select(artifacts).where(artifacts.c.version_id == found, artifacts.c.path == ATTESTATION)
        assert connection.execute(query).all() == []


@pytest.mark.parametrize(
    "request_line",
    [b"", b"\n", b"[]\n", b"{}\n", b'{"do": "sign"}\n', b'{"do": "sign", "version": "1"}\n', b"x" * 20_000],
)
def test_what_it_does_not_understand_it_refuses(registry: Registry, request_line: bytes) -> None:
    import socket

    path = load_settings(None, registry.environment).socket
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        connection.sendall(request_line)
        connection.shutdown(socket.SHUT_WR)
        answer = json.loads(connection.makefile("rb").readline())
    assert answer["ok"] is False
    assert ask(registry).status()["ok"] is True


def test_only_its_owner_can_read_the_keys_or_ask(registry: Registry) -> None:
    folder = registry.data / "signer"
    keys = [*folder.rglob("*.key"), load_settings(None, registry.environment).socket]
    assert len(keys) >= 6
    assert {path.stat().st_mode & 0o077 for path in keys} == {0}


def test_a_bundle_and_a_component_of_one_name_are_two_entries() -> None:
    import re

    from flowctl_registry.models.names import NAME_PATTERN
    from flowctl_registry.signer.outbox import index_name

    assert index_name("component", "starter") == "starter"
    assert not re.fullmatch(NAME_PATTERN.strip("^$"), index_name("bundle", "starter"))


def listed(registry: Registry, namespace: str) -> dict[str, Any]:
    """The newest index of a namespace's component in the copy that clients read."""
    from flowctl_registry.database.tables import trust_files

    engine = open_engine(load_settings(None, registry.environment).database)
    with reading(engine) as connection:
        files = dict(connection.execute(select(trust_files.c.path, trust_files.c.content)).all())
    engine.dispose()
    timestamp = json.loads(files["metadata/timestamp.json"])["signed"]["meta"]["snapshot.json"]["version"]
    snapshot = json.loads(files[f"metadata/{timestamp}.snapshot.json"])["signed"]["meta"]
    role = f"namespace-{namespace}"
    targets = json.loads(files[f"metadata/{snapshot[role + '.json']['version']}.{role}.json"])["signed"]["targets"]
    path = f"index/{namespace}/greeting.json"
    digest = targets[path]["hashes"]["sha256"]
    return json.loads(files[f"targets/index/{namespace}/{digest}.greeting.json"])["versions"]


def test_yanks_reach_the_index_and_are_taken_back(registry: Registry, published) -> None:
    namespace, client = published[0], registry.client()
    path = f"/v1/components/{namespace}/greeting/1.2.0/yank"
    assert client.post(path, json={"reason": "loses data"}).status_code < 300
    assert listed(registry, namespace)["1.2.0"]["yanked"]["reason"] == "loses data"
    assert client.request("DELETE", path).status_code < 300
    assert listed(registry, namespace)["1.2.0"].get("yanked") is None


def test_what_cannot_be_entered_holds_nothing_else_up(registry: Registry, published, release: Path, engine) -> None:
    namespace = published[0]
    found = version_id(engine, namespace)

    def contradict(connection) -> None:
        connection.execute(update(subjects).where(subjects.c.version_id == found).values(digest="sha256:" + "1" * 64))
        connection.execute(insert(index_changes).values(change="yank", version_id=found, recorded_at=now(connection)))

    writing(engine, contradict)
    other = registry.namespace()
    assert registry.client().publish(release, other, "greeting", "1.2.0").status_code == 201
    assert "1.2.0" in listed(registry, other)
    assert ask(registry).status()["failed"] == 1
    with pytest.raises(UnavailableError, match="lacks 1 version"):
        ask(registry).update_index()
    writing(engine, lambda c: c.execute(delete(index_changes).where(index_changes.c.done_at.is_(None))))
    ask(registry).update_index()


def test_an_index_that_lost_its_copy_is_copied_anew(registry: Registry, published, engine) -> None:
    """As after a kill between the repository's change and the database's."""
    from flowctl_registry.database.tables import trust_files

    namespace = published[0]
    signer_pid = ask(registry).status()["pid"]
    writing(engine, lambda c: c.execute(delete(trust_files)))
    mine = index_changes.c.version_id == version_id(engine, namespace)
    writing(engine, lambda c: c.execute(update(index_changes).where(mine).values(done_at=None)))
    os.kill(signer_pid, signal.SIGKILL)
    restart(registry, signer_pid)
    ask(registry).update_index()
    assert "1.2.0" in listed(registry, namespace)
    assert ask(registry).status()["waiting"] == 0


def restart(registry: Registry, old: int) -> None:
    """Wait for the signer that comes after `old`; serve starts its own, a test the one that is a process of its own."""
    if registry.signer is not None:
        registry.signer.process.wait()
        registry.signer.start()
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            if ask(registry).status()["pid"] != old:
                return
        except UnavailableError:
            pass
        time.sleep(0.1)
    raise AssertionError("no signer came back")


def test_publishing_goes_on_when_the_signer_was_killed(registry: Registry, release: Path) -> None:
    old = ask(registry).status()["pid"]
    os.kill(old, signal.SIGKILL)
    if registry.signer is not None:
        registry.signer.process.wait()
        registry.signer.launch()
    namespace = registry.namespace()
    assert registry.client().publish(release, namespace, "greeting", "1.2.0").status_code == 201
    assert "1.2.0" in listed(registry, namespace)


def test_a_new_key_signs_and_the_old_one_stays_good(registry: Registry, release: Path, engine) -> None:
    first = registry.namespace()
    registry.client().publish(release, first, "greeting", "1.2.0")
    made = json.loads(registry.command("signer", "rotate", "-o", "json").stdout)
    second = registry.namespace()
    registry.client().publish(release, second, "greeting", "1.2.0")
    keys, read = trust(registry), blobs_of(registry)
    assert len(keys.keys) >= 2
    verdicts = [
        verify_bundle(bundle_of(engine, read, version_id(engine, each)), files_of(release)[0]["digest"], keys)
        for each in (first, second)
    ]
    assert verdicts[0].signer.key_name != made["name"]
    assert verdicts[1].signer.key_name == made["name"]
    entries = registry.client().get("/v1/audit", params={"limit": 1000}).json()["entries"]
    (entry,) = [each for each in entries if each["action"] == "signer.rotate"]
    assert (entry["actor"], entry["target"]) == ("operator", made["name"])
    assert json.loads(registry.command("signer", "status", "-o", "json").stdout)["key"] == made["name"]


def test_what_operators_do_with_flowctl_trust_reaches_clients(registry: Registry) -> None:
    name = trust(registry).keys[0].name
    folder = registry.data / "signer"
    command = [Path(sys.prefix) / "bin" / "flowctl", "trust", "revoke-key", folder / "trust", name]
    keys = ["--keys", folder / "trust-keys", "--online-keys", folder / "trust-keys"]
    done = subprocess.run([*command, *keys], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    ask(registry).update_index()
    assert {each.name: each.revoked for each in trust(registry).keys}[name] is True


def test_there_is_one_signer(registry: Registry) -> None:
    held = ask(registry).status()["pid"]
    done = subprocess.run(
        [Path(sys.prefix) / "bin" / "flowctl-registry", "signer"],
        env={**registry.environment}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode != 0
    assert "Traceback" not in done.stderr and "signer's folder" in done.stderr
    assert ask(registry).status()["pid"] == held


def test_an_index_whose_keys_are_lost_is_made_anew(open_registry, release: Path) -> None:
    with open_registry() as registry:
        namespace = registry.namespace()
        assert registry.client().publish(release, namespace, "greeting", "1.2.0").status_code == 201
        before = ask(registry).status()["root"]
        registry.stop()
        shutil.rmtree(registry.data / "signer")
        registry.command("signer", "forget", code=2)
        registry.command("signer", "forget", "--yes")
        registry.start()
        ask(registry).update_index()
        assert "1.2.0" in listed(registry, namespace)
        assert ask(registry).status()["root"] != before
