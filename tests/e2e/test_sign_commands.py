"""`flowctl keys` and `flowctl component sign`, in processes of their own."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

SPEC = """\
apiVersion: component.flowctl.io/v1
kind: ComponentSpec
metadata: {name: greeting, version: 1.2.0}
spec:
  type: processor
  build:
    native: {command: [sh, make.sh], binary: bin/greeting}
    container: {base: scratch}
"""
pytestmark = pytest.mark.requires_tool("busybox")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A component with a release that nobody signed."""
    home = tmp_path_factory.mktemp("home")
    root = tmp_path_factory.mktemp("built") / "component"
    root.mkdir()
    (root / "component.yaml").write_text(SPEC)
    (root / "make.sh").write_text(f"mkdir -p bin && cp '{shutil.which('busybox')}' bin/greeting\n")
    done = subprocess.run(
        [Path(sys.prefix) / "bin/flowctl", "component", "build", "--platforms", "linux/amd64"],
        cwd=root,
        env={**os.environ, "HOME": str(home), "FLOWCTL_CACHE_DIR": str(home / "cache")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return root


@pytest.fixture
def component(built: Path, tmp_path: Path) -> Path:
    """A copy of it, which the test may spoil."""
    return shutil.copytree(built, tmp_path / "ein Gerät")


@pytest.fixture
def public(flowctl, tmp_path: Path) -> Path:
    flowctl.ok("keys", "generate", "--no-passphrase")
    flowctl.ok("keys", "export", "--to", str(tmp_path / "me.pub"))
    return tmp_path / "me.pub"


def test_a_keys_life(flowctl) -> None:
    made = flowctl.json("keys", "generate", "team", "--no-passphrase")["keys"][0]
    folder = flowctl.home / ".flowctl/keys"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "team.key").stat().st_mode) == 0o600
    assert flowctl.ok("keys", "export", "team").strip() == made["public_key"].strip()
    rotated = flowctl.json("keys", "rotate", "team", "--no-passphrase")["keys"][0]
    new, old = flowctl.json("keys", "list")["keys"]
    assert (new["hint"], old["hint"]) == (rotated["hint"], made["hint"]) and old["retired"]
    assert flowctl.json("keys", "revoke", "team", "--reason", "lost")["keys"][0]["revoked"]
    assert "revoked" in flowctl.ok("keys", "list") and "replaced" in flowctl.ok("keys", "list")
    assert not (folder / "team.key").exists()


def test_a_passphrase_comes_from_the_environment_or_is_refused(flowctl, component: Path) -> None:
    assert flowctl.failure("keys", "generate")["exit_code"] == 2
    flowctl.ok("keys", "generate", FLOWCTL_KEY_PASSPHRASE="geheim 1")
    refused = flowctl.failure("component", "sign", cwd=component)
    assert refused["exit_code"] == 61 and "FLOWCTL_KEY_PASSPHRASE" in refused["hint"]
    wrong = flowctl.failure("component", "sign", cwd=component, FLOWCTL_KEY_PASSPHRASE="falsch 2")
    assert wrong["exit_code"] == 61 and "falsch 2" not in json.dumps(wrong)
    assert not list((component / "dist").rglob("*.sigstore.json"))
    assert flowctl.json("component", "sign", cwd=component, FLOWCTL_KEY_PASSPHRASE="geheim 1")["signed"]


def test_sign_and_verify(flowctl, component: Path, public: Path) -> None:
    report = flowctl.json("component", "sign", cwd=component)
    for each in report["bundles"]:
        assert (component / "dist" / each["path"]).exists(), each
    assert {each["kind"] for each in report["bundles"]} == {"signature", "attestation", "image"}
    again = flowctl.json("component", "sign", cwd=component)
    assert again["bundles"] == report["bundles"]
    flowctl.ok("verify", "dist", "--key", str(public), cwd=component)
    assert "greeting 1.2.0 signed" in flowctl.ok("component", "sign", str(component / "dist"))


