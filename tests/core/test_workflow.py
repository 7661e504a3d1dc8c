"""The order of things, with a small builder that records what is asked of it."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flowctl_core import hookimpl
from flowctl_core.errors import BuildError, DependenciesMissingError, FetchError, SourceError, ToolchainError
from flowctl_core.job import Engine, Job, Options
from flowctl_core.models import (
    Artifact,
    BuildContext,
    BuildResult,
    CleanReport,
    Detection,
    EntryPoint,
    Evidence,
    FetchReport,
    Inputs,
    Plan,
    PlanRequest,
    Platform,
    SourceTree,
    TestReport,
    ToolRequirement,
)
from flowctl_core.models.config import Config
from flowctl_core.plugins.call import InProcessCaller
from flowctl_core.plugins.discovery import PluginReference
from flowctl_core.plugins.manager import load_plugins
from flowctl_core.runners.local import LocalRunner
from flowctl_core.store.cache import BuildCache
from flowctl_core.workflow import run_build, run_clean, run_plan, run_tests


class Recorder:
    """Joins *.txt into a shell script that prints them; notes each hook that runs."""

    contract = 1

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.tools: tuple[ToolRequirement, ...] = ()
        self.passthrough: tuple[str, ...] = ()
        self.fetched: tuple[str, ...] = ()
        self.missing_once = False
        self.fetch_fails = False
        self.fetch_writes_lock = False
        self.somebody_edits: Path | None = None
        self.makes_tree = False

    @hookimpl
    def flowctl_detect(self, source: SourceTree) -> Detection | None:
        if not source.exists("words.lock"):
            return None
        return Detection(language="text", confidence=0.9, evidence=(Evidence(path="words.lock", reason="lock"),))

    @hookimpl
    def flowctl_plan(self, source: SourceTree, request: PlanRequest) -> Plan:
        return Plan(
            component=request.name,
            version=request.version,
            language="text",
            profile=request.profile,
            platforms=request.platforms,
            entry_points=(EntryPoint(name=request.name, path="."),),
            inputs=Inputs(exclude=("*.md",), fetch=("words.lock",)),
            toolchain=self.tools,
            passthrough=self.passthrough,
            fetched=self.fetched,
            generated=("dist",),
        )

    @hookimpl
    def flowctl_fetch(self, plan: Plan, context: BuildContext) -> FetchReport:
        self.ran.append("fetch")
        if self.fetch_fails:
            raise FetchError("no network")
        for path in self.fetched:
            (context.source_root / path).mkdir(exist_ok=True)
        if self.fetch_writes_lock:
            (context.source_root / "resolved.lock").write_text("resolved")
        return FetchReport()

    @hookimpl
    def flowctl_build(self, plan: Plan, context: BuildContext) -> BuildResult:
        self.ran.append("build")
        if self.missing_once:
            self.missing_once = False
            raise DependenciesMissingError("words are gone")
        text = " ".join(file.read_text().strip() for file in sorted(context.source_root.glob("*.txt")))
        if "broken" in text:
            raise BuildError("does not compile", output="line 1: broken")
        if self.somebody_edits is not None:
            self.somebody_edits.write_text("edited meanwhile")
            self.somebody_edits = None
        program = context.output_dir / plan.component
        program.write_text(f"#!/bin/sh\necho {text}\n")
        path = program.relative_to(context.source_root).as_posix()
        artifacts = [Artifact(path=path, platform=Platform.host())]
        if self.makes_tree:
            (context.source_root / "dist" / "deep").mkdir(parents=True, exist_ok=True)
            (context.source_root / "dist" / "deep" / "page").write_text(text)
            artifacts.append(Artifact(path="dist", kind="tree", platform=Platform.host()))
        return BuildResult(artifacts=tuple(artifacts))

    @hookimpl
    def flowctl_test(self, plan: Plan, context: BuildContext) -> TestReport:
        self.ran.append("test")
        return TestReport(tool="words", passed=1)

    @hookimpl
    def flowctl_clean(self, plan: Plan, context: BuildContext) -> CleanReport:
        self.ran.append("clean")
        return CleanReport()


class Timing:
    """A third party's wrapper around build."""

    contract = 1

    def __init__(self) -> None:
        self.saw: list[str] = []

    @hookimpl(wrapper=True)
    def flowctl_build(self, plan: Plan, context: BuildContext) -> Iterator[Any]:
        self.saw.append("before")
        result = yield
        self.saw.append("after")
        return result


