"""Reads what JavaScript test tools print at their end: the counts are theirs, not ours.

Each reader knows one tool's closing lines. A test script may run several tools or one tool several times, so
all blocks are added up. A tool that is not known leaves only its exit code.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

from flowctl_core.models import Outcome, TestCase
from flowctl_lang_node import nodetest

_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07")


@dataclass
class Counts:
    """What one or several runs counted."""

    tool: str = ""
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    errors: int = 0
    cases: list[TestCase] = field(default_factory=list)

    def add(self, outcome: str, number: int) -> None:
        """Add a number under the tool's own word for the outcome."""
        match outcome:
            case "passed" | "passing" | "pass":
                self.passed += number
            case "failed" | "failing" | "fail":
                self.failed += number
            case "skipped" | "pending" | "todo" | "skip":
                self.skipped += number
            case "cancelled" | "error" | "errors":
                self.errors += number


def plain(text: str) -> str:
    """Text without colours and cursor movements."""
    return _ANSI.sub("", text).replace("\r\n", "\n")


def read(output: str) -> Counts | None:
    """Counts in a test run's output, None when no known tool's summary is in it."""
    text = plain(output)
    total: Counts | None = None
    for reader in (_node_test, _jest, _vitest, _mocha, _ava, _bun, _uvu, _line_reporter):
        counts = reader(text)
        if counts is None:
            continue
        if total is None:
            total = counts
        else:
            total.tool += f", {counts.tool}"
            total.passed += counts.passed
            total.failed += counts.failed
            total.skipped += counts.skipped
            total.errors += counts.errors
            total.cases += counts.cases
    return total


def _summed(text: str, pattern: str, tool: str) -> Counts | None:
    """Add up lines such as `  3 passing`, with the named groups `number` and `word`."""
    counts = Counts(tool)
    found = False
    for match in re.finditer(pattern, text, re.MULTILINE):
        counts.add(match["word"], int(match["number"]))
        found = True
    return counts if found else None


def _node_test(text: str) -> Counts | None:
    # TAP writes `# pass 3`, the spec reporter `ℹ pass 3`; tape, which counts assertions, `# pass  3`.
    pattern = r"^(?:#|ℹ)\s+(?P<word>pass|fail|cancelled|skipped|todo)\s+(?P<number>\d+)$"
    counts = _summed(text, pattern, "node --test")
    if counts is None:
        return None
    for cases in (nodetest.tap_cases(text), nodetest.spec_cases(text)):
        tally = Counter(case.outcome for case in cases)
        if (counts.passed, counts.failed, counts.skipped, counts.errors) == (
            tally["passed"],
            tally["failed"],
            tally["skipped"],
            tally["error"],
        ):
            counts.cases = cases
            break
        counts.cases = counts.cases or [case for case in cases if case.outcome in ("failed", "error")]
    return counts


def _jest(text: str) -> Counts | None:
    lines = re.findall(r"^Tests: +(.*\d+ total)$", text, re.MULTILINE)
    suites = re.findall(r"^Test Suites: +(.*\d+ total)$", text, re.MULTILINE)
    if not lines or not suites:
        return None
    counts = Counts("jest")
    for line in lines:
        for number, word in re.findall(r"(\d+) (failed|skipped|todo|passed)", line):
            counts.add(word, int(number))
    # A suite that does not even load has no tests in jest's count; its error is told once per suite.
    broken = re.findall(r"^ +● Test suite failed to run$", text, re.MULTILINE)
    counts.errors = len(broken) // (2 if "Summary of all failing tests" in text else 1)
    counts.cases = _sections(
        text, r"^  ● (?!Test suite failed to run|Console|process\.)(.+ › .+|.+)$", r"^(?:Test Suites:|  ● )"
    )
    return counts


def _sections(text: str, head: str, stop: str, outcome: Outcome = "failed") -> list[TestCase]:
    cases: dict[str, TestCase] = {}
    matches = list(re.finditer(head, text, re.MULTILINE))
    for match in matches:
        rest = text[match.end() :]
        end = re.search(stop, rest, re.MULTILINE)
        body = rest[: end.start()] if end else rest
        name = match[1].strip()
        cases.setdefault(name, TestCase(name=name, outcome=outcome, output=body.strip("\n")))
    return list(cases.values())


