"""How often clients may ask, whose address counts, and what bodies are taken."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
import ssl
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from registry_instance import run_registry

from .client import Client
from .conftest import Registry
from .test_access import begin, make_token

FROM = "X-Forwarded-For"


@pytest.fixture
def limited(tmp_path: Path) -> Callable[..., Any]:
    """One with limits of its own; counters and addresses know nothing of back ends."""
    return lambda **settings: run_registry(tmp_path, **settings)


def ask(registry: Registry, token: str | None = None, **headers: str) -> httpx.Response:
    """Always the same process: each counts for itself."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    if token is not None:
        sent["Authorization"] = f"Bearer {token}"
    return httpx.get(registry.urls[0] + "/v1/whoami", headers=sent)


def test_an_address_without_a_token_is_limited(limited: Callable[..., Any]) -> None:
    with limited(limits__requests_per_minute=3) as registry:
        answers = [ask(registry) for _ in range(5)]
        assert [each.status_code for each in answers][:4] == [200, 200, 200, 429]
        assert 1 <= int(answers[3].headers["retry-after"]) <= 60
        assert answers[3].json()["type"] == "urn:flowctl:problem:too-many-requests"
        assert ask(registry, registry.token).status_code == 200, "a token has a limit of its own"
        assert httpx.get(registry.urls[0] + "/healthz").status_code == 200


def test_a_token_is_limited_wherever_it_comes_from(limited: Callable[..., Any]) -> None:
    with limited(limits__token_requests_per_minute=5, server__trusted_proxies='["127.0.0.0/8"]') as registry:
        token = make_token(registry, "busy")
        answers = [ask(registry, token, X_Forwarded_For=f"192.0.2.{number}") for number in range(6)]
        assert [each.status_code for each in answers] == [200] * 5 + [429]
        assert ask(registry, make_token(registry, "idle")).status_code == 200


def test_wrong_tokens_shut_an_address_out_and_no_other(limited: Callable[..., Any]) -> None:
    with limited(limits__failed_logins_per_minute=3, server__trusted_proxies='["127.0.0.1/32"]') as registry:
        wrong = "flowctl_0123456789abcdef_" + "0" * 48
        answers = [ask(registry, wrong, X_Forwarded_For="192.0.2.1") for _ in range(4)]
        assert [each.status_code for each in answers] == [401, 401, 401, 429]
        assert ask(registry, registry.token, X_Forwarded_For="192.0.2.1").status_code == 429
        assert ask(registry, registry.token, X_Forwarded_For="192.0.2.2").status_code == 200
        forged = httpx.post(registry.urls[0] + "/v1/oidc/token", json={"token": "a.b.c"}, headers={FROM: "192.0.2.3"})
        assert forged.status_code == 401
        assert [ask(registry, wrong, X_Forwarded_For="192.0.2.3").status_code for _ in range(3)] == [401, 401, 429]


def test_a_forwarded_address_is_believed_from_proxies_only(limited: Callable[..., Any]) -> None:
    with limited(limits__requests_per_minute=2) as registry:
        answers = [ask(registry, X_Forwarded_For=f"192.0.2.{number}") for number in range(3)]
        assert [each.status_code for each in answers] == [200, 200, 429]


def test_what_a_client_writes_before_its_proxy_is_not_believed(limited: Callable[..., Any]) -> None:
    with limited(limits__requests_per_minute=2, server__trusted_proxies='["127.0.0.1/32"]') as registry:
        answers = [ask(registry, X_Forwarded_For=f"198.51.100.{number}, 192.0.2.9") for number in range(3)]
        assert [each.status_code for each in answers] == [200, 200, 429]


def test_an_ipv6_client_is_its_network(limited: Callable[..., Any]) -> None:
    with limited(limits__requests_per_minute=2, server__trusted_proxies='["127.0.0.1/32"]') as registry:
        answers = [ask(registry, X_Forwarded_For=f"2001:db8:0:1::{number}") for number in range(3)]
        assert [each.status_code for each in answers] == [200, 200, 429]
        assert ask(registry, X_Forwarded_For="2001:db8:0:2::1").status_code == 200


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"server": {"trusted_proxies": ["*"]}}, "trusted_proxies"),
        ({"server": {"trusted_proxies": ["proxy.example"]}}, "trusted_proxies"),
        ({"server": {"tls_certificate": "x.pem"}}, "go together"),
        ({"server": {"tls_keys": "x.pem"}}, "tls_keys"),
        ({"limits": {"requests_per_minutes": 1}}, "requests_per_minutes"),
    ],
)
def test_a_setting_that_would_leave_a_door_open_is_refused(settings: dict[str, Any], told: str) -> None:
    from flowctl_core.errors import ConfigError
    from flowctl_registry.settings import load_settings

    with pytest.raises(ConfigError, match=told):
        load_settings(None, {}, **settings)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    settings = {"json_bytes": 2_000, "receive_timeout_s": 1, "receive_bytes_per_s": 10_000}
    with run_registry(
        tmp_path_factory.mktemp("small"), **{f"limits__{name}": value for name, value in settings.items()}
    ) as running:
        yield running


