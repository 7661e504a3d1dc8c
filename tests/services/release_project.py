"""A component whose program is busybox, built by flowctl."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.conftest import unavailable

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

GO_COMPONENT = """\
apiVersion: component.flowctl.io/v1
kind: ComponentSpec
metadata: {{name: {name}, version: {version}, description: Says where it runs, license: Apache-2.0}}
spec:
  type: source
  languages:
    - name: go
      build: {{container: {{base: scratch}}}}
"""
MAIN = """\
package main

import (
	"fmt"
	"runtime"
)

func main() { fmt.Println("a word from", runtime.GOOS+"/"+runtime.GOARCH) }
"""


def build_go_release(root: Path, home: Path, name: str, version: str, platforms: tuple[str, ...]) -> Path:
    """The `dist/` of a new component in Go, which says for which platform it was built."""
    (root / "component.yaml").write_text(GO_COMPONENT.format(name=name, version=version))
    (root / "go.mod").write_text(f"module example.com/{name}\n\ngo 1.23\n")
    (root / "main.go").write_text(MAIN)
    return _build(root, home, platforms)


def build_release(root: Path, home: Path, name: str, version: str, platforms: tuple[str, ...], more: str = "") -> Path:
    """The `dist/` of a new component in an empty folder; `more` ends the command that makes its program."""
    busybox = shutil.which("busybox")
    if busybox is None:
        unavailable("busybox (Debian: busybox-static), a static program for an image from scratch")
    (root / "component.yaml").write_text(COMPONENT.format(name=name, version=version))
    (root / "make.sh").write_text(f"mkdir -p bin && cp {busybox} bin/{name}{more}\n")
    return _build(root, home, platforms)


def _build(root: Path, home: Path, platforms: tuple[str, ...]) -> Path:
    identity = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    for words in (("init", "--quiet"), ("add", "--all"), ("commit", "--quiet", "--message", "first")):
        subprocess.run(["git", *identity, *words], cwd=root, check=True)
    environment = {**os.environ, "HOME": str(home), "FLOWCTL_CACHE_DIR": str(home / "cache")}
    command = [Path(sys.prefix) / "bin" / "flowctl", "component", "build", "--platforms", ",".join(platforms)]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return root / "dist"
