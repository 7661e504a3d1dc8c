"""The conformance suite passes a good builder, and each rule fails the builder that breaks it."""

from __future__ import annotations

import inspect
import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest

from flowctl_core import hookimpl
from flowctl_core.errors import BuildError, CancelledError, FlowctlError, PluginError, ToolTimeoutError
from flowctl_core.models import (
    Artifact,
    CleanReport,
    Dependency,
    DependencyReport,
    Detection,
    EntryPoint,
    Evidence,
    ImageFile,
    ImagePlan,
    Platform,
    PlatformOutcome,
    ReleaseResult,
    TestReport,
)
from flowctl_core.plugins.discovery import PluginReference
from flowctl_core.plugins.manager import load_plugins
from flowctl_core.testing.conformance import BuilderConformance, ExpectedTests
from flowctl_core.testing.conformance.releasing import ReleaseRules
from flowctl_core.testing.conformance.workshop import Workshop

GREETING = Path(__file__).parents[2] / "projects" / "sh-greeting"


class Stated(BuilderConformance):
    """What the shell builder's author states; not collected, its rules are called below."""

    builder = "sh"
    project = GREETING
    expected_tests = ExpectedTests(passed=2, skipped=1)
    broken_build: ClassVar = {"main.sh": "if then fi (\n"}
    broken_build_says = "yntax error"
    failing_test: ClassVar = {"tests/wrong_test.sh": "echo 'expected 1, got 2'\nexit 1\n"}
    failing_test_name = "wrong_test"
    failing_test_says = "expected 1, got 2"
    arguments = ("Ada",)
    output = "hello Ada"


RULES = [name for name, _ in inspect.getmembers(BuilderConformance, inspect.isfunction) if name.startswith("test_")]
RELEASE_RULES = [name for name in vars(ReleaseRules) if name.startswith("test_")]
CANCELLATION = "test_cancellation_and_timeouts_pass_unchanged"


def _call(rule: str, workshop: Workshop) -> None:
    method = getattr(Stated(), rule)
    if rule == CANCELLATION:
        for error in (CancelledError("cancelled"), ToolTimeoutError("slow")):
            method(workshop, error)
    else:
        method(workshop)


@pytest.fixture
def workshop_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[object], Workshop]:
    def make(plugin: object) -> Workshop:
        manager = load_plugins(
            entry_points=[PluginReference("sh", "flowctl_lang_sh.plugin:plugin", "sh", plugin=plugin)]
        )
        return Workshop(Stated, tmp_path_factory, manager)

    return make


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    manager = load_plugins(entry_points=[PluginReference("sh", "flowctl_lang_sh.plugin:plugin", "flowctl-lang-sh")])
    return Workshop(Stated, tmp_path_factory, manager)


@pytest.mark.parametrize("rule", RULES)
def test_the_good_builder_passes(good: Workshop, rule: str):
    _call(rule, good)


def _good() -> Any:
    from flowctl_lang_sh.plugin import ShellBuilder

    return ShellBuilder


def _mutant(hook: str, function: Callable[..., Any]) -> object:
    """The shell builder with one hook replaced; `function(good, *arguments)` may call the good hook."""
    base = _good()
    original = getattr(base, hook)
    names = [name for name in inspect.signature(original).parameters if name != "self"]

    def replaced(self: Any, *arguments: Any) -> Any:
        return function(lambda *again: original(self, *again), *arguments)

    scope: dict[str, Any] = {"replaced": replaced}
    text = f"def {hook}(self, {', '.join(names)}):\n    return replaced(self, {', '.join(names)})\n"
    exec(text, scope)
    return type("Mutant", (base,), {hook: hookimpl(scope[hook])})()


def _updated(**fields: Any) -> Callable[..., Any]:
    """The good answer with other fields; a callable gets the old answer."""

    def function(good: Callable[..., Any], *arguments: Any) -> Any:
        answer = good(*arguments)
        if answer is None:
            return None
        given = {k: v(answer, *arguments) if callable(v) else v for k, v in fields.items()}
        return answer.model_copy(update=given)

    return function


def _burn(seconds: float) -> None:
    """Spend processor time, on however fast a machine."""
    begin = time.process_time()
    while time.process_time() - begin < seconds:
        pass


