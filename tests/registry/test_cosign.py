"""The field's own verifier takes what the registry's signer made, from the registry itself."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from go_tools import go_tool

from .conftest import Registry

pytestmark = [pytest.mark.sweep, pytest.mark.timeout(3600)]
RELEASE = "https://in-toto.io/attestation/release/v0.1"


@pytest.fixture
def cosign(tmp_path: Path):
    def run(*words: object, code: int = 0) -> str:
        done = subprocess.run(
            [go_tool("cosign"), *map(str, words)],
            env={**os.environ, "HOME": str(tmp_path)}, capture_output=True, text=True,
        )  # fmt: skip
        assert (done.returncode == 0) == (code == 0), done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


def test_cosign_verifies_an_image_and_its_release(registry: Registry, release: Path, cosign, tmp_path: Path) -> None:
    client, namespace = registry.client(), registry.namespace()
    assert client.publish(release, namespace, "greeting", "1.2.0").status_code == 201
    key, other = tmp_path / "registry.pub", tmp_path / "other.pub"
    key.write_text(client.get("/v1/keys").json()["keys"][-1]["public_key"])
    image = f"{registry.urls[0].removeprefix('http://')}/{namespace}/greeting:v1.2.0"
    plain = ("--allow-http-registry", "--insecure-ignore-tlog", "--key")
    cosign("verify", *plain, key, image)
    cosign("verify-attestation", *plain, key, "--type", RELEASE, image)
    subprocess.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-out", tmp_path / "other.key"], check=True)
    subprocess.run(["openssl", "ec", "-in", tmp_path / "other.key", "-pubout", "-out", other], check=True)
    assert "rror" in cosign("verify", *plain, other, image, code=1)
