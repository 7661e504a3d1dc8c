"""The result of running a project's own tests."""

from __future__ import annotations

from typing import Literal

from flowctl_core.models.base import Frozen

Outcome = Literal["passed", "failed", "skipped", "error"]


class TestCase(Frozen):
    """One test of the project."""

    __test__ = False

    name: str
    outcome: Outcome
    duration_s: float = 0.0
    output: str = ""
    """What the test printed; filled in for failures."""


class TestReport(Frozen):
    """Counts and cases, as the test tool itself reported them."""

    __test__ = False

    tool: str
    """`go test`, `cargo test`, `npm test`, `pytest`, …"""
    command: tuple[str, ...] = ()
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    errors: int = 0
    """Tests that could not run: a package that does not compile, a collection error."""
    counted: bool = True
    """False: the tool ended without a report that could be counted (a custom script); only its exit
    code is known, in `exit_code`."""
    exit_code: int = 0
    duration_s: float = 0.0
    cases: tuple[TestCase, ...] = ()
    output: str = ""
    """The tool's own output, whole, when something failed."""

    @property
    def total(self) -> int:
        """How many tests there were."""
        return self.passed + self.failed + self.skipped + self.errors

    @property
    def ok(self) -> bool:
        """True when every test that ran passed."""
        return self.failed == 0 and self.errors == 0 and self.exit_code == 0
