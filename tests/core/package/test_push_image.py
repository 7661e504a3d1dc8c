"""Pushing: what a real registry has afterwards, and what happens when one refuses or is not honest."""

from __future__ import annotations

import json
import subprocess
from hashlib import sha256
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from flowctl_core.errors import ImageError, StoreError
from flowctl_core.models import Platform
from flowctl_core.package import upload
from flowctl_core.package.base import fetch_base
from flowctl_core.package.push import push_layout

AMD64, ARM64 = Platform("linux/amd64"), Platform("linux/arm64")


class Store:
    """The half of a registry that takes: uploads whole or in chunks, manifests by digest and tag."""

    def __init__(self, liar, reply, *, largest: int = 10**9) -> None:
        self.reply, self.largest = reply, largest
        self.liar = liar
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, bytes] = {}
        self.parts: dict[str, bytes] = {}
        self.authorization: list[str | None] = []
        liar.replies = self  # answers by `get`

    def get(self, key: str, default: object = None):
        return default if key.startswith("/") else lambda handler, sent: self.answer(handler, sent, key.split(" ")[0])

    def answer(self, handler: BaseHTTPRequestHandler, sent: bytes, method: str):
        path, _, query = handler.path.partition("?")
        self.authorization.append(handler.headers.get("Authorization"))
        name = path.rpartition("/")[2]
        digest = "sha256:" + sha256(sent).hexdigest()
        if method == "HEAD":
            known = self.blobs if "/blobs/" in path else self.manifests
            headers = {"Docker-Content-Digest": "sha256:" + sha256(known[name]).hexdigest()} if name in known else {}
            return self.reply(status=200 if name in known else 404, headers=headers)
        if method == "POST":
            session = str(len(self.parts))
            self.parts[session] = b""
            return self.reply(status=202, headers={"Location": f"/v2/app/blobs/uploads/{session}?state=x"})
        if method == "PATCH":
            start, end = map(int, handler.headers["Content-Range"].split("-"))
            assert start == len(self.parts[name]) and end == start + len(sent) - 1
            self.parts[name] += sent
            return self.reply(status=202, headers={"Location": f"/v2/app/blobs/uploads/{name}?state=y{start}"})
        if "/uploads/" in path:
            if len(sent) > self.largest:
                return self.reply(status=413)
            whole = self.parts[name] + sent
            stored = "sha256:" + sha256(whole).hexdigest()
            assert f"digest={stored.replace(':', '%3A')}" in query and "state=" in query, query
            self.blobs[stored] = whole
            return self.reply(status=201, headers={"Docker-Content-Digest": stored})
        self.manifests[digest] = self.manifests[name] = sent
        return self.reply(status=201, headers={"Docker-Content-Digest": digest})


@pytest.mark.requires_tool("docker-registry", "skopeo")
def test_what_was_pushed_is_what_is_pulled(registry: str, layout_of, tmp_path: Path) -> None:
    layout, report = layout_of()
    pushed = push_layout(layout, f"{registry}/team/greeter:1.2.3", tags=["latest"])
    assert (pushed.digest, pushed.tags) == (report.index_digest, ("1.2.3", "latest"))
    assert (pushed.uploaded, pushed.already_there) == (4, 0)
    again = push_layout(layout, f"{registry}/team/greeter:1.2.3")
    assert (again.uploaded, again.already_there) == (0, 4)
    for tag in ("1.2.3", "latest"):
        source = f"docker://{registry}/team/greeter:{tag}"
        copy = ["skopeo", "copy", "--quiet", "--all", "--src-tls-verify=false", source, f"oci:{tmp_path}/{tag}:x"]
        subprocess.run(copy, check=True)
        index = json.loads((tmp_path / tag / "index.json").read_text())
        assert index["manifests"][0]["digest"] == report.index_digest
    pulled = {path.name for path in (tmp_path / "latest/blobs/sha256").iterdir()}
    assert pulled == {path.name for path in (layout / "blobs/sha256").iterdir()}


