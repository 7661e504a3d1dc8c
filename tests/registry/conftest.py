"""A registry that runs, and releases to publish in it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from tests.conftest import unavailable

from .client import Client

BIN = Path(sys.prefix) / "bin"
COMPONENT = """\
apiVersion: component.flowctl.io/v1
kind: ComponentSpec
metadata:
  name: {name}
  version: {version}
  description: Greets whoever asks
  license: Apache-2.0
  tags: [greeting, demo]
spec:
  type: processor
  interface:
    inputEventTypes: [demo.asked]
    outputEventTypes: [demo.greeted]
  build:
    native: {{command: [sh, make.sh], binary: bin/{name}}}
    container: {{base: scratch}}
"""


@dataclass
class Registry:
    """A running registry."""

    urls: tuple[str, ...]
    data: Path
    environment: dict[str, str]
    token: str | None = None
    """Of an administrator."""

    def client(self, token: str | None = None) -> Client:
        return Client(self.urls, token or self.token)

    def command(self, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """`flowctl-registry` with this registry's settings."""
        done = subprocess.run([BIN / "flowctl-registry", *words], env=self.environment, capture_output=True, text=True)
        assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def namespace(self) -> str:
        """A new public one, so that tests which share a registry do not meet."""
        from sqlalchemy import insert

        from flowctl_registry.database.engine import now, open_engine, writing
        from flowctl_registry.database.tables import namespaces
        from flowctl_registry.settings import load_settings

        name = f"ns{uuid.uuid4().hex[:10]}"
        engine = open_engine(load_settings(None, self.environment).database)
        writing(engine, lambda c: c.execute(insert(namespaces).values(name=name, private=False, created_at=now(c))))
        engine.dispose()
        return name


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            if httpx.get(url + "/healthz").status_code == 200:
                return
        except httpx.HTTPError:
            time.sleep(0.05)
    raise AssertionError(f"{url} does not answer\n{log.read_text()}")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    folder = tmp_path_factory.mktemp("registry")
    data, port, log = folder / "data", free_port(), folder / "log"
    environment = {**os.environ, "FLOWCTL_REGISTRY_DATA": str(data), "FLOWCTL_REGISTRY_SERVER__PORT": str(port)}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [BIN / "flowctl-registry", "serve"], env=environment, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        url = f"http://127.0.0.1:{port}"
        wait_ready(url, process, log)
        yield Registry((url,), data, environment)
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="session")
def make_release(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Builds a component with flowctl itself and gives its `dist/`; the same arguments give the same folder."""
    busybox = shutil.which("busybox")
    if busybox is None:
        unavailable("busybox (Debian: busybox-static), a static program for an image from scratch")
    made: dict[tuple[str, str], Path] = {}
    home = tmp_path_factory.mktemp("home")

    def make(name: str = "greeting", version: str = "1.2.0") -> Path:
        if (name, version) in made:
            return made[name, version]
        root = tmp_path_factory.mktemp(name)
        (root / "component.yaml").write_text(COMPONENT.format(name=name, version=version))
        (root / "make.sh").write_text(f"mkdir -p bin && cp {busybox} bin/{name}\n")
        identity = ("-c", "user.name=a", "-c", "user.email=a@b.c")
        for words in (("init", "--quiet"), ("add", "--all"), ("commit", "--quiet", "--message", "first")):
            subprocess.run(["git", *identity, *words], cwd=root, check=True)
        environment = {**os.environ, "HOME": str(home), "FLOWCTL_CACHE_DIR": str(home / "cache")}
        command = [BIN / "flowctl", "component", "build", "--platforms", "linux/amd64"]
        done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        made[name, version] = root / "dist"
        return root / "dist"

    return make


@pytest.fixture
def release(make_release: Callable[..., Path]) -> Path:
    """A real release of `greeting` 1.2.0 with a program and an image for linux/amd64."""
    return make_release()
