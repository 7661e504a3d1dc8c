"""What the rules of one conformance class share, so that most of them look at the same one build."""

# ruff: noqa: S101 - these are tests
from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from functools import cached_property
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowctl_core.errors import PluginError
from flowctl_core.models import (
    BuildResult,
    Command,
    DependencyReport,
    Detection,
    FetchReport,
    Limitation,
    Plan,
    Platform,
    PlatformOutcome,
    Runner,
    TestReport,
)
from flowctl_core.plugins.manager import PluginManager
from flowctl_core.testing.conformance.subject import ExpectedTests, Subject
from flowctl_core.testing.driver import CallerName, Driver, default_manager
from flowctl_core.testing.projects import Files, Project, Snapshot, write_project
from flowctl_core.testing.recording import RecordingRunner

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

__all__ = ["Built", "ExpectedTests", "Step", "Workshop"]

NAME = "sample"
"""Folder of the projects, and so the component's name where no component.yaml gives one."""


@dataclass
class Step:
    """One hook call: its answer, what it ran, and what it left changed in this process."""

    answer: Any
    commands: tuple[Command, ...]
    environment_changes: tuple[str, ...]
    folder_change: str | None
    printed: str


@dataclass
class Built:
    """The good project after detect, plan, fetch and build."""

    driver: Driver
    original: Snapshot
    detection: Detection
    plan: Plan
    steps: dict[str, Step] = field(default_factory=dict)

    @property
    def fetch(self) -> FetchReport | None:
        """What fetch answered."""
        answer: FetchReport | None = self.steps["flowctl_fetch"].answer
        return answer

    @property
    def build(self) -> BuildResult:
        """What build answered."""
        answer: BuildResult = self.steps["flowctl_build"].answer
        return answer


@dataclass
class Released:
    """The good project after a release build for several platforms."""

    driver: Driver
    plan: Plan
    refused: dict[Platform, Limitation]
    outcomes: dict[Platform, PlatformOutcome]
    dependencies: DependencyReport | None

    @property
    def root(self) -> Path:
        """The source tree, which artifacts' paths are relative to."""
        return self.driver.root


