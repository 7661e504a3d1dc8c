"""Reads the output of node:test (https://nodejs.org/api/test.html): its TAP and its spec reporter.

Node.js up to 22 writes TAP when nobody watches, newer ones the spec form. Both end with the same counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from flowctl_core.models import Outcome, TestCase

_POINT = re.compile(r"(?P<indent> *)(?P<not>not )?ok \d+(?: (?:- )?(?P<name>.*?))?(?: # (?P<directive>SKIP|TODO)\b.*)?")
_SPEC = re.compile(r"(?P<indent> *)(?P<sign>[✔✖﹣⚠▶]) (?P<name>.*?)(?: \((?P<ms>[\d.]+)ms\))?(?: # .*)?")
_SIGNS: dict[str, Outcome] = {"✔": "passed", "✖": "failed", "﹣": "skipped", "⚠": "skipped"}


def tap_cases(text: str) -> list[TestCase]:
    """Every test in TAP output; suites are no tests, a test with subtests is one."""
    lines = text.split("\n")
    return [case for index, line in enumerate(lines) if (case := _tap_case(line, lines, index)) is not None]


def _tap_case(line: str, lines: list[str], index: int) -> TestCase | None:
    match = _POINT.fullmatch(line.rstrip())
    if match is None:
        return None
    detail = "\n".join(_detail(lines, index + 1, match["indent"]))
    if re.search(r"^ *type: 'suite'$", detail, re.MULTILINE):
        return None
    outcome: Outcome = "passed"
    if match["directive"]:
        outcome = "skipped"
    elif match["not"]:
        cancelled = re.search(r"failureType: '(cancelledByParent|testAborted)'", detail)
        outcome = "error" if cancelled else "failed"
    duration = re.search(r"^ *duration_ms: ([\d.]+)", detail, re.MULTILINE)
    return TestCase(
        name=re.sub(r"\\([#\\])", r"\1", match["name"] or "").strip() or f"test {index}",
        outcome=outcome,
        duration_s=float(duration[1]) / 1000 if duration else 0.0,
        output=detail if outcome in ("failed", "error") else "",
    )


def _detail(lines: list[str], start: int, indent: str) -> Iterator[str]:
    """The YAML block of a test point, without its marks."""
    if start >= len(lines) or lines[start].rstrip() != f"{indent}  ---":
        return
    for line in lines[start + 1 :]:
        if line.rstrip() == f"{indent}  ...":
            return
        yield line


def spec_cases(text: str) -> list[TestCase]:
    """Every test in the spec reporter's output, the failing ones with what it says about them."""
    tree, _, section = text.partition("✖ failing tests:")
    suites = sum(int(number) for number in re.findall(r"^ℹ suites (\d+)$", text, re.MULTILINE))
    opened: list[tuple[str, str]] = []
    cases: list[TestCase] = []
    closings: list[TestCase] = []
    said = _failures(section)
    for line in tree.split("\n"):
        match = _SPEC.fullmatch(line.rstrip())
        if match is None:
            continue
        place = (match["indent"], match["name"])
        if match["sign"] == "▶":
            opened.append(place)
            continue
        outcome = _SIGNS[match["sign"]]
        case = TestCase(
            name=match["name"],
            outcome=outcome,
            duration_s=float(match["ms"] or 0) / 1000,
            output=said.get(match["name"], "") if outcome == "failed" else "",
        )
        if opened and opened[-1] == place:
            opened.pop()
            closings.append(case)
        else:
            cases.append(case)
    # The tree shows a suite like a test with subtests; where both occur, the caller's check of the sums decides.
    return cases if len(closings) == suites else cases + closings


def _failures(section: str) -> dict[str, str]:
    parts = re.split(r"^✖ (.+?)(?: \([\d.]+ms\))?$", section, flags=re.MULTILINE)
    return {name: body.strip("\n") for name, body in zip(parts[1::2], parts[2::2], strict=False)}
