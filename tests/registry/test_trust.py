"""The signed index and the keys, as clients get them: with flowctl's own commands, over HTTP."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from .conftest import Registry

FLOWCTL = Path(sys.prefix) / "bin" / "flowctl"
NAME, VERSION = "greeting", "1.2.0"


@pytest.fixture
def flowctl(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`flowctl` of a user who has never been here."""

    def run(*words: object, code: int = 0) -> subprocess.CompletedProcess[str]:
        environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
        done = subprocess.run([FLOWCTL, *map(str, words)], env=environment, capture_output=True, text=True)
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return run


@pytest.fixture
def key(registry: Registry, tmp_path: Path) -> Path:
    """The registry's public key, as its API gives it."""
    client = registry.client()
    (first,) = client.get("/v1/keys").json()["keys"]
    answer = client.get(f"/v1/keys/{first['name']}")
    assert answer.headers["content-type"] == "application/x-pem-file"
    assert answer.text == first["public_key"]
    (tmp_path / "registry.pub").write_text(answer.text)
    return tmp_path / "registry.pub"


def test_the_pinned_index_lists_what_was_published(registry: Registry, release: Path, flowctl, tmp_path: Path) -> None:
    namespace = registry.namespace()
    assert registry.client().publish(release, namespace, NAME, VERSION).status_code == 201
    trust = registry.urls[0] + "/v1/trust"
    flowctl("trust", "pin", trust, "--yes")
    shown = json.loads(flowctl("trust", "show", "-o", "json").stdout)
    assert namespace in shown["namespaces"]
    assert [each["public_key"] for each in shown["keys"]] == [
        each["public_key"] for each in registry.client().get("/v1/keys").json()["keys"]
    ]
    listed = _listed(trust, tmp_path, namespace)
    assert listed[VERSION]["digests"].keys() >= {"greeting-linux-amd64", "index", "linux/amd64"}


def test_a_signed_release_is_verified_by_the_index(registry: Registry, make_release, flowctl, tmp_path: Path) -> None:
    """The publisher signed it; the index says which version it is, and knows no other."""
    namespace, release = registry.namespace(), tmp_path / "dist"
    shutil.copytree(make_release(), release)
    flowctl("keys", "generate", "--no-passphrase")
    flowctl("component", "sign", release)
    public = tmp_path / "publisher.pub"
    public.write_text(flowctl("keys", "export").stdout)
    trust = registry.urls[0] + "/v1/trust"
    flowctl("trust", "pin", trust, "--yes")
    asked = ["verify", release, "--registry", trust, "--key", public, "--name", f"{namespace}/{NAME}"]
    assert "has no" in flowctl(*asked, code=60).stderr
    assert registry.client().publish(release, namespace, NAME, VERSION).status_code == 201
    flowctl(*asked)


def test_a_pulled_image_is_verified_by_the_registrys_key(registry: Registry, release: Path, flowctl, key: Path) -> None:
    """Its signature refers to it, where cosign looks too; another image's does not count."""
    namespace = registry.namespace()
    assert registry.client().publish(release, namespace, NAME, VERSION).status_code == 201
    host = registry.urls[0].removeprefix("http://")
    repository = f"{host}/{namespace}/{NAME}"
    report = flowctl("verify", f"{repository}:v{VERSION}", "--key", key, "--name", NAME, "-o", "json")
    assert json.loads(report.stdout)["verified"] is True
    index = json.loads((release / "containers" / "oci" / "index.json").read_bytes())["manifests"][0]["digest"]
    flowctl("verify", f"{repository}@{index}", "--key", key, "--name", NAME)
    flowctl("keys", "generate", "--no-passphrase")
    other = key.with_name("other.pub")
    other.write_text(flowctl("keys", "export").stdout)
    refused = flowctl("verify", f"{repository}@{index}", "--key", other, "--name", NAME, code=60)
    assert "NOT verified" in refused.stdout + refused.stderr


def test_files_of_the_index_are_cached_for_as_long_as_they_mean_the_same(registry: Registry) -> None:
    client = registry.client()
    newest = client.get("/v1/trust/metadata/timestamp.json")
    assert newest.headers["cache-control"] == "no-cache"
    again = client.get("/v1/trust/metadata/timestamp.json", headers={"If-None-Match": newest.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert "immutable" in client.get("/v1/trust/metadata/1.root.json").headers["cache-control"]


def test_a_private_namespace_is_listed_to_its_readers_only(registry: Registry, release: Path) -> None:
    namespace, client = registry.namespace(private=True), registry.client()
    assert client.publish(release, namespace, NAME, VERSION).status_code == 201
    snapshot = client.get("/v1/trust/metadata/timestamp.json").json()["signed"]["meta"]["snapshot.json"]["version"]
    roles = client.get(f"/v1/trust/metadata/{snapshot}.snapshot.json").json()["signed"]["meta"]
    role = f"namespace-{namespace}.json"
    metadata = f"/v1/trust/metadata/{roles[role]['version']}.{role}"
    targets = client.get(metadata).json()["signed"]["targets"]
    digest = targets[f"index/{namespace}/{NAME}.json"]["hashes"]["sha256"]
    index = f"/v1/trust/targets/index/{namespace}/{digest}.{NAME}.json"
    for path in (metadata, index):
        assert client.get(path).headers["cache-control"] == "no-cache"
        assert httpx.get(registry.urls[0] + path).status_code == 404
    assert VERSION in client.get(index).json()["versions"]


def test_without_anonymous_reading_the_index_needs_a_token(open_registry, release: Path) -> None:
    with open_registry(access__anonymous_read=False) as registry:
        namespace, client = registry.namespace(), registry.client()
        assert client.publish(release, namespace, NAME, VERSION).status_code == 201
        path = f"/v1/trust/metadata/1.namespace-{namespace}.json"
        assert [client.get(path).status_code, httpx.get(registry.urls[0] + path).status_code] == [200, 401]
        assert httpx.get(registry.urls[0] + "/v1/trust/metadata/root.json").status_code == 200


@pytest.mark.parametrize(
    "path", ["metadata/0.root.json", "metadata/../keys.json", "targets/x", "keys.json", "metadata/"]
)
def test_there_is_nothing_else(registry: Registry, path: str) -> None:
    assert registry.client().get(f"/v1/trust/{path}").status_code == 404


def _listed(trust: str, home: Path, namespace: str) -> dict:
    """The versions that a client believes to exist, after it asked the registry."""
    code = (
        "import sys; from flowctl_core.trust.client import TrustStore\n"
        "with TrustStore(sys.argv[1]) as store: print(store.index(sys.argv[2], 'greeting').model_dump_json())"
    )
    command = [sys.executable, "-c", code, trust, namespace]
    done = subprocess.run(command, env={**os.environ, "HOME": str(home)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["versions"]
