"""Source trees for tests of the Node.js builder, and package managers that npm itself brings."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from flowctl_core.models import ComponentSpec, LanguageSettings, Plan, PlanRequest, SourceTree
from flowctl_core.testing import write_project
from flowctl_lang_node.plugin import plugin

Content = str | bytes | Mapping[str, Any] | None


def as_files(files: Mapping[str, Content]) -> dict[str, str | bytes | None]:
    """Objects become JSON."""
    return {name: json.dumps(body) if isinstance(body, Mapping) else body for name, body in files.items()}


@dataclass
class Tree:
    """One source tree, its detection and its plan."""

    root: Path
    language: str | None = None
    component: ComponentSpec | None = None

    @property
    def source(self) -> SourceTree:
        return SourceTree(root=self.root, component=self.component, language=self.language)

    def plan(self, name: str = "sink", *, main: str | None = None, settings: LanguageSettings | None = None) -> Plan:
        detection = plugin.flowctl_detect(self.source)
        assert detection is not None
        request = PlanRequest(
            name=name,
            version="0.0.0",
            detection_root=detection.root,
            language="node",
            entry_point=main,
            settings=settings or LanguageSettings(),
        )
        plan = plugin.flowctl_plan(self.source, request)
        assert plan is not None
        # Hooks keep nothing between calls: what a later one needs survives JSON.
        assert Plan.model_validate_json(plan.model_dump_json()) == plan
        return plan


@dataclass
class Recorder:
    """Progress that remembers."""

    steps: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def step(self, text: str) -> None:
        self.steps.append(text)

    def line(self, text: str) -> None:
        self.lines.append(text)

    def note(self, text: str) -> None:
        self.notes.append(text)

    def warning(self, text: str) -> None:
        self.warnings.append(text)


def component(spec: dict[str, Any]) -> ComponentSpec:
    """A component.yaml's content."""
    return ComponentSpec.from_data({"metadata": {"name": "sink"}, "spec": spec})


@pytest.fixture
def tree(tmp_path: Path) -> Callable[..., Tree]:
    """`tree(files, **fields)`: a source tree; a file's content may be an object, written as JSON."""

    def make(files: Mapping[str, Content], *, name: str = "project", **fields: Any) -> Tree:
        return Tree(write_project(tmp_path / name, as_files(files)), **fields)

    return make


@pytest.fixture(scope="session")
def managers(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, str]]:
    """`managers("pnpm@10")`: an environment with that package manager first on PATH, installed by npm."""
    made: dict[tuple[str, ...], Path] = {}

    def install(*names: str) -> dict[str, str]:
        if names not in made:
            prefix = tmp_path_factory.mktemp("managers")
            npm = shutil.which("npm")
            assert npm is not None, "mark the test requires_tool('npm')"
            scripts = [f"--allow-scripts={','.join(name.rsplit('@', 1)[0] for name in names)}"]
            subprocess.run([npm, "install", "--global", f"--prefix={prefix}", *scripts, *names], check=True)
            made[names] = prefix / "bin"
        return {**os.environ, "PATH": f"{made[names]}{os.pathsep}{os.environ['PATH']}"}

    return install
