"""From a tag in a repository to a version that can be downloaded, verified, pulled and run."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import unavailable

from git_server import GitServer
from registry_fixtures import backend, open_registry, postgres_server, s3_server
from source_forge import Yard, busybox_source, settings_for

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
    commit = repository.commit(busybox_source(), tag="v1.0.0")
    build_id = yard.request(namespace, "greeting", repository)
    built = yard.wait(build_id)
    assert (built.commit, built.version) == (commit, "1.0.0")
    assert [step.step for step in yard.steps(build_id)] == [
        "clone", "decide", "fetch", "test", "build", "assemble", "publish",
    ]  # fmt: skip
    client = yard.registry.client()
    version = client.get(f"/v1/components/{namespace}/greeting/1.0.0").json()
    assert version["source"]["commit"] == commit and version["source"]["repository"] == repository.url
    download(yard, namespace, "greeting", "1.0.0", "linux/amd64", tmp_path / "greeting")
    said = subprocess.run(["busybox", "echo", "hi"], executable=tmp_path / "greeting", capture_output=True, text=True)
    assert said.stdout == "hi\n", said.stderr
    host = yard.registry.urls[0].removeprefix("http://")
    skopeo = shutil.which("skopeo") or unavailable("skopeo, which pulls an image")
    source = f"docker://{host}/{namespace}/greeting:v1.0.0"
    command = [skopeo, "copy", "--src-tls-verify=false", source, f"oci:{tmp_path}/pulled"]
    pulled = subprocess.run(command, capture_output=True, text=True)
    assert pulled.returncode == 0, pulled.stderr
    assert yard.row(build_id).version_id is not None and not list(yard.registry.data.glob("work/*/*"))
    assert yard.claims(build_id) == []
    log = client.get(f"/v1/builds/{build_id}/logs").text
    assert "==> exporting the source" in log and "==> signing and publishing" in log
