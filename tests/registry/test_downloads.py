"""Downloads: ranges, conditions, caching, and that every way gives the same bytes."""

from __future__ import annotations

import base64
import hashlib
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import find_tool

from server_process import ServerProcess, free_port

from .client import Client
from .conftest import Registry


@dataclass
class Published:
    """`greeting` 1.2.0."""

    client: Client
    base: str
    document: dict[str, Any]
    program: bytes

    def get(self, path: str, **more: Any) -> Any:
        return self.client.get(f"{self.base}/{path}", follow_redirects=True, **more)


@pytest.fixture(scope="module")
def published(registry: Registry, make_release: Any) -> Iterator[Published]:
    release: Path = make_release()
    namespace, client = registry.namespace(), registry.client()
    done = client.publish(release, namespace, "greeting", "1.2.0")
    assert done.status_code == 201, done.text
    program = (release / "binaries" / "greeting-linux-amd64").read_bytes()
    yield Published(client, f"/v1/components/{namespace}/greeting", done.json(), program)


def test_every_listed_file_has_the_listed_bytes(published: Published) -> None:
    listed = [*published.document["binaries"], *published.document["containers"], *published.document["metadata"]]
    assert len(listed) > 8
    for file in listed:
        got = published.client.get(file["url"], follow_redirects=True)
        assert got.status_code == 200, file
        assert "sha256:" + hashlib.sha256(got.content).hexdigest() == file["digest"]
        assert len(got.content) == file["size"]


@pytest.mark.parametrize("reference", ["1.2.0", "v1.2.0", "latest"])
def test_the_program_by_target_and_platform(published: Published, reference: str) -> None:
    got = published.get(f"{reference}/download", params={"target": "binary", "platform": "linux/amd64"})
    assert got.status_code == 200
    assert got.content == published.program
    digest = hashlib.sha256(published.program)
    assert got.headers["etag"] == f'"sha256:{digest.hexdigest()}"'
    assert got.headers["repr-digest"] == f"sha-256=:{base64.b64encode(digest.digest()).decode()}:"
    assert got.headers["content-disposition"] == 'attachment; filename="greeting-linux-amd64"'
    immutable = "immutable" in got.headers["cache-control"]
    assert immutable == (reference != "latest")


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [("bytes=0-0", 0, 0), ("bytes=100-199", 100, 199), ("bytes=-7", -7, -1), ("bytes=5-", 5, -1), ("bytes=3-99999999999", 3, -1)],
)  # fmt: skip
def test_a_range(published: Published, asked: str, first: int, last: int) -> None:
    size = len(published.program)
    first, last = first % size, last % size
    got = published.get("1.2.0/download", headers={"Range": asked})
    assert got.status_code == 206
    assert got.headers["content-range"] == f"bytes {first}-{last}/{size}"
    assert got.content == published.program[first : last + 1]


@pytest.mark.parametrize("asked", ["bytes=0-1,5-9", "lines=1-2", "bytes=9-3", "bytes=-", "bytes=x-y", "0-5"])
def test_what_is_no_single_range_gives_the_whole_file(published: Published, asked: str) -> None:
    got = published.get("1.2.0/download", headers={"Range": asked})
    assert (got.status_code, got.content == published.program) == (200, True)


def test_a_range_behind_the_end(published: Published) -> None:
    for asked in (f"bytes={len(published.program)}-", "bytes=-0"):
        got = published.get("1.2.0/download", headers={"Range": asked})
        assert got.status_code == 416
        assert got.headers["content-range"] == f"bytes */{len(published.program)}"


def test_if_range(published: Published) -> None:
    etag = published.get("1.2.0/download").headers["etag"]
    same = published.get("1.2.0/download", headers={"Range": "bytes=0-3", "If-Range": etag})
    other = published.get("1.2.0/download", headers={"Range": "bytes=0-3", "If-Range": '"other"'})
    assert (same.status_code, len(same.content)) == (206, 4)
    assert (other.status_code, len(other.content)) == (200, len(published.program))


def test_conditions(published: Published) -> None:
    etag = published.get("1.2.0/download").headers["etag"]
    for value in (etag, f'"x", W/{etag}', "*"):
        got = published.get("1.2.0/download", headers={"If-None-Match": value})
        assert (got.status_code, got.content, got.headers["etag"]) == (304, b"", etag)
    assert published.get("1.2.0/download", headers={"If-None-Match": '"x"'}).status_code == 200
    assert published.get("1.2.0/download", headers={"If-Match": '"x"'}).status_code == 412
    assert published.get("1.2.0/download", headers={"If-Match": etag}).status_code == 200


