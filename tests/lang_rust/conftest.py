"""A workbench that takes a project through the Rust builder's hooks with the real cargo."""

from __future__ import annotations

import os
import shutil
import subprocess
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
    Limitation,
    Plan,
    PlanRequest,
    Platform,
    PlatformOutcome,
    Profile,
    SourceTree,
    TestReport,
    Tool,
)
from flowctl_core.runners.local import LocalRunner
from flowctl_core.testing import write_project
from flowctl_core.toolchains.find import find_tools
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
    platforms: tuple[str, ...] = ()
    version: str = "0.0.0"
    path: str | None = None
    """PATH, where it is not this process's own: which Rust is found."""
    hidden: tuple[str, ...] = ()
    """Tools that this machine shall not have."""
    jobs: int = 2
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
            version=self.version,
            detection_root=detection.root,
            language="rust",
            entry_point=self.main,
            settings=self.settings,
            profile=self.profile,
            **({"platforms": tuple(Platform(text) for text in self.platforms)} if self.platforms else {}),
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

    def release_context(self, plan: Plan, output: str = "out") -> BuildContext:
        """As core gives it to the hooks of a release: tools found for the plan, time zone and language settled."""
        state = self.root / ".flowctl"
        folders = {"output_dir": state / output, "work_dir": state / "work"}
        shutil.rmtree(folders["output_dir"], ignore_errors=True)
        for folder in folders.values():
            folder.mkdir(parents=True, exist_ok=True)
        settled = {"LC_ALL": "C.UTF-8", "TZ": "UTC", "SOURCE_DATE_EPOCH": "1700000000"}
        inherited = {**os.environ, **settled, **({"PATH": self.path} if self.path else {})}
        environment = {**inherited, **plan.environment, **self.environment}
        return BuildContext(
            source_root=self.root,
            tools={
                name: tool
                for name, tool in find_tools(plan.toolchain, environment, cwd=self.root).items()
                if name not in self.hidden
            },
            parallel_jobs=self.jobs,
            environment=environment,
            offline=self.offline,
            timeout_s=900,
            runner=LocalRunner(),
            progress=self.progress,
            **folders,
        )

    def limitations(self, plan: Plan | None = None) -> list[Limitation]:
        """What the plan says, and what the tools add."""
        plan = plan or self.plan()
        return [*plan.limitations, *plugin.flowctl_limitations(plan, self.release_context(plan))]

    def release(self, plan: Plan | None = None, *, fetch: bool = True) -> dict[str, PlatformOutcome]:
        """Fetch, then build each platform as core does: with a plan for it alone and an output folder of its own."""
        plan = plan or self.plan()
        if fetch:
            plugin.flowctl_fetch(plan, self.release_context(plan))
        outcomes = {}
        for platform in plan.platforms:
            alone = plan.model_copy(update={"platforms": (platform,)})
            context = self.release_context(alone, f"out/{platform.replace('/', '-')}")
            (outcomes[str(platform)],) = plugin.flowctl_build_multiplatform(alone, context).outcomes
        return outcomes

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


ARM64 = "aarch64-unknown-linux-gnu"


def has_std(rustc: Path, triple: str) -> bool:
    """By the file system alone, so that what the builder says can be held against it."""
    asked = subprocess.run(
        [rustc, "--print", "target-libdir", "--target", triple], capture_output=True, text=True, cwd="/"
    )
    return asked.returncode == 0 and any(Path(asked.stdout.strip()).glob("libstd-*.rlib"))


@pytest.fixture(scope="session")
def arm64_path() -> str:
    """A PATH whose first Rust has the standard library for linux/arm64.

    Debian: `dpkg --add-architecture arm64 && apt-get update && apt-get install rustc-web cargo-web
    libstd-rust-web-dev:arm64`; with rustup: `rustup target add aarch64-unknown-linux-gnu`.
    """
    path = os.environ.get("PATH", os.defpath)
    for folder in dict.fromkeys((*path.split(os.pathsep), "/usr/bin")):
        rustc = Path(folder) / "rustc"
        if rustc.is_file() and (rustc.parent / "cargo").is_file() and has_std(rustc, ARM64):
            return os.pathsep.join((folder, path))
    message = f"no rustc here has the standard library for {ARM64}"
    if os.environ.get("CI", "").lower() not in ("", "0", "false"):
        pytest.fail(f"{message}, and CI is set", pytrace=False)
    pytest.skip(message)


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
