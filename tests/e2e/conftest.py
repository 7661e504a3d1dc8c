"""The real command in a process of its own, with a home and a cache of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

FLOWCTL = Path(sys.prefix) / "bin" / "flowctl"


@dataclass
class Flowctl:
    """Runs `flowctl` with an environment that no developer's settings reach."""

    home: Path
    environment: dict[str, str]

    def run(self, *arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(FLOWCTL), *arguments],
            cwd=cwd,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    def start(self, *arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(FLOWCTL), *arguments],
            cwd=cwd,
            env={**self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
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
