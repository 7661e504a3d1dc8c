"""What came of a component's tests: did they pass, were there any, what failed, and does it offer what it declares."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowctl_core.errors import InterfaceError, TestsFailedError
from flowctl_core.models import TestReport

if TYPE_CHECKING:
    from flowctl_core.job import Job


def is_empty(report: TestReport) -> bool:
    """True when the tool ran and found no test."""
    return report.counted and report.total == 0 and report.exit_code == 0


def summary(report: TestReport) -> str:
    """`12 passed, 1 failed, 2 skipped`; only what is not zero, passed always."""
    parts = [f"{report.passed} passed"]
    for count, word in ((report.failed, "failed"), (report.errors, "errors"), (report.skipped, "skipped")):
        if count:
            parts.append(f"{count} {word}")
    return ", ".join(parts)


def failure_of(name: str, report: TestReport) -> TestsFailedError:
    """The error for tests that failed: the counts, the first failing names, and the exit code where nothing else
    tells why (a script of the project's own, a coverage that is too low)."""
    failing = [case.name for case in report.cases if case.outcome in ("failed", "error")]
    names = f": {', '.join(failing[:5])}{' …' if len(failing) > 5 else ''}" if failing else ""
    facts = [summary(report)] if report.counted else []
    if not report.failed and not report.errors:
        facts.append(f"exit code {report.exit_code}")
    return TestsFailedError(f"the tests of {name} failed ({', '.join(facts)}){names}")


def failing_output(report: TestReport) -> str:
    """What the failing tests printed; where they printed nothing, what the tool did."""
    said = [
        f"{case.outcome.upper()} {case.name}\n{case.output.rstrip()}"
        for case in report.cases
        if case.outcome in ("failed", "error")
    ]
    spoke = any(case.output.strip() for case in report.cases if case.outcome in ("failed", "error"))
    return "\n".join(said if spoke else [*said, report.output.rstrip()])


def interface_findings(job: Job) -> list[str]:
    """Errors of the interface of what was just built; nothing to check without a component.yaml."""
    if job.spec is None:
        return []
    from flowctl_core.specfile.validate import validate_component

    findings = validate_component(job.root, job.spec, artifacts=job.artifacts)
    return [str(finding) for finding in findings if finding.severity == "error"]


def interface_failure(findings: list[str], *, tested: bool = True) -> InterfaceError:
    """The error for a component that does not offer what it declares."""
    what = "the tests passed, but the interface is wrong" if tested else "the interface is wrong"
    return InterfaceError(f"{what}:\n  " + "\n  ".join(findings))
