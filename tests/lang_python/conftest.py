"""A workbench that takes a project through the builder's hooks with real tools, as core's workflow does."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from flowctl_core.errors import DependenciesMissingError
from flowctl_core.models import (
    BuildContext,
    BuildResult,
    FetchReport,
    LanguageSettings,
    Limitation,
    Plan,
    PlanRequest,
    Platform,
    PlatformOutcome,
    SourceTree,
    TestReport,
    Tool,
)
from flowctl_core.runners.local import LocalRunner
from flowctl_core.specfile.load import load_component
from flowctl_lang_python.plugin import plugin

UV = Path(sys.executable).with_name("uv")


@dataclass
class Recorder:
    """Progress that remembers."""

    steps: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def step(self, text: str) -> None:
        self.steps.append(text)

    def line(self, text: str) -> None:
        self.lines.append(text)

    def note(self, text: str) -> None:
        self.notes.append(text)

    def warning(self, text: str) -> None:
        self.notes.append(text)


@dataclass
class Bench:
    """One project and what the hooks made of it."""

    root: Path
    name: str = "sample"
    offline: bool = False
    entry_point: str | None = None
    settings: LanguageSettings = field(default_factory=LanguageSettings)
    environment: dict[str, str] = field(default_factory=dict)
    progress: Recorder = field(default_factory=Recorder)

    def plan(self) -> Plan:
        source = SourceTree(root=self.root)
        detection = plugin.flowctl_detect(source)
        assert detection is not None
        request = PlanRequest(
            name=self.name,
            version="0.0.0",
            detection_root=detection.root,
            language="python",
            entry_point=self.entry_point,
            settings=self.settings,
        )
        plan = plugin.flowctl_plan(source, request)
        return Plan.model_validate_json(plan.model_dump_json())

    def context(self, plan: Plan) -> BuildContext:
        state = self.root / ".flowctl"
        (state / "work").mkdir(parents=True, exist_ok=True)
        (state / ".gitignore").write_text("*\n")
        output = self.staging(state)
        environment = {key: value for key, value in os.environ.items() if key not in ("VIRTUAL_ENV", "PYTHONPATH")}
        tools = {
            "uv": Tool(name="uv", version="0", path=UV),
            "python": Tool(name="python", version=sys.version.split()[0], path=Path(sys.executable)),
        }
        if any(tool.name == "cargo" for tool in plan.toolchain):
            tools["cargo"] = Tool(name="cargo", version="0", path=Path(shutil.which("cargo") or "cargo"))
        return BuildContext(
            source_root=self.root,
            output_dir=output,
            work_dir=state / "work",
            tools=tools,
            environment={**environment, **plan.environment, **self.environment},
            offline=self.offline,
            runner=LocalRunner(),
            progress=self.progress,
        )

    def staging(self, state: Path) -> Path:
        """An empty folder, the same for each build, so that results can be compared."""
        output = state / "staging-1"
        shutil.rmtree(output, ignore_errors=True)
        output.mkdir()
        return output

    def fetch(self) -> FetchReport:
        plan = self.plan()
        return plugin.flowctl_fetch(plan, self.context(plan))

    def build(self) -> BuildResult:
        """Build, fetching when the builder asks for it, and put the program where core would."""
        plan = self.plan()
        context = self.context(plan)
        try:
            result = plugin.flowctl_build(plan, context)
        except DependenciesMissingError:
            plugin.flowctl_fetch(plan, context)
            result = plugin.flowctl_build(plan, context)
        target = self.root / ".flowctl" / "bin"
        target.mkdir(exist_ok=True)
        for artifact in result.artifacts:
            if artifact.kind == "program":
                (self.root / artifact.path).rename(target / self.name)
        return result

    def test(self) -> TestReport:
        plan = self.plan()
        return plugin.flowctl_test(plan, self.context(plan))

    def clean(self) -> tuple[str, ...]:
        plan = self.plan()
        return plugin.flowctl_clean(plan, self.context(plan)).removed

    def run(self, *arguments: str, stdin: str = "", cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run the built program."""
        return subprocess.run(
            [str(self.root / ".flowctl" / "bin" / self.name), *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            cwd=cwd or self.root.parent,
            check=False,
        )


@dataclass
class Release(Bench):
    """A workbench that takes a project through the release hooks, as core's workflow does on an export."""

    platforms: tuple[str, ...] = (Platform.host(),)
    version: str = "1.0.0"
    science: Path | None = None
    limitations: tuple[Limitation, ...] = ()
    report: FetchReport = field(default_factory=FetchReport)

    def plan(self) -> Plan:
        file = self.root / "component.yaml"
        source = SourceTree(root=self.root, component=load_component(file).spec if file.exists() else None)
        detection = plugin.flowctl_detect(source)
        assert detection is not None
        request = PlanRequest.model_validate(
            {
                "name": self.name,
                "version": self.version,
                "detection_root": detection.root,
                "language": "python",
                "entry_point": self.entry_point,
                "profile": "release",
                "platforms": self.platforms,
            }
        )
        plan = plugin.flowctl_plan(source, request)
        return Plan.model_validate_json(plan.model_dump_json())

    def context(self, plan: Plan) -> BuildContext:
        context = super().context(plan)
        settled = {"SOURCE_DATE_EPOCH": "1700000000", "TZ": "UTC", "LC_ALL": "C.UTF-8"}
        tools = dict(context.tools)
        if self.science is not None:
            tools["science"] = Tool(name="science", version="0.21.0", path=self.science)
        environment = {**context.environment, **settled, **self.environment}
        return context.model_copy(update={"environment": environment, "tools": tools})

    def staging(self, state: Path) -> Path:
        """A new folder for each call, as core makes them: what was released before stays."""
        return Path(tempfile.mkdtemp(prefix="staging-", dir=state))

    def release(self) -> dict[str, PlatformOutcome]:
        """Fetch, and build each platform by itself, several at once, as core does; outcomes by platform."""
        plan = self.plan()
        context = self.context(plan)
        self.limitations = (*plan.limitations, *plugin.flowctl_limitations(plan, context))
        self.report = plugin.flowctl_fetch(plan, context)

        def build(platform: Platform) -> PlatformOutcome:
            output = context.output_dir / platform.replace("/", "-")
            output.mkdir()
            part = plan.model_copy(update={"platforms": (platform,)})
            done = plugin.flowctl_build_multiplatform(part, context.model_copy(update={"output_dir": output}))
            (outcome,) = done.outcomes
            return outcome

        with ThreadPoolExecutor() as pool:
            outcomes = tuple(pool.map(build, plan.platforms))
        return {outcome.platform: outcome for outcome in outcomes}

    def program(self, outcome: PlatformOutcome) -> Path:
        """The executable of an outcome that has one."""
        assert outcome.failure is None, f"{outcome.failure}\n{outcome.output}"
        (artifact,) = outcome.artifacts
        return self.root / artifact.path


def write_files(root: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


@pytest.fixture
def tree(tmp_path: Path) -> Callable[[Mapping[str, str]], SourceTree]:
    """Makes a source tree from a dict of files."""

    def make(files: Mapping[str, str]) -> SourceTree:
        root = tmp_path / "source"
        root.mkdir()
        return SourceTree(root=write_files(root, files))

    return make


@pytest.fixture
def bench(tmp_path: Path) -> Callable[..., Bench]:
    """Makes a workbench around a project given as a dict of files."""
    if not UV.exists():
        if os.environ.get("CI"):
            pytest.fail("uv is missing: install flowctl-lang-python with its dependencies")
        pytest.skip("uv is not installed")

    def make(files: Mapping[str, str], *, folder: str = "project", **settings: object) -> Bench:
        root = tmp_path / folder
        root.mkdir(parents=True)
        return Bench(root=write_files(root, files), **settings)  # type: ignore[arg-type]

    return make