class Workshop:
    """Makes projects and drivers for a conformance class; `built` and `tested` are made once."""

    def __init__(
        self, subject: type[Subject], folders: pytest.TempPathFactory, manager: PluginManager | None = None
    ) -> None:
        self.subject = subject
        self._folders = folders
        self._given = manager

    @cached_property
    def manager(self) -> PluginManager:
        """The installed plugins (or the given ones); the builder under test must be active."""
        manager = self._given or default_manager()
        try:
            manager.builder(self.subject.builder)
        except PluginError as error:
            raise AssertionError(f"{error.message}. {error.hint or ''}") from error
        return manager

    def folder(self, name: str = NAME) -> Path:
        """A new empty folder of that name, in a temporary folder of its own."""
        folder = self._folders.mktemp("conformance") / name
        folder.mkdir()
        return folder.resolve()

    def tree(self, project: Project | None = None, changes: Files | None = None, *, name: str = NAME) -> Path:
        """A new folder with the good project (or another one)."""
        return write_project(self.folder(name), self.subject.project if project is None else project, changes)

    def driver(self, root: Path, caller: CallerName = "inprocess", runner: Runner | None = None) -> Driver:
        """A driver with what the subject states."""
        return Driver(
            root,
            self.subject.builder,
            caller=caller,
            manager=self.manager,
            runner=runner,
            environ={**os.environ, **self.subject.environ},
            settings=self.subject.settings,
            entry_point=self.subject.entry_point,
        )

    @cached_property
    def built(self) -> Built:
        """The good project, built; later rules may build it again but leave its sources alone."""
        root = self.tree()
        original = Snapshot.take(root)
        driver = self.driver(root, runner=RecordingRunner())
        steps: dict[str, Step] = {}
        detection = self.step(steps, "flowctl_detect", driver, driver.detect)
        assert detection is not None, f"{self.subject.builder} does not recognise its own project"
        plan = self.step(steps, "flowctl_plan", driver, lambda: driver.plan(detection))
        self.step(steps, "flowctl_fetch", driver, lambda: driver.fetch(plan))
        self.step(steps, "flowctl_build", driver, lambda: driver.build(plan))
        return Built(driver, original, detection, plan, steps)

    @cached_property
    def spare(self) -> tuple[Driver, Plan, float]:
        """The good project once more, built, and the seconds that building took: for rules that may spoil
        it."""
        driver = self.driver(self.tree())
        plan = driver.plan()
        driver.fetch(plan)
        started = time.monotonic()
        driver.build(plan)
        return driver, plan, time.monotonic() - started

    @property
    def makes_releases(self) -> bool:
        """True when the builder implements the hook that builds for several platforms."""
        return "flowctl_build_multiplatform" in self.manager.builder(self.subject.builder).hooks

    @cached_property
    def released(self) -> Released:
        """The good project, released for the platforms of the design; skips the rule when the builder makes none."""
        import pytest

        from flowctl_core.testing.conformance.releasing import PLATFORMS

        if not self.makes_releases:
            pytest.skip("the builder makes no releases")
        return self.release(self.tree(), PLATFORMS)

    def release_driver(
        self, root: Path, platforms: tuple[Platform, ...], jobs: int = 2, environ: Mapping[str, str] | None = None
    ) -> Driver:
        """A driver for a release, with the environment that core settles for it."""
        settled = {"SOURCE_DATE_EPOCH": "1700000000", "TZ": "UTC", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}
        return Driver(
            root,
            self.subject.builder,
            manager=self.manager,
            environ={**os.environ, **self.subject.environ, **(environ or {}), **settled},
            settings=self.subject.settings,
            profile="release",
            platforms=platforms,
            entry_point=self.subject.entry_point,
            jobs=jobs,
        )

    def release(
        self, root: Path, platforms: tuple[Platform, ...], jobs: int = 2, environ: Mapping[str, str] | None = None
    ) -> Released:
        """Plan, ask for limitations, fetch and build, one platform after the other."""
        driver = self.release_driver(root, platforms, jobs, environ)
        plan = driver.plan()
        context = driver.context(plan)
        told = driver.caller.limitations(driver.builder, plan, context)
        refused = {lim.platform: lim for lim in (*plan.limitations, *told) if lim.platform is not None}
        driver.fetch(plan)
        outcomes: dict[Platform, PlatformOutcome] = {}
        for platform in plan.platforms:
            if platform in refused:
                continue
            output = context.output_dir.parent / "out" / platform.replace("/", "-")
            output.mkdir(parents=True)
            result = driver.caller.build_multiplatform(
                driver.builder, plan.model_copy(update={"platforms": (platform,)}), driver.context(plan, output)
            )
            assert result is not None, "flowctl_build_multiplatform answered nothing"
            outcomes |= {outcome.platform: outcome for outcome in result.outcomes}
        dependencies = driver.caller.dependencies(driver.builder, plan, driver.context(plan))
        return Released(driver, plan, refused, outcomes, dependencies)

    @cached_property
    def tested(self) -> TestReport:
        """The test report of the built project."""
        built = self.built
        report = self.step(built.steps, "flowctl_test", built.driver, lambda: built.driver.test(built.plan))
        assert report is not None, (
            f"{self.subject.builder} answered flowctl_test with nothing, though the project has tests; "
            "implement it, or its users cannot run `flowctl component test`"
        )
        assert isinstance(report, TestReport)
        return report

    def step(self, steps: dict[str, Step], hook: str, driver: Driver, call: Callable[[], Any]) -> Any:
        """Call one hook and write down what it ran and changed."""
        assert isinstance(driver.runner, RecordingRunner)
        before = len(driver.runner.commands)
        environment, folder = dict(os.environ), Path.cwd()
        printed = StringIO()
        with redirect_stdout(printed):
            answer = call()
        changes = tuple(
            name
            for name in sorted({*environment, *os.environ})
            # pytest itself keeps the running test's name there.
            if name != "PYTEST_CURRENT_TEST" and environment.get(name) != os.environ.get(name)
        )
        moved = None if Path.cwd() == folder else f"{folder} → {Path.cwd()}"
        steps[hook] = Step(answer, tuple(driver.runner.commands[before:]), changes, moved, printed.getvalue())
        return answer


@contextmanager
def read_only(root: Path) -> Iterator[None]:
    """Take away the right to write from everything below `root`, and give it back."""
    paths = [root, *root.rglob("*")]
    modes = {path: path.stat().st_mode for path in paths if not path.is_symlink()}
    for path, mode in modes.items():
        path.chmod(mode & ~0o222)
    try:
        yield
    finally:
        for path, mode in modes.items():
            path.chmod(mode)
