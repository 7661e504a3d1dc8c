"""Carries bytes between a client and a server in both directions, and counts them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass

CHUNK = 65_536
_IDLE_S = 300.0
"""How long nothing may move in either direction."""
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Visit:
    """A connection that was asked for."""

    host: str
    port: int
    bytes_sent: int = 0
    bytes_received: int = 0
    refused: str | None = None
    """Why it was not made, or ended early."""


async def carry(client: Streams, server: Streams, visit: Visit, take: Callable[[int], None]) -> None:
    """Until both sides have said all. `take` is told of all bytes; what it raises ends the connection.

    Raises TimeoutError when nothing moves any more, and OSError when a side breaks off.
    """
    moved = asyncio.get_running_loop().time()

    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, up: bool) -> None:
        nonlocal moved
        now = asyncio.get_running_loop().time
        while True:
            try:
                async with asyncio.timeout(_IDLE_S):
                    data = await source.read(CHUNK)
            except TimeoutError:
                if now() - moved >= _IDLE_S:
                    raise
                continue  # the other direction moves
            if not data:
                break
            take(len(data))
            if up:
                visit.bytes_sent += len(data)
            else:
                visit.bytes_received += len(data)
            sink.write(data)
            await sink.drain()
            moved = now()
        with contextlib.suppress(OSError):
            sink.write_eof()

    pumps = [
        asyncio.create_task(pump(client[0], server[1], up=True)),
        asyncio.create_task(pump(server[0], client[1], up=False)),
    ]
    try:
        await asyncio.gather(*pumps)
    finally:
        for each in pumps:
            each.cancel()
