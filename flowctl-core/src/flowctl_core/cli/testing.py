"""Runs a component's tests and shows counts, failing names and their output."""

from __future__ import annotations

from pathlib import Path

from flowctl_core.cli.console import emit, machine_readable, say, warn
from flowctl_core.cli.documents import CountedTests, FailureDocument, TestDocument
from flowctl_core.cli.progress import make_board
from flowctl_core.cli.summary import duration_text
from flowctl_core.errors import FlowctlError, NoTestsError
from flowctl_core.job import Engine, Job, Options
from flowctl_core.models import TestReport
from flowctl_core.test_outcome import failure_of, interface_failure, interface_findings, is_empty, summary
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
    error = verdict(job, report, findings)
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


def verdict(job: Job, report: TestReport | None, findings: list[str]) -> FlowctlError | None:
    """What is wrong: failed tests, none at all, or an interface that is not as declared; None when all is well."""
    name = job.plan.component
    if report is None or is_empty(report):
        return NoTestsError(f"{name} has no tests", hint=NO_TESTS_HINT.format(language=job.plan.language))
    if not report.ok:
        return failure_of(name, report)
    if findings:
        return interface_failure(findings)
    return None
