"""A real release with a program and an image, signed with a key; each test has a copy that it may spoil."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.conftest import unavailable

from flowctl_core.models.policy import Policy
from flowctl_core.models.signing import SigningRequest, TrustedKey, TrustMaterial
from flowctl_core.plugins.call import InProcessCaller
from flowctl_core.plugins.manager import load_plugins
from flowctl_core.sign.key_folder import KeyFolder
from flowctl_core.sign.release import sign_release
from flowctl_core.verify.checks import Outcome, run_checks
from flowctl_core.verify.release import gather_release

COMPONENT = """\
apiVersion: component.flowctl.io/v1
kind: ComponentSpec
metadata: {name: greeting, version: 1.2.0}
spec:
  type: processor
  build:
    native: {command: [sh, make.sh], binary: bin/greeting}
    container: {base: scratch}
"""
NAMESPACE = {"pattern": "greeting", "signers": ({"key": "default"},), "require": ("provenance", "sbom", "scan")}


@dataclass(frozen=True)
class Signed:
    """A signed release, and what a client needs to verify it."""

    root: Path
    """The release's folder."""
    component: Path
    keys: Path
    policy: Policy
    trust: TrustMaterial

    def verify(self, policy: Policy | None = None, trust: TrustMaterial | None = None, **named: str) -> Outcome:
        return run_checks(
            lambda: gather_release(self.root, named.get("name"), named.get("version")),
            policy or self.policy,
            trust or self.trust,
        )


@pytest.fixture(scope="session")
def unsigned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The component's folder, with a release in dist/ that is not signed."""
    busybox = shutil.which("busybox")
    if busybox is None:
        unavailable("busybox (Debian: busybox-static), a static program for an image from scratch")
    root = tmp_path_factory.mktemp("mein Gerät")
    (root / "component.yaml").write_text(COMPONENT)
    (root / "make.sh").write_text(f"mkdir -p bin && cp {busybox} bin/greeting\n")
    identity = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    for words in (("init", "--quiet"), ("add", "--all"), ("commit", "--quiet", "--message", "first")):
        subprocess.run(["git", *identity, *words], cwd=root, check=True)
    _flowctl(root, "component", "build", "--platforms", "linux/amd64")
    return root


def _flowctl(root: Path, *words: str) -> None:
    home = root.parent / "home"
    home.mkdir(exist_ok=True)
    environment = {**os.environ, "HOME": str(home), "FLOWCTL_CACHE_DIR": str(home / "cache")}
    command = [Path(sys.prefix) / "bin" / "flowctl", *words]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def trust_in(folder: KeyFolder, *names: str) -> TrustMaterial:
    """What a client has that trusts these keys."""
    return TrustMaterial(
        keys=tuple(TrustedKey(name=name, public_key=folder.lives(name)[0].public_key) for name in names)
    )


def policy_of(trust: TrustMaterial, *namespaces: dict[str, object]) -> Policy:
    return Policy.model_validate(
        {
            "schema": 1,
            "keys": {key.name: {"public_key": key.public_key} for key in trust.keys},
            "namespaces": namespaces or (NAMESPACE,),
        }
    )


@pytest.fixture(scope="session")
def signed_once(unsigned: Path, tmp_path_factory: pytest.TempPathFactory) -> Signed:
    component = tmp_path_factory.mktemp("signed") / "component"
    shutil.copytree(unsigned, component)
    folder = KeyFolder(tmp_path_factory.mktemp("keys"))
    for name in ("default", "other"):
        folder.generate(name, None)
    trust = trust_in(folder, "default", "other")
    signed = Signed(component / "dist", component, folder.folder, policy_of(trust), trust)
    sign(signed, "default")
    return signed


def sign(signed: Signed, key: str) -> None:
    request = SigningRequest(key=str(signed.keys / f"{key}.key"))
    sign_release(signed.root, InProcessCaller(load_plugins()), request)


@pytest.fixture
def signed(signed_once: Signed, tmp_path: Path) -> Signed:
    component = tmp_path / "component"
    shutil.copytree(signed_once.component, component, symlinks=True)
    return Signed(component / "dist", component, signed_once.keys, signed_once.policy, signed_once.trust)


@pytest.fixture
def sign_with() -> Callable[[Signed, str], None]:
    return sign
