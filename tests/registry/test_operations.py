"""What an operator relies on: readiness, logs, counters, traces, and an end that loses nothing."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from .conftest import Registry

PROGRAM = Path(sys.prefix) / "bin" / "flowctl-registry"
SIZE = 8_000_000


def eventually(ask: Callable[[], Any], what: str, timeout_s: float = 120) -> Any:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if found := ask():
            return found
        time.sleep(0.1)
    raise AssertionError(what)


def entries(registry: Registry) -> list[dict[str, Any]]:
    """The lines of all API processes' logs: each is JSON."""
    return [json.loads(line) for each in registry.api for line in each.log.read_text().splitlines()]


def requests_of(registry: Registry, request_id: str) -> list[dict[str, Any]]:
    def found() -> list[dict[str, Any]]:
        return [e for e in entries(registry) if e.get("request_id") == request_id and "route" in e]

    return eventually(found, "no line in the log")


def test_it_is_alive_and_ready(registry: Registry) -> None:
    client = registry.client()
    assert client.get("/healthz").json()["status"] == "ok"
    answer = client.get("/readyz")
    assert answer.status_code == 200, answer.text
    assert answer.json() == {
        "status": "ready", "checks": {"blobs": "ok", "database": "ok", "index": "ok", "signer": "ok"},
    }  # fmt: skip


def test_without_a_signer_it_reads_and_says_so(open_registry) -> None:
    with open_registry() as registry:
        if registry.signer is not None:
            registry.signer.stop()
        else:  # serve would start it again at once
            (registry.data / "signer.sock").rename(registry.data / "gone.sock")
        answer = registry.client().get("/readyz")
        assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
        assert "does not answer" in answer.json()["checks"]["signer"]


def test_without_its_blobs_it_is_not_ready(open_registry) -> None:
    with open_registry() as registry:
        if registry.backend != "sqlite":
            pytest.skip("the S3 server is shared by tests")
        (registry.data / "blobs").rename(registry.data / "elsewhere")
        answer = registry.client().get("/readyz")
        assert (answer.status_code, answer.json()["status"]) == (503, "not-ready")
        assert registry.client().get("/healthz").status_code == 200


def test_a_request_keeps_its_id_and_is_noted(registry: Registry) -> None:
    client = registry.client()
    answer = client.get("/v1/stats?secret=hidden", headers={"X-Request-Id": "from-the-proxy.1"})
    assert answer.headers["x-request-id"] == "from-the-proxy.1"
    refused = client.get("/v1/keys/nobody", headers={"X-Request-Id": "from-the-proxy.2"})
    assert refused.json()["request_id"] == "from-the-proxy.2"
    (line,) = requests_of(registry, "from-the-proxy.1")
    assert line["route"] == line["path"] == "/v1/stats"
    assert (line["method"], line["status"], line["principal"], line["level"]) == ("GET", 200, "admin", "info")
    assert line["duration_s"] >= 0 and line["time"].endswith("Z")


@pytest.mark.parametrize("given", ["", "x" * 65, "a b", 'a"b', "\u00e4"])
def test_an_id_that_is_none_is_replaced(registry: Registry, given: str) -> None:
    answer = registry.client().get("/healthz", headers={"X-Request-Id": given.encode()})
    assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["x-request-id"])


def test_no_secret_is_in_the_logs(registry: Registry, release: Path) -> None:
    client, namespace = registry.client(), registry.namespace()
    client.publish(release, namespace, "greeting", "1.2.0")
    client.get("/v1/components/a/b/1.0.0?token=hidden", headers={"Authorization": "Bearer flowctl_wrong_hidden"})
    client.get("/healthz", headers={"X-Request-Id": "the-last"})
    text = "".join(each.log.read_text() for each in registry.processes)
    assert f"/v1/components/{namespace}/greeting" in text
    assert "hidden" not in text
    assert str(registry.token).rpartition("_")[2] not in text