def test_readers_of_a_release_take_a_signed_one(flowctl, component: Path, public: Path) -> None:
    flowctl.ok("component", "sign", cwd=component)
    subprocess.run(["sha256sum", "-c", "--quiet", "metadata/checksums"], cwd=component / "dist", check=True)
    flowctl.ok("component", "reproduce", cwd=component)
    flowctl.ok("verify", "dist", "--key", str(public), cwd=component)


def test_building_again_leaves_no_old_signature(flowctl, component: Path, public: Path) -> None:
    flowctl.ok("component", "sign", cwd=component)
    with (component / "make.sh").open("a") as script:
        script.write("printf x >> bin/greeting\n")
    flowctl.ok("component", "build", "--platforms", "linux/amd64", cwd=component)
    assert not list((component / "dist").rglob("*.sigstore.json"))


@pytest.mark.requires_tool("docker-registry")
def test_push(flowctl, component: Path, public: Path, registry: str) -> None:
    reference = f"{registry}/signed/greeting:1.2.0"
    flowctl.ok("component", "build", "--platforms", "linux/amd64", "--push", reference, cwd=component)
    report = flowctl.json("component", "sign", "--push", reference, cwd=component)
    assert report["pushed"] == reference
    flowctl.ok("verify", reference, "--key", str(public), "--name", "greeting")


def test_a_file_that_was_changed(flowctl, component: Path, public: Path) -> None:
    with (component / "dist/binaries/greeting-linux-amd64").open("ab") as file:
        file.write(b"x")
    refused = flowctl.failure("component", "sign", cwd=component)
    assert refused["exit_code"] == 60 and "is not what the build recorded" in refused["message"]
    assert not list((component / "dist").rglob("*.sigstore.json"))


def test_unsigned_on_purpose(flowctl, component: Path, public: Path) -> None:
    flowctl.ok("component", "sign", cwd=component)
    off = {"FLOWCTL_SIGN_ARTIFACTS": "false"}
    report = flowctl.json("component", "sign", cwd=component, **off)
    assert not report["signed"] and report["bundles"] == []
    assert "sign_artifacts" in (component / "dist/metadata/attestations/UNSIGNED").read_text()
    assert not list((component / "dist").rglob("*.sigstore.json"))
    assert "unsigned" in flowctl.ok("component", "sign", cwd=component, **off)
    assert flowctl.failure("verify", "dist", "--key", str(public), cwd=component)["exit_code"] == 60


def test_nothing_to_sign(flowctl, tmp_path: Path) -> None:
    assert flowctl.failure("component", "sign", cwd=tmp_path)["exit_code"] == 2


def test_a_key_and_an_identity(flowctl, component: Path) -> None:
    refused = flowctl.failure("component", "sign", "--keyless", "--key", "default", cwd=component)
    assert refused["exit_code"] == 2 and "--keyless" in refused["message"]


def test_no_key(flowctl, component: Path) -> None:
    refused = flowctl.failure("component", "sign", cwd=component)
    assert refused["exit_code"] == 61 and "keys generate" in refused["hint"]


@pytest.mark.parametrize("words", [("keys", "list"), ("component", "detect"), ("plugin", "list")])
def test_what_neither_signs_nor_verifies_imports_none_of_it(flowctl, component: Path, words: tuple[str, ...]) -> None:
    listing = (
        "import sys\nfrom flowctl_core.__main__ import main\nsys.argv[0] = 'flowctl'\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print('LOADED', *sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", listing, *words], cwd=component, env=flowctl.environment, capture_output=True, text=True
    )
    loaded = done.stderr.rpartition("LOADED")[2].split()
    assert "typer" in loaded or "flowctl_core" in loaded, done.stderr
    heavy = {"sigstore", "sigstore_models", "cryptography", "securesystemslib", "tuf", "in_toto_attestation", "google"}
    assert heavy.isdisjoint(loaded)