def _vitest(text: str) -> Counts | None:
    counts = Counts("vitest")
    found = False
    for line in re.findall(r"^ +Tests +(.*)$", text, re.MULTILINE):
        numbers = re.findall(r"(\d+) (failed|passed|skipped|todo)", line)
        found = found or bool(numbers) or "no tests" in line
        for number, word in numbers:
            counts.add(word, int(number))
    if not found:
        return None
    suites = re.search(r"Failed Suites (\d+)", text)
    counts.errors = int(suites[1]) if suites else 0
    counts.cases = _sections(text, r"^ FAIL +(.+ > .+)$", r"^(?: FAIL |⎯)")
    return counts


def _mocha(text: str) -> Counts | None:
    pattern = r"^ +(?P<number>\d+) (?P<word>passing|failing|pending)(?: \([\d.a-z]+\))?$"
    counts = _summed(text, pattern, "mocha")
    if counts is None:
        return None
    section = re.split(r"^ +\d+ failing$", text, maxsplit=1, flags=re.MULTILINE)
    failures = re.split(r"^  \d+\) ", section[1], flags=re.MULTILINE)[1:] if len(section) > 1 else []
    for failure in failures:
        title, _, body = failure.partition(":\n")
        name = " › ".join(part.strip() for part in title.split("\n") if part.strip())
        counts.cases.append(TestCase(name=name, outcome="failed", output=body.strip("\n")))
    return counts


def _ava(text: str) -> Counts | None:
    pattern = r"^ +(?P<number>\d+) tests? (?P<word>passed|failed|skipped|todo)$"
    counts = _summed(text, pattern, "ava")
    if counts is None:
        return None
    for number in re.findall(r"^ +(\d+) (?:uncaught exceptions?|unhandled rejections?)$", text, re.MULTILINE):
        counts.add("errors", int(number))
    names = re.findall(r"^ +(?:✘|✖|×) \[fail\]: (.+?)(?: \([\d.]+m?s\))?$", text, re.MULTILINE)
    counts.cases = [TestCase(name=name, outcome="failed") for name in names]
    return counts


def _bun(text: str) -> Counts | None:
    if not re.search(r"^Ran \d+ tests? across \d+ files?", text, re.MULTILINE):
        return None
    counts = _summed(text, r"^ +(?P<number>\d+) (?P<word>pass|fail|skip|todo|error|errors)$", "bun test") or Counts(
        "bun test"
    )
    names = re.findall(r"^\(fail\) (.+?)(?: \[[\d.]+m?s\])?$", text, re.MULTILINE)
    counts.cases = [TestCase(name=name, outcome="failed") for name in dict.fromkeys(names)]
    return counts


def _uvu(text: str) -> Counts | None:
    match = re.search(r"^ +Total: +(\d+)\n +Passed: +(\d+)\n +Skipped: +(\d+)$", text, re.MULTILINE)
    if match is None:
        return None
    total, passed, skipped = (int(number) for number in match.groups())
    names = re.findall(r"^ +FAIL +(.+)$", text, re.MULTILINE)
    cases = [TestCase(name=name, outcome="failed") for name in names]
    return Counts("uvu", passed=passed, failed=total - passed, skipped=skipped, cases=cases)


def _line_reporter(text: str) -> Counts | None:
    """The line reporter for node:test that borp brings."""
    counts: Counts | None = None
    for match in re.finditer(r"^Passed: (\d+)\nFailed: (\d+)\nTotal: (\d+)$", text, re.MULTILINE):
        passed, failed, total = (int(number) for number in match.groups())
        counts = counts or Counts("node --test")
        counts.passed += passed
        counts.failed += failed
        counts.skipped += max(total - passed - failed, 0)
    if counts is not None:
        names = re.findall(r"^failed: (.+?)(?: \([\d.]+ m?s\))?$", text, re.MULTILINE)
        counts.cases = [TestCase(name=name, outcome="failed") for name in dict.fromkeys(names)]
    return counts
