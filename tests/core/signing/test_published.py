"""The signed index of a registry: replay, freeze, other digests for one version, another namespace, revocation."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from flowctl_core.errors import VerificationError
from flowctl_core.trust import pinning, publishing
from flowctl_core.trust.client import TrustStore
from flowctl_core.trust.repository import Lifetimes, Repository
from flowctl_core.trust.role_keys import KeyFolders
from flowctl_core.verify.published import check_published
from flowctl_core.verify.release import gather_release

FLOWCTL = Path(sys.prefix) / "bin" / "flowctl"
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(signed, tmp_path: Path) -> Run:
    home = tmp_path / "home"
    home.mkdir()

    def call(*words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "HOME": str(home), "FLOWCTL_KEYS": str(signed.keys)}
        command = [FLOWCTL, *words]
        done = subprocess.run(command, cwd=signed.component, env=environment, capture_output=True, text=True)
        assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    return call


@pytest.fixture
def registry(run: Run, signed, tmp_path: Path) -> Path:
    """A trust repository with one version of the component, pinned by the client, and a policy that takes its key."""
    folder = tmp_path / "trust"
    run("trust", "init", str(folder), "--namespace", "acme")
    run("trust", "add-key", str(folder), "default", str(signed.keys / "default.pub"))
    run("trust", "publish", str(folder), "acme/greeting", "1.2.0", "--release", "dist")
    shown = json.loads(run("trust", "show", str(folder), "-o", "json", code=62).stdout)
    assert shown["error"]["exit_code"] == 62
    root = next(iter(sorted((folder / "metadata").glob("*root.json"))), None) or next(folder.rglob("1.root.json"))
    run("trust", "pin", str(folder), "--root", str(root))
    (tmp_path / "policy.yaml").write_text(
        f"schema: 1\nkeys: {{default: {{registry: '{folder}'}}}}\n"
        "namespaces:\n- {pattern: acme/*, signers: [{key: default}]}\n"
    )
    return folder


def words(registry: Path, *more: str) -> tuple[str, ...]:
    policy = registry.parent / "policy.yaml"
    return ("verify", "dist", "--policy", str(policy), "--registry", str(registry), "--name", "acme/greeting", *more)


def test_a_published_version(run: Run, registry: Path) -> None:
    done = run(*words(registry, "--newest"))
    assert "listed as acme/greeting 1.2.0" in done.stdout


def test_a_replay_of_an_older_version(run: Run, registry: Path) -> None:
    newer = {"greeting-linux-amd64": "sha256:" + "2" * 64}
    listing = registry.parent / "newer.json"
    listing.write_text(json.dumps(newer))
    run(
        "trust",
        "publish",
        str(registry),
        "acme/greeting",
        "1.3.0",
        "--digest",
        "greeting-linux-amd64=sha256:" + "2" * 64,
    )
    run(*words(registry))
    done = run(*words(registry, "--newest"), code=60)
    assert "check identity failed" in done.stderr and "1.3.0" in done.stderr


def test_two_digests_for_one_version(run: Run, registry: Path, signed, sign_with) -> None:
    """The operator's tool refuses the second; a client refuses a release that is not the one that is listed."""
    other = "greeting-linux-amd64=sha256:" + "3" * 64
    refused = run("trust", "publish", str(registry), "acme/greeting", "1.2.0", "--digest", other, code=62)
    assert "1.2.0" in refused.stderr
    run("trust", "publish", str(registry), "acme/other", "1.2.0", "--digest", other)
    done = run(*words(registry, "--name", "acme/other"), code=60)
    assert "check identity failed" in done.stderr


def test_a_version_that_nobody_published(run: Run, registry: Path) -> None:
    done = run(*words(registry, "--name", "acme/nothing"), code=60)
    assert "check identity failed" in done.stderr and "acme/nothing" in done.stderr


def test_a_yanked_version(run: Run, registry: Path) -> None:
    run("trust", "yank", str(registry), "acme/greeting", "1.2.0", "--reason", "leaks memory")
    done = run(*words(registry), code=60)
    assert "check identity failed" in done.stderr and "leaks memory" in done.stderr


def test_a_key_that_the_registry_revoked(run: Run, registry: Path) -> None:
    run(*words(registry))
    run("trust", "revoke-key", str(registry), "default")
    done = run(*words(registry), code=60)
    assert "check signature failed" in done.stderr and "revoked" in done.stderr


def test_an_index_that_was_rolled_back(run: Run, registry: Path, signed) -> None:
    before = registry.parent / "before"
    shutil.copytree(registry, before)
    run("trust", "yank", str(registry), "acme/greeting", "1.2.0", "--reason", "leaks memory")
    run(*words(registry), code=60)
    shutil.rmtree(registry)
    shutil.copytree(before, registry)
    done = run(*words(registry), code=62)
    assert "check signature cannot be made" in done.stderr and "rollback" in done.stderr
    key = registry.parent / "policy.yaml"
    key.write_text(
        key.read_text().replace("registry: ", "file: ").replace(str(registry), str(signed.keys / "default.pub"))
    )
    done = run(*words(registry), code=60)
    assert "check identity failed" in done.stderr and "rollback" in done.stderr


def test_a_frozen_index(signed, tmp_path: Path) -> None:
    """The registry answers, but with what it said before its time stamp ran out."""
    keys = KeyFolders(tmp_path / "offline", tmp_path / "online")
    repository = Repository(tmp_path / "trust", keys, Lifetimes(timestamp=timedelta(seconds=4)))
    publishing.init(repository, namespaces=["acme"])
    evidence = gather_release(signed.root, "acme/greeting", "1.2.0")
    publishing.publish(repository, "acme", "greeting", "1.2.0", evidence.digests)
    name = pinning.normal(str(repository.folder))
    pinning.pin(name, pinning.offered_root(name, None), home=tmp_path / "home")
    with TrustStore(name, home=tmp_path / "home") as store:
        assert "listed as" in check_published(store, evidence, newest=True)
    time.sleep(4.1)
    with TrustStore(name, home=tmp_path / "home") as store, pytest.raises(VerificationError) as caught:
        check_published(store, evidence, newest=True)
    assert "check identity failed" in caught.value.message and "expired" in caught.value.message
    assert caught.value.exit_code == 60 and "frozen" in (caught.value.hint or "")


def test_a_name_without_a_namespace(run: Run, registry: Path) -> None:
    policy = registry.parent / "policy.yaml"
    policy.write_text(policy.read_text().replace("acme/*", '"**"'))
    done = run("verify", "dist", "--policy", str(policy), "--registry", str(registry), code=2)
    assert "NAMESPACE/NAME" in done.stderr
