"""A build's log over connections that break: every piece once, in order."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from flowctl_core.client.following import follow_log, read_events
from flowctl_core.client.session import Patience, Session
from flowctl_core.connection import Connection
from flowctl_core.errors import NotFoundError, RemoteError

BUILD = "0" * 32
QUICK = Patience(connect_s=2, read_s=2, total_s=2, attempts=1)


@dataclass
class Stream:
    """A log of ten pieces that breaks off where a test says."""

    url: str = ""
    breaks: list[int] = field(default_factory=list)
    """After how many pieces, in turn."""
    asked: list[str | None] = field(default_factory=list)
    """`Last-Event-ID` of each connection."""
    status: list[int] = field(default_factory=list)


@pytest.fixture
def stream() -> Iterator[Stream]:
    made = Stream()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.asked.append(self.headers.get("Last-Event-ID"))
            if made.status:
                self.send_response(made.status.pop(0))
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            left = made.breaks.pop(0) if made.breaks else 100
            for number in range(int(self.headers.get("Last-Event-ID", 0)) + 1, 11):
                if left == 0:
                    self.wfile.write(b"id: 99\nevent: log\ndata: {half")
                    return
                left -= 1
                piece = {"step": "build", "platform": "linux/amd64", "at": "now", "text": f"line {number}\n"}
                self.wfile.write(f": still here\r\n\r\nid: {number}\r\nevent: log\r\n".encode())
                self.wfile.write(f"data: {json.dumps(piece)}\r\n\r\n".encode())
            self.wfile.write(b'event: end\ndata: {"state": "succeeded"}\n\n')

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield made
    server.shutdown()
    server.server_close()
    thread.join()


def read(stream: Stream) -> tuple[list[str], list[str]]:
    lost: list[str] = []
    with Session(Connection(stream.url), QUICK) as session:
        pieces = [
            piece.text
            for piece in follow_log(
                session, BUILD, lost=lambda error: lost.append(error.message), sleep=lambda seconds: None
            )
        ]
    return pieces, lost


def test_the_log_goes_on_where_it_broke_off(stream: Stream) -> None:
    stream.breaks = [3, 0, 4]
    pieces, _ = read(stream)
    assert pieces == [f"line {number}\n" for number in range(1, 11)]
    assert stream.asked == [None, "3", "3", "7"]


def test_a_registry_that_is_away_is_waited_for_and_told_of_once(stream: Stream) -> None:
    stream.status = [503, 502, 504]
    pieces, lost = read(stream)
    assert len(pieces) == 10 and len(lost) == 1


def test_what_the_registry_refuses_ends_it(stream: Stream) -> None:
    stream.status = [404]
    with pytest.raises(NotFoundError):
        read(stream)


def test_strange_events_are_left_out() -> None:
    text = b"data: not json\n\nevent: log\ndata: a\ndata: b\n\nid: 5\n\nevent: log\ndata: {}\nid: 7\n\nretry: 5\n\n"
    assert [(each.kind, each.data, each.id) for each in read_events([text[:9], text[9:]])] == [
        ("message", "not json", ""), ("log", "a\nb", ""), ("log", "{}", "7"),
    ]  # fmt: skip


def test_a_line_without_end_is_not_kept() -> None:
    with pytest.raises(RemoteError, match="too long"):
        list(read_events(b"x" * 100_000 for _ in range(1000)))
    with pytest.raises(RemoteError, match="too large"):
        list(read_events(b"data: " + b"x" * 100_000 + b"\n" for _ in range(1000)))
