"""Reading a request's body with a limit of size and of patience."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
from starlette.requests import ClientDisconnect, Request

from flowctl_registry.errors import BadRequestError, TooLargeError
from flowctl_registry.settings import Limits


async def chunks(request: Request, limits: Limits) -> AsyncIterator[bytes]:
    """The body as it comes in. Raises BadRequestError for a client that stops sending, or sends too slowly."""
    stream = request.stream().__aiter__()
    patience, rate = limits.receive_timeout_s, limits.receive_bytes_per_s
    waited, received = 0.0, 0
    while True:
        asked = anyio.current_time()
        try:
            with anyio.fail_after(patience):
                chunk = await anext(stream)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise BadRequestError(f"nothing came for {patience:g} s") from None
        except ClientDisconnect:
            raise BadRequestError("the client went away in the middle of the body") from None
        received += len(chunk)
        waited += anyio.current_time() - asked  # for the client; what the store takes is not its fault
        if waited > patience and received < rate * waited:
            raise BadRequestError(f"fewer than {rate} bytes a second came")
        yield chunk


async def read_body(request: Request, limit: int, limits: Limits) -> bytes:
    """A small body. Raises TooLargeError, BadRequestError."""
    if request.headers.get("content-encoding", "identity") != "identity":
        raise BadRequestError("compressed bodies are not taken")
    data = bytearray()
    async for chunk in chunks(request, limits):
        data += chunk
        if len(data) > limit:
            raise TooLargeError(f"the body has more than {limit} bytes")
    return bytes(data)
