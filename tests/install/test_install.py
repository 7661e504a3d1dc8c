"""Installing what a registry published: the right version, verified, runnable."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

from .conftest import User


def test_a_component_is_verified_and_runs(user: User, published: Callable[..., str]) -> None:
    name = published("1.2.0")
    report = user.json("component", "install", name)
    (installed,) = report["components"]
    assert (installed["version"], installed["state"]) == ("1.2.0", "installed")
    assert [each["check"] for each in installed["checks"]] == [
        "digest", "signature", "tlog", "identity", "statement", "builder", "sbom",
    ]  # fmt: skip
    assert not {"failed", "not reached"} & {each["verdict"] for each in installed["checks"]}
    assert (user.bin / "greeting").resolve() == Path(installed["path"]) / "binaries" / "greeting-linux-amd64"
    said = subprocess.run([user.bin / "greeting", "true"], capture_output=True, text=True)
    assert said.returncode in (0, 127), said.stderr  # busybox knows no applet of the name: it ran
    again = user.json("component", "install", name)
    assert again["components"][0]["state"] == "unchanged" and again["components"][0]["received"] == 0
