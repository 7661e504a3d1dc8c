"""Exactly one builder is called, wrappers run around it, and every fault is attributed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flowctl_core import hookimpl
from flowctl_core.errors import BuildError, CancelledError, PluginError, SourceError
from flowctl_core.models import (
    Artifact,
    BuildContext,
    BuildResult,
    Detection,
    Plan,
    PlanRequest,
    Platform,
    SourceTree,
    TestReport,
    ToolRequirement,
)
from flowctl_core.plugins.call import HOOK_MISSING, InProcessCaller
from flowctl_core.plugins.discovery import PluginReference
from flowctl_core.plugins.manager import load_plugins
from flowctl_core.runners.local import LocalRunner

PLAN = Plan(component="c", version="1", language="a", profile="dev", platforms=(Platform.host(),))


class Builder:
    contract = 1

    def __init__(self, language: str = "a", log: list[str] | None = None) -> None:
        self.language = language
        self.log = log if log is not None else []
        self.detected: Any = Detection(language=language, confidence=0.5)
        self.built: Any = BuildResult(artifacts=())

    @hookimpl
    def flowctl_detect(self, source):
        return _give(self.detected)

    @hookimpl
    def flowctl_plan(self, source, request):
        return PLAN.model_copy(update={"language": self.language})

    @hookimpl
    def flowctl_build(self, plan, context):
        self.log.append(f"build {self.language}")
        return _give(self.built)


def _give(value: Any) -> Any:
    if isinstance(value, BaseException):
        raise value
    return value


def caller_of(**plugins: object) -> InProcessCaller:
    references = [PluginReference(n, distribution=f"dist-{n}", plugin=p) for n, p in plugins.items()]
    manager = load_plugins(entry_points=references)
    assert manager.problems == ()
    return InProcessCaller(manager)


@pytest.fixture
def source(tmp_path: Path) -> SourceTree:
    return SourceTree(root=tmp_path)


@pytest.fixture
def context(tmp_path: Path) -> BuildContext:
    return BuildContext(source_root=tmp_path, output_dir=tmp_path, work_dir=tmp_path, runner=LocalRunner())


def test_every_builder_is_asked_to_detect(source):
    silent = Builder("s")
    silent.detected = None
    answers = caller_of(b=Builder("b"), a=Builder("a"), s=silent).detect_all(source)
    found = [(a.builder, a.distribution, a.detection and a.detection.language, a.crash) for a in answers]
    assert found == [("a", "dist-a", "a", None), ("b", "dist-b", "b", None), ("s", "dist-s", None, None)]


def test_a_crash_in_detection_is_attributed_and_stops_nobody(source):
    crashing = Builder("x")
    crashing.detected = ZeroDivisionError("by nought")
    answers = {a.builder: a for a in caller_of(a=Builder("a"), x=crashing).detect_all(source)}
    assert answers["a"].detection is not None and answers["a"].error is None
    assert isinstance(answers["x"].error, PluginError)
    assert "plugin x (dist-x) crashed in flowctl_detect: ZeroDivisionError: by nought" in (answers["x"].crash or "")
    assert "Traceback" in (answers["x"].crash or "")


def test_an_error_of_the_plugins_own_in_detection_is_kept(source):
    crashing = Builder("x")
    crashing.detected = SourceError("x.toml leads outside", hint="h")
    (answer,) = caller_of(x=crashing).detect_all(source)
    assert answer.error is crashing.detected


def test_cancelling_ends_detection(source):
    cancelled = Builder("x")
    cancelled.detected = CancelledError("Ctrl-C")
    with pytest.raises(CancelledError):
        caller_of(x=cancelled).detect_all(source)


def test_only_the_named_builder_is_called(context):
    log: list[str] = []
    caller = caller_of(a=Builder("a", log), b=Builder("b", log), c=Builder("c", log))
    caller.build("b", PLAN, context)
    assert log == ["build b"]


def test_wrappers_of_other_plugins_run_around_the_one_builder(context, source):
    log: list[str] = []

    class Timing:
        contract = 1

        @hookimpl(wrapper=True)
        def flowctl_build(self, plan, context):
            log.append("before")
            try:
                return (yield)
            finally:
                log.append("after")

        @hookimpl(wrapper=True)
        def flowctl_detect(self, source):
            found = yield
            log.append(f"detected {len(found)}")
            return found

    caller = caller_of(a=Builder("a", log), b=Builder("b", log), t=Timing())
    caller.build("a", PLAN, context)
    assert log == ["before", "build a", "after"]
    log.clear()
    caller.detect_all(source)
    assert log == ["detected 1", "detected 1"]


def test_a_wrapper_may_change_the_answer_and_refuse(context):
    class Policy:
        contract = 1

        @hookimpl(wrapper=True)
        def flowctl_build(self, plan, context):
            result = yield
            if not result.artifacts:
                raise BuildError("the policy wants artifacts", hint="make some")
            return result.model_copy(update={"warnings": ("seen",)})

    empty, full = Builder("a"), Builder("b")
    full.built = BuildResult(artifacts=(Artifact(path="x", platform=Platform.host()),))
    caller = caller_of(a=empty, b=full, policy=Policy())
    with pytest.raises(BuildError, match="the policy wants artifacts"):
        caller.build("a", PLAN, context)
    assert caller.build("b", PLAN, context).warnings == ("seen",)


def test_wrappers_alone_never_answer(context):
    class Fake:
        contract = 1

        @hookimpl(wrapper=True)
        def flowctl_test(self, plan, context):
            yield
            return TestReport(tool="fake")

    caller = caller_of(a=Builder("a"), fake=Fake())
    assert caller.call("a", "flowctl_test", plan=PLAN, context=context) is HOOK_MISSING
    assert caller.test("a", PLAN, context) is None


def test_a_second_implementation_left_over_is_refused(context):
    caller = caller_of(a=Builder("a"), b=Builder("b"))
    # As if a record had been wrong about who implements what.
    caller.manager._objects.pop("b")
    with pytest.raises(PluginError, match="would call"):
        caller.build("a", PLAN, context)


def test_a_missing_hook_is_not_an_answer_of_none(context):
    class Nothing(Builder):
        @hookimpl
        def flowctl_fetch(self, plan, context):
            return None

    caller = caller_of(a=Builder("a"), n=Nothing())
    assert caller.call("a", "flowctl_fetch", plan=PLAN, context=context) is HOOK_MISSING
    assert caller.call("n", "flowctl_fetch", plan=PLAN, context=context) is None
    assert not HOOK_MISSING


def test_an_error_of_the_plugins_own_passes_unchanged(context):
    builder = Builder("a")
    builder.built = BuildError("go said no", hint="h", output="o")
    with pytest.raises(BuildError) as caught:
        caller_of(a=builder).build("a", PLAN, context)
    assert caught.value is builder.built


@pytest.mark.parametrize("error", [KeyError("k"), SystemExit(2), RecursionError("deep"), AssertionError()])
def test_any_other_error_names_plugin_and_hook_and_keeps_the_traceback(context, error):
    builder = Builder("a")
    builder.built = error
    with pytest.raises(PluginError, match=r"plugin a \(dist-a\) crashed in flowctl_build") as caught:
        caller_of(a=builder).build("a", PLAN, context)
    assert "_give" in (caught.value.output or "")
    assert caught.value.__cause__ is error


def test_ctrl_c_in_a_hook_stays_ctrl_c(context):
    builder = Builder("a")
    builder.built = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        caller_of(a=builder).build("a", PLAN, context)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_crash_in_a_wrapper_is_the_wrappers(context, moment):
    class Bad:
        contract = 1

        @hookimpl(wrapper=True)
        def flowctl_build(self, plan, context):
            if moment == "before":
                raise ValueError("mine")
            result = yield
            raise ValueError("mine")
            return result

    with pytest.raises(PluginError, match="plugin bad, which wraps a, crashed in flowctl_build: ValueError: mine"):
        caller_of(a=Builder("a"), bad=Bad()).build("a", PLAN, context)


def test_a_crash_that_passes_through_a_wrapper_is_the_builders(context):
    class Good:
        contract = 1

        @hookimpl(wrapper=True)
        def flowctl_build(self, plan, context):
            return (yield)

    builder = Builder("a")
    builder.built = ValueError("the builder's")
    with pytest.raises(PluginError, match=r"plugin a \(dist-a\) crashed"):
        caller_of(a=builder, good=Good()).build("a", PLAN, context)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"artifacts": []}, "answered flowctl_build with a dict; expected BuildResult"),
        ("done", "with a str; expected BuildResult"),
        (PLAN, "with a Plan; expected BuildResult"),
        (BuildResult.model_construct(artifacts="nonsense"), "expected BuildResult"),
        (BuildResult.model_construct(), "expected BuildResult"),
    ],
)
def test_a_wrong_answer_names_plugin_hook_and_what_was_expected(context, answer, said):
    builder = Builder("a")
    builder.built = answer
    with pytest.raises(PluginError) as caught:
        caller_of(a=builder).build("a", PLAN, context)
    assert said in caught.value.message
    assert "plugin a (dist-a)" in caught.value.message


def test_no_build_result_is_a_fault(context):
    builder = Builder("a")
    builder.built = None
    with pytest.raises(PluginError, match="answered flowctl_build with nothing; expected BuildResult"):
        caller_of(a=builder).build("a", PLAN, context)


def test_toolchains_are_collected_and_checked():
    class Tools(Builder):
        wanted: Any = (ToolRequirement(name="go"),)

        @hookimpl
        def flowctl_toolchain(self):
            return self.wanted

    wrong = Tools("w")
    wrong.wanted = ["go"]
    answers = {a.builder: a for a in caller_of(a=Builder("a"), t=Tools("t"), w=wrong).toolchains()}
    assert answers["a"].requirements == () and answers["a"].error is None
    assert [tool.name for tool in answers["t"].requirements] == ["go"]
    assert "expected tuple[ToolRequirement, ...]" in (answers["w"].crash or "")


def test_the_callers_own_arguments_are_checked(context):
    caller = caller_of(a=Builder("a"))
    with pytest.raises(PluginError, match="flowctl_build takes plan, context, not plan"):
        caller.call("a", "flowctl_build", plan=PLAN)
    with pytest.raises(PluginError, match="flowctl_bake is not a hook"):
        caller.call("a", "flowctl_bake", plan=PLAN, context=context)


def test_identities_are_the_builder_and_all_wrappers():
    class Wrapper:
        contract = 1

        @hookimpl(wrapper=True)
        def flowctl_test(self, plan, context):
            return (yield)

    caller = caller_of(a=Builder("a"), b=Builder("b"), w=Wrapper())
    assert [(i.name, i.distribution, i.hooks) for i in caller.identities("a")] == [
        ("a", "dist-a", ("flowctl_build", "flowctl_detect", "flowctl_plan")),
        ("w", "dist-w", ("flowctl_test",)),
    ]


def test_plan_asks_with_the_request(source):
    plan = caller_of(a=Builder("a")).plan("a", source, PlanRequest(name="n", version="1"))
    assert plan.language == "a"
