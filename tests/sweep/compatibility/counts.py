"""Counts in what test tools print for people: the figures by hand, read without any of flowctl's code."""

from __future__ import annotations

import re
from collections import Counter

ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
WORDS = {
    "pass": "passed", "passed": "passed", "passing": "passed", "ok": "passed", "xpassed": "passed",
    "fail": "failed", "failed": "failed", "failing": "failed",
    "skip": "skipped", "skipped": "skipped", "ignored": "skipped", "pending": "skipped", "todo": "skipped",
    "xfailed": "skipped",
    "error": "errors", "errors": "errors",
}  # fmt: skip

# Lines that hold totals, most telling first; the first pattern that matches anything is the tool's.
TOTALS = (
    re.compile(r"^test result: \w+\. (.*) finished in", re.MULTILINE),  # cargo, once per test program
    re.compile(r"^Tests: +(.*), \d+ total$", re.MULTILINE),  # jest
    re.compile(r"^ *Tests  +(.*) \(\d+\)$", re.MULTILINE),  # vitest
    re.compile(r"^ +(\d+ (?:passing|failing|pending))\b", re.MULTILINE),  # mocha
    re.compile(r"^ +(\d+) tests? (passed|failed|skipped)$", re.MULTILINE),  # ava
    re.compile(r"^(?:=+ )?(\d+ \w+(?:, \d+ \w+)*) in [\d.]+s", re.MULTILINE),  # pytest
    re.compile(r"^Results \([\d.]+s\):\n((?: +\d+ \w+\n?)+)", re.MULTILINE),  # pytest-pretty
)
REVERSED = (
    re.compile(r"^(?:#|ℹ) (pass|fail|skipped|todo) (\d+)$", re.MULTILINE),  # node:test
    re.compile(r"^ *(Passed|Failed|Skipped): +(\d+)$", re.MULTILINE),  # uvu, borp's line reporter
)
NONE = re.compile(r"no tests ran|No tests found|no test files|No module named pytest|0 test files matching", re.I)


def read(output: str) -> dict[str, int] | None:
    """Passed, failed, skipped and errors, zeros left out; {} where the tool says that there are no tests.

    None: the output has no totals. go is run with -v and its lines are counted, subtests included.
    """
    text = ANSI.sub("", output).replace("\r\n", "\n")
    lines = re.findall(r"^ *--- (PASS|FAIL|SKIP): ", text, re.MULTILINE)
    broken = re.findall(r"^FAIL\s+\S+ \[(?:build|setup) failed\]$", text, re.MULTILINE)
    if lines or broken:
        return dict(Counter([*(WORDS[word.lower()] for word in lines), *("errors" for _ in broken)]))
    counts: Counter[str] = Counter()
    for pattern in TOTALS:
        found = [" ".join(match.groups()) for match in pattern.finditer(text)]
        for number, word in re.findall(r"(\d+) ([a-z]+)", " ; ".join(found)):
            counts[WORDS.get(word, "")] += int(number)
        if found:
            break
    else:
        for pattern in REVERSED:
            for word, number in pattern.findall(text):
                counts[WORDS[word.lower()]] += int(number)
            if counts:
                break
        else:
            return {} if NONE.search(text) else None
    return {word: number for word, number in counts.items() if number and word}


def of_report(report: dict[str, object] | None) -> dict[str, int] | None:
    """The same from `flowctl component test -o json`; None where its tool counted nothing."""
    if report is None:
        return {}
    if not report["counted"]:
        return None
    words = ("passed", "failed", "skipped", "errors")
    return {word: int(str(report[word])) for word in words if report[word]}


def text(counts: dict[str, int] | None, exit_code: int) -> str:
    """For the page: `12 passed, 1 failed`."""
    if counts is None:
        return "no counts, succeeds" if exit_code == 0 else "no counts, fails"
    if not counts:
        return "no tests"
    order = ("passed", "failed", "errors", "skipped")
    return ", ".join(f"{counts[word]} {word}" for word in order if counts.get(word))
