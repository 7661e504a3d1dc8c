"""The driver takes a project through all hooks, either way."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from flowctl_core.errors import NothingDetectedError, PluginError
from flowctl_core.plugins.boundary import ChildCaller
from flowctl_core.plugins.discovery import PluginReference
from flowctl_core.plugins.manager import load_plugins
from flowctl_core.testing import Driver, build_project, write_project
from flowctl_core.testing import driver as driver_module


@pytest.fixture(autouse=True)
def manager(monkeypatch: pytest.MonkeyPatch):
    loaded = load_plugins(
        entry_points=[PluginReference("sh", "flowctl_lang_sh.plugin:plugin", "flowctl-lang-sh", "0.3.0")]
    )
    monkeypatch.setattr(driver_module, "default_manager", lambda: loaded)
    return loaded


@pytest.mark.parametrize("caller", ["inprocess", "child"])
def test_build_project_runs_all_steps(tmp_path: Path, greeting: Path, caller):
    root = write_project(tmp_path / "hello", greeting)
    run = build_project(root, "sh", caller=caller)
    assert run.detection.language == "sh"
    assert run.fetch is None
    assert [a.path for a in run.artifacts] == [".flowctl/bin/hello"]
    assert run.test is not None and (run.test.passed, run.test.skipped) == (2, 1)
    assert run.clean is not None and run.clean.removed == ("build",)
    done = subprocess.run([root / ".flowctl/bin/hello", "you"], capture_output=True, text=True, check=True)
    assert done.stdout == "hello you\n"


def test_a_component_file_names_the_component(tmp_path: Path, greeting: Path):
    text = "apiVersion: component.flowctl.io/v1\nkind: ComponentSpec\nmetadata: {name: named, version: v2.1.0}\nspec: {type: source}\n"
    driver = Driver(write_project(tmp_path / "p", greeting, {"component.yaml": text}), "sh")
    plan = driver.plan()
    driver.build(plan)
    assert plan.component == "named" and plan.version.endswith("2.1.0")
    assert list(driver.programs()) == ["named"]


def test_a_project_of_another_language_is_said(tmp_path: Path):
    with pytest.raises(NothingDetectedError, match="sh does not recognise"):
        build_project(write_project(tmp_path / "p", {"x": ""}), "sh")


def test_an_unknown_builder_is_said(tmp_path: Path):
    with pytest.raises(PluginError, match="there is no builder cobol"):
        build_project(write_project(tmp_path / "p", {"x": ""}), "cobol")


def test_a_caller_of_ones_own_can_be_given(tmp_path: Path, greeting: Path, manager):
    driver = Driver(write_project(tmp_path / "p", greeting), "sh", caller=ChildCaller(manager, timeout_s=60))
    assert driver.detect() is not None
