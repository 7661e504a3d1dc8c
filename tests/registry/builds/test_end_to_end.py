"""From a tag in a repository to a version that can be downloaded, verified, pulled and run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import unavailable

from git_server import GitServer
from registry_fixtures import backend, open_registry, postgres_server, s3_server
from source_forge import Yard, busybox_source, settings_for

FLOWCTL = Path(sys.prefix) / "bin" / "flowctl"
NAME = "busybox-greeting"
"""busybox is the program of every applet to who calls it by a name that begins so."""
__all__ = ["backend", "open_registry", "postgres_server", "s3_server"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitServer]:
    with GitServer(tmp_path_factory.mktemp("git")) as running:
        yield running


@pytest.fixture(scope="module")
def yard(open_registry: Callable[..., Any], server: GitServer) -> Iterator[Yard]:
    with open_registry(**settings_for(server)) as registry:
        yield Yard(registry, server)


def download(yard: Yard, namespace: str, name: str, version: str, platform: str, file: Path) -> None:
    found = yard.registry.client().get(
        f"/v1/components/{namespace}/{name}/{version}/download?target=binary&platform={platform}",
        follow_redirects=True,
    )
    assert found.status_code == 200, found.text
    file.write_bytes(found.content)
    file.chmod(0o755)


def test_a_tag_becomes_a_signed_version(yard: Yard, tmp_path: Path) -> None:
    namespace = yard.registry.namespace()
    repository = yard.server.create(namespace)
    commit = repository.commit(busybox_source(NAME), tag="v1.0.0")
    build_id = yard.request(namespace, NAME, repository)
    built = yard.wait(build_id)
    assert (built.commit, built.version) == (commit, "1.0.0")
    assert [step.step for step in yard.steps(build_id)] == [
        "clone", "decide", "fetch", "test", "build", "assemble", "publish",
    ]  # fmt: skip
    client = yard.registry.client()
    version = client.get(f"/v1/components/{namespace}/{NAME}/1.0.0").json()
    assert version["source"]["commit"] == commit and version["source"]["repository"] == repository.url
    download(yard, namespace, NAME, "1.0.0", "linux/amd64", tmp_path / NAME)
    said = subprocess.run([tmp_path / NAME, "echo", "hi"], capture_output=True, text=True)
    assert said.stdout == "hi\n", said.stderr
    (key,) = client.get("/v1/keys").json()["keys"]
    (tmp_path / "key.pub").write_text(key["public_key"])
    host = yard.registry.urls[0].removeprefix("http://")
    skopeo = shutil.which("skopeo") or unavailable("skopeo, which pulls an image")
    source = f"docker://{host}/{namespace}/{NAME}:v1.0.0"
    command = [skopeo, "copy", "--src-tls-verify=false", source, f"oci:{tmp_path}/pulled"]
    pulled = subprocess.run(command, capture_output=True, text=True)
    assert pulled.returncode == 0, pulled.stderr
    verify = [FLOWCTL, "verify", f"{host}/{namespace}/{NAME}:v1.0.0", "--key", tmp_path / "key.pub", "--name", NAME]
    verified = subprocess.run(verify, env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]}, capture_output=True)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert yard.row(build_id).version_id is not None and not list(yard.registry.data.glob("work/*/*"))
    assert yard.claims(build_id) == []
    log = client.get(f"/v1/builds/{build_id}/logs").text
    assert "==> exporting the source" in log and "==> signing and publishing" in log