def _before(action: Callable[..., Any]) -> Callable[..., Any]:
    """Do something, then answer well."""

    def function(good: Callable[..., Any], *arguments: Any) -> Any:
        action(*arguments)
        return good(*arguments)

    return function


def _any_detection(good: Callable[..., Any], source: Any) -> Detection:
    return Detection(language="sh", confidence=0.1, evidence=good(source).evidence if good(source) else ())


def _details(**more: Any) -> Callable[..., Any]:
    return _updated(
        details=lambda plan, *a: {**plan.details, **{k: v(*a) if callable(v) else v for k, v in more.items()}}
    )


def _own_environment(good: Callable[..., Any], plan: Any, context: Any) -> Any:
    return good(plan, context.model_copy(update={"timeout_s": None}))


def _swallow(good: Callable[..., Any], plan: Any, context: Any) -> Any:
    try:
        return good(plan, context)
    except FlowctlError as error:
        raise BuildError("something went wrong") from error


def _quiet_failure(good: Callable[..., Any], plan: Any, context: Any) -> Any:
    try:
        return good(plan, context)
    except BuildError:
        raise BuildError("it does not build") from None


def _unquoted(good: Callable[..., Any], plan: Any, context: Any) -> Any:
    """What builders that put a path into a shell line do."""
    if subprocess.run(f"cd {context.source_root} && true", shell=True, capture_output=True).returncode:
        raise BuildError("cd: too many arguments")
    return good(plan, context)


def _not_executable(good: Callable[..., Any], plan: Any, context: Any) -> Any:
    result = good(plan, context)
    (context.output_dir / plan.component).write_text("")
    return result


def _needs_staging(good: Callable[..., Any], plan: Any, context: Any) -> Any:
    result = good(plan, context)
    (context.output_dir / "data").write_text("x")
    (context.output_dir / plan.component).write_text(f"#!/bin/sh\ncat {context.output_dir}/data && echo hello $1\n")
    return result


def _slower_each_time(good: Callable[..., Any], plan: Any, context: Any) -> Any:
    marker = context.work_dir / "built"
    if marker.exists():
        time.sleep(1.6)
    marker.touch()
    return good(plan, context)


def _clean_all(good: Callable[..., Any], plan: Any, context: Any) -> CleanReport:
    good(plan, context)
    removed = [path.name for path in context.source_root.glob("*.txt")]
    for name in removed:
        (context.source_root / name).unlink()
    return CleanReport(removed=("build", *removed))


def _network(good: Callable[..., Any], plan: Any, context: Any) -> Any:
    context.run(["true"], network=True)
    return good(plan, context)


def _outside(good: Callable[..., Any], plan: Any, context: Any) -> Any:
    context.run(["true"], cwd="..")
    return good(plan, context)


def _counts_lost(good: Callable[..., Any], plan: Any, context: Any) -> TestReport:
    report = good(plan, context)
    assert isinstance(report, TestReport)
    return TestReport(tool="sh", command=("sh",), counted=False, exit_code=report.exit_code)


def _state_kept(good: Callable[..., Any], plan: Any, context: Any) -> Any:
    if not getattr(_good(), "seen", False):
        raise PluginError("the plan was made in another process")
    return good(plan, context)


