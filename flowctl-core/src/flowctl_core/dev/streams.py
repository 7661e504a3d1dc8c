"""Carries bytes between a container's attached connection and pipes, which is what taps and feeds work with."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
from typing import Any

_SIZE = 2**18
_HEADER = struct.Struct(">BxxxL")
"""Docker Engine API, ContainerAttach, "Stream format": 1 stdout, 2 stderr; then the number of bytes that follow."""


class OutputPump(threading.Thread):
    """From the connection to a pipe for each stream; ends with the container, or with the connection."""

    def __init__(self, connection: Any, pipes: dict[int, int]) -> None:
        """`pipes`: stream number to the writing end of its pipe, which is closed at the end; others are dropped."""
        super().__init__(name="container output", daemon=True)
        self._connection = connection
        self._pipes = pipes

    def run(self) -> None:
        """Carry until the end."""
        try:
            while header := self._exactly(_HEADER.size):
                stream, size = _HEADER.unpack(header)
                while size and (data := self._connection.recv(min(size, _SIZE))):
                    size -= len(data)
                    self._give(stream, data)
                if size:
                    return
        except OSError:  # the engine went away: that is the end of the output, too
            return
        finally:
            for pipe in self._pipes.values():
                os.close(pipe)
            with contextlib.suppress(OSError):
                self._connection.close()

    def _exactly(self, size: int) -> bytes:
        """So many bytes; none at the end."""
        data = b""
        while len(data) < size:
            more = self._connection.recv(size - len(data))
            if not more:
                return b""
            data += more
        return data

    def _give(self, stream: int, data: bytes) -> None:
        pipe = self._pipes.get(stream)
        if pipe is None:
            return
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(pipe, view) :]
        except OSError:  # nobody reads any more: the container must not stand still for that
            os.close(self._pipes.pop(stream))


class InputPump(threading.Thread):
    """From a pipe to the connection; the pipe's EOF becomes the container's."""

    def __init__(self, pipe: int, connection: Any) -> None:
        super().__init__(name="container input", daemon=True)
        self._pipe = pipe
        self._connection = connection

    def run(self) -> None:
        """Carry until the EOF or the end of the container, after which writing to the pipe fails as to any process."""
        try:
            while data := os.read(self._pipe, _SIZE):
                self._connection.sendall(data)
            self._connection.shutdown(socket.SHUT_WR)
        except OSError:
            return
        finally:
            os.close(self._pipe)


def plain_socket(attached: Any) -> Any:
    """docker-py gives the connection's socket as it is (TLS), or wrapped in a file object that cannot half-close."""
    return getattr(attached, "_sock", attached)
