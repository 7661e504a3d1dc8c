"""Reads what a client asks of a forward proxy: CONNECT, or a plain HTTP request with an absolute URL."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

import h11

_HEAD_BYTES = 65_536
_HOST = re.compile(r"[a-z0-9._:%-]{1,253}")
_HOP_BY_HOP = frozenset(
    {b"connection", b"proxy-connection", b"keep-alive", b"te", b"upgrade", b"proxy-authorization", b"host"}
)


class BadRequest(Exception):  # noqa: N818 - answered with the status of that name
    """It is no request that a proxy can carry out."""


@dataclass(frozen=True)
class Request:
    """Where the client wants to go."""

    host: str
    """Lower case, without brackets or a last dot."""
    port: int
    head: bytes | None
    """What the server gets first, for one request and no other; None for CONNECT."""


async def read_request(reader: asyncio.StreamReader) -> Request:
    """Read one head. Raises BadRequest, and asyncio.IncompleteReadError when the client hangs up."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError:
        raise BadRequest("the head of the request is too long") from None
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=_HEAD_BYTES)
    try:
        connection.receive_data(head)
        event = connection.next_event()
    except h11.RemoteProtocolError as error:
        raise BadRequest(str(error)) from None
    if not isinstance(event, h11.Request):
        raise BadRequest("the head of the request is incomplete")
    target = event.target.decode("ascii", "replace")
    if event.method == b"CONNECT":
        host, port = _authority(target, None)
        return Request(host, port, None)
    try:
        url = urlsplit(target)
        authority = url.netloc.rpartition("@")[2]
    except ValueError:
        raise BadRequest("the URL is malformed") from None
    if url.scheme.lower() != "http" or not authority:
        raise BadRequest("a proxy takes CONNECT, or a request with an http:// URL")
    host, port = _authority(authority, 80)
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    lines = [b"%s %s HTTP/1.1" % (event.method, path.encode()), b"Host: " + authority.encode()]
    lines += [b"%s: %s" % (name, value) for name, value in event.headers if name not in _HOP_BY_HOP]
    lines.append(b"Connection: close")
    return Request(host, port, b"\r\n".join(lines) + b"\r\n\r\n")


def _authority(text: str, default: int | None) -> tuple[str, int]:
    try:
        url = urlsplit(f"//{text}")
        host, port = url.hostname, url.port or default
    except ValueError:
        raise BadRequest(f"{text!r} is no host and port") from None
    if not host or port is None or url.path or url.query or url.username is not None:
        raise BadRequest(f"{text!r} is no host and port")
    host = host.lower().rstrip(".")
    if not _HOST.fullmatch(host):
        raise BadRequest("the name of the host is malformed")
    return host, port
