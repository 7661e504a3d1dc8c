"""A registry of distribution-spec 1.1: a real one for storage, and before it what 1.1 adds, listing of referrers."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from flowctl_core.package.push import push_layout
from flowctl_core.package.remote_referrers import push_referrers
from flowctl_core.verify.checks import run_checks
from flowctl_core.verify.image import gather_image

pytestmark = pytest.mark.requires_tool("docker-registry", "busybox")
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
EMPTY = "application/vnd.oci.empty.v1+json"


class Front(BaseHTTPRequestHandler):
    """Hands everything on, notes manifests that have a subject, and lists them."""

    protocol_version = "HTTP/1.1"
    behind: str
    told_type: str
    listed: dict[str, list[dict]]
    asked: list[str]

    def handle_one(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.asked.append(f"{self.command} {self.path}")
        if "/referrers/" in self.path:
            entries = self.listed.get(self.path.rpartition("/")[2], [])
            index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": entries}
            self.reply(200, {"Content-Type": index["mediaType"]}, json.dumps(index).encode())
            return
        request = urllib.request.Request(f"http://{self.behind}{self.path}", sent or None, method=self.command)
        for name, value in self.headers.items():
            request.add_header(name, value)
        try:
            with urllib.request.urlopen(request) as answer:
                status, headers, body = answer.status, dict(answer.headers), answer.read()
        except urllib.error.HTTPError as failure:
            status, headers, body = failure.code, dict(failure.headers), failure.read()
        if self.command == "PUT" and "/manifests/" in self.path and status == 201:
            subject = json.loads(sent).get("subject")
            if subject is not None:
                headers["OCI-Subject"] = subject["digest"]
                self.note(subject["digest"], sent)
        self.reply(status, headers, body)

    def note(self, subject: str, manifest: bytes) -> None:
        entry = {
            "mediaType": json.loads(manifest)["mediaType"],
            "digest": f"sha256:{sha256(manifest).hexdigest()}",
            "size": len(manifest),
            "artifactType": self.told_type,
        }
        self.listed.setdefault(subject, []).append(entry)

    def reply(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        length = headers.get("Content-Length", "0") if self.command == "HEAD" else str(len(body))
        self.send_header("Content-Length", length)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = handle_one  # noqa: N815 - the names that the server calls

    def log_message(self, *words: object) -> None:
        """Tests are quiet."""


@pytest.fixture(params=[BUNDLE, EMPTY], ids=["artifactType", "config's type"])
def front(registry: str, request: pytest.FixtureRequest) -> Iterator[tuple[str, list[str]]]:
    asked: list[str] = []
    kind = type("Handler", (Front,), {"behind": registry, "told_type": request.param, "listed": {}, "asked": asked})
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}", asked
    server.shutdown()


def test_it_lists_them_itself(signed, front: tuple[str, list[str]]) -> None:
    host, asked = front
    reference = f"{host}/modern/{len(asked)}:1"
    push_layout(signed.root / "containers/oci", reference)
    asked.clear()
    push_referrers(signed.root / "containers/oci", reference)
    assert not [each for each in asked if "/manifests/sha256-" in each], "no index under a tag is kept up"
    asked.clear()
    outcome = run_checks(lambda: gather_image(reference, "greeting", "1.2.0"), signed.policy, signed.trust)
    assert outcome.failure is None
    assert not [each for each in asked if "/manifests/sha256-" in each]
