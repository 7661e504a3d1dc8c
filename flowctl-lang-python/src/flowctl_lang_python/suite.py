"""Runs the project's own tests and counts what their tool reports."""

from __future__ import annotations

import os
import re
import shlex
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from flowctl_core.errors import SourceError, ToolchainError
from flowctl_core.models import (
    BuildContext,
    CompletedCommand,
    Outcome,
    Plan,
    SourceTree,
    TestCase,
    TestReport,
)
from flowctl_lang_python import state
from flowctl_lang_python.manifest import Project, join
from flowctl_lang_python.recipe import Recipe

_TEST_FILE = re.compile(r"test_.*\.py|.*_test\.py|tests?\.py")
_PYTEST = re.compile(
    r"^\s*(?:import pytest|from pytest\b)|^(?:async )?def test_|^class Test\w*(?:\(object\))?:", re.MULTILINE
)
_UNITTEST = re.compile(r"^\s*(?:import unittest|from unittest\b)", re.MULTILINE)

_NOTHING_COLLECTED = 5
"""Exit code of pytest, and of unittest from Python 3.12 on, when there are no tests."""


@dataclass(frozen=True)
class Tests:
    """How a project's tests are run; `tool` None: it has none."""

    __test__ = False

    tool: Literal["pytest", "unittest"] | None = None
    start: str | None = None


def discover(source: SourceTree, project: Project) -> Tests:
    """Decide between pytest and unittest by configuration, declared dependencies, then the test files."""
    files = [path for path in source.walk(project.root) if _TEST_FILE.fullmatch(PurePosixPath(path).name)]
    if not files and source.is_dir(join(project.root, "tests")):
        folder = join(project.root, "tests")
        files = [path for path in source.walk(folder) if path.endswith(".py") and not path.endswith("__init__.py")]
    if project.pytest_configured or project.declares("pytest"):
        return Tests("pytest")
    found = None
    for path in files[:200]:
        try:
            text = source.read_text(path)
        except SourceError:
            continue
        if _PYTEST.search(text):
            return Tests("pytest")
        if found is None and _UNITTEST.search(text):
            found = path
    if found is None:
        return Tests()
    # unittest looks into packages only: a folder of tests that is none has to be named.
    top = PurePosixPath(found).relative_to(project.root).parts[0]
    package = source.exists(join(project.root, f"{top}/__init__.py"))
    folder = str(PurePosixPath(found).parent.relative_to(project.root))
    return Tests("unittest", None if package or folder == "." else folder)


def run(plan: Plan, context: BuildContext) -> TestReport:
    """Run the tests: `test_command` of the settings, else pytest or unittest; no tests give a report of zero.

    Raises ToolchainError when the environment is missing.
    """
    recipe = Recipe.of(plan)
    if not Path(state.interpreter(context)).exists():
        raise ToolchainError("the environment is missing", hint="Run flowctl component build first.")
    if plan.settings.test_command:
        return _custom(plan, context)
    if recipe.test_tool == "unittest":
        argv = [state.interpreter(context), "-m", "unittest", "discover", "-v"]
        argv += ["-s", recipe.test_start] if recipe.test_start else []
        done, seconds = _execute(plan, context, argv)
        return unittest_report(done, seconds)
    if recipe.test_tool is None:
        return TestReport(tool="pytest")
    report = _fresh_report_path(context)
    # Its cache goes to the work folder, so that testing leaves nothing in the source.
    cache = f"cache_dir={context.work_dir / 'pytest-cache'}"
    argv = [state.interpreter(context), "-m", "pytest", "-o", cache, f"--junitxml={report}"]
    done, seconds = _execute(plan, context, argv)
    return pytest_report(done, seconds, report)


def _custom(plan: Plan, context: BuildContext) -> TestReport:
    """Run the user's command with the environment's programs first on PATH."""
    argv = list(plan.settings.test_command)
    words = {PurePosixPath(word).name for word in argv}
    report = _fresh_report_path(context)
    extra = {}
    if words & {"pytest", "py.test"}:
        options = f"{context.environment.get('PYTEST_ADDOPTS', '')} --junitxml={shlex.quote(str(report))}".strip()
        extra["PYTEST_ADDOPTS"] = options
    own = state.environment(context) / "bin" / argv[0]
    if os.sep not in argv[0] and own.exists():
        argv[0] = str(own)
    done, seconds = _execute(plan, context, argv, extra)
    if report.exists():
        return pytest_report(done, seconds, report)
    if "unittest" in words:
        return unittest_report(done, seconds)
    return TestReport(
        tool=" ".join(plan.settings.test_command[:2]),
        command=done.argv,
        counted=False,
        exit_code=done.exit_code,
        duration_s=seconds,
        output=done.output,
    )


def _fresh_report_path(context: BuildContext) -> Path:
    path = context.work_dir / "pytest.xml"
    path.unlink(missing_ok=True)
    return path


def _execute(
    plan: Plan, context: BuildContext, argv: list[str], extra: dict[str, str] | None = None
) -> tuple[CompletedCommand, float]:
    folder = state.environment(context)
    environment = {
        "VIRTUAL_ENV": str(folder),
        "PATH": f"{folder / 'bin'}{os.pathsep}{context.environment.get('PATH', os.defpath)}",
        "PYTHONPYCACHEPREFIX": str(context.source_root / ".flowctl" / "pycache"),
        **(extra or {}),
    }
    shown = argv[2:] if argv[1:2] == ["-m"] else [PurePosixPath(argv[0]).name, *argv[1:]]
    context.progress.step(shlex.join(word for word in shown if str(context.work_dir) not in word and word != "-o"))
    done = context.run(argv, cwd=plan.root, environment=environment)
    return done, done.duration_s


