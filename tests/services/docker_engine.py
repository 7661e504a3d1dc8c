"""A real Docker engine: the one that runs, else a private one, which ends with the tests."""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flowctl_core.docker_engine.connect import DockerEngine, connect
from flowctl_core.errors import EngineError

_START_S = 120


@pytest.fixture(scope="session")
def docker(give_up: Callable[[str], None]) -> Iterator[DockerEngine]:
    """An engine that answers; a private one has its own images, folders and socket, and ends with the tests."""
    try:
        yield connect()
        return
    except EngineError:
        pass
    if shutil.which("dockerd") is None:
        give_up("no Docker engine runs, and there is no dockerd to start one")
    if os.geteuid() != 0:
        give_up("no Docker engine runs, and only root can start one")
    folder = Path(tempfile.mkdtemp(prefix="flowctl-docker-", dir="/tmp"))  # a socket's path must be short
    (folder / "daemon.json").write_text("{}")
    address = f"unix://{folder}/docker.sock"
    own = {"data-root": "data", "exec-root": "exec", "pidfile": "pid", "config-file": "daemon.json"}
    bridge = f"flowctl{os.getpid()}"[:15]  # of its own: engines share docker0, or remove it
    _make_bridge(bridge)
    command = ["dockerd", "--host", address, "--bridge", bridge, "--iptables=false", "--log-level", "error"]
    command += [f"--{name}={folder}/{place}" for name, place in own.items()]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        yield _started(address, process, folder / "log")
    finally:
        process.terminate()
        process.wait(60)
        _remove_bridge(bridge)
        shutil.rmtree(folder, ignore_errors=True)


def _make_bridge(name: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as system:
        fcntl.ioctl(system, 0x89A0, struct.pack("16s", name.encode()))  # SIOCBRADDBR, linux/sockios.h


def _remove_bridge(name: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as system:
        fcntl.ioctl(system, 0x8914, struct.pack("16sh", name.encode(), 0))  # SIOCSIFFLAGS: down
        fcntl.ioctl(system, 0x89A1, struct.pack("16s", name.encode()))  # SIOCBRDELBR


def _started(address: str, process: subprocess.Popen[bytes], log: Path) -> DockerEngine:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            return connect({"DOCKER_HOST": address})
        except EngineError:
            time.sleep(0.1)
    pytest.fail(f"dockerd did not start: {log.read_text(errors='replace')}", pytrace=False)