def test_numbers_of_what_there_is(open_registry, release: Path) -> None:
    with open_registry() as registry:
        namespace = registry.namespace()
        assert registry.client().publish(release, namespace, "greeting", "1.2.0").status_code == 201
        stats = registry.client().get("/v1/stats").json()
        assert (stats["namespaces"], stats["components"], stats["bundles"], stats["versions"]) == (1, 1, 0, 1)
        assert stats["blob_bytes"] > 0 and stats["index_waiting"] == 0


def test_builders_are_listed_by_digest(registry: Registry) -> None:
    found = {each["name"]: each for each in registry.client().get("/v1/builders", timeout=90).json()["builders"]}
    listed = subprocess.run(
        [Path(sys.prefix) / "bin" / "flowctl", "plugin", "list", "-o", "json"], capture_output=True, check=True
    )
    assert {name: each["digest"] for name, each in found.items()} == {
        each["name"]: each["digest"] for each in json.loads(listed.stdout) if each["state"] == "active"
    }
    for tool in found["go"]["tools"]:
        assert re.fullmatch("sha256:[0-9a-f]{64}", tool["digest"])


def metric(registry: Registry, name: str, url: str) -> float:
    """The sum of a metric's series."""
    text = httpx.get(url + "/metrics").text
    lines = [line for line in text.splitlines() if re.match(re.escape(name) + r"[{ ]", line)]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


def test_workers_count_together(open_registry) -> None:
    with open_registry(server__workers=2, apis=1) as registry:
        url = registry.urls[0]
        for _ in range(20):
            with httpx.Client() as fresh:  # a connection each, so that both workers get some
                fresh.get(url + "/v1/keys/nobody")
        name = 'flowctl_registry_requests_total{method="GET",route="/v1/keys/{name}",status="404"}'
        text = httpx.get(url + "/metrics").text
        assert f"{name} 20.0" in text
        assert metric(registry, "flowctl_registry_database_up", url) == 1
        assert metric(registry, "flowctl_registry_signer_up", url) == 1
        assert metric(registry, "flowctl_registry_requests_running", url) == 1  # this one
        assert metric(registry, "flowctl_registry_index_expires_seconds", url) > 3600


def test_strangers_make_no_new_series(registry: Registry) -> None:
    url = registry.urls[0]
    httpx.request("BREW", url + "/v1/teapot-41")
    text = httpx.get(url + "/metrics").text
    assert "BREW" not in text and "teapot" not in text


