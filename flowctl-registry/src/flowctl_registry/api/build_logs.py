"""Logs of builds, as text and as a stream of events."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import anyio
from anyio import to_thread
from starlette.responses import Response, StreamingResponse

from flowctl_registry.api.routing import Call, Endpoint
from flowctl_registry.builds import log_reading, timeline
from flowctl_registry.builds.log_reading import ENDED, PAGE, LogPiece, Selection
from flowctl_registry.errors import BadRequestError, UnavailableError
from flowctl_registry.models.build import LogQuery

if TYPE_CHECKING:
    from sse_starlette import ServerSentEvent

_LOOK_S = 0.5
_HEARTBEAT_S = 15
_AGAIN_MS = 1_000
_FRESH = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def show(call: Call) -> Response:
    """What its steps have printed up to now, in order; a line `==> STEP PLATFORM <==` says whose output follows."""
    wanted = _selection(call)
    _, first = log_reading.read(call.services, wanted)
    content = log_reading.text(call.services, wanted, first)
    return StreamingResponse(content, media_type="text/plain; charset=utf-8", headers=_FRESH)


async def follow(call: Call) -> Response:
    """Events `log` (JSON: step, platform, at, text), at last `end` (JSON: state).

    The id of an event is its number: `Last-Event-ID` goes on behind it. The registry ends long streams without `end`;
    clients ask again, as browsers' EventSource does.
    """
    from sse_starlette import EventSourceResponse  # not while the service starts

    sent = call.request.headers.get("last-event-id", "").strip() or "0"
    if not re.fullmatch(r"[0-9]{1,18}", sent):
        raise BadRequestError("Last-Event-ID is no number of an event", hint="Send the `id` of the last event.")
    if call.request.method == "HEAD":
        return Response(media_type="text/event-stream", headers=_FRESH)
    return EventSourceResponse(_events(call, int(sent)), ping=_HEARTBEAT_S, headers=_FRESH)


async def _events(call: Call, after: int) -> AsyncIterator[ServerSentEvent]:
    wanted = _selection(call)
    deadline = anyio.current_time() + call.services.settings.builds.log_stream_s
    while True:
        try:
            state, pieces = await to_thread.run_sync(log_reading.read, call.services, wanted, after)
        except UnavailableError:  # the client asks again, and is told so if that lasts
            return
        for piece in pieces:
            after = piece.sequence
            yield _event("log", _told(piece), str(after))
        if len(pieces) == PAGE:
            continue
        if state in ENDED:
            yield _event("end", {"state": state})
            return
        if anyio.current_time() > deadline or call.request.app.state.is_ending():
            return
        await anyio.sleep(_LOOK_S)


def _event(kind: str, data: dict[str, Any], identity: str | None = None) -> ServerSentEvent:
    from sse_starlette import ServerSentEvent

    return ServerSentEvent(json.dumps(data), event=kind, id=identity, retry=_AGAIN_MS)


def _told(piece: LogPiece) -> dict[str, Any]:
    return {
        "step": piece.step,
        "platform": piece.platform or None,
        "at": piece.at.isoformat(timespec="milliseconds"),
        "text": piece.text,
    }


def _selection(call: Call) -> Selection:
    query: LogQuery = call.query
    return Selection(call.path["build"], query.step, query.platform)


ENDPOINTS = (
    Endpoint(
        "GET", "/v1/builds/{build}/logs", show, "read", "A build's log as text", "builds",
        query=LogQuery, media_type="text/plain", place=timeline.BUILD,
    ),
    Endpoint(
        "GET", "/v1/builds/{build}/logs/events", follow, "read", "Follow a build's log", "builds",
        query=LogQuery, media_type="text/event-stream", place=timeline.BUILD,
    ),
)  # fmt: skip
