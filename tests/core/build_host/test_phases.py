"""The phases of a remote build together make what `component build --as-registry` makes, wherever each of them runs."""

from __future__ import annotations

import filecmp
import json
import os
import shutil
from pathlib import Path

import pytest
from tests.core.release.conftest import WordBuilder

from flowctl_core import hookimpl
from flowctl_core.build_host.phases import PHASES, steps_of
from flowctl_core.errors import (
    EngineError,
    PlatformsFailedError,
    PluginError,
    SourceError,
    TestsFailedError,
    ToolchainError,
    UsageError,
)
from flowctl_core.models import Artifact, BuildContext, BuildResult, Plan, Platform, TestCase, TestReport
from flowctl_core.models.build_info import ToolInfo
from flowctl_core.workflow import release_way


def files(folder: Path) -> dict[str, Path]:
    return {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}


def require_same(one: Path, other: Path) -> None:
    assert files(one).keys() == files(other).keys()
    different = [name for name, path in files(one).items() if not filecmp.cmp(path, files(other)[name], shallow=False)]
    assert different == []


def test_every_step_of_a_release_belongs_to_one_phase_in_its_order() -> None:
    taken = [step for phase in PHASES for step in steps_of(phase)]
    assert sorted(step.__name__ for step in taken) == sorted(step.__name__ for step in release_way())
    for phase in PHASES:
        places = [release_way().index(step) for step in steps_of(phase)]
        assert places == sorted(places)


def test_the_phases_make_the_same_bytes(yard) -> None:
    yard.run_all()
    yard.bench.release(as_registry=True)
    require_same(yard.workspace.release, yard.bench.root / "dist")


def test_the_source_is_the_commit_and_not_what_is_checked_out(yard) -> None:
    for entry in yard.workspace.repository.iterdir():
        if entry.name != ".git":
            entry.unlink()
    (yard.workspace.repository / "words.txt").write_text("not of the commit\n")
    yard.run_all()
    yard.bench.release(as_registry=True)
    require_same(yard.workspace.release, yard.bench.root / "dist")


def test_the_order_in_which_json_is_kept_changes_no_byte(yard) -> None:
    def turned(value: object) -> object:
        if isinstance(value, dict):
            return {name: turned(value[name]) for name in sorted(value)}  # as a canonical form has it
        return [turned(each) for each in value] if isinstance(value, list) else value

    for phase in ("export", "decide", "fetch", "build", "bases", "assemble"):
        for name, state in yard.run(phase).items():
            text = json.dumps(turned(state.model_dump(mode="json")))
            yard.workspace.write(name, type(state).model_validate_json(text))
    yard.bench.release(as_registry=True)
    require_same(yard.workspace.release, yard.bench.root / "dist")


def test_each_phase_may_run_elsewhere(yard, tmp_path) -> None:
    yard.run("export", "decide")
    yard.move(tmp_path / "second")
    yard.run("fetch")
    yard.move(tmp_path / "third")
    for platform in ("darwin/amd64", "linux/arm64", "linux/amd64"):
        yard.run("build", platforms=(platform,))
        yard.move(tmp_path / platform.replace("/", "-"))
    yard.run("bases", "assemble")
    yard.bench.release(as_registry=True)
    require_same(yard.workspace.release, yard.bench.root / "dist")
    leaked = [name for name, state in yard.states.items() if str(tmp_path) in state.model_dump_json()]
    assert leaked == []