@pytest.mark.requires_tool("docker-registry")
def test_layers_of_a_base_in_the_same_registry_are_not_sent(registry: str, layout_of, image_for, tmp_path) -> None:
    base_layout, _ = layout_of("base", image_for(AMD64, text="mounted"))
    push_layout(base_layout, f"{registry}/bases/one:1")
    base = fetch_base(f"{registry}/bases/one:1", [AMD64], tmp_path / "cache")[AMD64]
    labels = {"org.opencontainers.image.base.name": base.name}
    layout, _ = layout_of("over", image_for(AMD64, base=base, text="over a mounted one", labels=labels))
    pushed = push_layout(layout, f"{registry}/apps/over:1")
    assert (pushed.mounted, pushed.uploaded) == (1, 2)


def test_a_large_blob_goes_in_chunks_where_it_must(liar, reply, layout_of, monkeypatch) -> None:
    monkeypatch.setattr(upload, "_CHUNK", 100)
    store = Store(liar, reply, largest=150)
    layout, report = layout_of()
    push_layout(layout, f"{liar.host}/app:1")
    assert store.manifests["1"] == (layout / "blobs/sha256" / report.index_digest[7:]).read_bytes()
    for digest, data in store.blobs.items():
        assert (layout / "blobs/sha256" / digest[7:]).read_bytes() == data
    assert any(asked.startswith("PATCH") for asked in liar.asked)


def test_an_upload_that_breaks_off_is_begun_again(liar, reply, layout_of) -> None:
    store = Store(liar, reply)
    broken = []
    honest = store.answer

    def breaking(handler: BaseHTTPRequestHandler, sent: bytes, method: str):
        if method == "PUT" and "/uploads/" in handler.path and len(broken) < 2:
            broken.append(handler.path)
            return reply(status=502)
        return honest(handler, sent, method)

    store.answer = breaking
    layout, report = layout_of()
    assert push_layout(layout, f"{liar.host}/app:1").digest == report.index_digest
    assert len(broken) == 2 and len(store.blobs) == 4


def test_a_registry_that_stores_something_else(liar, reply, layout_of) -> None:
    store = Store(liar, reply)
    honest = store.answer
    layout, _ = layout_of()

    def other_digest(handler: BaseHTTPRequestHandler, sent: bytes, method: str):
        answer = honest(handler, sent, method)
        if method == "PUT" and "/manifests/" in handler.path:
            answer.headers["Docker-Content-Digest"] = "sha256:" + "0" * 64
        return answer

    store.answer = other_digest
    with pytest.raises(ImageError, match=r"stored manifest .* as sha256:000"):
        push_layout(layout, f"{liar.host}/app:1")

    def forgetful(handler: BaseHTTPRequestHandler, sent: bytes, method: str):
        if method == "HEAD" and handler.path.endswith("/manifests/1"):
            return reply(headers={"Docker-Content-Digest": "sha256:" + "1" * 64})
        return honest(handler, sent, method)

    store.answer = forgetful
    with pytest.raises(ImageError, match=r"is sha256:111.* after the push of"):
        push_layout(layout, f"{liar.host}/app:1")


def test_a_registry_that_refuses(liar, reply, layout_of) -> None:
    layout, _ = layout_of()
    said = b'{"errors": [{"code": "DENIED", "message": "read-only"}]}'
    for path in ("POST /v2/app/blobs/uploads/",):
        liar.replies[path] = reply(said, status=403)
    with pytest.raises(ImageError, match="gives no access") as caught:
        push_layout(layout, f"{liar.host}/app:1")
    assert caught.value.output == "DENIED: read-only" and "docker login" in caught.value.hint
    liar.replies["POST /v2/app/blobs/uploads/"] = reply(status=202)
    with pytest.raises(ImageError, match="does not say where to upload"):
        push_layout(layout, f"{liar.host}/app:1")
    liar.server.shutdown()
    liar.server.server_close()
    with pytest.raises(ImageError, match="cannot be reached"):
        push_layout(layout, f"{liar.host}/app:1")


def test_not_to_a_digest_and_not_from_anything(liar, reply, layout_of, tmp_path: Path) -> None:
    layout, report = layout_of()
    with pytest.raises(ImageError, match="names a digest"):
        push_layout(layout, f"{liar.host}/app@{report.index_digest}")
    with pytest.raises(ImageError, match="is not complete"):
        push_layout(tmp_path / "missing", f"{liar.host}/app:1")
    Store(liar, reply)
    (layout / "blobs/sha256" / report.images[0].layers[0].digest[7:]).unlink()
    with pytest.raises(StoreError, match="No such file"):
        push_layout(layout, f"{liar.host}/app:1")
