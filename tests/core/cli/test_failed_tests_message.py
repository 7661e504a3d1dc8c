"""What is said when a project's tests fail."""

from __future__ import annotations

import pytest

from flowctl_core.models import TestCase, TestReport
from flowctl_core.test_outcome import failure_of

BAD = TestCase(name="adds", outcome="failed")


@pytest.mark.parametrize(
    ("report", "said"),
    [
        (TestReport(tool="x", passed=2, failed=1, exit_code=1, cases=(BAD,)), "(2 passed, 1 failed): adds"),
        (TestReport(tool="x", passed=2, exit_code=1), "(2 passed, exit code 1)"),
        (TestReport(tool="x", counted=False, exit_code=3), "(exit code 3)"),
    ],
    ids=["a test failed", "all passed and the tool ended badly", "nothing is counted"],
)
def test_the_message_names_what_is_known(report: TestReport, said: str) -> None:
    assert failure_of("sink", report).message == f"the tests of sink failed {said}"