class TestBodies:
    """Bodies that are too large, too slow, compressed or cut off."""

    def test_a_large_body_is_refused_with_and_without_its_length(self, small: Registry) -> None:
        body = json.dumps({"name": "x" * 5_000, "actions": ["read"]}).encode()
        client = small.client()
        assert client.post("/v1/tokens", content=body).status_code == 413
        assert client.post("/v1/tokens", content=iter([body])).status_code == 413

    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [("DELETE", "/v1/namespaces/none", 404), ("GET", "/v1/whoami", 200), ("PUT", "/v1/namespaces/none", 413)],
    )
    def test_a_body_is_not_read_before_it_is_wanted(self, small: Registry, method: str, path: str, status: int) -> None:
        host, port = small.urls[0].removeprefix("http://").split(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=20)
        connection.putrequest(method, path)
        connection.putheader("Authorization", f"Bearer {small.token}")
        connection.putheader("Content-Length", str(10**12))
        connection.endheaders(b"0" * 5_000)
        assert connection.getresponse().status == status
        connection.close()

    def test_a_compressed_body_is_refused_unread(self, small: Registry) -> None:
        bomb = gzip.compress(b"0" * 50_000_000)
        for encoding in ("gzip", "deflate", "br", "zstd", "gzip, identity"):
            answer = small.client().post("/v1/tokens", content=bomb, headers={"Content-Encoding": encoding})
            assert answer.status_code == 400, encoding
            assert "compressed" in answer.json()["detail"]

    def test_a_blob_is_neither_longer_nor_shorter_nor_another(self, small: Registry) -> None:
        import hashlib

        namespace, client, content = small.namespace(), small.client(), uuid.uuid4().bytes * 8
        digest = "sha256:" + hashlib.sha256(content).hexdigest()
        files = [{"path": "metadata/component.yaml", "digest": digest, "size": len(content)}]
        base = f"/v1/components/{namespace}/greeting/uploads"
        upload = client.post(base, json={"version": "1.0.0", "files": files}).json()
        path = f"{base}/{upload['id']}/blobs/{digest}"
        for wrong in (content + b"x", content[:-1], b"", bytes(len(content))):
            for sent in (wrong, iter([wrong])):
                refused = client.request("PUT", path, content=sent)
                assert 400 <= refused.status_code < 500, refused.text
        compressed = client.request("PUT", path, content=gzip.compress(content), headers={"Content-Encoding": "gzip"})
        assert compressed.status_code == 400
        assert client.get(f"{base}/{upload['id']}").json()["missing"] == [digest]
        assert client.request("PUT", path, content=content).status_code == 204
        assert client.request("PUT", path.replace(digest, "sha256:" + "0" * 64), content=content).status_code == 404

    @pytest.mark.parametrize("pieces", [1, 1_000], ids=["silent", "dripping"])
    def test_a_slow_client_is_cut_off(self, small: Registry, pieces: int) -> None:
        host, port = small.urls[0].removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=20) as client:
            head = f"POST /v1/tokens HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {small.token}\r\n"
            client.sendall(f"{head}Content-Length: 1500\r\n\r\n".encode())
            client.setblocking(False)
            answer = b""
            for _ in range(pieces):
                try:
                    client.send(b" ")
                except OSError:
                    break
                if answer := received(client, 0.1):
                    break
            answer = answer or received(client, 15)
        assert b" 400 " in answer.split(b"\r\n")[0], answer
        assert b"nothing came" in answer or b"fewer than" in answer
        assert small.client().get("/v1/whoami").status_code == 200


def received(client: socket.socket, seconds: float) -> bytes:
    import select

    ready, _, _ = select.select([client], [], [], seconds)
    try:
        return client.recv(65_536) if ready else b""
    except OSError:
        return b""


def test_many_clients_that_say_nothing_stand_in_nobodys_way(registry: Registry) -> None:
    host, port = registry.urls[0].removeprefix("http://").split(":")
    waiting = [socket.create_connection((host, int(port)), timeout=20) for _ in range(300)]
    try:
        for number, client in enumerate(waiting):
            client.sendall(
                (b"", b"GET / HTTP/1.1\r\nX-Slow: ", b"POST /v1/tokens HTTP/1.1\r\nContent-Length: 9\r\n\r\n")[
                    number % 3
                ]
            )
        for _ in range(20):
            assert httpx.get(registry.urls[0] + "/v1/whoami", timeout=10).status_code == 200
    finally:
        for client in waiting:
            client.close()


@pytest.mark.requires_tool("openssl")
def test_https_is_served_with_a_certificate(tmp_path: Path) -> None:
    from registry_instance import PROGRAM
    from server_process import ServerProcess, free_port

    certificate, key, port = tmp_path / "certificate.pem", tmp_path / "key.pem", free_port()
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    more = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*words, *more], check=True, capture_output=True)
    url = f"https://127.0.0.1:{port}"

    def alive() -> bool:
        try:
            return httpx.get(url + "/healthz", verify=ssl.create_default_context(cafile=certificate)).status_code == 200
        except httpx.HTTPError:
            return False

    flags = ["--data", str(tmp_path / "data"), "--port", str(port)]
    flags += ["--tls-certificate", str(certificate), "--tls-key", str(key)]
    server = ServerProcess([PROGRAM, "serve", *flags], tmp_path / "log", alive)
    try:
        server.launch()
        server.wait_ready()
        with pytest.raises(httpx.HTTPError):
            httpx.get(f"http://127.0.0.1:{port}/healthz")
    finally:
        server.stop()


def test_the_uploader_of_one_component_cannot_touch_anothers_upload(registry: Registry) -> None:
    namespace, client = registry.namespace(), registry.client()
    upload = begin(client, namespace).json()
    for other in (f"{namespace}/another", f"{registry.namespace()}/greeting"):
        path = f"/v1/components/{other}/uploads/{upload['id']}"
        assert client.get(path).status_code == 404
        assert client.request("DELETE", path).status_code == 404
        assert client.post(path + "/commit").status_code == 404
    assert client.get(f"/v1/bundles/{namespace}/greeting/uploads/{upload['id']}").status_code == 404
    assert Client(registry.urls).get(f"/v1/components/{namespace}/greeting/uploads/{upload['id']}").status_code == 401
