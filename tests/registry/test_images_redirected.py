"""Large layers on S3 are fetched from the store itself, by the address that the registry signs."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from go_tools import go_tool
from postgres_server import PostgresServer
from registry_instance import Registry, run_registry
from release_project import build_release
from s3_server import S3Server

_SIZE = 9_000_000


@pytest.fixture(scope="module")
def on_s3(
    postgres_server: PostgresServer, s3_server: S3Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Registry]:
    """A store of another name than the registry's, as it has in the world: clients must not show it the token."""
    folder, store = tmp_path_factory.mktemp("registry"), s3_server.endpoint.replace("127.0.0.1", "localhost")
    with run_registry(folder, "postgres", postgres=postgres_server, s3=s3_server, s3_endpoint=store) as running:
        yield running


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release whose program does not compress."""
    more = f" && head -c {_SIZE} /dev/urandom >> bin/large"
    root, home = tmp_path_factory.mktemp("large"), tmp_path_factory.mktemp("home")
    return build_release(root, home, "large", "1.0.0", ("linux/amd64",), more)


def test_clients_follow_to_the_store(on_s3: Registry, large: Path, tmp_path: Path) -> None:
    namespace = on_s3.namespace(private=True)
    done = on_s3.client().publish(large, namespace, "large", "1.0.0")
    assert done.status_code == 201, done.text
    repository, host = f"{namespace}/large", on_s3.urls[0].removeprefix("http://")
    client = on_s3.client()
    image = client.get(f"/v2/{repository}/manifests/1.0.0").json()["manifests"][0]["digest"]
    layers = client.get(f"/v2/{repository}/manifests/{image}").json()["layers"]
    (layer,) = [each for each in layers if each["size"] > _SIZE]
    redirect = client.get(f"/v2/{repository}/blobs/{layer['digest']}")
    assert redirect.status_code == 307 and redirect.headers["location"].startswith("http://localhost:")
    head = client.request("HEAD", f"/v2/{repository}/blobs/{layer['digest']}")
    assert head.status_code == 200 and int(head.headers["content-length"]) == layer["size"]
    environment = {**os.environ, "HOME": str(tmp_path), "DOCKER_CONFIG": str(tmp_path)}

    def run(*words: str | Path) -> str:
        done = subprocess.run(words, env=environment, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run(go_tool("crane"), "auth", "login", host, "--username", "any", "--password", str(on_s3.token))
    assert "PASS" in run(go_tool("crane"), "validate", "--remote", f"{host}/{repository}:1.0.0")
    run(
        *("skopeo", "copy", "--src-tls-verify=false", "--src-creds", f"any:{on_s3.token}"),
        *(f"docker://{host}/{repository}:1.0.0", "oci:copy:it"),
    )
    assert (tmp_path / "copy" / "blobs" / "sha256" / layer["digest"][7:]).stat().st_size == layer["size"]
