"""`flowctl why` and `flowctl verify` as they are typed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FLOWCTL = Path(sys.prefix) / "bin" / "flowctl"


@pytest.fixture
def run(signed, tmp_path: Path):
    home = tmp_path / "home"
    home.mkdir()

    def call(*words: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "HOME": str(home), "FLOWCTL_KEYS": str(signed.keys)}
        return subprocess.run([FLOWCTL, *words], cwd=signed.component, env=environment, capture_output=True, text=True)

    return call


def _json(done: subprocess.CompletedProcess[str], code: int = 0) -> Any:
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_everything_is_proved(run, signed) -> None:
    found = _json(run("why", ".", "--key", str(signed.keys / "default.pub"), "-o", "json"))
    assert found["proved"] and found["why_not"] is None
    assert (found["component"], found["version"]) == ("greeting", "1.2.0")
    assert found["built_by"] == "https://flowctl.dev/builder/local" and len(found["commit"]) == 40
    assert {"source", "tool", "builder"} <= {each["kind"] for each in found["ingredients"]}
    assert all(each["verdict"] != "failed" for each in found["verification"]["checks"])


def test_without_a_policy_nothing_is_proved_and_it_is_said(run) -> None:
    done = run("why", "dist")
    assert done.returncode == 0
    assert "nothing of this is proved: there is no policy" in done.stderr
    assert "as it says itself" in done.stdout


def test_after_a_failed_check_nothing_is_proved(run, signed) -> None:
    with (signed.root / "binaries/greeting-linux-amd64").open("ab") as file:
        file.write(b"x")
    found = _json(run("why", ".", "--key", str(signed.keys / "default.pub"), "-o", "json"), 60)
    assert not found["proved"] and "check digest failed" in found["why_not"] and found["signed_by"] == []


def test_verify_without_a_policy(run) -> None:
    done = run("verify", "dist")
    assert done.returncode == 62 and "nobody is trusted" in done.stderr and "--key" in done.stderr


def test_verify_against_a_policy(run, signed, tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    key = signed.keys / "default.pub"
    policy.write_text(
        f"schema: 1\nkeys: {{mine: {{file: '{key}'}}}}\nnamespaces:\n- {{pattern: greet*, signers: [{{key: mine}}]}}\n"
    )
    found = _json(run("verify", "dist", "--policy", str(policy), "-o", "json"))
    assert found["verified"] and found["error"] is None and found["tlog"] == "none" == found["timestamp"]
    assert found["attestations"] == ["provenance", "sbom", "scan"]
    one = _json(run("verify", "dist/binaries/greeting-linux-amd64", "--policy", str(policy), "-o", "json"))
    assert one["kind"] == "file" and one["component"] == "greeting"
    policy.write_text(policy.read_text().replace("greet*", "other/*"))
    failed = _json(run("verify", "dist", "--policy", str(policy), "-o", "json"), 60)
    assert not failed["verified"] and failed["error"]["exit_code"] == 60 and failed["subjects"] == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "schema"),
        ("schema: 2\nnamespaces: []\n", "1: schema"),
        ("schema: 1\nnamespace: []\n", "namespace"),
        ("schema: 1\nnamespaces:\n- {pattern: x, signers: [{key: nobody}]}\n", "there is no key nobody"),
        ("schema: 1\nnamespaces:\n- pattern: x\n  signers: [{identity: a}]\n", "policy.yaml:4"),
        ("schema: 1\nnamespaces:\n- {pattern: x, signers: []}\n", "signers"),
        ("schema: 1\nnamespaces:\n- {pattern: x, signer: [{key: a}]}\n", "signer"),
        (
            "schema: 1\nkeys: {a: {file: nowhere.pub}}\nnamespaces:\n- {pattern: x, signers: [{key: a}]}\n",
            "nowhere.pub",
        ),
        (
            "schema: 1\nkeys: {a: {public_key: hello}}\nnamespaces:\n- {pattern: greeting, signers: [{key: a}]}\n",
            "the public key a",
        ),
        ("{", "policy.yaml"),
        ("a: &a [*a, *a]\n", "policy.yaml"),
    ],
)
def test_a_policy_that_is_none(run, tmp_path: Path, text: str, says: str) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(text)
    done = run("verify", "dist", "--policy", str(policy))
    assert done.returncode == 62, done.stdout + done.stderr
    assert says in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("verify", "nothing"), "there is no nothing"),
        (("verify", "dist", "--key", "a", "--policy", "b"), "exclude one another"),
        (("verify", "dist", "--identity", "a"), "only with its issuer"),
        (("verify", "dist", "--identity", "a", "--issuer", "b"), "--trusted-root"),
        (("verify", "component.yaml", "--key", "KEY"), "--name"),
        (("verify", "make.sh", "--key", "KEY", "--name", "greeting"), "no bundle"),
    ],
)
def test_what_makes_no_sense(run, signed, words: tuple[str, ...], says: str) -> None:
    done = run(*(str(signed.keys / "default.pub") if word == "KEY" else word for word in words))
    assert done.returncode in (2, 60) and says in done.stderr, done.stderr


def test_no_command_but_these_imports_cryptography(signed) -> None:
    """Neither a build nor a listing of plugins pays for signing."""
    code = "import sys; from flowctl_core.__main__ import main\ntry: main()\nexcept SystemExit: pass\n"
    code += "print([n for n in ('cryptography', 'sigstore', 'sigstore_models', 'tuf', 'google.protobuf') if n in sys.modules])"
    for words in (["component", "build"], ["plugin", "list"], ["--help"], ["component", "sign", "--help"]):
        done = subprocess.run(
            [sys.executable, "-c", f"import sys; sys.argv = ['flowctl', *{words!r}]\n{code}"],
            cwd=signed.component,
            capture_output=True,
            text=True,
        )
        assert done.stdout.splitlines()[-1] == "[]", done.stdout[-300:] + done.stderr[-300:]


def test_a_key_bundle_is_verified_without_sigstore(signed) -> None:
    key = signed.keys / "default.pub"
    code = f"import sys; sys.argv = ['flowctl', 'verify', 'dist', '--key', {str(key)!r}]\n"
    code += (
        "from flowctl_core.__main__ import main\ntry: main()\nexcept SystemExit: pass\nprint('sigstore' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=signed.component, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "False", done.stdout + done.stderr
