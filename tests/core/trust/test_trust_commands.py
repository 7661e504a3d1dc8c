"""`flowctl trust` as people and programs use it."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from pydantic import TypeAdapter

from flowctl_core.errors import FlowctlError, SigningError, StoreError, TrustError, UsageError
from flowctl_core.models.trust import PinReport, RepositoryReport, TrustDocument
from flowctl_core.trust.client import TrustStore

from .conftest import ONE, TWO, public_key
from .trust_server import serving

FLOWCTL = Path(sys.prefix) / "bin" / "flowctl"


@dataclass
class Shell:
    home: Path

    def run(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [FLOWCTL, "trust", *map(str, arguments)],
            capture_output=True, text=True, timeout=60, cwd=self.home, stdin=subprocess.DEVNULL,
            env={"HOME": str(self.home), "PATH": os.environ["PATH"]},
        )  # fmt: skip
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def ok(self, *arguments: object) -> str:
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def document(self, kind: Any, *arguments: object) -> Any:
        """What `-o json` prints, which has every field of its model and no other one."""
        document = json.loads(self.ok(*arguments, "-o", "json"))
        schema = TypeAdapter(kind).json_schema(mode="serialization")
        for one in (schema, *schema.get("$defs", {}).values()):
            one["additionalProperties"], one["required"] = False, list(one["properties"])
        jsonschema.validate(document, schema)
        return document

    def fails(self, error: type[FlowctlError], said: str, *arguments: object) -> None:
        done = self.run(*arguments)
        assert done.returncode == error.exit_code, done.stderr
        assert said in done.stderr and "hint:" in done.stderr


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def test_from_init_to_yank(shell: Shell) -> None:
    made = shell.document(RepositoryReport, "init", "repo", "--namespace", "acme", "--root-keys", 2)
    assert [(role["role"], role["version"], len(role["keys"])) for role in made["roles"]] == [
        ("root", 1, 2), ("timestamp", 1, 1), ("snapshot", 1, 1), ("targets", 1, 1), ("namespace-acme", 1, 1),
    ]  # fmt: skip
    root = (shell.home / "repo/metadata/root.json").read_bytes()
    assert made["fingerprint"] == "sha256:" + hashlib.sha256(root).hexdigest()
    shell.fails(TrustError, "is a trust repository already", "init", "repo")
    shell.ok("publish", "repo", "acme/greeting", "1.0.0", "--digest", f"greeting={ONE}")
    shell.fails(TrustError, "other digests", "publish", "repo", "acme/greeting", "1.0.0", "--digest", f"greeting={TWO}")
    shell.fails(TrustError, "no namespace new", "publish", "repo", "new/a", "1.0.0", "--digest", f"a={ONE}")
    shell.ok("publish", "repo", "new/a", "1.0.0", "--digest", f"a={ONE}", "--new-namespace")
    (shell.home / "team.pub").write_text(public_key().public_key)
    shell.ok("add-key", "repo", "team", "team.pub", "--valid-from", "2020-01-01", "--valid-until", "2021-01-01")
    shell.ok("rotate", "repo", "root")
    shell.ok("rotate", "repo", "namespace-acme")
    shell.ok("refresh", "repo", "--all")
    with serving(shell.home / "repo") as server:
        shell.fails(TrustError, "nobody says whether it is right", "pin", server.url)
        shell.fails(TrustError, "has no root with the fingerprint", "pin", server.url, "--fingerprint", "1" * 64)
        pin = shell.document(PinReport, "pin", server.url, "--fingerprint", made["fingerprint"])
        assert (pin["root_version"], pin["changed"]) == (1, True)
        shown = shell.document(TrustDocument, "show")
        assert shown["namespaces"] == ["acme", "new"] and shown["offline"] is None
        assert [key["name"] for key in shown["keys"]] == ["team"]
        text = shell.ok("show")
        assert "team  ended" in text and "2 namespaces: acme, new" in text
        shell.ok("revoke-key", "repo", "team")
        shell.ok("yank", "repo", "acme/greeting", "1.0.0", "--reason", "loses data")
        assert "team  revoked" in shell.ok("show")
        with TrustStore(server.url, home=shell.home / ".flowctl/trust") as store:
            index = store.index("acme", "greeting")
        assert index is not None and index.versions["1.0.0"].yanked is not None
    done = shell.run("show")
    assert done.returncode == 0 and "was not asked" in done.stderr and "ago holds until" in done.stderr
    modes = {path.stat().st_mode & 0o777 for path in (shell.home / ".flowctl/trust-keys").rglob("*.key")}
    assert modes == {0o600}


def test_pin_by_file_and_by_first_use(shell: Shell) -> None:
    shell.ok("init", "repo")
    root = shell.home / "root.json"
    root.write_bytes((shell.home / "repo/metadata/1.root.json").read_bytes())
    shell.fails(TrustError, "has the fingerprint", "pin", "repo", "--root", root, "--fingerprint", "1" * 64)
    assert "pinned root 1" in shell.ok("pin", "repo", "--root", root)
    assert "pinned already" in shell.ok("pin", "repo", "--yes")
    shell.ok("init", "repo2", "--keys", "k", "--online-keys", "k")
    shell.fails(TrustError, "another root", "pin", "repo", "--root", "repo2/metadata/root.json")
    shell.ok("pin", "repo2", "--yes")
    shell.fails(TrustError, "several registries are pinned", "show")
    shell.ok("show", "repo2")


def test_release_is_published_by_its_files(shell: Shell) -> None:
    binaries, layout = shell.home / "dist/binaries", shell.home / "dist/containers/oci"
    blobs = layout / "blobs/sha256"
    for folder in (binaries, blobs):
        folder.mkdir(parents=True)
    (binaries / "greeting-linux-amd64").write_bytes(b"program")
    (binaries / "greeting-linux-amd64.sigstore.json").write_bytes(b"{}")
    media = "application/vnd.oci.image.{}.v1+json"
    image = {"mediaType": media.format("manifest"), "digest": TWO, "size": 9}
    platform = {"os": "linux", "architecture": "amd64"}
    index = {"schemaVersion": 2, "mediaType": media.format("index"), "manifests": [{**image, "platform": platform}]}
    data = json.dumps(index).encode()
    digest = hashlib.sha256(data).hexdigest()
    (blobs / digest).write_bytes(data)
    entry = {"mediaType": media.format("index"), "digest": f"sha256:{digest}", "size": len(data)}
    (layout / "index.json").write_text(json.dumps({**index, "manifests": [entry]}))
    shell.ok("init", "repo", "--namespace", "acme")
    shell.ok("publish", "repo", "acme/greeting", "1.0.0", "--release", "dist")
    shell.ok("pin", "repo", "--yes")
    with TrustStore(str(shell.home / "repo"), home=shell.home / ".flowctl/trust") as store:
        found = store.index("acme", "greeting")
    assert found is not None and found.versions["1.0.0"].digests == {
        "greeting-linux-amd64": "sha256:" + hashlib.sha256(b"program").hexdigest(),
        "index": f"sha256:{digest}",
        "linux/amd64": TWO,
    }
    shell.fails(TrustError, "has no artifacts", "publish", "repo", "acme/greeting", "2.0.0", "--release", "repo")


def test_misuse(shell: Shell) -> None:
    shell.fails(TrustError, "no registry's root is pinned", "show")
    shell.fails(TrustError, "no root of https://registry.example is pinned", "show", "https://registry.example/")
    shell.fails(TrustError, "neither an http(s) address nor a folder", "pin", "ftp://registry.example")
    shell.fails(TrustError, "is no trust repository", "refresh", "nothing")
    shell.ok("init", "repo", "--namespace", "acme")
    shell.fails(TrustError, "no role nobody", "rotate", "repo", "nobody")
    shell.fails(UsageError, "no component of a namespace", "publish", "repo", "greeting", "1.0.0")
    shell.fails(UsageError, "no digest of a subject", "publish", "repo", "acme/a", "1.0.0", "--digest", "x")
    shell.fails(TrustError, "no SHA-256 digest", "publish", "repo", "acme/a", "1.0.0", "--digest", "x=1")
    shell.fails(TrustError, "no digest of a 1.0.0", "publish", "repo", "acme/a", "1.0.0")
    shell.fails(TrustError, "there is no acme/a 1.0.0", "yank", "repo", "acme/a", "1.0.0", "--reason", "x")
    shell.fails(TrustError, "cannot be read", "add-key", "repo", "team", "missing.pub")
    shell.fails(StoreError, "missing.json", "pin", "repo", "--root", "missing.json")
    (shell.home / ".flowctl/trust-keys/online").rename(shell.home / "away")
    shell.fails(SigningError, "0 found", "refresh", "repo")
    key = next((shell.home / "away").glob("timestamp-*"))
    key.write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    shell.fails(SigningError, "cannot be read as a private key", "refresh", "repo", "--online-keys", "away")
    next((shell.home / "repo/metadata").glob("*.snapshot.json")).write_text("{")
    shell.fails(TrustError, "is no TUF metadata", "refresh", "repo", "--online-keys", "away")


def test_nothing_imports_tuf_before_it_is_needed() -> None:
    code = (
        "import sys, flowctl_core.cli.app, flowctl_core.models.trust, flowctl_core.cli.trusting,"
        " flowctl_core.cli.trust_operating; print([m for m in ('tuf', 'securesystemslib', 'cryptography', 'httpx',"
        " 'univers', 'sigstore', 'sigstore_models') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