PLAN, BUILD, DETECT, TEST, CLEAN = (f"flowctl_{hook}" for hook in ("plan", "build", "detect", "test", "clean"))
MUTANTS: list[tuple[str, str, Callable[..., Any], str]] = [
    ("test_detects_its_project", DETECT, lambda good, source: None, "answered None for the good project"),
    ("test_detects_its_project", DETECT, _updated(basis="component"), "reserved"),
    ("test_detection_evidence_exists", DETECT, _updated(evidence=()), "evidence is empty"),
    (
        "test_detection_evidence_exists",
        DETECT,
        _updated(evidence=(Evidence(path="not-there", reason="?"),)),
        "not-there is not a file",
    ),
    ("test_detection_evidence_exists", DETECT, _updated(root="nowhere"), "not a folder"),
    ("test_detects_nothing_in_an_empty_tree", DETECT, _any_detection, "answer None"),
    ("test_detects_nothing_in_a_foreign_tree", DETECT, _any_detection, "claims the foreign tree"),
    ("test_detection_runs_and_writes_nothing", DETECT, _before(lambda s: os.system("true")), "must not run anything"),
    ("test_detection_runs_and_writes_nothing", DETECT, _before(lambda s: (s.root / "x").touch()), "must not write"),
    (
        "test_detection_is_the_same_in_a_read_only_tree",
        DETECT,
        _updated(confidence=lambda d, s: 0.4 + 0.5 * bool(s.root.stat().st_mode & 0o200)),
        "read-only",
    ),
    (
        "test_detection_does_not_depend_on_the_folder",
        DETECT,
        _updated(evidence=lambda d, s: (Evidence(path="sh.toml", reason=str(s.root)),)),
        "another folder",
    ),
    ("test_plan_is_the_same_on_two_calls", PLAN, _details(id=lambda *a: str(uuid.uuid4())), "second call"),
    ("test_plan_does_not_depend_on_the_folder", PLAN, _details(at=lambda s, r: s.root.parent.name), "another folder"),
    ("test_plan_holds_nothing_of_this_machine", PLAN, _details(root=lambda s, r: str(s.root)), "absolute path"),
    ("test_plan_holds_nothing_of_this_machine", PLAN, _details(flags="-I/home/somebody/include"), "absolute path"),
    ("test_plan_paths_stay_inside_the_source", PLAN, _updated(generated=("../out",)), "leads outside"),
    ("test_plan_paths_stay_inside_the_source", PLAN, _updated(fetched=("/tmp/cache",)), "absolute path"),
    ("test_plan_names_what_it_makes", PLAN, _updated(entry_points=()), "entry_points is empty"),
    (
        "test_plan_names_what_it_makes",
        PLAN,
        _updated(entry_points=(EntryPoint(name="bin/x", path="x"),)),
        "not a plain file name",
    ),
    ("test_plan_answers_the_request", PLAN, _updated(component="other"), "other"),
    (
        "test_plan_inputs_cover_the_evidence",
        PLAN,
        _updated(inputs=lambda plan, *a: plan.inputs.model_copy(update={"exclude": ("*.toml",)})),
        "leaves out sh.toml",
    ),
    ("test_plan_is_quick", PLAN, _before(lambda *a: _burn(1.5)), "of processor time"),
    ("test_plan_runs_and_writes_nothing", PLAN, _before(lambda *a: subprocess.run(["true"])), "must not run anything"),
    ("test_plan_runs_and_writes_nothing", PLAN, _before(lambda s, r: (s.root / ".lock").touch()), "must not write"),
    (
        "test_plan_is_the_same_in_a_read_only_tree",
        PLAN,
        _details(writable=lambda s, r: bool(s.root.stat().st_mode & 0o200)),
        "read-only",
    ),
    (
        "test_plan_is_the_same_after_a_build",
        PLAN,
        _details(built=lambda s, r: s.is_dir("build")),
        "once the project is built",
    ),
    (
        "test_build_makes_what_the_plan_promises",
        PLAN,
        _updated(entry_points=lambda plan, *a: (*plan.entry_points, EntryPoint(name="second", path="x"))),
        "the plan promises",
    ),
    ("test_build_makes_what_the_plan_promises", BUILD, _updated(artifacts=()), "the build reported"),
    (
        "test_build_makes_what_the_plan_promises",
        BUILD,
        _updated(
            artifacts=lambda r, *a: tuple(
                x.model_copy(update={"platform": Platform("plan9/mips")}) for x in r.artifacts
            )
        ),
        "is for plan9/mips",
    ),
    ("test_build_makes_what_the_plan_promises", BUILD, _not_executable, "missing or empty"),
    ("test_programs_run_where_core_puts_them", BUILD, _needs_staging, "ended with 1"),
    ("test_build_is_offline", BUILD, _network, "asks for the network"),
    ("test_commands_obey_the_context", BUILD, _own_environment, "without the context's timeout_s"),
    ("test_commands_obey_the_context", BUILD, _outside, "outside the source tree"),
    ("test_build_again_works_and_is_not_slower", BUILD, _slower_each_time, "the second build took"),
    ("test_fetch_makes_what_the_plan_says", PLAN, _updated(fetched=("vendor",)), "which fetch did not make"),
    ("test_build_writes_only_where_it_may", PLAN, _updated(generated=()), "changed the source tree"),
    (
        "test_build_writes_only_where_it_may",
        BUILD,
        _before(lambda p, c: (c.source_root / "stray").touch()),
        "added stray",
    ),
    ("test_a_source_that_does_not_build_says_why", BUILD, _quiet_failure, "tool's own words"),
    ("test_works_in_a_path_with_spaces_and_other_letters", BUILD, _unquoted, "too many arguments"),
    (CANCELLATION, BUILD, _swallow, "something went wrong"),
    ("test_hooks_leave_environment_and_folder_alone", BUILD, _before(lambda *a: os.environ.update(X_SH="1")), "X_SH"),
    (
        "test_hooks_leave_environment_and_folder_alone",
        TEST,
        _before(lambda p, c: os.chdir(c.work_dir)),
        "working folder",
    ),
    ("test_hooks_print_nothing", BUILD, _before(lambda *a: print("building")), "flowctl_build prints"),
    ("test_test_counts_are_right", TEST, _updated(passed=3, skipped=0), "passed=3"),
    ("test_test_counts_are_right", TEST, _counts_lost, "not counted"),
    ("test_test_cases_add_up", TEST, _updated(cases=lambda r, *a: r.cases[1:]), "do not add up"),
    (
        "test_a_failing_test_is_named_with_its_output",
        TEST,
        _updated(cases=lambda r, *a: tuple(c.model_copy(update={"name": "test"}) for c in r.cases)),
        "no failed case is named",
    ),
    (
        "test_a_failing_test_is_named_with_its_output",
        TEST,
        _updated(output="", cases=lambda r, *a: tuple(c.model_copy(update={"output": ""}) for c in r.cases)),
        "neither the failing case nor the report",
    ),
    ("test_clean_removes_what_was_made_and_nothing_else", CLEAN, lambda good, *a: CleanReport(), "clean leaves build"),
    ("test_clean_removes_what_was_made_and_nothing_else", CLEAN, _clean_all, "my notes.txt"),
    ("test_clean_again_removes_nothing", CLEAN, lambda good, *a: CleanReport(removed=("build",)), "where nothing was"),
]


