"""The wrappers of docs/plugins/wrapping-hooks.md do what that page says, installed beside the builders."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(sys.prefix) / "bin"
SPEC = """\
apiVersion: component.flowctl.io/v1
kind: ComponentSpec
metadata: {name: greeting}
spec: {build: {native: {command: [sh, make.sh], binary: bin/greeting}}}
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel of the sample, as pip puts it into site-packages."""
    folder = tmp_path_factory.mktemp("policy")
    source = shutil.copytree(ROOT / "tests" / "projects" / "flowctl-build-policy", folder / "source")
    done = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, source],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = folder.glob("*.whl")
    shutil.unpack_archive(wheel, folder / "site", "zip")
    return folder / "site"


def flowctl(site: Path | None, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(cwd.parent), "LC_ALL": "C.UTF-8"}
    if site is not None:
        environment["PYTHONPATH"] = str(site)
    return subprocess.run([BIN / "flowctl", *arguments], cwd=cwd, env=environment, capture_output=True, text=True)


@pytest.fixture
def component(tmp_path: Path) -> Path:
    root = tmp_path / "greeting"
    root.mkdir()
    (root / "component.yaml").write_text(SPEC)
    (root / "make.sh").write_text(
        "mkdir -p bin; printf '#!/bin/sh\\necho hi\\n' >bin/greeting; chmod +x bin/greeting\n"
    )
    return root


def test_both_are_listed_as_wrappers(installed: Path, tmp_path: Path) -> None:
    listing = flowctl(installed, "plugin", "list", cwd=tmp_path).stdout
    rows = {line.split()[0]: line.split() for line in listing.splitlines()[1:]}
    assert rows["timing"][4:6] == ["wrapper", "active"]
    assert rows["no-code-in-fetch"][4:6] == ["wrapper", "active"]


def test_timing_speaks_and_is_part_of_the_key(installed: Path, component: Path) -> None:
    assert "built for" in flowctl(None, "component", "build", cwd=component).stdout
    with_timing = flowctl(installed, "component", "build", "--explain", cwd=component)
    assert with_timing.returncode == 0
    assert "building greeting took" in with_timing.stderr
    assert "timing" in with_timing.stdout, "a new wrapper causes a rebuild, and --explain names it"
    assert "up to date" in flowctl(installed, "component", "build", cwd=component).stdout


def test_the_policy_refuses_and_lets_through(installed: Path, component: Path, tmp_path: Path) -> None:
    assert flowctl(installed, "component", "build", cwd=component).returncode == 0
    python = tmp_path / "python"
    python.mkdir()
    (python / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "own_backend"\nbackend-path = ["."]\n'
        '[project]\nname = "python"\nversion = "1"\n[project.scripts]\npython = "main:main"\n'
    )
    (python / "main.py").write_text("def main(): ...\n")
    refused = flowctl(installed, "component", "build", cwd=python)
    assert refused.returncode == 23
    assert "cannot be fetched without running code" in refused.stderr
    assert not (python / ".flowctl" / "env").exists()