def test_head_tells_what_get_would_send(published: Published) -> None:
    for path in ("1.2.0/download", "1.2.0/files/metadata/sbom.cdx.json", "latest/download?target=sbom"):
        head = published.client.request("HEAD", f"{published.base}/{path}")
        got = published.get(path)
        assert (head.status_code, head.content) == (200, b"")
        for name in ("content-length", "etag", "content-type", "cache-control", "repr-digest", "accept-ranges"):
            assert head.headers[name] == got.headers[name]


def test_other_targets(published: Published) -> None:
    sbom = published.get("1.2.0/download", params={"target": "sbom"})
    assert sbom.headers["content-type"] == "application/vnd.cyclonedx+json"
    assert sbom.json()["bomFormat"] == "CycloneDX"
    index = published.get("1.2.0/download", params={"target": "image"})
    assert index.headers["content-type"] == "application/vnd.oci.image.index.v1+json"
    assert index.headers["etag"].strip('"') in {each["digest"] for each in published.document["images"]}
    single = published.get("1.2.0/download", params={"target": "image", "platform": "linux/amd64"})
    assert single.headers["etag"].strip('"') in {each["digest"] for each in index.json()["manifests"]}


def test_what_is_not_there_or_not_one(published: Published) -> None:
    missing = published.get("1.2.0/download", params={"platform": "windows/amd64"})
    assert missing.status_code == 404
    assert "linux/amd64" in missing.json()["hint"]
    several = published.get("1.2.0/download", params={"target": "metadata"})
    assert several.status_code == 400
    assert "name=component.yaml" in several.json()["hint"]
    named = published.get("1.2.0/download", params={"target": "metadata", "name": "component.yaml"})
    assert (named.status_code, named.headers["content-type"]) == (200, "application/yaml")
    for path in ("9.9.9/download", "1.2.0/files/metadata/nothing", "1.2.0/files/metadata/..%2f..%2f..%2fregistry.db"):
        assert published.get(path).status_code == 404, path
    assert published.get("1.2.0/files/%00").status_code == 400
    assert published.get("not-a-version/download").status_code == 400
    assert published.get("1.2.0/download", params={"taget": "sbom"}).status_code == 400


def test_private_files_are_not_for_shared_caches(registry: Registry, release: Path) -> None:
    namespace, client = registry.namespace(private=True), registry.client()
    assert client.publish(release, namespace, "greeting", "1.2.0").status_code == 201
    got = client.get(f"/v1/components/{namespace}/greeting/1.2.0/download?target=sbom")
    assert got.headers["cache-control"] == "private, max-age=31536000, immutable"


@pytest.mark.requires_tool("nginx")
def test_a_proxy_can_send_the_files(open_registry: Any, backend: str, release: Path, tmp_path: Path) -> None:
    if backend != "sqlite":
        return  # there are no files that a proxy could send
    port = free_port()
    with open_registry(server__accel_prefix="/blobs") as registry:
        namespace = registry.namespace()
        assert registry.client().publish(release, namespace, "greeting", "1.2.0").status_code == 201
        (tmp_path / "nginx.conf").write_text(
            f"daemon off; pid {tmp_path}/pid; error_log {tmp_path}/log; user root; events {{}}\n"
            f"http {{ access_log off; server {{ listen 127.0.0.1:{port};\n"
            f" location / {{ proxy_pass {registry.urls[0]}; }}\n"
            f" location /blobs/ {{ internal; alias {registry.data}/blobs/; }} }} }}\n"
        )
        command = [find_tool("nginx"), "-c", tmp_path / "nginx.conf", "-p", tmp_path]
        nginx = ServerProcess(command, tmp_path / "output", lambda: is_open(port))
        nginx.start()
        try:
            path = f"/v1/components/{namespace}/greeting/1.2.0/download"
            program = (release / "binaries" / "greeting-linux-amd64").read_bytes()
            direct, proxied = registry.client().get(path), Client((f"http://127.0.0.1:{port}",)).get(path)
            assert direct.headers["x-accel-redirect"].startswith("/blobs/sha256/")
            assert direct.content == b""
            assert proxied.content == program
            part = Client((f"http://127.0.0.1:{port}",)).get(path, headers={"Range": "bytes=10-19"})
            assert (part.status_code, part.content) == (206, program[10:20])
            hidden = Client((f"http://127.0.0.1:{port}",)).get(direct.headers["x-accel-redirect"])
            assert hidden.status_code == 404
        finally:
            nginx.stop()


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
