"""Reads what `go test -json` prints: one event a line (`go doc test2json`).

Counted is what gotestsum counts and `go test -v` prints a line for: every test, example and fuzz seed, subtests too.
A test that never finished, because another one panicked or the process exited, failed. A package that could not be
built or set up is an error, and so is one that failed without a failed test (TestMain, an init, a leak detector).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from flowctl_core.models import TestCase

_ENDS: Mapping[str, Any] = {"pass": "passed", "fail": "failed", "skip": "skipped"}
_NOISE = ("=== RUN", "=== PAUSE", "=== CONT", "=== NAME")


@dataclass
class _Package:
    name: str
    running: dict[str, list[str]] = field(default_factory=dict)
    """Name of a test that has not ended → what it printed."""
    cases: list[TestCase] = field(default_factory=list)
    own: list[str] = field(default_factory=list)
    """What belongs to no test."""
    whole: list[str] = field(default_factory=list)
    """Everything in the order in which it was printed."""


class TestStream:
    """Takes lines in and keeps the tally."""

    __test__ = False

    def __init__(self, short: Callable[[str], str] = str, show: Callable[[str], None] = lambda _: None) -> None:
        self._short = short
        self._show = show
        self._packages: dict[str, _Package] = {}
        self._builds: dict[str, list[str]] = {}
        self.cases: list[TestCase] = []
        self.loose: list[str] = []
        """Lines that are no events: Go's own complaints."""
        self.failures: list[str] = []
        """What failed packages printed, each package in one piece."""
        self.seen = False
        """True once there was an event."""

    def feed(self, line: str) -> None:
        """Take one line of output."""
        event = _event(line)
        if event is None:
            if line.strip():
                self.loose.append(line)
                self._show(line)
            return
        self.seen = True
        match event["Action"]:
            case "build-output":
                text = str(event.get("Output", ""))
                self._builds.setdefault(str(event.get("ImportPath", "")), []).append(text)
                self._show(text.rstrip("\n"))
            case "output":
                self._output(event)
            case "run":
                self._package(event).running.setdefault(str(event.get("Test", "")), [])
            case "pass" | "fail" | "skip":
                if event.get("Test"):
                    self._end_test(event)
                else:
                    self._end_package(event)

    def finish(self) -> None:
        """The process has ended: packages without an end failed."""
        for name in list(self._packages):
            self._end_package({"Action": "fail", "Package": name})

    def _package(self, event: dict[str, Any]) -> _Package:
        name = str(event.get("Package", ""))
        return self._packages.setdefault(name, _Package(name))

    def _output(self, event: dict[str, Any]) -> None:
        package = self._package(event)
        text = str(event.get("Output", ""))
        package.whole.append(text)
        test = event.get("Test")
        if not test:
            package.own.append(text)
        elif test in package.running and not text.startswith(_NOISE):
            package.running[test].append(text)

    def _end_test(self, event: dict[str, Any]) -> None:
        package = self._package(event)
        test, outcome = str(event["Test"]), _ENDS[event["Action"]]
        printed = "".join(package.running.pop(test, []))
        package.cases.append(
            TestCase(
                name=f"{self._short(package.name)} {test}",
                outcome=outcome,
                duration_s=_seconds(event),
                output=printed if outcome == "failed" else "",
            )
        )

    def _end_package(self, event: dict[str, Any]) -> None:
        package = self._package(event)
        del self._packages[package.name]
        short = self._short(package.name)
        failed = event["Action"] == "fail"
        passed = {case.name for case in package.cases if case.outcome == "passed"}
        for test, printed in package.running.items():
            root = test.split("/", 1)[0]
            if root != test and f"{short} {root}" in passed:  # golang/go#40771: the subtest's end was lost
                continue
            said = "".join(printed) + "the test process ended before this test did\n"
            package.cases.append(TestCase(name=f"{short} {test}", outcome="failed", output=said))
        bad = [case for case in package.cases if case.outcome == "failed"]
        build = "".join(self._builds.get(str(event.get("FailedBuild", "")), []))
        if failed and not bad:
            said = build + "".join(package.own)
            package.cases.append(TestCase(name=short, outcome="error", duration_s=_seconds(event), output=said))
        if failed or bad:
            self.failures.append(build + "".join(package.whole))
        self.cases += package.cases
        self._show(_summary(short, package, failed=failed or bool(bad)))


def _event(line: str) -> dict[str, Any] | None:
    if not line.startswith("{"):
        return None
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and isinstance(value.get("Action"), str) else None


def _seconds(event: dict[str, Any]) -> float:
    value = event.get("Elapsed", 0.0)
    return float(value) if isinstance(value, int | float) else 0.0


def _summary(short: str, package: _Package, *, failed: bool) -> str:
    """`ok   ./ledger (12 tests)`."""
    count = sum(case.outcome != "error" for case in package.cases)
    tests = f"{count} test{'' if count == 1 else 's'}" if count else "no tests"
    cached = ", cached" if any("(cached)" in text for text in package.own) else ""
    if not failed:
        return f"{'ok  ' if count else '?   '} {short} ({tests}{cached})"
    bad = sum(case.outcome == "failed" for case in package.cases)
    return f"FAIL {short} ({bad} of {tests} failed)" if bad else f"FAIL {short} ({tests})"
