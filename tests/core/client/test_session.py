"""One conversation with a registry: what is repeated, what is not, what each failure is called."""

from __future__ import annotations

import json
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from flowctl_core.client.near import with_near_names
from flowctl_core.client.session import Patience, Session
from flowctl_core.connection import Connection
from flowctl_core.errors import (
    ConfigError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    RemoteError,
    UnauthorizedError,
    UnreachableError,
)
from flowctl_core.models.base import Frozen

QUICK = Patience(connect_s=2, read_s=1, total_s=5, attempts=3)


class Answer(Frozen):
    """A document."""

    name: str


@dataclass
class Server:
    """A web server that answers what a test says."""

    url: str = ""
    script: list[Callable[[BaseHTTPRequestHandler], None]] = field(default_factory=list)
    """Answers in turn, the last one for ever."""
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)
    """Method, path with query, and `Authorization`."""

    def then(self, status: int, body: object = None, **headers: str) -> Server:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()

        def answer(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(status)
            for name, value in headers.items():
                handler.send_header(name.replace("_", "-"), value)
            handler.send_header("Content-Length", str(len(content)))
            handler.end_headers()
            handler.wfile.write(content)

        self.script.append(answer)
        return self

    def then_do(self, answer: Callable[[BaseHTTPRequestHandler], None]) -> Server:
        self.script.append(answer)
        return self


@pytest.fixture
def make_server() -> Iterator[Callable[..., Server]]:
    running: list[tuple[ThreadingHTTPServer, threading.Thread]] = []

    def make(context: ssl.SSLContext | None = None) -> Server:
        made = Server()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                made.asked.append((self.command, self.path, self.headers.get("Authorization")))
                act = made.script.pop(0) if len(made.script) > 1 else made.script[0]
                act(self)

            do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815 - the names of http.server

            def log_message(self, *arguments: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        made.url = f"{'https' if context else 'http'}://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        running.append((server, thread))
        return made

    yield make
    for server, thread in running:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def server(make_server: Callable[..., Server]) -> Server:
    return make_server()


def hang_up(handler: BaseHTTPRequestHandler) -> None:
    handler.close_connection = True
    handler.connection.close()


def problem(code: str, detail: str, **more: str) -> dict[str, object]:
    return {"type": f"urn:flowctl:problem:{code}", "title": code, "status": 0, "detail": detail, **more}


def test_a_broken_connection_and_a_busy_server_are_asked_again(server: Server) -> None:
    server.then_do(hang_up).then(503, {}, Retry_After="0").then(200, {"name": "here"})
    with Session(Connection(server.url, "flowctl_t"), QUICK) as session:
        assert session.document(Answer, "/v1/x", what="x", query={"limit": 3, "cursor": None}).name == "here"
    assert server.asked == [("GET", "/v1/x?limit=3", "Bearer flowctl_t")] * 3


def test_what_is_not_idempotent_is_sent_once(server: Server) -> None:
    server.then_do(hang_up).then(200, {"name": "here"})
    with Session(Connection(server.url), QUICK) as session:
        with pytest.raises(UnreachableError, match="does not answer"):
            session.ask("POST", "/v1/x", Answer, what="x", body={})
        assert len(server.asked) == 1
        server.script.insert(0, hang_up)
        assert session.ask("POST", "/v1/x", Answer, what="x", body={}, repeat=True).name == "here"
    assert len(server.asked) == 3


@pytest.mark.parametrize(
    ("status", "kind", "code", "told"),
    [
        (401, UnauthorizedError, "unauthorized", "does not accept the token: the token has expired"),
        (403, ForbiddenError, "forbidden", "does not allow this for acme/thing: the token has expired"),
        (404, NotFoundError, "not-found", "has no acme/thing, or does not show it"),
        (409, ConflictError, "conflict", "refuses acme/thing: the token has expired"),
        (422, RemoteError, "bad-request", "refuses acme/thing: the token has expired"),
    ],
)
def test_each_refusal_is_one_error_and_not_repeated(
    server: Server, status: int, kind: type[RemoteError], code: str, told: str
) -> None:
    server.then(status, problem(code, "the token has expired", hint="do that"))
    with Session(Connection(server.url, "flowctl_t"), QUICK) as session, pytest.raises(kind, match=told) as caught:
        session.document(Answer, "/v1/x", what="acme/thing")
    assert type(caught.value) is kind and caught.value.hint
    assert len(server.asked) == 1


def test_anonymous_users_are_told_to_log_in(server: Server) -> None:
    server.then(401, problem("unauthorized", "who are you"))
    with Session(Connection(server.url), QUICK) as session, pytest.raises(UnauthorizedError) as caught:
        session.document(Answer, "/v1/x", what="x")
    assert caught.value.hint is not None and f"flowctl login {server.url}" in caught.value.hint


def test_a_long_pause_is_told_and_not_waited_for(server: Server) -> None:
    server.then(429, problem("too-many-requests", "1000 a minute"), Retry_After="3600")
    with Session(Connection(server.url), QUICK) as session, pytest.raises(UnreachableError) as caught:
        session.document(Answer, "/v1/x", what="x")
    assert "1000 a minute" in caught.value.message and caught.value.hint == "Try again in 3600 s."
    assert len(server.asked) == 1


def test_control_characters_of_a_registry_reach_no_terminal(server: Server) -> None:
    server.then(403, problem("forbidden", "\x1b[2Jno\x07", hint="\x1b]0;mine\x07"))
    with Session(Connection(server.url), QUICK) as session, pytest.raises(ForbiddenError) as caught:
        session.document(Answer, "/v1/x", what="x")
    assert "\x1b" not in f"{caught.value.message}{caught.value.hint}"


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"name": 3}', b"[" * 100_000, b"\xff\xfe"])
def test_what_is_no_document_is_said(server: Server, body: bytes) -> None:
    server.then(200, body)
    with (
        Session(Connection(server.url), QUICK) as session,
        pytest.raises(RemoteError, match="no document of a registry"),
    ):
        session.document(Answer, "/v1/x", what="x")


def test_more_than_the_limit_is_not_read(server: Server) -> None:
    server.then(200, b"x" * 2_000_000)
    with Session(Connection(server.url), QUICK) as session, pytest.raises(RemoteError, match="more than 1000 bytes"):
        session.content("/v1/x", what="x", limit=1000)


def test_silence_ends(server: Server) -> None:
    server.then_do(lambda handler: time.sleep(3))
    haste = Patience(connect_s=1, read_s=0.3, total_s=1, attempts=2)
    with (
        Session(Connection(server.url), haste) as session,
        pytest.raises(UnreachableError, match=r"nothing came for 0\.3 s"),
    ):
        session.document(Answer, "/v1/x", what="x")


def test_the_token_stays_with_the_registry(make_server: Callable[..., Server]) -> None:
    ours, theirs = make_server(), make_server()
    ours.then(307, b"", Location=f"{theirs.url}/blob?signed=1")
    theirs.then(200, {"name": "blob"})
    with Session(Connection(ours.url, "flowctl_t"), QUICK) as session:
        assert session.document(Answer, "/v1/x", what="x").name == "blob"
        with session.stream(f"{theirs.url}/more", what="more") as response:
            assert b"blob" in response.read()
    assert [each[2] for each in theirs.asked] == [None, None]


def test_a_changing_request_follows_nowhere(make_server: Callable[..., Server]) -> None:
    ours, theirs = make_server(), make_server()
    ours.then(307, b"", Location=f"{theirs.url}/v1/x")
    theirs.then(200, {"name": "blob"})
    with Session(Connection(ours.url, "flowctl_t"), QUICK) as session, pytest.raises(RemoteError, match="status 307"):
        session.ask("PUT", "/v1/x", Answer, what="x", body={"secret": 1})
    assert theirs.asked == []


def test_a_stream_that_breaks_off_is_told(server: Server) -> None:
    def half(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(206)
        handler.send_header("Content-Length", "10")
        handler.end_headers()
        handler.wfile.write(b"12345")
        hang_up(handler)

    server.then_do(half)
    got = b""
    with Session(Connection(server.url), QUICK) as session, pytest.raises(UnreachableError):  # noqa: SIM117
        with session.stream("/v1/x", what="x", headers={"Range": "bytes=5-"}) as response:
            assert response.status_code == 206
            for piece in response.iter_bytes():
                got += piece
    assert got == b"12345"


def test_a_certificate_is_checked_and_an_authority_may_be_named(
    make_server: Callable[..., Server], tmp_path: Path
) -> None:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=here",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "ca.pem"],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "ca.pem", tmp_path / "key.pem")
    server = make_server(context).then(200, {"name": "here"})
    with (
        Session(Connection(server.url), QUICK) as session,
        pytest.raises(UnreachableError, match="CERTIFICATE") as caught,
    ):
        session.document(Answer, "/v1/x", what="x")
    assert caught.value.hint is not None and "`ca`" in caught.value.hint
    with Session(Connection(server.url, ca=tmp_path / "ca.pem"), QUICK) as session:
        assert session.document(Answer, "/v1/x", what="x").name == "here"
    (tmp_path / "no.pem").write_text("no certificate")
    with pytest.raises(ConfigError, match="no file of certificate authorities"):
        Session(Connection(server.url, ca=tmp_path / "no.pem"))


def test_a_proxy_is_asked_in_place_of_the_registry(make_server: Callable[..., Server]) -> None:
    proxy = make_server().then(200, {"name": "by the proxy"})
    with Session(Connection("http://127.0.0.1:9", proxy=proxy.url), QUICK) as session:
        assert session.document(Answer, "/v1/x", what="x").name == "by the proxy"
    assert proxy.asked == [("GET", "http://127.0.0.1:9/v1/x", None)]
    with pytest.raises(ConfigError, match=r"proxy for registry\.example") as caught:
        Session(Connection("https://registry.example", proxy="ftp://me:secret@host"))
    assert "secret" not in f"{caught.value.message}{caught.value.hint}{caught.value.output}"


def test_near_names_are_told(server: Server) -> None:
    server.then(200, {"items": [{"namespace": "acme", "name": "greeting"}, {"namespace": "acme", "name": "other"}]})
    with Session(Connection(server.url), QUICK) as session:
        error = with_near_names(session, NotFoundError("no acme/greting"), "acme", "greting")
        assert error.hint == "Did you mean acme/greeting?"
        server.script[:] = []
        server.then(500, {})
        same = with_near_names(session, NotFoundError("no acme/greting", hint="h"), "acme", "greting")
    assert same.hint == "h"
