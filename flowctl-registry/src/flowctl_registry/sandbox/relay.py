"""Carries connections from the loopback of a sandbox to the proxy's socket. Standard library only.

It is run by its path: `relay.py LISTENER_FD SOCKET`.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import threading

_CHUNK = 65_536


def relay(listener: socket.socket, proxy: str) -> None:
    """Accept until the sandbox ends."""
    while True:
        client, _ = listener.accept()
        threading.Thread(target=_carry, args=(client, proxy), daemon=True).start()


def _carry(client: socket.socket, proxy: str) -> None:
    with client, socket.socket(socket.AF_UNIX) as outside:
        try:
            outside.connect(proxy)
        except OSError:
            return
        back = threading.Thread(target=_pump, args=(outside, client), daemon=True)
        back.start()
        _pump(client, outside)
        back.join()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(_CHUNK):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


if __name__ == "__main__":
    relay(socket.socket(fileno=int(sys.argv[1])), sys.argv[2])
