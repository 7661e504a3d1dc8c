"""The real command in a process of its own, with a home and a cache of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

FLOWCTL = Path(sys.prefix) / "bin" / "flowctl"


@dataclass
class Flowctl:
    """Runs `flowctl` with an environment that no developer's settings reach."""

    home: Path
    environment: dict[str, str]
    before: tuple[str, ...] = ()
    """What starts the command: `unshare -n`, say."""

    def run(self, *arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.before, str(FLOWCTL), *arguments],
            cwd=cwd,
            env={**self.environment, **environment},
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            check=False,
            timeout=300,
        )

    def start(self, *arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*self.before, str(FLOWCTL), *arguments],
            cwd=cwd,
            env={**self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="surrogateescape",
        )

    def ok(self, *arguments: str, cwd: Path | None = None, **environment: str) -> str:
        done = self.run(*arguments, cwd=cwd, **environment)
        assert done.returncode == 0, f"{arguments}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def json(self, *arguments: str, cwd: Path | None = None, **environment: str) -> Any:
        return json.loads(self.ok(*arguments, "-o", "json", cwd=cwd, **environment))

    def failure(self, *arguments: str, cwd: Path | None = None, **environment: str) -> dict[str, Any]:
        """The error document of a command that must fail, after checking that it agrees with the exit code."""
        done = self.run(*arguments, "-o", "json", cwd=cwd, **environment)
        assert done.returncode != 0, done.stdout
        assert "Traceback" not in done.stderr, done.stderr
        error = json.loads(done.stdout)["error"]
        assert error["exit_code"] == done.returncode
        return dict(error)


@pytest.fixture
def flowctl(tmp_path_factory: pytest.TempPathFactory) -> Flowctl:
    home = tmp_path_factory.mktemp("home")
    kept = ("PATH", "LANG", "LC_ALL", "TMPDIR", "SSL_CERT_FILE", "GOPROXY", "GOFLAGS", "GOCACHE", "GOMODCACHE")
    prefixes = ("PIP_", "UV_", "npm_config_", "NPM_CONFIG_", "CARGO_", "RUSTUP_")
    environment = {name: value for name, value in os.environ.items() if name in kept or name.startswith(prefixes)}
    environment.update(HOME=str(home), FLOWCTL_CACHE_DIR=str(home / "cache"))
    for name, folder in (("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup"), ("GOPATH", "go")):
        environment.setdefault(name, str(Path.home() / folder))  # toolchains and their downloads are shared
    environment.setdefault("GOCACHE", str(Path.home() / ".cache" / "go-build"))
    return Flowctl(home, environment)


@pytest.fixture
def unprivileged(flowctl: Flowctl) -> Flowctl:
    """The command without root's right to read and write everything; a user's own is like that anyway."""
    closed = flowctl.home / "closed"
    closed.touch(mode=0)
    if not os.access(closed, os.R_OK):
        return flowctl
    # Still root by name, so that it may enter the folders that pytest made for root alone.
    return replace(flowctl, before=("setpriv", "--bounding-set=-all", "--inh-caps=-all"))


@pytest.fixture
def tree(tmp_path: Path) -> Callable[..., Path]:
    """Writes a dict of files into a fresh folder."""

    def make(files: dict[str, str], name: str = "component") -> Path:
        root = tmp_path / name
        for path, text in files.items():
            file = root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
            if text.startswith("#!"):
                file.chmod(0o755)
        return root

    return make


@dataclass
class Greeter:
    """A component that sh builds from word.txt, and what it takes to see that nothing is lost."""

    root: Path

    def write(self, path: str, text: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def mend(self) -> None:
        """Give the build command back that works."""
        self.write("make.sh", MAKE_GREETER)

    @property
    def log(self) -> Path:
        return self.root.parent / f"{self.root.name}.runs"

    @property
    def runs(self) -> int:
        """How often the build command ran to its end."""
        return len(self.log.read_text().splitlines()) if self.log.exists() else 0

    def say(self) -> str:
        """What the program says, started from elsewhere through the link in the component's folder."""
        return subprocess.run(
            [self.root / "greeter"], capture_output=True, text=True, check=True, cwd="/"
        ).stdout.strip()

    def leftovers(self) -> list[str]:
        """Temporary and staging files in `.flowctl`."""
        names = (path.name for path in (self.root / ".flowctl").rglob("*"))
        return sorted(name for name in names if name.startswith("staging-") or name.endswith(".tmp"))


GREETER = """\
apiVersion: component.flowctl.io/v1
kind: ComponentSpec
metadata: {name: greeter, version: v1.2.0}
spec:
  type: source
  interface: {outputEventTypes: [greeting.v1]}
  build: {native: {command: [sh, make.sh], binary: out/greeter}}
"""
MAKE_GREETER = """\
set -e
mkdir -p out
{ echo '#!/bin/sh'; echo "echo $(cat word.txt)"; } > out/greeter.new
chmod +x out/greeter.new
mv out/greeter.new out/greeter
echo ran >> "../${PWD##*/}.runs"
"""


@pytest.fixture
def greeter(tree: Callable[..., Path]) -> Callable[..., Greeter]:
    """Writes a component that needs no toolchain but sh; more files, or others, by name."""

    def make(name: str = "greeter source", **files: str) -> Greeter:
        standard = {"component.yaml": GREETER, "make.sh": MAKE_GREETER, "word.txt": "hello", ".gitignore": "out/\n"}
        return Greeter(tree({**standard, **{k.replace("__", "."): v for k, v in files.items()}}, name))

    return make
