"""Takes one project through a builder's hooks as core does, without the cache: for tests of builders."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from flowctl_core.errors import DependenciesMissingError, NothingDetectedError
from flowctl_core.models import (
    Artifact,
    BuildContext,
    BuildResult,
    Candidate,
    CleanReport,
    Detection,
    FetchReport,
    LanguageSettings,
    Plan,
    Platform,
    Profile,
    Progress,
    Runner,
    Silent,
    SourceTree,
    TestReport,
)
from flowctl_core.plan.request import make_request
from flowctl_core.plugins.boundary import ChildCaller
from flowctl_core.plugins.call import HookCaller, InProcessCaller
from flowctl_core.plugins.manager import PluginManager, load_plugins
from flowctl_core.runners.environment import tool_environment
from flowctl_core.runners.local import LocalRunner
from flowctl_core.store.files import make_state_dir
from flowctl_core.store.outputs import new_staging, place
from flowctl_core.toolchains.find import find_tools

CallerName = Literal["inprocess", "child"]


@dataclass(frozen=True)
class ProjectRun:
    """What each hook answered."""

    detection: Detection
    plan: Plan
    fetch: FetchReport | None
    build: BuildResult
    """As the builder answered."""
    artifacts: tuple[Artifact, ...]
    """Where core put them."""
    test: TestReport | None
    clean: CleanReport | None


class Driver:
    """One project and one builder; call the steps in their order, each as often as you like.

    The source tree has to be writable: as in a real build, outputs go to `.flowctl/` inside it.
    """

    def __init__(
        self,
        root: Path,
        builder: str,
        *,
        caller: CallerName | HookCaller = "inprocess",
        manager: PluginManager | None = None,
        runner: Runner | None = None,
        progress: Progress | None = None,
        environ: Mapping[str, str] | None = None,
        settings: LanguageSettings | None = None,
        profile: Profile = "dev",
        platforms: tuple[Platform, ...] = (),
        entry_point: str | None = None,
        jobs: int = 2,
        timeout_s: float | None = 600.0,
    ) -> None:
        self.root = root
        self.builder = builder
        self.caller = caller if not isinstance(caller, str) else make_caller(caller, manager or default_manager())
        self.runner = runner or LocalRunner()
        self.progress = progress or Silent()
        self._environ = os.environ if environ is None else environ
        self._settings = settings
        self._profile = profile
        self._platforms = platforms or (Platform.host(),)
        self._jobs = jobs
        self._entry_point = entry_point
        self._timeout_s = timeout_s
        self.source = SourceTree(root=root, component=_component(root))
        self.artifacts: tuple[Artifact, ...] = ()
        """What the last build made, where core put it."""

    def detect(self) -> Detection | None:
        """The builder's own answer; other builders are not asked."""
        answer: Detection | None = self.caller.call(self.builder, "flowctl_detect", source=self.source) or None
        return answer

    def plan(self, detection: Detection | None = None) -> Plan:
        """The plan for a detection, asked for when not given; NothingDetectedError when there is none."""
        detection = detection or self.detect()
        if detection is None:
            raise NothingDetectedError(f"{self.builder} does not recognise {self.root}")
        record = self.caller.manager.builder(self.builder)
        request = make_request(
            self.source,
            Candidate(builder=self.builder, distribution=record.distribution, detection=detection),
            profile=self._profile,
            platforms=self._platforms,
            entry_point=self._entry_point,
            languages={} if self._settings is None else {detection.language: self._settings},
        )
        return self.caller.plan(self.builder, self.source, request)

    def context(self, plan: Plan, output_dir: Path | None = None) -> BuildContext:
        """Folders, tools and environment for a plan; ToolchainError when a tool is missing."""
        state = make_state_dir(self.root)
        work_dir = state / "work" / self.builder
        work_dir.mkdir(parents=True, exist_ok=True)
        environment = tool_environment(self._environ, plan.environment, plan.passthrough)
        return BuildContext(
            source_root=self.root,
            output_dir=output_dir or new_staging(state),
            work_dir=work_dir,
            tools=find_tools(plan.toolchain, environment, cwd=self.root / plan.root),
            environment=environment,
            parallel_jobs=self._jobs,
            timeout_s=self._timeout_s,
            runner=self.runner,
            progress=self.progress,
        )

    def fetch(self, plan: Plan) -> FetchReport | None:
        """Bring dependencies in."""
        return self.caller.fetch(self.builder, plan, self.context(plan))

    def build(self, plan: Plan) -> BuildResult:
        """Build, and put what was made into `.flowctl/bin` as core does (see `artifacts`)."""
        context = self.context(plan)
        try:
            result = self.caller.build(self.builder, plan, context)
        except DependenciesMissingError:
            self.caller.fetch(self.builder, plan, context)
            result = self.caller.build(self.builder, plan, context)
        self.artifacts = place(self.root, context.output_dir, result.artifacts)
        return result

    def test(self, plan: Plan) -> TestReport | None:
        """Run the project's own tests."""
        return self.caller.test(self.builder, plan, self.context(plan))

    def clean(self, plan: Plan) -> CleanReport | None:
        """The builder's part of cleaning; core removes `.flowctl` itself."""
        return self.caller.clean(self.builder, plan, self.context(plan))

    def programs(self) -> dict[str, Path]:
        """Absolute paths of the programs that the last build made, by file name."""
        return {Path(a.path).name: self.root / a.path for a in self.artifacts if a.kind == "program"}


def build_project(
    root: Path, builder: str, *, caller: CallerName = "inprocess", runner: Runner | None = None
) -> ProjectRun:
    """Detect, plan, find tools, fetch, build, test and clean, in this order.

    Raises what the steps raise, and NothingDetectedError when the builder does not recognise the project.
    """
    driver = Driver(root, builder, caller=caller, runner=runner)
    detection = driver.detect()
    plan = driver.plan(detection)
    fetch = driver.fetch(plan)
    build = driver.build(plan)
    test = driver.test(plan)
    clean = driver.clean(plan)
    assert detection is not None  # noqa: S101 - plan raises otherwise
    return ProjectRun(detection, plan, fetch, build, driver.artifacts, test, clean)


def make_caller(name: CallerName, manager: PluginManager) -> HookCaller:
    """The caller of that name over a manager."""
    return InProcessCaller(manager) if name == "inprocess" else ChildCaller(manager)


def default_manager() -> PluginManager:
    """The installed plugins and core's own, as the command line loads them."""
    return load_plugins()


def _component(root: Path) -> object:
    file = root / "component.yaml"
    if not file.is_file():
        return None
    from flowctl_core.specfile.load import load_component

    return load_component(file).spec
