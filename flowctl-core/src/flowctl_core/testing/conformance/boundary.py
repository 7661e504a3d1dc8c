"""Every hook gives the same answer in this process and in a child process, JSON in and out."""

# ruff: noqa: S101 - these are tests
from __future__ import annotations

from typing import Any

from flowctl_core.models import Artifact, BuildResult, PlanRequest, ReleaseResult, TestReport
from flowctl_core.testing.conformance.subject import Subject
from flowctl_core.testing.conformance.workshop import NAME, Workshop
from flowctl_core.testing.driver import CallerName, Driver


class BoundaryRules(Subject):
    """A hook keeps no state between calls: what a later hook needs is in the plan or on disk."""

    def test_detection_is_the_same_across_processes(self, workshop: Workshop) -> None:
        """`flowctl_detect`, both ways."""
        root = workshop.tree()
        here, there = workshop.driver(root).detect(), workshop.driver(root, "child").detect()
        assert here == there, _differ("flowctl_detect", here, there)

    def test_toolchain_is_the_same_across_processes(self, workshop: Workshop) -> None:
        """`flowctl_toolchain`, both ways."""
        root = workshop.folder()
        answers = [
            workshop.driver(root, caller).caller.call(self.builder, "flowctl_toolchain") or None for caller in _BOTH
        ]
        assert answers[0] == answers[1], _differ("flowctl_toolchain", *answers)

    def test_plan_is_the_same_across_processes(self, workshop: Workshop) -> None:
        """`flowctl_plan`, both ways."""
        root = workshop.tree()
        here, there = workshop.driver(root).plan(), workshop.driver(root, "child").plan()
        assert here == there, _differ("flowctl_plan", here, there)

    def test_fetch_build_test_and_clean_are_the_same_across_processes(self, workshop: Workshop) -> None:
        """The whole way through a child process for each hook, beside the same in this process."""
        first = workshop.driver(workshop.tree())
        first.fetch(first.plan())  # a toolchain's own cache is the user's: what it lacks is fetched, and counted, once
        here, there = (_whole_way(workshop.driver(workshop.tree(), caller)) for caller in _BOTH)
        for hook, answer in here.items():
            assert answer == there[hook], _differ(hook, answer, there[hook])

    def test_release_hooks_are_the_same_across_processes(self, workshop: Workshop) -> None:
        """`flowctl_dependencies`, `flowctl_image` and `flowctl_build_multiplatform`, where they are
        implemented."""
        here, there = (_release_hooks(workshop, caller) for caller in _BOTH)
        for hook, answer in here.items():
            assert answer == there[hook], _differ(hook, answer, there[hook])

    def test_errors_are_the_same_across_processes(self, workshop: Workshop) -> None:
        """A failure is the same class of error, with the same message and hint."""
        errors = [_failure(workshop.driver(workshop.tree(changes=self.broken_build), caller)) for caller in _BOTH]
        assert errors[0] == errors[1], _differ("the failing build", *errors)


_BOTH: tuple[CallerName, CallerName] = ("inprocess", "child")


def _whole_way(driver: Driver) -> dict[str, Any]:
    plan = driver.plan()
    fetch = driver.fetch(plan)
    build = driver.build(plan)
    # What was reported before core moved it lies in a staging folder with a name of its own.
    made = _portable(BuildResult(artifacts=driver.artifacts, warnings=build.warnings))
    test = driver.test(plan)
    clean = driver.clean(plan)
    return {
        "flowctl_fetch": fetch,
        "flowctl_build": made,
        "flowctl_test": _timeless(test),
        "flowctl_clean": clean,
    }


def _portable(result: BuildResult) -> BuildResult:
    """Without digest and size: a dev build may hold the path it was built in."""
    artifacts = tuple(a.model_copy(update={"digest": "", "size": 0}) for a in result.artifacts)
    return result.model_copy(update={"artifacts": artifacts})


def _timeless(report: TestReport | None) -> Any:
    """Counts, names and outcomes; durations and texts with times in them differ from run to run."""
    if report is None:
        return None
    cases = sorted((case.name, case.outcome) for case in report.cases)
    return (
        report.tool, report.passed, report.failed, report.skipped, report.errors, report.exit_code, cases
    )  # fmt: skip


def _release_hooks(workshop: Workshop, caller: CallerName) -> dict[str, Any]:
    driver = workshop.driver(workshop.built.driver.root, caller)
    plan, artifacts = workshop.built.plan, workshop.built.driver.artifacts
    context = driver.context(plan)
    answers: dict[str, Any] = {
        "flowctl_dependencies": driver.caller.call(driver.builder, "flowctl_dependencies", plan=plan, context=context)
        or None
    }
    for artifact in artifacts:
        if artifact.kind == "program":
            answers[f"flowctl_image {artifact.path}"] = _image(driver, plan, artifact)
    if "flowctl_build_multiplatform" in workshop.manager.builder(driver.builder).hooks:
        answers["flowctl_build_multiplatform"] = _release(workshop, caller)
    return answers


def _image(driver: Driver, plan: Any, artifact: Artifact) -> Any:
    return driver.caller.call(driver.builder, "flowctl_image", plan=plan, artifact=artifact) or None


def _release(workshop: Workshop, caller: CallerName) -> Any:
    driver = workshop.driver(workshop.tree(), caller)
    detection = driver.detect()
    assert detection is not None
    request = PlanRequest(
        profile="release",
        name=NAME,
        version="0.0.0",
        detection_root=detection.root,
        language=detection.language,
        entry_point=workshop.subject.entry_point,
    )
    plan = driver.caller.plan(driver.builder, driver.source, request)
    driver.fetch(plan)
    result = driver.caller.call(driver.builder, "flowctl_build_multiplatform", plan=plan, context=driver.context(plan))
    assert isinstance(result, ReleaseResult)
    return [
        (o.platform, [(a.kind, a.path.rsplit("/", 1)[-1]) for a in o.artifacts], o.failure) for o in result.outcomes
    ]


def _failure(driver: Driver) -> tuple[str, str, str | None]:
    from flowctl_core.errors import FlowctlError

    plan = driver.plan()
    try:
        driver.fetch(plan)
        driver.build(plan)
    except FlowctlError as error:
        root = str(driver.root)
        return error.code, error.message.replace(root, "."), error.hint and error.hint.replace(root, ".")
    raise AssertionError("the project with `broken_build` builds; it must not")


def _differ(hook: str, here: object, there: object) -> str:
    return (
        f"{hook} answers differently across the process boundary (it must keep no state between calls):\n"
        f"in this process: {here!r}\nin a child:      {there!r}"
    )
