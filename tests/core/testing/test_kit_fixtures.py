"""The fixtures that pytest loads wherever flowctl-core is installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_flowctl_project_makes_a_tree(flowctl_project):
    root = flowctl_project({"a.txt": "1"}, name="x y")
    assert root.name == "x y" and (root / "a.txt").read_text() == "1" and not (root / ".git").exists()


def test_flowctl_project_makes_a_repository(flowctl_project):
    root = flowctl_project({"a.txt": "1"}, git=True)
    status = subprocess.run(["git", "status", "--porcelain"], cwd=root, capture_output=True, text=True, check=True)
    assert status.stdout == ""


def test_flowctl_manager_has_the_installed_builders(flowctl_manager):
    assert {"go", "node", "python", "rust", "command"} <= {record.name for record in flowctl_manager.records}


def test_flowctl_runner_records(flowctl_runner, tmp_path: Path):
    from flowctl_core.models import Command

    flowctl_runner.script("go", stdout="go version")
    assert flowctl_runner.run(Command(argv=("go", "version"), cwd=tmp_path, environment={})).stdout == "go version"


def test_being_loaded_by_pytest_costs_next_to_nothing():
    """pytest imports the module in every project of everybody who has flowctl-core installed."""
    code = (
        "import sys, pytest; before = set(sys.modules); import flowctl_core.testing.fixtures;"
        "print('\\n'.join(set(sys.modules) - before))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {name.split(".")[0] for name in loaded} <= {"flowctl_core"}, loaded
    assert sorted(loaded) == ["flowctl_core", "flowctl_core.testing", "flowctl_core.testing.fixtures"]
