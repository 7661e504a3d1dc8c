"""A git repository with a component whose builder writes tiny but real ELF and Mach-O files for any platform."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from flowctl_core import hookimpl
from flowctl_core.errors import BuildError, CancelledError
from flowctl_core.job import Engine, Options, ReleaseOptions
from flowctl_core.models import (
    Artifact,
    BuildContext,
    BuildResult,
    Dependency,
    DependencyReport,
    Detection,
    EntryPoint,
    Evidence,
    FetchReport,
    ImageFile,
    ImagePlan,
    Limitation,
    Material,
    Plan,
    PlanRequest,
    Platform,
    PlatformOutcome,
    ReleaseResult,
    SourceTree,
)
from flowctl_core.models.config import Config
from flowctl_core.models.release import ReleaseReport
from flowctl_core.plugins.call import InProcessCaller
from flowctl_core.plugins.discovery import PluginReference
from flowctl_core.plugins.manager import load_plugins
from flowctl_core.runners.local import LocalRunner
from flowctl_core.workflow import run_release


class WordBuilder:
    """«Compiles» words.txt: the text stands in the binary, after a real header."""

    contract = 2

    def __init__(self, binary: Callable[..., bytes]) -> None:
        self.binary = binary
        self.failing: set[str] = set()
        self.refused: set[str] = set()
        self.wrong: dict[str, bytes] = {}
        self.contexts: dict[str, BuildContext] = {}
        self.fetches = 0
        self.cancel_at: str | None = None
        self.makes_dist = False
        self.leaves: str | None = None

    @hookimpl
    def flowctl_detect(self, source: SourceTree) -> Detection | None:
        if not source.exists("words.txt"):
            return None
        return Detection(language="words", confidence=0.9, evidence=(Evidence(path="words.txt", reason="words"),))

    @hookimpl
    def flowctl_plan(self, source: SourceTree, request: PlanRequest) -> Plan:
        return Plan(
            component=request.name,
            version=request.version,
            language="words",
            profile=request.profile,
            platforms=request.platforms,
            entry_points=(EntryPoint(name=request.name, path="."),),
            passthrough=("WORD_STYLE",),
            fetched=("fetched",),
            generated=("dist",) if self.makes_dist else (),
            settings=request.settings,
            environment={"WORDS": "many", "LETTERS": "more"},
            details={"words": {"verbs": 1, "nouns": [{"z": 1, "a": 2}]}, "letters": "all"},
        )

    @hookimpl
    def flowctl_limitations(self, plan: Plan, context: BuildContext) -> tuple[Limitation, ...]:
        return tuple(
            Limitation(platform=Platform(name), reason="no words for it", remedy="pip install words")
            for name in sorted(self.refused)
        )

    @hookimpl
    def flowctl_fetch(self, plan: Plan, context: BuildContext) -> FetchReport:
        self.fetches += 1
        (context.source_root / "fetched").mkdir(exist_ok=True)
        return FetchReport(ran_code=("words==2", "verbs==1"))

    @hookimpl
    def flowctl_build(self, plan: Plan, context: BuildContext) -> BuildResult:
        raise BuildError("not for local builds")

    @hookimpl
    def flowctl_build_multiplatform(self, plan: Plan, context: BuildContext) -> ReleaseResult:
        (platform,) = plan.platforms
        self.contexts[platform] = context
        if self.cancel_at == platform:
            raise CancelledError("stopped")
        if self.leaves is not None:
            (context.source_root / self.leaves).write_text("left")
        if platform in self.failing:
            raise BuildError(f"words do not compile for {platform}", output="line 7: syntax error", hint="Mend line 7.")
        text = (context.source_root / "words.txt").read_bytes() + context.environment.get("WORD_STYLE", "").encode()
        program = context.output_dir / plan.component
        made = self.wrong[platform] if platform in self.wrong else self.binary(platform, text)
        program.write_bytes(made)
        artifact = Artifact(path=program.relative_to(context.source_root).as_posix(), platform=platform)
        material = Material(name="word-runtime", version="3", purl="pkg:npm/word-runtime@3")
        return ReleaseResult(
            outcomes=(PlatformOutcome(platform=platform, artifacts=(artifact,), materials=(material,)),)
        )

    @hookimpl
    def flowctl_dependencies(self, plan: Plan, context: BuildContext) -> DependencyReport:
        one = Dependency(purl="pkg:golang/golang.org/x/text@v0.3.0", direct=True)
        return DependencyReport(dependencies=(one,), resolved_from=("words.txt",))

    @hookimpl
    def flowctl_image(self, plan: Plan, artifact: Artifact) -> ImagePlan:
        return ImagePlan(files=(ImageFile(source=artifact.path, target="/app/component"),))


COMPONENT = """\
apiVersion: component.flowctl.io/v1
kind: ComponentSpec
metadata:
  name: words
  version: 1.2.3
  description: Says words
  license: Apache-2.0
spec:
  type: processor
  platforms: [linux/amd64, linux/arm64, darwin/amd64]
"""


@dataclass
class Bench:
    """A component in a git repository, and what is needed to release it."""

    root: Path
    builder: WordBuilder
    engine: Engine
    said: list[str] = field(default_factory=list)

    def release(self, **wanted: object) -> ReleaseReport:
        options = ReleaseOptions(**wanted)  # type: ignore[arg-type]
        return run_release(self.root, self.engine, Options(), options, self)

    def git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(self.root), "-c", "user.name=n", "-c", "user.email=n@example.org", *arguments],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "GIT_COMMITTER_DATE": "2024-02-29T12:00:00Z", "GIT_AUTHOR_DATE": "2024-02-29T12:00:00Z"},
        )
        return done.stdout.strip()

    def step(self, text: str) -> None:
        self.said.append(text)

    line = note = warning = step


MakeBench = Callable[..., Bench]


@pytest.fixture
def make_bench(tmp_path: Path, binary_for: Callable[..., bytes]) -> MakeBench:
    def make(
        name: str = "words",
        home: str = "home",
        environ: dict[str, str] | None = None,
        jobs: int = 2,
        builder: type[WordBuilder] = WordBuilder,
    ) -> Bench:
        root = tmp_path / name
        root.mkdir(parents=True)
        (root / "words.txt").write_text("hello\n")
        (root / "component.yaml").write_text(COMPONENT)
        plugin = builder(binary_for)
        manager = load_plugins(
            entry_points=(),
            extra=[PluginReference("words", distribution="words-plugin", version="1.0", plugin=plugin)],
        )
        cache = tmp_path / home / "cache"
        config = Config.model_validate({"build": {"local": {"cache_dir": str(cache), "parallel_jobs": jobs}}})
        environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path / home), **(environ or {})}
        engine = Engine(
            plugins=InProcessCaller(manager), config=config, runner=LocalRunner(), environ=environ, cache=None
        )
        bench = Bench(root, plugin, engine)
        bench.git("init", "--quiet")
        bench.git("add", "--all")
        bench.git("commit", "--quiet", "--message", "first")
        return bench

    return make


@pytest.fixture
def bench(make_bench: MakeBench) -> Bench:
    return make_bench()
