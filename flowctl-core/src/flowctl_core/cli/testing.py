"""Runs a component's tests and shows counts, failing names and their output."""

from __future__ import annotations

from pathlib import Path

from flowctl_core.cli.console import emit, machine_readable, say, warn
from flowctl_core.cli.describing import interface_findings
from flowctl_core.cli.documents import CountedTests, FailureDocument, TestDocument
from flowctl_core.cli.progress import make_board
from flowctl_core.cli.summary import duration_text
from flowctl_core.errors import FlowctlError, InterfaceError, NoTestsError, TestsFailedError
from flowctl_core.job import Engine, Job, Options
from flowctl_core.models import TestReport
from flowctl_core.workflow import run_tests

NO_TESTS_HINT = (
    "Write tests, or name the command that runs them: build.local.languages.{language}.test_command in "
    "~/.flowctl/config.yaml."
)


def test_component(engine: Engine, options: Options, root: Path, *, verbose: bool, container: bool = False) -> int:
    """Run the tests, here or in a container, then validate the interface; returns the exit code.

    Raises TestsFailedError, NoTestsError when there are none, InterfaceError when what was built does not offer
    what component.yaml declares; each after its report was shown. For programs the report carries the error, so that
    they read one document.
    """
    job = Job(root, engine, options)
    with make_board([root.name], verbose=verbose) as board:
        job.progress = board.row(root.name)
        try:
            if container:
                from flowctl_core.container_tests import run_container_tests

                job, report = run_container_tests(root, engine, options, job.progress)
            else:
                report = run_tests(job)
        except KeyboardInterrupt:
            cancel = getattr(engine.runner, "cancel", None)
            if cancel is not None:
                cancel()
            raise
    for warning in dict.fromkeys(job.warnings):
        warn(warning)
    findings = interface_findings(job)
    error = _verdict(job, report, findings)
    if machine_readable():
        emit(_document(job, report, findings, error).model_dump(mode="json"))
        return error.exit_code if error is not None else 0
    if report is not None and not isinstance(error, NoTestsError):
        _show(job, report)
    if error is not None:
        raise error
    return 0


def _document(job: Job, report: TestReport | None, findings: list[str], error: FlowctlError | None) -> TestDocument:
    return TestDocument(
        component=job.plan.component,
        version=job.plan.version,
        language=job.plan.language,
        ok=error is None,
        tests=None if report is None else CountedTests(**dict(report)),
        interface=tuple(findings),
        error=FailureDocument.of(error).error if error is not None else None,
    )


def _show(job: Job, report: TestReport) -> None:
    for case in report.cases:
        if case.outcome in ("failed", "error"):
            say(f"{case.outcome.upper()} {case.name}")
            if case.output.strip():
                say("\n".join(f"    {line}" for line in case.output.rstrip().splitlines()))
    if not report.ok and not any(case.output.strip() for case in report.cases if case.outcome in ("failed", "error")):
        say(report.output.rstrip())
    took = duration_text(report.duration_s)
    if report.counted:
        say(f"{job.plan.component}: {summary(report)} in {took} ({report.tool})")
    else:
        verdict = "succeeded" if report.ok else f"failed with exit code {report.exit_code}"
        say(f"{job.plan.component}: {report.tool} {verdict} in {took}; it reports no counts")


def summary(report: TestReport) -> str:
    """`12 passed, 1 failed, 2 skipped`; only what is not zero, passed always."""
    parts = [f"{report.passed} passed"]
    for count, word in ((report.failed, "failed"), (report.errors, "errors"), (report.skipped, "skipped")):
        if count:
            parts.append(f"{count} {word}")
    return ", ".join(parts)


def failure(name: str, report: TestReport) -> TestsFailedError:
    """The error for tests that failed: the counts, the first failing names, and the exit code where nothing else
    tells why (a script of the project's own, a coverage that is too low)."""
    failing = [case.name for case in report.cases if case.outcome in ("failed", "error")]
    names = f": {', '.join(failing[:5])}{' …' if len(failing) > 5 else ''}" if failing else ""
    facts = [summary(report)] if report.counted else []
    if not report.failed and not report.errors:
        facts.append(f"exit code {report.exit_code}")
    return TestsFailedError(f"the tests of {name} failed ({', '.join(facts)}){names}")


def _verdict(job: Job, report: TestReport | None, findings: list[str]) -> FlowctlError | None:
    name = job.plan.component
    if report is None or (report.counted and report.total == 0 and report.exit_code == 0):
        return NoTestsError(f"{name} has no tests", hint=NO_TESTS_HINT.format(language=job.plan.language))
    if not report.ok:
        return failure(name, report)
    if findings:
        return InterfaceError("the tests passed, but the interface is wrong:\n  " + "\n  ".join(findings))
    return None
