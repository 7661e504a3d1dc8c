"""The demo comes to its end: built, tested, run, released, published on a registry, installed elsewhere, verified, run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.conftest import ROOT

from git_server import git

pytestmark = [pytest.mark.timeout(1500)]


def test_the_demo_tells_the_whole_story(tmp_path: Path) -> None:
    listed = subprocess.run(["git", "ls-files", "-z", "examples"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in filter(None, listed.decode().split("\0")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)  # a demo builds where its examples are
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "--all")
    git(tmp_path, "commit", "-q", "-m", "all of it")
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    environment = {**os.environ, "CI": "true", "XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, tmp_path / "examples" / "demo.py", "go-source"],
        cwd=tmp_path, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "1 of 1 components built, tested and run" in done.stdout
    assert "was built by the registry, installed elsewhere, verified and run: 14 lines" in done.stdout
    assert "==> build linux/arm64: succeeded" in done.stderr