def test_assemble_needs_of_a_build_only_the_files_that_it_names(yard, tmp_path) -> None:
    yard.run("export", "decide", "fetch")
    fresh = tmp_path / "fresh"
    shutil.copytree(yard.workspace.folder, fresh, symlinks=True)
    built = yard.workspace.folder
    states = yard.run("build")
    yard.workspace = type(yard.workspace)(fresh)
    for name, state in states.items():
        if name.startswith("build-"):
            yard.workspace.write(name, state)
            for path in state.files:
                (fresh / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(built / path, fresh / path)
    yard.run("bases", "assemble")
    assert yard.states["assemble.json"].files.keys() == files(fresh / "release").keys()


def test_a_phase_can_be_done_again(yard) -> None:
    for phase in ("export", "decide", "fetch", "build", "bases", "assemble"):
        yard.run(phase)
        before = dict(yard.states)
        yard.run(phase)
        if phase not in ("build", "assemble"):  # those tell how long it took
            assert yard.states == before
    yard.bench.release(as_registry=True)
    require_same(yard.workspace.release, yard.bench.root / "dist")


def test_a_phase_out_of_order_is_refused(yard) -> None:
    for phase, missing in (("decide", "export"), ("fetch", "decide"), ("build", "decide"), ("assemble", "decide")):
        with pytest.raises(UsageError, match=f"{missing}.json of the workspace cannot be read"):
            yard.run(phase)
    yard.run("export", "decide", "fetch")
    with pytest.raises(UsageError, match=r"build-linux-amd64\.json of the workspace cannot be read"):
        yard.run("assemble")


def test_a_failed_platform_is_told_and_the_others_are_kept(yard) -> None:
    yard.run("export", "decide", "fetch")
    yard.bench.builder.failing.add("linux/arm64")
    with pytest.raises(PlatformsFailedError, match="words do not compile for linux/arm64") as failure:
        yard.run("build")
    assert failure.value.output is not None and "line 7: syntax error" in failure.value.output
    yard.bench.builder.failing.clear()
    yard.run("build", platforms=("linux/arm64",))
    yard.run("bases", "assemble")


def test_a_file_for_another_platform_is_found_by_the_build(yard, binary_for) -> None:
    yard.run("export", "decide", "fetch")
    yard.bench.builder.wrong["linux/arm64"] = binary_for(Platform("linux/amd64"), b"")
    with pytest.raises(PlatformsFailedError, match="linux/arm64"):
        yard.run("build", platforms=("linux/arm64",))


def test_a_file_that_is_exchanged_after_its_build_is_found(yard, binary_for) -> None:
    yard.run("export", "decide", "fetch", "build")
    (path,) = yard.states["build-linux-arm64.json"].files
    (yard.workspace.folder / path).write_bytes(binary_for(Platform("linux/amd64"), b""))
    with pytest.raises(PlatformsFailedError, match="linux/arm64"):
        yard.run("bases", "assemble")
    assert not yard.workspace.release.exists()


def test_a_build_that_edits_the_component_file_is_refused(yard) -> None:
    yard.run("export", "decide", "fetch", "build", "bases")
    file = yard.workspace.source("words") / "component.yaml"
    file.write_text(file.read_text().replace("1.2.3", "6.6.6"))
    with pytest.raises(SourceError, match=r"component\.yaml or metadata\.json is not the one of the commit"):
        yard.run("assemble")


def test_what_cannot_be_built_is_told_by_decide_and_refused_by_build(yard) -> None:
    yard.bench.builder.refused.add("darwin/amd64")
    yard.run("export", "decide", "fetch")
    assert [refusal.platform for refusal in yard.states["decide.json"].refused] == ["darwin/amd64"]
    with pytest.raises(PlatformsFailedError, match="darwin/amd64 cannot be built here: no words for it"):
        yard.run("build", platforms=("darwin/amd64",))
    yard.run("build", "bases", "assemble")
    assert {p.platform: p.state for p in yard.states["assemble.json"].report.platforms} == {
        "linux/amd64": "built",
        "linux/arm64": "built",
        "darwin/amd64": "refused",
    }


def test_other_tools_or_plugins_than_decided_are_refused(yard) -> None:
    yard.run("export", "decide", "fetch")
    decided = yard.states["decide.json"]
    tool = ToolInfo(name="pen", version="1", digest="sha256:00", origin="PATH")
    yard.workspace.write("decide.json", decided.model_copy(update={"tools": (tool,)}))
    with pytest.raises(ToolchainError, match="pen: 1 sha256:00 there, none here"):
        yard.run("build")
    fetched = yard.states["fetch.json"]
    parts = {name: "0 sha256:00" if name.startswith("plugin ") else text for name, text in fetched.key.parts.items()}
    key = fetched.key.model_copy(update={"parts": parts})
    yard.workspace.write("fetch.json", fetched.model_copy(update={"key": key}))
    with pytest.raises(PluginError, match="another plugin words than the one that planned the build"):
        yard.run("build")


def test_a_dockerfile_is_refused_before_anything_is_fetched(yard) -> None:
    (yard.bench.root / "Dockerfile").write_text("FROM scratch\n")
    component = yard.bench.root / "component.yaml"
    component.write_text(component.read_text() + "  build:\n    container:\n      dockerfile: Dockerfile\n")
    yard.bench.git("add", "--all")
    yard.bench.git("commit", "--quiet", "--message", "image")
    shutil.rmtree(yard.workspace.repository)
    shutil.copytree(yard.bench.root, yard.workspace.repository, symlinks=True)
    yard.ask()
    yard.run("export")
    with pytest.raises(EngineError, match="built from Dockerfile, and there is no Docker engine for builds here"):
        yard.run("decide")
    assert yard.bench.builder.fetches == 0


@pytest.mark.parametrize(
    "request_", [{"subdirectory": "../elsewhere"}, {"subdirectory": "/etc"}, {"name": "../x"}, {"name": ""}]
)
def test_a_request_that_leads_outside_is_refused(yard, request_) -> None:
    yard.ask(**request_)
    with pytest.raises(UsageError, match=r"request\.json of the workspace is not what it should be"):
        yard.run("export")


def test_links_into_the_workspace_survive_a_move(yard, tmp_path) -> None:
    yard.run("export", "decide")
    root = yard.workspace.source("words")
    (root / "fetched").mkdir()
    store = yard.workspace.folder / "cache" / "store"
    store.mkdir(parents=True)
    (root / "fetched" / "inside").symlink_to(store)
    (root / "fetched" / "outside").symlink_to("/etc/hosts")
    yard.run("fetch")
    yard.move(tmp_path / "moved")
    moved = yard.workspace.source("words") / "fetched"
    assert (moved / "inside").resolve() == tmp_path / "moved" / "cache" / "store"
    assert os.readlink(moved / "outside") == "/etc/hosts"


def test_the_base_image_is_the_one_that_was_fetched_and_assemble_asks_nobody(bench, make_yard, liar) -> None:
    component = bench.root / "component.yaml"
    text = component.read_text().replace("linux/amd64, linux/arm64, darwin/amd64", "linux/amd64, darwin/amd64")
    component.write_text(f"{text}  build:\n    container:\n      base: {liar.host}/base:1\n")
    bench.git("commit", "--quiet", "--all", "--message", "base")
    digest = liar.has_image()
    yard = make_yard(bench)
    yard.run("export", "decide", "fetch")
    assert liar.asked == [], "which image is needed is known only of what was built"
    yard.run("build")
    assert yard.states["build-linux-amd64.json"].bases == {f"{liar.host}/base:1": ("linux/amd64",)}
    assert yard.states["build-darwin-amd64.json"].bases == {}
    yard.run("bases")
    assert yard.states["bases.json"].digests == {f"{liar.host}/base:1": digest}
    for note in (bench.engine.config.build.local.cache_dir / "images" / "references").iterdir():
        note.write_text('{"digest": "sha256:' + "0" * 64 + '"}')  # code of the source could have written there
    asked = len(liar.asked)
    yard.run("assemble")
    assert len(liar.asked) == asked
    bench.release(as_registry=True)
    require_same(yard.workspace.release, bench.root / "dist")


class WithTests(WordBuilder):
    """Its tests pass when the words say so, and leave a file behind."""

    @hookimpl
    def flowctl_build(self, plan: Plan, context: BuildContext) -> BuildResult:
        program = context.output_dir / plan.component
        program.write_bytes(self.binary(Platform.host(), b""))
        program.chmod(0o755)
        artifact = Artifact(path=program.relative_to(context.source_root).as_posix(), platform=Platform.host())
        return BuildResult(artifacts=(artifact,))

    @hookimpl
    def flowctl_test(self, plan: Plan, context: BuildContext) -> TestReport | None:
        assert context.offline
        words = (context.source_root / "words.txt").read_text()
        (context.source_root / "words.txt").write_text("changed by a test\n")
        if words == "none\n":
            return None
        case = TestCase(name="spelling", outcome="failed" if words == "wrong\n" else "passed", output="line 7 is wrong")
        failed = case.outcome == "failed"
        return TestReport(tool="words", passed=not failed, failed=failed, exit_code=failed, cases=(case,))


def test_tests_run_in_a_copy_and_their_failure_ends_the_build(make_bench, make_yard) -> None:
    bench = make_bench(builder=WithTests)
    yard = make_yard(bench)
    yard.ask(tests=True)
    yard.run("export", "decide", "fetch", "test")
    assert (yard.states["test.json"].state, yard.states["test.json"].passed) == ("passed", 1)
    yard.run("build", "bases", "assemble")
    bench.release(as_registry=True)
    require_same(yard.workspace.release, bench.root / "dist")


@pytest.mark.parametrize("words", ["none\n", "wrong\n"])
def test_failed_and_missing_tests(make_bench, make_yard, words: str) -> None:
    bench = make_bench(builder=WithTests)
    (bench.root / "words.txt").write_text(words)
    bench.git("commit", "--quiet", "--all", "--message", "words")
    yard = make_yard(bench)
    yard.ask(tests=True)
    yard.run("export", "decide", "fetch")
    if words == "none\n":
        yard.run("test")
        assert yard.states["test.json"].state == "none" and "words has no tests" in bench.said
    else:
        with pytest.raises(
            TestsFailedError, match=r"the tests of words failed \(0 passed, 1 failed\): spelling"
        ) as failure:
            yard.run("test")
        assert "line 7 is wrong" in (failure.value.output or "")