class Bench:
    """One component folder, one builder, one cache."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "words"
        self.root.mkdir()
        (self.root / "a.txt").write_text("one")
        (self.root / "words.lock").write_text("1")
        self.builder = Recorder()
        self.plugins = [PluginReference("text", distribution="acme-text", version="1", plugin=self.builder)]
        self.environ: dict[str, str] = {"PATH": "/usr/bin:/bin"}
        self.config = Config.model_validate({"build": {"local": {"cache_dir": str(folder / "cache")}}})
        self.warnings: list[str] = []

    def job(self, *, cache: bool = True, **options: Any) -> Job:
        store = BuildCache(self.config.build.local.cache_dir, 10**9, warn=self.warnings.append)
        engine = Engine(
            plugins=InProcessCaller(load_plugins(entry_points=(), extra=self.plugins)),
            config=self.config,
            runner=LocalRunner(),
            environ=self.environ,
            cache=store if cache else None,
        )
        return Job(self.root, engine, replace(Options(), **options))

    def build(self, **options: Any):
        self.builder.ran.clear()
        return run_build(self.job(**options))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_the_first_build_fetches_and_builds_the_second_runs_nothing(bench: Bench) -> None:
    assert bench.build().cache == "miss"
    assert bench.builder.ran == ["fetch", "build"]
    assert bench.build().cache == "fresh"
    assert bench.builder.ran == []


def test_a_changed_source_builds_without_fetching(bench: Bench) -> None:
    bench.build()
    (bench.root / "a.txt").write_text("two")
    assert bench.build().cache == "miss"
    assert bench.builder.ran == ["build"]


def test_a_changed_lockfile_fetches_again(bench: Bench) -> None:
    bench.build()
    (bench.root / "words.lock").write_text("2")
    bench.build()
    assert bench.builder.ran == ["fetch", "build"]


def test_an_excluded_file_is_no_input(bench: Bench) -> None:
    bench.build()
    (bench.root / "notes.md").write_text("not an input")
    assert bench.build().cache == "fresh"


def test_what_was_fetched_and_vanished_is_fetched_again(bench: Bench) -> None:
    bench.builder.fetched = ("modules",)
    bench.build()
    (bench.root / "modules").rmdir()
    report = bench.build()
    assert (report.cache, bench.builder.ran) == ("hit", ["fetch"])


def test_dependencies_that_vanished_elsewhere_are_fetched_and_the_build_repeated(bench: Bench) -> None:
    bench.build()
    (bench.root / "a.txt").write_text("two")
    bench.builder.missing_once = True
    assert bench.build().cache == "miss"
    assert bench.builder.ran == ["build", "fetch", "build"]


def test_a_fetch_that_fails_is_tried_again_next_time(bench: Bench) -> None:
    bench.builder.fetch_fails = True
    with pytest.raises(FetchError):
        bench.build()
    bench.builder.fetch_fails = False
    bench.build()
    assert bench.builder.ran == ["fetch", "build"]


def test_a_failing_build_keeps_the_last_program_and_caches_nothing(bench: Bench) -> None:
    bench.build()
    (bench.root / "b.txt").write_text("broken")
    with pytest.raises(BuildError):
        bench.build()
    assert (bench.root / ".flowctl/bin/words").read_text() == "#!/bin/sh\necho one\n"
    with pytest.raises(BuildError):
        bench.build()


def test_explain_names_every_input_that_changed(bench: Bench) -> None:
    assert bench.build(explain=True).explanation == ("this component was never built here",)
    (bench.root / "a.txt").write_text("two")
    (bench.root / "b.txt").write_text("three")
    (bench.root / "words.lock").unlink()
    (bench.root / "words.lock").write_text("2")
    assert bench.build(explain=True).explanation == ("changed a.txt", "added b.txt", "changed words.lock")


def test_explain_after_clean_compares_with_the_cache(bench: Bench) -> None:
    bench.build()
    run_clean(bench.job())
    (bench.root / "a.txt").write_text("two")
    assert bench.build(explain=True).explanation == ("changed a.txt",)


def test_a_declared_variable_is_part_of_the_key_and_its_value_is_never_shown(bench: Bench) -> None:
    bench.builder.passthrough = ("WORD_FLAGS",)
    bench.build()
    bench.environ["WORD_FLAGS"] = "s3cret"
    report = bench.build(explain=True)
    assert report.explanation == ("variable WORD_FLAGS is new",)
    assert "s3cret" not in (bench.root / ".flowctl/state.json").read_text()
    bench.environ["UNRELATED"] = "x"
    assert bench.build().cache == "fresh"


def test_a_wrapper_runs_and_is_part_of_the_key(bench: Bench) -> None:
    bench.build()
    timing = Timing()
    bench.plugins.append(PluginReference("timing", distribution="acme-timing", version="3", plugin=timing))
    report = bench.build(explain=True)
    assert report.explanation == ("plugin timing is new",)
    assert timing.saw == ["before", "after"]
    bench.plugins.pop()
    assert bench.build().cache == "hit", "without the wrapper the first result is right again"


def test_a_tool_that_is_missing_fails_before_anything_runs(bench: Bench) -> None:
    bench.builder.tools = (ToolRequirement(name="no-such-tool", version=">=2", install_hint="get it"),)
    with pytest.raises(ToolchainError, match="no-such-tool"):
        bench.build()
    assert bench.builder.ran == []


def test_a_tool_with_other_bytes_builds_again(bench: Bench, tmp_path: Path) -> None:
    tool = tmp_path / "wordc"
    tool.write_text("#!/bin/sh\necho wordc 2.0\n")
    tool.chmod(0o755)
    bench.environ["PATH"] += f":{tmp_path}"
    bench.builder.tools = (ToolRequirement(name="wordc", version=">=1"),)
    bench.build()
    tool.write_text("#!/bin/sh\necho wordc 2.1\n")
    report = bench.build(explain=True)
    assert (report.cache, report.explanation) == ("miss", ("tool wordc changed (2.0 → 2.1)",))


def test_plan_and_detect_write_nothing(bench: Bench) -> None:
    run_plan(bench.job())
    assert sorted(path.name for path in bench.root.iterdir()) == ["a.txt", "words.lock"]


def test_tests_run_after_the_build(bench: Bench) -> None:
    report = run_tests(bench.job())
    assert report is not None and report.passed == 1
    assert bench.builder.ran == ["fetch", "build", "test"]


def test_clean_needs_no_toolchain(bench: Bench) -> None:
    bench.build()
    bench.builder.tools = (ToolRequirement(name="no-such-tool"),)
    assert set(run_clean(bench.job()).removed) == {"words", ".flowctl"}
    assert sorted(path.name for path in bench.root.iterdir()) == ["a.txt", "words.lock"]


def test_a_cache_that_cannot_be_written_warns_and_the_build_succeeds(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert bench.build().cache == "miss"
    assert bench.warnings
    assert bench.build().cache == "fresh"


def test_a_folder_that_is_not_there(bench: Bench) -> None:
    bench.root = bench.root / "nowhere"
    with pytest.raises(SourceError, match="not a folder"):
        bench.build()


def test_a_fetch_belongs_to_its_lockfile_whatever_was_built_since(bench: Bench) -> None:
    """Lock 1 is built, lock 2 is fetched but its build fails, lock 1 returns: what fetch made is lock 2's."""
    bench.builder.fetched = ("modules",)
    bench.build()
    (bench.root / "words.lock").write_text("2")
    (bench.root / "b.txt").write_text("broken")
    with pytest.raises(BuildError):
        bench.build()
    (bench.root / "words.lock").write_text("1")
    (bench.root / "b.txt").unlink()
    report = bench.build()
    assert (report.cache, bench.builder.ran) == ("hit", ["fetch"])


