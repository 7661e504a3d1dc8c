"""OSV's API on loopback, serving advisories by its documented protocol (https://google.github.io/osv.dev/api/).

`POST /v1/querybatch`: a result for each query, with `{id, modified}` of the advisories that affect that version, and a
`next_page_token` where there are more. `GET /v1/vulns/{id}`: one advisory. A `fault` makes it break the protocol.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from packageurl import PackageURL

from flowctl_core.scan.advisory import Advisory, advisory_from, parse_yaml_advisory
from flowctl_core.scan.affected import is_affected
from flowctl_core.scan.ecosystems import ECOSYSTEMS, OsvPackage, osv_package

TYPES = {ecosystem.name: kind for kind, ecosystem in ECOSYSTEMS.items()}


class OsvServer(ThreadingHTTPServer):
    """The server and what was asked of it."""

    daemon_threads = True

    def __init__(self, advisories: dict[str, Any], *, page: int = 1000, fault: str = "", fails: int = 0) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.advisories = advisories
        self.parsed: dict[str, Advisory] = {name: advisory_from(data) for name, data in advisories.items()}
        self.page, self.fault, self.fails = page, fault, fails
        self.asked: list[tuple[str, Any]] = []
        self.agents: set[str] = set()
        self.stop = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def affecting(self, query: dict[str, Any]) -> list[Advisory]:
        """Advisories that affect the package and version of a query, by id."""
        package = query["package"]
        ecosystem = next(e for e in ECOSYSTEMS.values() if e.name == package["ecosystem"])
        wanted = OsvPackage(ecosystem, package["name"], query["version"])
        return [advisory for _, advisory in sorted(self.parsed.items()) if is_affected(advisory, wanted)]


class _Handler(BaseHTTPRequestHandler):
    server: OsvServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._note(body)
        if self.path != "/v1/querybatch":
            self._send(404, {"code": 5, "message": "not found"})
            return
        results = []
        for query in body["queries"]:
            hits = self.server.affecting(query)
            start = int(query.get("page_token") or 0)
            shown = hits[start : start + self.server.page]
            result: dict[str, Any] = {}
            if shown:
                result["vulns"] = [{"id": advisory.id, "modified": advisory.modified} for advisory in shown]
            if start + self.server.page < len(hits):
                result["next_page_token"] = str(start + self.server.page)
            results.append(result)
        match self.server.fault:
            case "few-results":
                results = results[:-1]
            case "endless":
                results = [{**result, "next_page_token": "0"} for result in results]
            case "no-id":
                results = [{"vulns": [{"modified": "x"}]} for _ in results]
            case "path-id":
                results = [{"vulns": [{"id": "../../secret?x=1#"}]} for _ in results]
            case "unknown-id":
                results = [{"vulns": [{"id": "GHSA-not-there"}]} for _ in results]
            case "vulns-text":
                results = [{"vulns": "all"} for _ in results]  # type: ignore[dict-item]
            case "results-numbers":
                results = [1 for _ in results]  # type: ignore[misc]
        self._send(200, {"results": results})

    def do_GET(self) -> None:
        self._note(None)
        name = unquote(self.path.removeprefix("/v1/vulns/"))
        if self.server.fault == "another":
            name = next(other for other in sorted(self.server.advisories) if other != name)
        if self.server.fault == "no-advisory":
            self._send(200, {"hello": "there"})
        elif name in self.server.advisories:
            self._send(200, self.server.advisories[name])
        else:
            self._send(404, {"code": 5, "message": "Bug not found."})

    def _note(self, body: Any) -> None:
        self.server.asked.append((self.path, body))
        self.server.agents.add(self.headers["User-Agent"])

    def _send(self, status: int, data: Any) -> None:
        content = json.dumps(data).encode()
        fault = self.server.fault
        if self.server.fails:
            self.server.fails -= 1
            status, content = 503, b"<html>busy</html>"
        elif fault in ("500", "429", "403", "302"):
            status, content = int(fault), b"no"
        elif fault == "html":
            content = b"<html>a captive portal</html>"
        elif fault == "list":
            content = b"[]"
        elif fault == "stall":
            self.server.stop.wait(30)
            return
        elif fault == "cut":
            self.send_response(200)
            self.send_header("Content-Length", "5000")
            self.end_headers()
            self.wfile.write(content[:10])
            self.close_connection = True
            return
        elif fault in ("huge", "drip"):
            self._forever(fault)
            return
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "http://127.0.0.1:9/elsewhere")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _forever(self, fault: str) -> None:
        """An answer that never ends: as fast as it can, or a byte at a time."""
        self.send_response(200)
        self.end_headers()
        try:
            while not self.server.stop.is_set():
                self.wfile.write(b" " * 2**20 if fault == "huge" else b" ")
                if fault == "drip":
                    time.sleep(0.05)
        except OSError:
            pass
        self.close_connection = True


@contextmanager
def serving(advisories: dict[str, Any], **more: Any) -> Iterator[OsvServer]:
    """The server, as long as the body runs."""
    server = OsvServer(advisories, **more)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.stop.set()
        server.shutdown()
        server.server_close()
        thread.join()


def real_data(folder: Path) -> dict[str, Any]:
    """Advisories of a directory by id, as JSON data."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*.*")):
        if path.suffix == ".json":
            data = json.loads(path.read_text())
        else:
            data = json.loads(parse_yaml_advisory(path.read_bytes()).model_dump_json(exclude_none=True))
        found[data["id"]] = data
    return found


def package_of(purl: str) -> OsvPackage:
    found = osv_package(PackageURL.from_string(purl))
    assert isinstance(found, OsvPackage)
    return found
