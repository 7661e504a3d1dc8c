"""Rules for `flowctl_test`."""

# ruff: noqa: S101 - these are tests
from __future__ import annotations

from flowctl_core.models import TestReport
from flowctl_core.testing.conformance.subject import ExpectedTests, Subject
from flowctl_core.testing.conformance.workshop import Workshop


class SuiteRules(Subject):
    """A test report says what the project's own tool counted."""

    def test_test_counts_are_right(self, workshop: Workshop) -> None:
        """The counts are those of the tool, run by hand."""
        report = workshop.tested
        assert report.counted, "the report is not counted: use the tool's machine-readable output"
        counts = _counts(report)
        assert counts == self.expected_tests, (
            f"the report says {counts}, by hand it is {self.expected_tests}:\n{report.output}"
        )
        assert report.ok == (self.expected_tests.failed == self.expected_tests.errors == 0), report.output
        assert report.tool, "TestReport.tool is empty: name the tool"
        assert report.command, "TestReport.command is empty: say what was run"

    def test_test_cases_add_up(self, workshop: Workshop) -> None:
        """Where cases are listed, there are as many of each outcome as the counts say, each with a name."""
        report = workshop.tested
        if report.cases:
            outcomes = [case.outcome for case in report.cases]
            listed = ExpectedTests(
                passed=outcomes.count("passed"),
                failed=outcomes.count("failed"),
                skipped=outcomes.count("skipped"),
                errors=outcomes.count("error"),
            )
            assert listed == _counts(report), "TestReport.cases do not add up to the counts"
            assert all(case.name for case in report.cases), "a case has no name"

    def test_a_failing_test_is_named_with_its_output(self, workshop: Workshop) -> None:
        """One more failure is counted, named, and shown with what the tool printed; nothing is raised."""
        driver = workshop.driver(workshop.tree(changes=self.failing_test))
        plan = driver.plan()
        driver.fetch(plan)
        driver.build(plan)
        report = driver.test(plan)
        assert report is not None
        assert not report.ok, "the report of a project with a failing test is ok"
        failed = self.expected_tests.failed + self.expected_tests.errors + 1
        assert report.failed + report.errors == failed, f"{report.failed} failed:\n{report.output}"
        named = [case for case in report.cases if case.outcome in ("failed", "error")]
        wanted = [case for case in named if self.failing_test_name in case.name]
        assert wanted, f"no failed case is named {self.failing_test_name!r}, only {[case.name for case in named]}"
        said = f"{wanted[0].output}\n{report.output}"
        assert said.strip(), "neither the failing case nor the report has the tool's output"
        assert self.failing_test_says in said, f"{self.failing_test_says!r} is not in the output:\n{said}"


def _counts(report: TestReport) -> ExpectedTests:
    return ExpectedTests(report.passed, report.failed, report.skipped, report.errors)
