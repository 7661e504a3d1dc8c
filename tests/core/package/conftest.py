"""Images to write, a real registry on loopback, and one that lies."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import stamina

from flowctl_core.models import Platform
from flowctl_core.models.image import BaseImage, ImageInput, LayerEntry, LayerInput, LayoutReport
from flowctl_core.package.layout import write_layout

AMD64, ARM64 = Platform("linux/amd64"), Platform("linux/arm64")
EPOCH = 1_700_000_000
LABELS = {
    "io.flowctl.component.name": "greeter",
    "io.flowctl.component.version": "1.2.3",
    "io.flowctl.component.api-version": "v1",
    "org.opencontainers.image.title": "greeter",
    "org.opencontainers.image.version": "1.2.3",
    "org.opencontainers.image.created": "2023-11-14T22:13:20Z",
}


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No credentials and no proxy of whoever runs the tests."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path_factory.mktemp("docker")))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def at_once() -> Iterator[None]:
    """Failed requests are tried again as often as ever, without the pauses."""
    with stamina.set_testing(True, attempts=4, cap=True):
        yield


@pytest.fixture
def image_for(tmp_path: Path) -> Callable[..., ImageInput]:
    """Makes the input of a small image that breaks no rule."""

    def make(
        platform: Platform = AMD64, *, base: BaseImage | None = None, text: str = "hello", **over: Any
    ) -> ImageInput:
        program = tmp_path / f"program-{platform.arch}-{sha256(text.encode()).hexdigest()[:8]}"
        program.write_text(f"#!/bin/sh\n# {platform}\necho {text}\n")
        entries = (
            LayerEntry(target="/app", kind="folder", mode=0o755),
            LayerEntry(target="/app/component", source=program, mode=0o755),
            LayerEntry(target="/metadata.json", text='{"name": "greeter"}\n'),
        )
        given = {
            "layers": (LayerInput(created_by="test", entries=entries),),
            "entrypoint": ("/app/component",),
            "labels": LABELS,
        }
        return ImageInput(platform=platform, base=base, **{**given, **over})

    return make


@pytest.fixture
def layout_of(tmp_path: Path, image_for: Callable[..., ImageInput]) -> Callable[..., tuple[Path, LayoutReport]]:
    """Writes a layout for both platforms, or for the images given."""

    def make(name: str = "oci", *images: ImageInput, **options: Any) -> tuple[Path, LayoutReport]:
        layout = tmp_path / name
        return layout, write_layout(images or [image_for(ARM64), image_for(AMD64)], layout, epoch=EPOCH, **options)

    return make


@dataclass
class Reply:
    """An answer; `length` is what Content-Length claims, `cut` ends the connection after so many bytes."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None
    cut: int | None = None


class Liar:
    """A registry that answers what the test wants: replies by method and path, each a Reply or a function."""

    def __init__(self) -> None:
        self.replies: dict[str, Reply | Callable[[BaseHTTPRequestHandler, bytes], Reply]] = {}
        self.asked: list[str] = []
        liar = self

        class Handler(BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                size = int(self.headers.get("Content-Length") or 0)
                sent = self.rfile.read(size)
                path = self.path.partition("?")[0]
                liar.asked.append(f"{self.command} {path}")
                reply = liar.replies.get(f"{self.command} {path}", liar.replies.get(path, Reply(status=404)))
                answer = reply if isinstance(reply, Reply) else reply(self, sent)
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.body) if answer.length is None else answer.length))
                self.send_header("Connection", "close")
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(answer.body[: answer.cut])
                self.close_connection = True

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = handle_any  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.host = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def has_blob(self, data: bytes, repository: str = "base", **lies: Any) -> str:
        """Have a blob; returns its digest."""
        digest = "sha256:" + sha256(data).hexdigest()
        self.replies[f"/v2/{repository}/blobs/{digest}"] = Reply(data, **lies)
        return digest

    def has_manifest(self, document: dict[str, Any], tag: str | None = None, repository: str = "base") -> str:
        """Have a manifest or index, under its digest and a tag; returns its digest."""
        data = json.dumps(document).encode()
        digest = "sha256:" + sha256(data).hexdigest()
        headers = {"Docker-Content-Digest": digest, "Content-Type": document.get("mediaType", "application/json")}
        for name in (digest, tag):
            if name is not None:
                self.replies[f"/v2/{repository}/manifests/{name}"] = Reply(data, headers=headers)
        return digest

    def has_image(
        self,
        layer: bytes | None = None,
        platform: Platform = AMD64,
        *,
        tag: str | None = "1",
        docker: bool = False,
        **lies: Any,
    ) -> str:
        """Have an image with one layer; lies are told about the layer. Returns the manifest's digest."""
        packed = layer if layer is not None else pack({"etc/issue": b"base\n"})
        unpacked = lies.pop("unpacked", None)
        if unpacked is None:
            unpacked = gzip.decompress(packed)
        config = {
            "os": platform.os,
            "architecture": platform.arch,
            "config": {"Env": ["PATH=/base/bin", "LANG=C"], "Entrypoint": ["/base"], "Labels": {"a": "b"}},
            "rootfs": {"type": "layers", "diff_ids": ["sha256:" + sha256(unpacked).hexdigest()]},
            "history": [{"created_by": "base"}],
        }
        described = {"size": lies.pop("size", len(packed)), "digest": lies.pop("digest", None)}
        stored = self.has_blob(packed, **lies)
        if described["digest"] is not None:
            self.replies[f"/v2/base/blobs/{described['digest']}"] = self.replies[f"/v2/base/blobs/{stored}"]
        data = json.dumps(config).encode()
        kinds = DOCKER if docker else OCI
        return self.has_manifest(
            {
                "schemaVersion": 2,
                "mediaType": kinds[0],
                "config": {"mediaType": kinds[1], "digest": self.has_blob(data), "size": len(data)},
                "layers": [{"mediaType": kinds[2], **described, "digest": described["digest"] or stored}],
            },
            tag,
        )


OCI = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.oci.image.layer.v1.tar+gzip",
)
DOCKER = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.container.image.v1+json",
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
)


def pack(files: dict[str, bytes | tarfile.TarInfo]) -> bytes:
    """A gzipped layer."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in files.items():
            if isinstance(content, tarfile.TarInfo):
                archive.addfile(content)
                continue
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return gzip.compress(out.getvalue(), mtime=0)


@pytest.fixture
def liar() -> Iterator[Liar]:
    """A registry that says what the test wants."""
    made = Liar()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def reply() -> type[Reply]:
    """Makes an answer for the liar."""
    return Reply


@pytest.fixture
def packed() -> Callable[[dict[str, bytes | tarfile.TarInfo]], bytes]:
    """Makes a gzipped layer of names and contents."""
    return pack
