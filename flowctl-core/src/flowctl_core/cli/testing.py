"""Runs a component's tests and shows counts, failing names and their output."""

from __future__ import annotations

from pathlib import Path

from flowctl_core.cli.console import emit, say, say_aside
from flowctl_core.cli.describing import interface_findings
from flowctl_core.cli.documents import CountedTests, TestDocument
from flowctl_core.cli.progress import make_board
from flowctl_core.cli.summary import duration_text
from flowctl_core.errors import InterfaceError, NoTestsError, TestsFailedError
from flowctl_core.job import Engine, Job, Options
from flowctl_core.models import TestReport
from flowctl_core.workflow import run_tests

NO_TESTS_HINT = (
    "Write tests, or name the command that runs them: build.local.languages.{language}.test_command in "
    "~/.flowctl/config.yaml."
)


def test_component(engine: Engine, options: Options, root: Path, *, verbose: bool) -> None:
    """Run the tests, then validate the interface.

    Raises TestsFailedError, NoTestsError when there are none, InterfaceError when what was built does not offer
    what component.yaml declares; each after its report was shown.
    """
    job = Job(root, engine, options)
    with make_board([root.name], verbose=verbose) as board:
        job.progress = board.row(root.name)
        try:
            report = run_tests(job)
        except KeyboardInterrupt:
            cancel = getattr(engine.runner, "cancel", None)
            if cancel is not None:
                cancel()
            raise
    for warning in dict.fromkeys(job.warnings):
        say_aside(f"warning: {warning}")
    findings = interface_findings(job)
    _show(job, report, findings)
    _raise_for(job, report, findings)


def _show(job: Job, report: TestReport | None, findings: list[str]) -> None:
    document = TestDocument(
        component=job.plan.component,
        version=job.plan.version,
        language=job.plan.language,
        ok=report is not None and report.ok and (report.total > 0 or not report.counted) and not findings,
        tests=None if report is None else CountedTests(**dict(report)),
        interface=tuple(findings),
    )
    if emit(document.model_dump(mode="json")) or report is None:
        return
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


def _raise_for(job: Job, report: TestReport | None, findings: list[str]) -> None:
    name = job.plan.component
    if report is None or (report.counted and report.total == 0 and report.exit_code == 0):
        raise NoTestsError(f"{name} has no tests", hint=NO_TESTS_HINT.format(language=job.plan.language))
    if not report.ok:
        failing = [case.name for case in report.cases if case.outcome in ("failed", "error")]
        names = f": {', '.join(failing[:5])}{' …' if len(failing) > 5 else ''}" if failing else ""
        raise TestsFailedError(f"the tests of {name} failed ({summary(report)}){names}")
    if findings:
        raise InterfaceError("the tests passed, but the interface is wrong:\n  " + "\n  ".join(findings))