@pytest.fixture(autouse=True)
def same_machine_afterwards():
    """Some mutants change what no builder may."""
    folder, environment = Path.cwd(), dict(os.environ)
    yield
    os.chdir(folder)
    for name in set(os.environ) - set(environment):
        del os.environ[name]


@pytest.mark.parametrize(
    ("rule", "hook", "function", "message"),
    MUTANTS,
    ids=[f"{rule.removeprefix('test_')}-{number}" for number, (rule, *_) in enumerate(MUTANTS)],
)
def test_each_rule_fails_the_builder_that_breaks_it(workshop_of, rule, hook, function, message):
    workshop = workshop_of(_mutant(hook, function))
    with pytest.raises((AssertionError, FlowctlError)) as caught:
        _call(rule, workshop)
    assert message in str(caught.value)


IMPURE = """
import os
from flowctl_core import hookimpl
from flowctl_core.errors import BuildError
from flowctl_lang_sh.plugin import ShellBuilder

class Impure(ShellBuilder):
    seen = None

    @hookimpl
    def flowctl_detect(self, source):
        found = super().flowctl_detect(source)
        return found and found.model_copy(update={"aliases": (str(os.getpid()),)})

    @hookimpl
    def flowctl_toolchain(self):
        return tuple(t.model_copy(update={"install_hint": str(os.getpid())}) for t in super().flowctl_toolchain())

    @hookimpl
    def flowctl_plan(self, source, request):
        Impure.seen = source.root
        plan = super().flowctl_plan(source, request)
        return plan.model_copy(update={"details": {**plan.details, "pid": os.getpid()}})

    @hookimpl
    def flowctl_build(self, plan, context):
        if Impure.seen is None:
            raise BuildError("the plan was made in another process")
        return super().flowctl_build(plan, context)

plugin = Impure()
"""


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("test_detection_is_the_same_across_processes", "flowctl_detect answers differently"),
        ("test_toolchain_is_the_same_across_processes", "flowctl_toolchain answers differently"),
        ("test_plan_is_the_same_across_processes", "flowctl_plan answers differently"),
        ("test_fetch_build_test_and_clean_are_the_same_across_processes", "made in another process"),
        ("test_errors_are_the_same_across_processes", "the failing build answers differently"),
    ],
)
def test_state_kept_between_hooks_is_found(tmp_path, monkeypatch, tmp_path_factory, rule, message):
    (tmp_path / "impure_sh.py").write_text(IMPURE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ['PYTHONPATH']}")
    manager = load_plugins(entry_points=[PluginReference("sh", "impure_sh:plugin", "impure")])
    assert manager.problems == ()
    with pytest.raises((AssertionError, FlowctlError)) as caught:
        _call(rule, Workshop(Stated, tmp_path_factory, manager))
    assert message in str(caught.value)


