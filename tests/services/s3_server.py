"""A real S3 server (versitygw) over a folder, and new buckets in it."""

from __future__ import annotations

import os
import shutil
import socket
import uuid
from pathlib import Path

from go_tools import go_tool
from server_process import ServerProcess, free_port


class S3Server:
    """Listens at 127.0.0.1; `start`, `stop` and `kill` may be called again and again."""

    access_key = "flowctl"
    secret_key = "not-a-secret-of-anybody"
    region = "us-east-1"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.buckets = folder / "buckets"
        self.buckets.mkdir(parents=True)
        self.port = free_port()
        command: list[str | Path] = [go_tool("versitygw"), "--access", self.access_key, "--secret", self.secret_key]
        command += ["--region", self.region, "--port", f"127.0.0.1:{self.port}", "--quiet", "posix"]
        if not _keeps_attributes(self.buckets):
            (folder / "attributes").mkdir()
            command += ["--sidecar", folder / "attributes"]
        self.server = ServerProcess([*command, self.buckets], folder / "log", self._answers)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.server.start()

    def stop(self) -> None:
        self.server.stop()

    def close(self) -> None:
        if self.server.process is not None:
            self.server.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def bucket(self) -> str:
        """Name of a new, empty bucket."""
        name = f"test-{uuid.uuid4().hex[:12]}"
        (self.buckets / name).mkdir()
        return name

    def options(self, endpoint: str | None = None) -> dict[str, str]:
        """obstore's options for it; `endpoint` is a proxy's address."""
        return {
            "endpoint": endpoint or self.endpoint,
            "access_key_id": self.access_key,
            "secret_access_key": self.secret_key,
            "region": self.region,
            "allow_http": "true",
            "virtual_hosted_style_request": "false",
        }

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def _keeps_attributes(folder: Path) -> bool:
    try:
        os.setxattr(folder, "user.flowctl", b"1")
        os.removexattr(folder, "user.flowctl")
    except OSError:
        return False
    return True
