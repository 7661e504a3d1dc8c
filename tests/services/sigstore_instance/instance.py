"""The services behind one port, the documents that make clients use and trust them, and faults to order."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

from .authority import CertificateAuthority
from .issuer import Issuer
from .keys import chain_instance
from .log import EntryRefusedError, TransparencyLog
from .timestamping import TimestampAuthority

Service = Literal["ca", "log", "tsa", "ambient"]
JOB_TOKEN = "what-the-runner-gives-the-job"


def moment(**ahead: int) -> str:
    return (datetime.now(UTC) + timedelta(**ahead)).strftime("%Y-%m-%dT%H:%M:%SZ")


class SigstoreInstance:
    """Issuer, CA, CT log, logs and TSA; `url` is where all of them are."""

    def __init__(self) -> None:
        self.issuer = Issuer()
        self.authority = CertificateAuthority(self.issuer)
        self.log = TransparencyLog()
        self.timestamps = TimestampAuthority()
        self.url = ""
        self.answers: dict[Service, tuple[int, bytes]] = {}
        """Services that answer this instead of doing their work."""
        self.hanging: set[Service] = set()
        """Services that take a request and never answer."""
        self.released = threading.Event()
        """Set at the end, so that hanging services let go."""

    @property
    def name(self) -> str:
        """The origin in checkpoints: the host without the port, as sigstore-go expects it."""
        return urlsplit(self.url).hostname or ""

    def trusted_root(self, **ends: str) -> dict[str, Any]:
        """The TrustedRoot; `ends` gives `validFor.end` of `ca`, `ct`, `log` or `tsa`."""

        def period(service: str) -> dict[str, str]:
            return {"start": moment(days=-30)} | ({"end": ends[service]} if service in ends else {})

        return {
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [key.log_instance(self.url, period("log")) for key in self.log.keys.values()],
            "certificateAuthorities": [chain_instance(self.url, self.authority.chain, period("ca"))],
            "ctlogs": [self.authority.ct_log.log_instance(f"{self.url}/ct", period("ct"))],
            "timestampAuthorities": [chain_instance(self.url, self.timestamps.chain, period("tsa"))],
        }

    def trust_config(self, *, rekor: Literal[1, 2] = 2, tsa: bool = True) -> dict[str, Any]:
        """The ClientTrustConfig: where to sign, and what to trust."""

        def service(url: str, version: int = 1) -> dict[str, Any]:
            start = {"start": moment(days=-30)}
            return {"url": url, "majorApiVersion": version, "validFor": start, "operator": "private"}

        signing = {
            "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
            "caUrls": [service(self.url)],
            "oidcUrls": [service(self.url)],
            "rekorTlogUrls": [service(self.url, rekor)],
            "rekorTlogConfig": {"selector": "ANY"},
            "tsaUrls": [service(f"{self.url}/api/v1/timestamp")] if tsa else [],
            "tsaConfig": {"selector": "ANY"},
        }
        return {
            "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
            "trustedRoot": self.trusted_root(),
            "signingConfig": signing,
        }

    def answer(self, method: str, target: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        """Status and body for a request."""
        path, query = urlsplit(target).path, parse_qs(urlsplit(target).query)
        if path == "/.well-known/openid-configuration":
            return 200, json.dumps(self.issuer.discovery()).encode()
        if path == "/keys":
            return 200, json.dumps(self.issuer.keys()).encode()
        services: dict[tuple[str, str], Service] = {
            ("POST", "/api/v2/signingCert"): "ca",
            ("POST", "/api/v2/log/entries"): "log",
            ("POST", "/api/v1/log/entries"): "log",
            ("POST", "/api/v1/timestamp"): "tsa",
            ("GET", "/job-token"): "ambient",
        }
        service = services.get((method, path))
        if service is None:
            return 404, b"{}"
        if service in self.hanging:
            self.released.wait(60)
        if service in self.answers:
            return self.answers[service]
        return self._serve(service, path, body, headers, query)

    def _serve(
        self, service: Service, path: str, body: bytes, headers: dict[str, str], query: dict[str, list[str]]
    ) -> tuple[int, bytes]:
        if service == "tsa":
            return 201, self.timestamps.answer(body)
        if service == "ambient":  # as GitHub Actions has it
            if headers.get("authorization") != f"bearer {JOB_TOKEN}":
                return 403, b"{}"
            return 200, json.dumps({"value": self.issuer.token(aud=query["audience"][0])}).encode()
        if service == "ca":
            status, answer = self.authority.answer(body, headers.get("authorization", ""))
            return status, json.dumps(answer).encode()
        try:
            logged = self.log.answer_v2 if path == "/api/v2/log/entries" else self.log.answer_v1
            return 201, json.dumps(logged(body, self.name)).encode()
        except (EntryRefusedError, ValueError, KeyError) as error:
            return 400, json.dumps({"code": 400, "message": f"the entry is refused: {error}"}).encode()


def _handler(instance: SigstoreInstance) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _respond(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, answer = instance.answer(self.command, self.path, body, headers)
            try:
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)
            except OSError:  # the client gave up: that is what it was to do
                self.close_connection = True

        do_GET = do_POST = _respond  # noqa: N815 - http.server's names

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@contextmanager
def running() -> Iterator[SigstoreInstance]:
    """An instance with keys of its own, until the block ends."""
    instance = SigstoreInstance()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(instance))
    server.daemon_threads = True
    instance.url = instance.issuer.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield instance
    finally:
        instance.released.set()
        server.shutdown()
        server.server_close()
        thread.join(10)