def test_a_broken_plugin_is_said_first(workshop_of):
    class Old(_good()):  # type: ignore[misc]
        contract = 99

    with pytest.raises(AssertionError, match="needs contract 99"):
        _call("test_plugin_is_active", workshop_of(Old()))


def _releasing(**hooks: Callable[..., Any]) -> object:
    """The shell builder with releases: a script for each platform, as a shell program is; some hooks replaced."""

    class Releasing(_good()):  # type: ignore[misc]
        contract = 2

        @hookimpl
        def flowctl_plan(self, source, request):
            plan = super().flowctl_plan(source, request)
            return plan.model_copy(update={"platforms": request.platforms, "profile": request.profile})

        @hookimpl
        def flowctl_build_multiplatform(self, plan, context):
            outcomes = []
            for platform in plan.platforms:
                program = context.output_dir / plan.entry_points[0].name
                program.write_text('#!/bin/sh\necho "hello $1"\n')
                path = program.relative_to(context.source_root).as_posix()
                made = Artifact(path=path, platform=platform, format="script", interpreter="sh")
                outcomes.append(PlatformOutcome(platform=platform, artifacts=(made,)))
            return ReleaseResult(outcomes=tuple(outcomes))

        @hookimpl
        def flowctl_dependencies(self, plan, context):
            return DependencyReport(dependencies=(Dependency(purl="pkg:deb/debian/dash@0.5", direct=True),))

        @hookimpl
        def flowctl_image(self, plan, artifact):
            return ImagePlan(base="busybox", files=(ImageFile(source=artifact.path, target="/app/component"),))

    made = Releasing
    for hook, function in hooks.items():
        original = getattr(made, hook)
        names = [name for name in inspect.signature(original).parameters if name != "self"]
        scope: dict[str, Any] = {"function": function, "original": original}
        listed = ", ".join(names)
        text = f"def {hook}(self, {listed}):\n    return function(lambda *a: original(self, *a), {listed})\n"
        exec(text, scope)
        made = type("Mutant", (made,), {hook: hookimpl(scope[hook])})
    return made()


def _outcome(**fields: Any) -> Callable[..., Any]:
    def function(good: Callable[..., Any], plan: Any, context: Any) -> Any:
        answer = good(plan, context)
        return answer.model_copy(update={"outcomes": tuple(o.model_copy(update=fields) for o in answer.outcomes)})

    return function


def _rewritten(text: Callable[[Any], str]) -> Callable[..., Any]:
    """Another program in the good one's place."""

    def function(good: Callable[..., Any], plan: Any, context: Any) -> Any:
        answer = good(plan, context)
        (context.output_dir / plan.entry_points[0].name).write_text(text(context))
        return answer

    return function


def _silent_script(good: Callable[..., Any], plan: Any, context: Any) -> Any:
    (outcome,) = good(plan, context).outcomes
    (made,) = outcome.artifacts
    unsaid = made.model_copy(update={"format": "native"})
    return ReleaseResult(outcomes=(outcome.model_copy(update={"artifacts": (unsaid,)}),))


