"""The result of running a project's own tests."""

from __future__ import annotations

from typing import Literal

from flowctl_core.models.base import Frozen

Outcome = Literal["passed", "failed", "skipped", "error"]


class TestCase(Frozen):
    """One test of the project."""

    __test__ = False

    name: str
    """As the test tool names it."""
    outcome: Outcome
    """`skipped` was not run; `error` could not run."""
    duration_s: float = 0.0
    """Seconds; 0 where the tool does not say."""
    output: str = ""
    """What the test printed; filled in for failures."""


class TestReport(Frozen):
    """Counts and cases, as the test tool itself reported them."""

    __test__ = False

    tool: str
    """`go test`, `cargo test`, `npm test`, `pytest`, …"""
    command: tuple[str, ...] = ()
    """The command that ran, argv."""
    passed: int = 0
    """Tests that ran and passed."""
    failed: int = 0
    """Tests that ran and failed."""
    skipped: int = 0
    """Tests that the project left out."""
    errors: int = 0
    """Tests that could not run: a package that does not compile, a collection error."""
    counted: bool = True
    """False: the tool ended without a report that could be counted (a custom script); only its exit
    code is known, in `exit_code`."""
    exit_code: int = 0
    """Exit code of the test tool."""
    duration_s: float = 0.0
    """Seconds."""
    cases: tuple[TestCase, ...] = ()
    """The tests one by one, where the tool lists them."""
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
