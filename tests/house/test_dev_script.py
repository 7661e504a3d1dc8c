"""`./dev` on machines that lack something: it says what is missing and the command that brings it."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMES = ("python3", "python3.14", "python3.13", "python3.12", "python3.11", "python")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "check out ü"
    folder.mkdir()
    for name in ("dev", "constraints.txt", "pyproject.toml"):
        shutil.copy2(ROOT / name, folder / name)
    (folder / "flowctl-core").mkdir()
    shutil.copy2(ROOT / "flowctl-core" / "pyproject.toml", folder / "flowctl-core")
    return folder


def run(checkout: Path, *arguments: str, pythons: dict[str, str], **variables: str) -> subprocess.CompletedProcess[str]:
    """Run ./dev where each Python name is a script with the given body; the others do not work."""
    bin_folder = checkout.parent / "bin"
    bin_folder.mkdir(exist_ok=True)
    for name in (*NAMES, "uv", "apt-get"):
        path = bin_folder / name
        path.write_text("#!/bin/sh\n" + pythons.get(name, "exit 127") + "\n")
        path.chmod(0o755)
    environment = {"PATH": f"{bin_folder}:/usr/bin:/bin", "HOME": str(checkout.parent), **variables}
    return subprocess.run(
        [str(checkout / "dev"), *arguments], env=environment, capture_output=True, text=True, cwd="/", timeout=120
    )


def test_without_arguments_it_lists_its_commands() -> None:
    done = subprocess.run([str(ROOT / "dev")], capture_output=True, text=True, check=True)
    for name in ("demo", "test", "lint", "types", "docs", "sweep", "bench", "wheels", "shell"):
        assert f" {name} " in done.stdout
    wrong = subprocess.run([str(ROOT / "dev"), "tset"], capture_output=True, text=True)
    assert (wrong.returncode, "usage: ./dev" in wrong.stderr) == (2, True)


def test_every_session_is_a_command() -> None:
    import ast

    tree = ast.parse((ROOT / "noxfile.py").read_text())
    sessions = {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and any(ast.unparse(d) == "nox.session" for d in node.decorator_list)
    }
    assert sessions == {"demo", "tests", "sweep", "lint", "types", "docs", "bench", "wheels", "compatibility"}
    script = (ROOT / "dev").read_text()
    assert all(name in script for name in sessions - {"tests"})


def test_too_old_pythons_are_named_with_their_versions(checkout: Path) -> None:
    done = run(checkout, "test", pythons={"python3": "echo 3.9.2", "python3.12": "exit 1", "python": "echo 2.7.18"})
    assert done.returncode == 1
    assert "Python 3.11 or newer is needed, but python3 is 3.9.2; python is 2.7.18;" in done.stderr
    assert "apt-get install python3" in done.stderr
    assert not (checkout / ".venv").exists()


def test_no_python_at_all(checkout: Path) -> None:
    done = run(checkout, "test", pythons={})
    assert done.returncode == 1
    assert "no python3 that works is on PATH" in done.stderr


def test_a_newer_python_beside_an_old_one_is_taken(checkout: Path) -> None:
    body = 'case "$*" in *version_info*2]*) echo python3.13-venv;; *version_info*) echo 3.13.1;; *) echo "ensurepip is not available"; exit 1;; esac'
    done = run(checkout, "test", pythons={"python3": "echo 3.9.2", "python3.13": body})
    assert "making .venv with" in done.stderr
    assert "bin/python3.13" in done.stderr


def test_a_python_without_venv_gets_the_exact_command(checkout: Path) -> None:
    body = 'case "$*" in *version_info*2]*) echo python3.12-venv;; *version_info*) echo 3.12.1;; *) echo "ensurepip is not available"; exit 1;; esac'
    done = run(checkout, "test", pythons={"python3": body, "apt-get": "exit 100"})
    assert done.returncode == 1
    assert "ensurepip is not available" in done.stderr
    assert "apt-get install -y python3.12-venv" in done.stderr
    if os.getuid() == 0:
        assert "running: apt-get install -y python3.12-venv" in done.stderr
    assert not (checkout / ".venv").exists()


def test_constraints_pin_every_requirement_without_naming_a_host() -> None:
    """When this fails: `./dev lock`."""
    import tomllib

    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert [line for line in lines if "==" not in line or "://" in line] == []
    pinned = {canonicalize_name(Requirement(line).name) for line in lines}
    wanted: set[str] = set()
    for file in ROOT.glob("flowctl-*/pyproject.toml"):
        project = tomllib.loads(file.read_text())["project"]
        extras = [r for group in project.get("optional-dependencies", {}).values() for r in group]
        wanted.update(Requirement(r).name for r in (*project.get("dependencies", ()), *extras))
    wanted.update(
        Requirement(r).name for r in tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]["dev"]
    )
    wanted = {canonicalize_name(name) for name in wanted if not name.startswith("flowctl-")}
    assert wanted - pinned == set()
