"""Programs that come as Go modules: the one on PATH, else built once into the user's cache."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.conftest import find_tool, unavailable

MODULES = {
    "versitygw": "github.com/versity/versitygw/cmd/versitygw@v1.8.0",
    "crane": "github.com/google/go-containerregistry/cmd/crane@v0.20.6",
    "cosign": "github.com/sigstore/cosign/v3/cmd/cosign@v3.1.2",
    "conformance": "github.com/opencontainers/distribution-spec/conformance@v0.0.0-20260831232431-97274622c111",
}


def go_tool(name: str) -> Path:
    """The program. Ends the test where there is no Go to build it with."""
    found = shutil.which(name)
    if found is not None:
        return Path(found)
    module = MODULES[name]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "flowctl-test-tools" / module.replace("/", "_")
    if (folder / name).exists():
        return folder / name
    go = find_tool("go")
    if go is None:
        unavailable(f"{name}, and no go that could build it,")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:  # tests run in several processes
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / name).exists():
            building = folder / "building"
            environment = {**os.environ, "GOBIN": str(building), "GOFLAGS": "-mod=mod", "CGO_ENABLED": "0"}
            done = subprocess.run([str(go), "install", module], env=environment, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            (building / name).rename(folder / name)
    return folder / name


if __name__ == "__main__":
    for each in sys.argv[1:]:
        go_tool(each)