def test_what_was_built_while_the_source_changed_belongs_to_no_key(bench: Bench) -> None:
    bench.builder.somebody_edits = bench.root / "a.txt"
    report = bench.build()
    assert any("changed while it was built" in warning for warning in report.warnings)
    assert bench.build().cache == "miss"
    assert (bench.root / ".flowctl/bin/words").read_text() == "#!/bin/sh\necho edited meanwhile\n"
    (bench.root / "a.txt").write_text("one")
    assert bench.build().cache == "miss", "the first build saw neither text for sure, so it is not in the cache"


def test_a_lockfile_that_fetch_writes_is_part_of_what_is_built(bench: Bench) -> None:
    bench.builder.fetch_writes_lock = True
    assert not bench.build().warnings
    assert bench.build().cache == "fresh"
    (bench.root / "resolved.lock").write_text("other")
    assert bench.build().cache == "miss"


@pytest.mark.parametrize("harm", [Path.unlink, lambda page: page.write_text("spoiled")])
def test_a_file_inside_an_output_folder_is_missed_and_restored(bench: Bench, harm) -> None:
    bench.builder.makes_tree = True
    bench.build()
    assert bench.build().cache == "fresh"
    harm(bench.root / "dist/deep/page")
    assert bench.build().cache == "hit"
    assert (bench.root / "dist/deep/page").read_text() == "one"


