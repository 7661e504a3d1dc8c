"""cosign verifies the registry's signature of an image where the image is, also in a private namespace."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from go_tools import go_tool
from registry_instance import Registry

pytestmark = [pytest.mark.sweep, pytest.mark.timeout(3600)]


@pytest.mark.parametrize("private", [False, True], ids=["anonymous", "with a token"])
def test_cosign_verifies_images(
    registry: Registry, make_release: Callable[..., Path], tmp_path: Path, private: bool
) -> None:
    namespace = registry.namespace(private=private)
    done = registry.client().publish(make_release(), namespace, "greeting", "1.2.0")
    assert done.status_code == 201, done.text
    keys = registry.client().get("/v1/keys").json()["keys"]
    (key,) = [each["public_key"] for each in keys]
    (tmp_path / "registry.pub").write_text(key)
    host = registry.urls[-1].removeprefix("http://")
    environment = {**os.environ, "HOME": str(tmp_path), "DOCKER_CONFIG": str(tmp_path)}

    def cosign(*words: str, code: int = 0, stdin: str = "") -> str:
        done = subprocess.run(
            [go_tool("cosign"), *words], env=environment, cwd=tmp_path, input=stdin, capture_output=True, text=True
        )
        assert done.returncode == code or (code and done.returncode), f"{words}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    image, known = f"{host}/{namespace}/greeting:v1.2.0", ("--key", "registry.pub", "--insecure-ignore-tlog=true")
    if private:
        cosign("verify", *known, image, code=1)
        cosign("login", host, "--username", "any", "--password-stdin", stdin=str(registry.token))
    assert "The signatures were verified against the specified public key" in cosign("verify", *known, image)
    cosign("generate-key-pair", stdin="\n\n")
    cosign("verify", "--key", "cosign.pub", "--insecure-ignore-tlog=true", image, code=1)
