"""Follows a build's log by Server-Sent Events, over as many connections as it takes: no line is lost or told twice.

The format is read here (https://html.spec.whatwg.org/multipage/server-sent-events.html, section 9.2.6) because a
client's library reads lines without a limit, and the registry may be anybody's.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple
from urllib.parse import urlencode

from flowctl_core.client.builds import check_id
from flowctl_core.client.problem import printable
from flowctl_core.client.session import Session
from flowctl_core.errors import RemoteError, UnreachableError

_LONGEST_LINE = 4 * 2**20
_SILENCE_S = 60.0
"""The registry sends a comment every 15 s."""
_GIVE_UP_S = 900.0
_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 15.0


class LogPiece(NamedTuple):
    """What a step printed."""

    step: str
    platform: str | None
    text: str


class _Event(NamedTuple):
    kind: str
    data: str
    id: str


def follow_log(
    session: Session,
    build_id: str,
    *,
    step: str | None = None,
    platform: str | None = None,
    lost: Callable[[RemoteError], None] = lambda _: None,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[LogPiece]:
    """Every piece of a build's log, until the build has ended.

    A connection that breaks is made anew, for a quarter of an hour; `lost` is told the first time of each break. Raises
    RemoteError when the registry refuses, or stays away.
    """
    query = urlencode({k: v for k, v in (("step", step), ("platform", platform)) if v is not None})
    path = f"/v1/builds/{check_id(build_id)}/logs/events{'?' + query if query else ''}"
    last, wait_s, since = "", _FIRST_WAIT_S, time.monotonic()
    broken = False
    while True:
        try:
            headers = {"Accept": "text/event-stream", **({"Last-Event-ID": last} if last else {})}
            what = f"the log of build {build_id}"
            with session.stream(path, what=what, headers=headers, read_s=_SILENCE_S) as response:
                for event in read_events(response.iter_bytes()):
                    last = event.id or last
                    wait_s, since, broken = _FIRST_WAIT_S, time.monotonic(), False
                    if event.kind == "end":
                        return
                    piece = _piece(event)
                    if piece is not None:
                        yield piece
        except UnreachableError as error:
            if time.monotonic() - since > _GIVE_UP_S:
                raise
            if not broken:
                lost(error)
            broken = True
        sleep(wait_s)  # also behind a stream that ended without a word: long ones do
        wait_s = min(2 * wait_s, _LONGEST_WAIT_S)


def read_events(pieces: Iterable[bytes]) -> Iterator[_Event]:
    """The events of a stream. Raises RemoteError for a line that has no end."""
    kind, last = "", ""
    data: list[str] = []
    for line in _lines(pieces):
        if not line:
            if data:
                yield _Event(kind or "message", "\n".join(data), last)
            kind, data = "", []
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            kind = value
        elif name == "data":
            data.append(value)
            if sum(map(len, data)) > _LONGEST_LINE:
                raise RemoteError("an event of the log is too large")
        elif name == "id" and "\0" not in value:
            last = value


def _lines(pieces: Iterable[bytes]) -> Iterator[str]:
    rest = b""
    for piece in pieces:
        rest += piece
        if len(rest) > _LONGEST_LINE and b"\n" not in rest:
            raise RemoteError("a line of the log is too long")
        *whole, rest = rest.split(b"\n")
        for line in whole:
            yield line.removesuffix(b"\r").decode(errors="replace")


def _piece(event: _Event) -> LogPiece | None:
    if event.kind != "log":
        return None
    try:
        said: Any = json.loads(event.data)
        step, platform, text = said["step"], said.get("platform"), said["text"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return LogPiece(printable(str(step)), printable(str(platform)) if platform else None, printable(str(text)))