RELEASE_MUTANTS: list[tuple[str, str, Callable[..., Any], str]] = [
    (
        "test_release_plan_is_pure_and_names_its_platforms", "flowctl_plan",
        _updated(details=lambda plan, *_: {**plan.details, "now": str(uuid.uuid4())}), "two release plans",
    ),
    ("test_release_is_built_or_refused", "flowctl_build_multiplatform", _outcome(failure="no luck"), "no luck"),
    ("test_release_artifacts_are_for_their_platform", "flowctl_build_multiplatform", _silent_script, "a script, unsaid"),
    (
        "test_release_program_runs_by_itself", "flowctl_build_multiplatform",
        _rewritten(lambda context: "#!/bin/sh\nexit 3\n"), ": 3",
    ),
    (
        "test_release_has_the_same_bytes_elsewhere", "flowctl_build_multiplatform",
        _rewritten(lambda context: f"#!/bin/sh\n# {uuid.uuid4()}\n"), "has other bytes",
    ),
    (
        "test_release_leaves_no_place_of_this_machine_in_the_program", "flowctl_build_multiplatform",
        _rewritten(lambda context: f"#!/bin/sh\n# {context.source_root}\n"), "tells where it was built",
    ),
    (
        "test_release_dependencies_are_package_urls", "flowctl_dependencies",
        lambda good, plan, context: DependencyReport(dependencies=(Dependency(purl="dash 0.5"),)), "is no package URL",
    ),
    ("test_release_image_starts_the_program", "flowctl_image", _updated(user="0"), "runs as root"),
]  # fmt: skip


@pytest.mark.parametrize("rule", RELEASE_RULES)
def test_a_builder_with_good_releases_passes(workshop_of, rule: str) -> None:
    _call(rule, workshop_of(_releasing()))


@pytest.mark.parametrize(("rule", "hook", "function", "message"), RELEASE_MUTANTS, ids=[m[0] for m in RELEASE_MUTANTS])
def test_each_rule_fails_the_releases_that_break_it(workshop_of, rule, hook, function, message) -> None:
    with pytest.raises(AssertionError) as caught:
        _call(rule, workshop_of(_releasing(**{hook: function})))
    assert message in str(caught.value)


def test_every_rule_is_broken_by_some_builder():
    """A rule that no builder can break is no rule. Left out: what the plugin manager refuses before, and what pydantic
    holds by itself."""
    tried = {rule for rule, *_ in (*MUTANTS, *RELEASE_MUTANTS)}
    elsewhere = {
        "test_plugin_is_active",
        "test_detection_is_the_same_across_processes",
        "test_toolchain_is_the_same_across_processes",
        "test_plan_is_the_same_across_processes",
        "test_fetch_build_test_and_clean_are_the_same_across_processes",
        "test_errors_are_the_same_across_processes",
    }
    by_nature = {"test_plan_survives_json", "test_release_hooks_are_the_same_across_processes"}
    assert set(RULES) - tried - elsewhere == by_nature


def test_rules_are_documented():
    for rule in RULES:
        assert inspect.getdoc(getattr(BuilderConformance, rule)), rule


def test_the_suite_runs_under_pytest_as_authors_use_it(tmp_path: Path):
    """A whole run in a process of its own, with the builder as an installed distribution."""
    source = Path(__file__).parents[2] / "projects"
    shutil.copytree(source / "sh-greeting", tmp_path / "sh-greeting")
    package = tmp_path / "flowctl-lang-sh"
    package.mkdir()
    shutil.copy(source / "flowctl-lang-sh" / "conformance.py", package / "test_conformance_of_sh.py")
    site = tmp_path / "site"
    shutil.copytree(source / "flowctl-lang-sh" / "src", site, ignore=shutil.ignore_patterns("__pycache__"))
    metadata = site / "flowctl_lang_sh-0.3.0.dist-info"
    metadata.mkdir()
    (metadata / "entry_points.txt").write_text("[flowctl]\nsh = flowctl_lang_sh.plugin:plugin\n")
    import sys

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(package), str(package)],
        cwd=package,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    expected = f"{len(RULES) + 1 - len(RELEASE_RULES)} passed, {len(RELEASE_RULES)} skipped"
    assert expected in done.stdout, done.stdout  # it makes no releases
