"""A proxy before an S3 server that can refuse, be slow, cut connections, or answer errors."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import Literal

Mode = Literal["well", "refusing", "slow", "cutting", "erring"]
_ERROR = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/xml\r\nContent-Length: 41\r\n"
    b"Connection: close\r\n\r\n<Error><Code>ServiceUnavailable</Code></Er"
)


class StoreProxy:
    """Listens at 127.0.0.1; `mode` may be changed at any time, also in the middle of a transfer."""

    def __init__(self, port: int) -> None:
        self.mode: Mode = "well"
        self.cut_after = 1000
        """Bytes of a direction that "cutting" lets through."""
        self._target = port
        self._server = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._server.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client:
            if self.mode == "refusing":
                return
            if self.mode == "erring":
                with contextlib.suppress(OSError):
                    client.recv(65536)
                    client.sendall(_ERROR)
                return
            with socket.create_connection(("127.0.0.1", self._target)) as server:
                back = threading.Thread(target=self._pass, args=(server, client), daemon=True)
                back.start()
                self._pass(client, server)
                back.join()

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        passed = 0
        try:
            while data := source.recv(16384):
                if self.mode == "slow":
                    time.sleep(0.3)
                if self.mode in ("refusing", "erring"):
                    break
                if self.mode == "cutting":
                    data = data[: max(0, self.cut_after - passed)]
                    if not data:
                        break
                target.sendall(data)
                passed += len(data)
        except OSError:
            pass
        for each in (source, target):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
