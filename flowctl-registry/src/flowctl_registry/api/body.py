"""Reading a request's body with a limit of size and of patience."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
from starlette.requests import ClientDisconnect, Request

from flowctl_registry.errors import BadRequestError, TooLargeError


async def chunks(request: Request, timeout_s: float) -> AsyncIterator[bytes]:
    """The body as it comes in. Raises BadRequestError for a client that stops sending."""
    stream = request.stream().__aiter__()
    while True:
        try:
            with anyio.fail_after(timeout_s):
                chunk = await anext(stream)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise BadRequestError(f"nothing came for {timeout_s:.0f} s") from None
        except ClientDisconnect:
            raise BadRequestError("the client went away in the middle of the body") from None
        yield chunk


async def read_body(request: Request, limit: int, timeout_s: float) -> bytes:
    """A small body. Raises TooLargeError, BadRequestError."""
    if request.headers.get("content-encoding", "identity") != "identity":
        raise BadRequestError("compressed bodies are not taken")
    data = bytearray()
    async for chunk in chunks(request, timeout_s):
        data += chunk
        if len(data) > limit:
            raise TooLargeError(f"the body has more than {limit} bytes")
    return bytes(data)
