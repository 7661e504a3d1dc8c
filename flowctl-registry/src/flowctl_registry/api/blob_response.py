"""Sending a blob: conditions, ranges, and the shortest way that the store and the server have for its bytes."""

from __future__ import annotations

import base64
import logging
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import anyio
import obstore
from anyio import to_thread
from obstore.exceptions import BaseError
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from flowctl_registry.api.ranges import Part, asked_part, precondition
from flowctl_registry.errors import UnavailableError
from flowctl_registry.services import Services

_LOG = logging.getLogger(__name__)
_CHUNK = 256 * 1024
_REDIRECT_FROM = 8_000_000
"""Smaller blobs are not worth a second request."""
_SIGNED_FOR = timedelta(minutes=15)
IMMUTABLE = "public, max-age=31536000, immutable"


async def blob_response(
    services: Services,
    request: Request,
    digest: str,
    size: int,
    media_type: str,
    *,
    filename: str | None = None,
    cache_control: str = IMMUTABLE,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The answer to a GET or HEAD for a blob that the caller may have.

    `filename` is what a browser shall call the file. Raises UnavailableError when the store does not answer.
    """
    etag = f'"{digest}"'
    sha256 = base64.b64encode(bytes.fromhex(digest.removeprefix("sha256:"))).decode()
    told = {
        "ETag": etag,
        "Cache-Control": cache_control,
        "Accept-Ranges": "bytes",
        "Repr-Digest": f"sha-256=:{sha256}:",
        "X-Content-Type-Options": "nosniff",
        **(headers or {}),
    }
    status = precondition(request.headers, etag)
    if status is not None:
        return Response(status_code=status, headers=told)
    told["Content-Type"] = media_type
    if filename is not None:
        told["Content-Disposition"] = content_disposition(filename)
    if request.method == "HEAD":
        return Response(headers=told | {"Content-Length": str(size)})
    part = asked_part(request.headers, etag, size)
    if isinstance(part, int):
        return Response(status_code=part, headers={"Content-Range": f"bytes */{size}", "Accept-Ranges": "bytes"})
    accel = services.settings.server.accel_prefix
    path = services.blobs.path(digest)
    if accel is not None and path is not None:
        told["X-Accel-Redirect"] = f"{accel.rstrip('/')}/{quote(services.blobs.key(digest))}"
        return Response(headers=told)
    if path is None and services.settings.blob_redirect and size >= _REDIRECT_FROM:
        address = await to_thread.run_sync(_signed, services, digest)
        if address is not None:
            return Response(status_code=307, headers={"Location": address, "Cache-Control": "no-store"})
    if part is not None:
        told["Content-Range"] = f"bytes {part.first}-{part.last}/{size}"
    told["Content-Length"] = str(size if part is None else part.size)
    status = 200 if part is None else 206
    whole = Part(0, size - 1)
    if path is None:
        return StreamingResponse(await _from_store(services, digest, part or whole), status, told)
    if _length(path) != size:
        raise UnavailableError(
            f"the blob {digest} is damaged or not there", hint="`flowctl-registry fsck` says what else is."
        )
    if part is None and "http.response.pathsend" in request.scope.get("extensions", {}):
        return _PathResponse(path, told)
    return StreamingResponse(_from_file(path, part or whole), status, told)


def content_disposition(filename: str) -> str:
    """RFC 6266: a name in ASCII for all clients, and the right one for those that know RFC 8187."""
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "._-+=~@,") else "_" for c in filename)
    if plain == filename:
        return f'attachment; filename="{plain}"'
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='')}"


class _PathResponse(Response):
    """A whole file that the server sends itself."""

    def __init__(self, path: Path, headers: Mapping[str, str]) -> None:
        super().__init__(headers=headers)
        self._path = path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.pathsend", "path": str(self._path)})


def _length(path: Path) -> int | None:
    try:
        return path.stat().st_size  # of a file here, quicker than a change of thread
    except OSError:
        return None


async def _from_file(path: Path, part: Part) -> AsyncIterator[bytes]:
    left = part.size
    async with await anyio.open_file(path, "rb", buffering=0) as file:
        await file.seek(part.first)
        while left:
            chunk = await file.read(min(_CHUNK, left))
            if not chunk:
                raise UnavailableError(f"{path.name} is shorter than recorded")
            left -= len(chunk)
            yield chunk


async def _from_store(services: Services, digest: str, part: Part) -> AsyncIterator[bytes]:
    """Begins before the status is sent, so that a store that fails at once is told as such."""
    if part.size == 0:
        return _chunks(None, 0, digest)
    try:
        result = await obstore.get_async(
            services.blobs.objects, services.blobs.key(digest), options={"range": (part.first, part.last + 1)}
        )
        stream: Any = aiter(result.stream(min_chunk_size=_CHUNK))  # obstore's stub declares it no AsyncIterator
        first = bytes(await anext(stream))
    except (FileNotFoundError, StopAsyncIteration):
        raise UnavailableError(f"the blob {digest} is not in the store") from None
    except (BaseError, OSError) as error:
        raise UnavailableError(f"the blob store does not answer ({type(error).__name__})") from error
    return _chunks((first, stream), part.size, digest)


async def _chunks(
    begun: tuple[bytes, AsyncIterator[obstore.Bytes]] | None, size: int, digest: str
) -> AsyncIterator[bytes]:
    if begun is None:
        return
    chunk, stream = begun
    sent = len(chunk)
    yield chunk
    async for each in stream:
        sent += len(each)
        yield bytes(each)
    if sent != size:  # the length was announced: the connection ends with an error, and the client knows
        raise UnavailableError(f"the blob store gave {sent} of {size} bytes of {digest}")


def _signed(services: Services, digest: str) -> str | None:
    try:
        return obstore.sign(services.blobs.objects, "GET", services.blobs.key(digest), _SIGNED_FOR)  # type: ignore[call-overload,no-any-return]
    except (BaseError, TypeError, ValueError) as error:
        _LOG.warning("the blob store signs no addresses: %s", type(error).__name__)
        return None
