"""A workbench that takes a project through the Rust builder's hooks with the real cargo."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from flowctl_core.models import (
    BuildContext,
    BuildResult,
    ComponentSpec,
    Detection,
    FetchReport,
    LanguageSettings,
    Plan,
    PlanRequest,
    Profile,
    SourceTree,
    TestReport,
    Tool,
)
from flowctl_core.runners.local import LocalRunner
from flowctl_core.testing import write_project
from flowctl_lang_rust.plugin import plugin


def find_tool(name: str) -> Tool:
    """The tool on PATH; tests that come here are marked `requires_tool`."""
    path = shutil.which(name)
    assert path is not None
    return Tool(name=name, version="0", path=Path(path))


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


@dataclass
class Bench:
    """One source tree."""

    root: Path
    settings: LanguageSettings = field(default_factory=LanguageSettings)
    main: str | None = None
    component: ComponentSpec | None = None
    environment: dict[str, str] = field(default_factory=dict)
    profile: Profile = "dev"
    offline: bool = False
    progress: Recorder = field(default_factory=Recorder)

    def source(self) -> SourceTree:
        return SourceTree(root=self.root, component=self.component)

    def detect(self) -> Detection:
        detection = plugin.flowctl_detect(self.source())
        assert detection is not None
        return detection

    def plan(self, name: str | None = None) -> Plan:
        detection = self.detect()
        request = PlanRequest(
            name=name or self.root.name,
            version="0.0.0",
            detection_root=detection.root,
            language="rust",
            entry_point=self.main,
            settings=self.settings,
            profile=self.profile,
        )
        plan = plugin.flowctl_plan(self.source(), request)
        # Hooks keep nothing between calls: what a later one needs survives JSON.
        return Plan.model_validate_json(plan.model_dump_json())

    def context(self, plan: Plan) -> BuildContext:
        state = self.root / ".flowctl"
        output, work = state / "staging", state / "work"
        shutil.rmtree(output, ignore_errors=True)
        for folder in (output, work):
            folder.mkdir(parents=True, exist_ok=True)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("CARGO_TARGET")}
        return BuildContext(
            source_root=self.root,
            output_dir=output,
            work_dir=work,
            tools={name: find_tool(name) for name in ("cargo", "rustc", "cc")},
            environment={**inherited, **plan.environment, **self.environment},
            offline=self.offline,
            timeout_s=300,
            runner=LocalRunner(),
            progress=self.progress,
        )

    def fetch(self, plan: Plan | None = None) -> FetchReport:
        plan = plan or self.plan()
        return plugin.flowctl_fetch(plan, self.context(plan))

    def build(self, plan: Plan | None = None) -> BuildResult:
        plan = plan or self.plan()
        return plugin.flowctl_build(plan, self.context(plan))

    def test(self, plan: Plan | None = None) -> TestReport:
        plan = plan or self.plan()
        return plugin.flowctl_test(plan, self.context(plan))

    def clean(self) -> tuple[str, ...]:
        plan = self.plan()
        return plugin.flowctl_clean(plan, self.context(plan)).removed

    def made(self, result: BuildResult) -> list[Path]:
        return [self.root / artifact.path for artifact in result.artifacts]


@pytest.fixture
def bench(tmp_path: Path) -> Callable[..., Bench]:
    """`bench(files, name="component", **fields)` makes a source tree and its workbench."""

    def make(files: Mapping[str, str | bytes | None], *, name: str = "component", **fields: object) -> Bench:
        return Bench(root=write_project(tmp_path / name, files), **fields)  # type: ignore[arg-type]

    return make


@pytest.fixture
def tree(tmp_path: Path) -> Callable[..., SourceTree]:
    """`tree(files, **fields)` makes a SourceTree, without any tool."""

    def make(files: Mapping[str, str | bytes | None], **fields: object) -> SourceTree:
        return SourceTree(root=write_project(tmp_path / "component", files), **fields)  # type: ignore[arg-type]

    return make
