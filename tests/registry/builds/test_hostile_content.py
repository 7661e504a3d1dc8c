"""Packages and images that mean harm, through a whole build: install scripts, and layers that unpack to far too much."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import shutil
import tarfile
import threading
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.conftest import unavailable

from git_server import GitServer
from registry_instance import run_registry
from source_forge import Yard, busybox_source, settings_for, toolchain_settings

CONFIG = """\
build:
  images: {base: {node: scratch}}
  remote: {platforms: [linux/amd64]}
"""
MANIFEST, CONFIG_TYPE = "application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
BOMB_BYTES = 1200 * 2**20


class ImageServer:
    """A registry of images that has `/v2/bomb` alone: an image of 1.2 MB that unpacks to 1.2 GB."""

    def __init__(self) -> None:
        layer = _bomb()
        config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": ["sha256:" + "0" * 64]}, "config": {}}).encode()  # fmt: skip
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": _of(config, CONFIG_TYPE), "layers": [_of(layer, LAYER)]}  # fmt: skip
        self.answers = {f"/v2/bomb/blobs/{_digest(each)}": each for each in (layer, config)}
        document = json.dumps(manifest).encode()
        self.answers |= {f"/v2/bomb/manifests/{name}": document for name in ("1", _digest(document))}
        answers = self.answers

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = answers.get(self.path.partition("?")[0], b"")
                self.send_response(200 if body or self.path == "/v2/" else 404)
                self.send_header("Content-Type", MANIFEST if "manifests" in self.path else "application/octet-stream")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body)

            do_HEAD = do_GET  # noqa: N815 - as the standard library names it

            def log_message(self, *_words: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]

    def __enter__(self) -> ImageServer:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_why: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def _of(data: bytes, kind: str) -> dict[str, object]:
    return {"mediaType": kind, "digest": _digest(data), "size": len(data)}


def _bomb() -> bytes:
    """A layer of one file of zeros, compressed without compressing all of it: flushed blocks may be repeated."""
    entry = tarfile.TarInfo("zeros")
    entry.size = BOMB_BYTES
    packer = zlib.compressobj(9, wbits=-15)
    zeros = bytes(2**24)
    start = packer.compress(entry.tobuf()) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(zeros) + packer.flush(zlib.Z_FULL_FLUSH)
    end = packer.compress(bytes(1024)) + packer.flush()
    header = gzip.compress(b"")[:10]
    return header + start + block * (BOMB_BYTES // len(zeros)) + end + bytes(8)


@pytest.fixture(scope="module")
def images() -> Iterator[ImageServer]:
    with ImageServer() as running:
        yield running


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory, images: ImageServer) -> Iterator[Yard]:
    folder = tmp_path_factory.mktemp("yard")
    (folder / "config.yaml").write_text(CONFIG)
    (folder / "git").mkdir()
    with GitServer(folder / "git") as server:
        limits = {
            "sandbox__disk_bytes": 2_000_000_000, "sandbox__file_bytes": 4_000_000_000,
            "sandbox__ports": json.dumps([80, 443, images.port]),
        }  # fmt: skip
        settings = settings_for(server, builds__tries=1, **toolchain_settings(folder / "config.yaml"), **limits)
        with run_registry(folder / "registry", **settings) as registry:
            yield Yard(registry, server)


def fail(yard: Yard, files: dict[str, bytes | str]) -> tuple[dict[str, str], str, str]:
    """Build these files, which must not work; the problem, the log, and that of `fetch`."""
    namespace = yard.registry.namespace()
    repository = yard.server.create(namespace)
    repository.commit(files, tag="v1.0.0")
    build_id = yard.request(namespace, "greeting", repository)
    problem: dict[str, str] = yard.wait(build_id, "failed").problem
    logs = f"/v1/builds/{build_id}/logs"
    client = yard.registry.client()
    return problem, client.get(logs).text, client.get(logs, params={"step": "fetch"}).text


def test_a_base_image_that_is_a_bomb_is_refused(yard: Yard, images: ImageServer) -> None:
    files = busybox_source()
    files["component.yaml"] = str(files["component.yaml"]).replace("scratch", f"127.0.0.1:{images.port}/bomb:1")
    problem, *_ = fail(yard, files)
    assert problem["step"] in ("build", "assemble"), problem
    assert "is refused" in problem["message"] and "unpack" in problem["message"], problem


def test_a_small_source_makes_no_huge_layer(yard: Yard) -> None:
    """A sparse file takes no room on the disk; an image of it would."""
    problem, *_ = fail(yard, busybox_source(script="mkdir -p bin; truncate -s 3900000000 bin/greeting; chmod +x bin/*"))
    assert problem["step"] in ("test", "build"), problem
    assert problem["code"] != "internal", problem


def test_install_scripts_of_packages_do_not_run_where_there_is_a_network(yard: Yard) -> None:
    if shutil.which("npm") is None:
        unavailable("npm not found")
    problem, log, fetched = fail(yard, _package(yard.registry.data, yard.server.port))
    assert problem["step"] in ("test", "build"), problem
    assert "own script ran" in log and "index.js" in log, log  # with its dependency there
    assert fetched and "own script ran" not in fetched, fetched
    assert "dependency-script-ran" not in log
    for word in ("REACHED", "FLOWCTL_REGISTRY", "SQLite format", "PRIVATE KEY"):
        assert word not in log, log


def _package(data: Path, port: int) -> dict[str, bytes | str]:
    evil = {
        "name": "evil", "version": "1.0.0", "main": "index.js",
        "scripts": dict.fromkeys(("preinstall", "install", "postinstall"), "touch dependency-script-ran"),
    }  # fmt: skip
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, text in (("package/package.json", json.dumps(evil)), ("package/index.js", "module.exports = 1\n")):
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    tarball = packed.getvalue()
    reach = f"require('net').connect({port}, '127.0.0.1', () => console.log('REACHED')).on('error', () => 0)"
    own = f"echo own script ran; env; cat {data}/registry.db {data}/signer/*; ls node_modules/evil; exit 3\n"
    package = {
        "name": "greeting", "version": "1.0.0", "private": True, "license": "Apache-2.0", "bin": {"greeting": "main.js"},
        "dependencies": {"evil": "file:evil-1.0.0.tgz"},
        "scripts": {"preinstall": "echo own script ran", "postinstall": "node reach.js; sh own.sh", "test": "node main.js"},
    }  # fmt: skip
    integrity = "sha512-" + base64.b64encode(hashlib.sha512(tarball).digest()).decode()
    top = {name: package[name] for name in ("name", "version", "license", "bin", "dependencies")}
    installed = {
        "version": "1.0.0",
        "resolved": "file:evil-1.0.0.tgz",
        "integrity": integrity,
        "hasInstallScript": True,
    }
    lock = {
        "name": "greeting", "version": "1.0.0", "lockfileVersion": 3, "requires": True,
        "packages": {"": {**top, "hasInstallScript": True}, "node_modules/evil": installed},
    }  # fmt: skip
    component = (
        "apiVersion: component.flowctl.io/v1\nkind: ComponentSpec\n"
        "metadata: {name: greeting, version: 1.0.0, description: x, license: Apache-2.0}\n"
        "spec: {type: processor, platforms: [linux/amd64], languages: [{name: node}]}\n"
    )
    return {
        "component.yaml": component, "package.json": json.dumps(package), "package-lock.json": json.dumps(lock),
        "evil-1.0.0.tgz": tarball, "main.js": "#!/usr/bin/env node\nconsole.log(require('evil'))\n", "own.sh": own,
        "reach.js": reach + "\n",
    }  # fmt: skip