def pytest_report(done: CompletedCommand, seconds: float, path: Path) -> TestReport:
    """The report for a pytest run from its JUnit XML.

    JUnit knows no expected failures: pytest's xfailed count as skipped, its xpassed as passed (failed when
    strict). Without a readable file only the exit code is known.
    """
    cases = _junit_cases(path)
    if cases is None:
        nothing = done.exit_code == _NOTHING_COLLECTED
        return TestReport(
            tool="pytest",
            command=done.argv,
            counted=nothing,
            exit_code=0 if nothing else done.exit_code or 1,  # ended by the tests themselves: no success
            duration_s=seconds,
            output=done.output,
        )
    counts = Counter(case.outcome for case in cases)
    failed = bool(counts["failed"] or counts["error"]) or done.exit_code not in (0, _NOTHING_COLLECTED)
    return TestReport(
        tool="pytest",
        command=done.argv,
        passed=counts["passed"],
        failed=counts["failed"],
        skipped=counts["skipped"],
        errors=counts["error"],
        exit_code=0 if done.exit_code == _NOTHING_COLLECTED else done.exit_code,
        duration_s=seconds,
        cases=tuple(cases),
        output=done.output if failed else "",
    )


def _junit_cases(path: Path) -> list[TestCase] | None:
    """The cases in a JUnit XML file; None when it is missing, cut off or not JUnit."""
    from junitparser import Error, Failure, JUnitXml, JUnitXmlError, Skipped, TestSuite

    try:
        parsed = JUnitXml.fromfile(str(path))
    except (OSError, JUnitXmlError, SyntaxError, ValueError):  # xml.etree's ParseError is a SyntaxError
        return None
    found = []
    for suite in [parsed] if isinstance(parsed, TestSuite) else parsed:
        for case in suite:
            outcome: Outcome = "passed"
            output, passed_before = "", False
            for result in case.result:
                if isinstance(result, Failure):
                    outcome, output = "failed", result.text or result.message or ""
                elif isinstance(result, Error) and outcome == "passed":
                    outcome, output = "error", result.text or result.message or ""
                    passed_before = (result.message or "").startswith("failed on teardown")
                elif isinstance(result, Skipped) and outcome == "passed":
                    outcome = "skipped"
            name = "::".join(part for part in (case.classname, case.name) if part)
            if passed_before and outcome == "error":
                # pytest counts such a test twice; in JUnit XML it is one case.
                found.append(TestCase(name=name, outcome="passed"))
            found.append(TestCase(name=name, outcome=outcome, duration_s=case.time or 0.0, output=output))
    return found


_RAN = re.compile(r"^Ran (\d+) tests? in ([\d.]+)s", re.MULTILINE)
_RESULT = re.compile(r"^(OK|FAILED|NO TESTS RAN)(?: \((.*)\))?\s*$", re.MULTILINE)
_FAILING = re.compile(r"^={70}\n(FAIL|ERROR): (.+)\n((?:.*\n)*?)(?=^={70}$|^-{70}\n+Ran )", re.MULTILINE)
_LINE = re.compile(r"^(\S+ \([\w.<>]+\))(?:\n.*)? \.\.\. (?:.*\n)*?(ok|skipped .*|expected failure)$", re.MULTILINE)


def unittest_report(done: CompletedCommand, seconds: float) -> TestReport:
    """The report for a `python -m unittest -v` run from what it printed.

    Expected failures count as skipped and unexpected successes as failed, as for pytest.
    """
    text = done.output.replace("\r\n", "\n") + "\n"
    ran = next(reversed(list(_RAN.finditer(text))), None)
    result = next(reversed(list(_RESULT.finditer(text))), None)
    if ran is None:
        return TestReport(
            tool="unittest",
            command=done.argv,
            counted=False,
            exit_code=done.exit_code or 1,
            duration_s=seconds,
            output=done.output,
        )
    figures = Counter[str]()
    for name, number in re.findall(r"([a-z ]+)=(\d+)", (result.group(2) or "") if result else ""):
        figures[name.strip()] = int(number)
    failing = _FAILING.findall(text)
    failed = figures["failures"] + figures["unexpected successes"]
    errors = figures["errors"]
    skipped = figures["skipped"] + figures["expected failures"]
    # Failures of subtests and of class fixtures come on top of the number of tests that ran.
    broken = {name.split(" (i=")[0].split(" [")[0] for _, name, _ in failing if not name.startswith("setUp")}
    passed = max(0, int(ran.group(1)) - len(broken) - figures["unexpected successes"] - skipped)
    cases = [
        TestCase(name=name, outcome="failed" if kind == "FAIL" else "error", output=trace.strip("-\n"))
        for kind, name, trace in failing
    ]
    for name, word in _LINE.findall(text):
        cases.append(TestCase(name=name, outcome="passed" if word == "ok" else "skipped"))
    nothing = int(ran.group(1)) == 0 and not errors
    return TestReport(
        tool="unittest",
        command=done.argv,
        passed=passed,
        failed=failed,
        skipped=skipped,
        errors=errors,
        exit_code=0 if nothing else done.exit_code,
        duration_s=seconds,
        cases=tuple(cases),
        output="" if done.ok else done.output,
    )