class Collector:
    """Takes traces by OTLP over HTTP, as an operator's collector does."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        spans = self.spans

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    import gzip

                    body = gzip.decompress(body)
                for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                    for scope in resource.scope_spans:
                        spans.extend(scope.spans)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def collector() -> Iterator[Collector]:
    running = Collector()
    yield running
    running.server.shutdown()


def test_traces_go_to_the_configured_collector(open_registry, collector: Collector) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    with open_registry(telemetry__otlp_endpoint=collector.url) as registry:
        header = {"traceparent": f"00-{trace}-b7ad6b7169203331-01"}
        registry.client().get("/v1/keys/nobody", headers=header)
        registry.stop()
    (span,) = [each for each in collector.spans if each.trace_id.hex() == trace]
    assert span.name == "GET /v1/keys/{name}"
    assert {each.key: each.value.int_value for each in span.attributes}["http.response.status_code"] == 404


def begin_upload(registry: Registry, body: bytes) -> tuple[socket.socket, str]:
    """An upload of one blob that has sent a part of it, and its path."""
    namespace = registry.namespace()
    digest = "sha256:" + sha256(body).hexdigest()
    base = f"/v1/components/{namespace}/greeting/uploads"
    files = [{"path": "metadata/x.json", "digest": digest, "size": len(body)}]
    begun = httpx.post(
        registry.urls[0] + base,
        json={"version": "1.2.0", "files": files},
        headers={"Authorization": f"Bearer {registry.token}"},
    )
    assert begun.status_code == 201, begun.text
    path = f"{base}/{begun.json()['id']}/blobs/{digest}"
    host, port = registry.urls[0].removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)))
    head = (
        f"PUT {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {registry.token}\r\nContent-Length: {len(body)}"
    )
    connection.sendall(head.encode() + b"\r\n\r\n" + body[: SIZE // 2])
    return connection, path


def refused(registry: Registry) -> bool:
    try:
        httpx.get(registry.urls[0] + "/healthz", timeout=2)
    except httpx.TransportError:
        return True
    return False


def test_what_runs_is_finished_when_it_is_stopped(open_registry) -> None:
    body = os.urandom(SIZE)
    with open_registry(apis=1, server__shutdown_s=20) as registry:
        connection, _ = begin_upload(registry, body)
        time.sleep(0.5)  # the request has reached the application
        process = registry.api[0].process
        process.send_signal(signal.SIGTERM)
        eventually(lambda: refused(registry), "new requests are taken still")
        assert process.poll() is None
        connection.sendall(body[SIZE // 2 :])
        answer = connection.makefile("rb").readline()
        assert b" 204 " in answer
        connection.close()
        assert process.wait(30) == 0


def test_who_takes_too_long_is_ended(open_registry) -> None:
    with open_registry(apis=1, server__shutdown_s=1) as registry:
        connection, _ = begin_upload(registry, os.urandom(SIZE))
        time.sleep(0.5)
        process = registry.api[0].process
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        connection.close()
        registry.start()
        assert registry.client().get("/readyz").status_code == 200


def children(pid: int) -> set[int]:
    found: set[int] = set()
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found |= {int(child)} | children(int(child))
    return found


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks for processes in /proc")
def test_nothing_outlives_a_serve_that_was_killed(open_registry) -> None:
    with open_registry(apis=1, server__workers=2) as registry:
        process = registry.api[0].process
        own = children(process.pid)
        assert len(own) >= 2
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        eventually(lambda: not [pid for pid in own if Path(f"/proc/{pid}").exists()], f"some of {own} live on")
        registry.start()
        client = registry.client()
        eventually(lambda: client.get("/readyz").json()["status"] == "ready", "it never gets ready again")


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks for processes in /proc")
def test_a_worker_that_died_is_replaced(open_registry) -> None:
    with open_registry(apis=1) as registry:
        (worker,) = [
            pid for pid in children(registry.api[0].pid) if b"serve" in Path(f"/proc/{pid}/cmdline").read_bytes()
        ]
        connection, _ = begin_upload(registry, os.urandom(SIZE))
        name = "flowctl_registry_requests_running"
        eventually(lambda: metric(registry, name, registry.urls[0]) == 2, "the upload is not counted")
        os.kill(worker, signal.SIGKILL)
        connection.close()
        eventually(lambda: not refused(registry), "no worker came back")
        assert worker not in children(registry.api[0].pid)
        assert metric(registry, name, registry.urls[0]) == 1


def serve(data: Path, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """`serve` that cannot start."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FLOWCTL_REGISTRY_")}
    environment |= {f"FLOWCTL_REGISTRY_{name}": value for name, value in settings.items()}
    done = subprocess.run(
        [PROGRAM, "serve", "--data", data, *words], env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode != 0
    assert "Traceback" not in done.stderr + done.stdout
    return done


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert port in serve(tmp_path / "data", "--port", port).stderr


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"SERVER__WORKERS": "none"}, "server.workers"),
        ({"UNHEARD": "1"}, "unheard"),
        ({"DATABASE_URL": "postgresql://127.0.0.1:1/none"}, "database"),
        ({"BLOB_URL": "gopher://x"}, "blob store"),
        ({"SIGNER_KEY": "pkcs12:x"}, "pkcs12"),
    ],
)
def test_settings_that_cannot_work(tmp_path: Path, settings: dict[str, str], said: str) -> None:
    done = serve(tmp_path / "data", "--port", "0", **settings)
    assert said in done.stderr + done.stdout
