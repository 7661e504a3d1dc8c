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


def build_release(root: Path, home: Path, name: str, version: str, platforms: tuple[str, ...]) -> Path:
    """The `dist/` of a new component in an empty folder."""
    busybox = shutil.which("busybox")
    if busybox is None:
        unavailable("busybox (Debian: busybox-static), a static program for an image from scratch")
    (root / "component.yaml").write_text(COMPONENT.format(name=name, version=version))
    (root / "make.sh").write_text(f"mkdir -p bin && cp {busybox} bin/{name}\n")
    identity = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    for words in (("init", "--quiet"), ("add", "--all"), ("commit", "--quiet", "--message", "first")):
        subprocess.run(["git", *identity, *words], cwd=root, check=True)
    environment = {**os.environ, "HOME": str(home), "FLOWCTL_CACHE_DIR": str(home / "cache")}
    command = [Path(sys.prefix) / "bin" / "flowctl", "component", "build", "--platforms", ",".join(platforms)]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return root / "dist"