def test_clean_removes_what_came_from_the_cache_and_nothing_beside_it(bench: Bench) -> None:
    bench.builder.makes_tree = True
    bench.build()
    shutil.rmtree(bench.root / "dist")  # as a builder's own clean does
    run_clean(bench.job())
    assert bench.build().cache == "hit"
    assert set(run_clean(bench.job()).removed) == {"dist", "words", ".flowctl"}
    assert sorted(path.name for path in bench.root.iterdir()) == ["a.txt", "words.lock"]

    assert bench.build().cache == "hit"
    (bench.root / "dist/deep/notes.md").write_text("mine")
    assert set(run_clean(bench.job()).removed) == {"dist/deep/page", "words", ".flowctl"}
    assert [path.name for path in bench.root.glob("dist/**/*")] == ["deep", "notes.md"]


def test_clean_leaves_what_was_there_before_it_was_restored_and_what_git_tracks(bench: Bench) -> None:
    bench.builder.makes_tree = True
    bench.build()
    run_clean(bench.job())  # this builder's clean leaves dist/
    assert bench.build().cache == "hit"
    assert "dist" not in run_clean(bench.job()).removed
    assert (bench.root / "dist/deep/page").is_file()

    shutil.rmtree(bench.root / "dist")
    bench.build()
    git = ["git", "-C", str(bench.root)]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "--force", "dist"], check=True)
    assert "dist" not in run_clean(bench.job()).removed
    assert (bench.root / "dist/deep/page").is_file()


def test_clean_believes_no_record_that_leads_outside(bench: Bench, tmp_path: Path) -> None:
    bench.build()
    (tmp_path / "mine").write_text("mine")
    (bench.root / "link").symlink_to(tmp_path)
    outside = ["../mine", "link/mine", str(tmp_path / "mine"), "", "."]
    (bench.root / ".flowctl/restored.json").write_text(json.dumps(outside))
    run_clean(bench.job())
    assert (tmp_path / "mine").read_text() == "mine"


def test_a_lockfile_that_fetch_writes_anew_leads_to_the_build_that_is_known(bench: Bench) -> None:
    bench.builder.fetch_writes_lock = True
    bench.build()
    run_clean(bench.job())
    (bench.root / "resolved.lock").unlink()
    assert bench.build().cache == "hit"
    assert bench.builder.ran == ["fetch"]
    assert bench.build().cache == "fresh"


def test_clean_knows_what_was_built_when_the_source_says_nothing_any_more(bench: Bench) -> None:
    bench.build()
    (bench.root / "words.lock").unlink()
    bench.builder.ran.clear()
    assert set(run_clean(bench.job()).removed) == {"words", ".flowctl"}
    assert bench.builder.ran == ["clean"]
    assert sorted(path.name for path in bench.root.iterdir()) == ["a.txt"]


def test_clean_after_a_first_build_that_failed(bench: Bench) -> None:
    (bench.root / "b.txt").write_text("broken")
    with pytest.raises(BuildError):
        bench.build()
    bench.builder.ran.clear()
    assert run_clean(bench.job()).removed == (".flowctl",)
    assert bench.builder.ran == ["clean"]


def test_clean_after_a_build_that_failed_when_the_source_says_nothing_any_more(bench: Bench) -> None:
    (bench.root / "b.txt").write_text("broken")
    with pytest.raises(BuildError):
        bench.build()
    (bench.root / "words.lock").unlink()
    bench.builder.ran.clear()
    assert run_clean(bench.job()).removed == (".flowctl",)
    assert bench.builder.ran == ["clean"]


def test_clean_without_the_plugin_that_built(bench: Bench) -> None:
    bench.build()
    bench.plugins.clear()
    assert set(run_clean(bench.job()).removed) == {"words", ".flowctl"}
