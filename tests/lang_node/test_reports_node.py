"""Outputs as the tools print them; `test_suite_node.py` runs some of the tools for real."""

from __future__ import annotations

import pytest

from flowctl_lang_node import reports

JEST = """\
FAIL src/b.test.ts
  ● sums › adds

    expect(received).toBe(expected)

      at Object.<anonymous> (src/b.test.ts:3:9)

FAIL src/c.test.ts
  ● Test suite failed to run

    Cannot find module './x'

Test Suites: 2 failed, 3 passed, 5 total
Tests:       1 failed, 2 skipped, 1 todo, 10 passed, 14 total
Snapshots:   0 total
Time:        1.2 s
"""
VITEST = """\
 FAIL  test/a.test.ts > group > adds
AssertionError: expected 1 to be 2
⎯⎯⎯⎯⎯⎯⎯⎯[1/1]⎯

 Test Files  1 failed | 3 passed (4)
      Tests  1 failed | 10 passed | 2 skipped | 1 todo (14)
   Start at  10:00:00
"""
MOCHA = """\
  5 passing (20ms)
  2 pending
  1 failing

  1) sums
       adds:
     AssertionError: 1 == 2
      at Context.<anonymous> (test.js:3:9)

"""
AVA = """\
  ✔ main (495ms)
  ✘ [fail]: adds (12ms)
  ─

  adds

  1 test failed
  4 tests passed
  1 test skipped
  1 test todo
  1 uncaught exception
"""
BUN = """\
a.test.ts:
(pass) one [0.1ms]
(fail) group > two [0.2ms]

 3 pass
 1 skip
 1 fail
 4 expect() calls
Ran 5 tests across 2 files. [10.00ms]
"""
UVU = """\
   FAIL  sum  "adds"

  Total:     4
  Passed:    3
  Skipped:   1
  Duration:  2.40ms
"""
TAPE = """\
TAP version 13
# adds
ok 1 should be equal
not ok 2 should be equal

1..2
# tests 2
# pass  1
# fail  1
"""
LINES = "failed: /x/a.test.js (3.1 ms)\n\nPassed: 3\nFailed: 1\nTotal: 5\n"

# output, passed, failed, skipped, errors, names of what failed
CASES = [
    ("jest", JEST, (10, 1, 3, 1), ["sums › adds"]),
    ("vitest", VITEST, (10, 1, 3, 0), ["test/a.test.ts > group > adds"]),
    ("mocha", MOCHA, (5, 1, 2, 0), ["sums › adds"]),
    ("ava", AVA, (4, 1, 2, 1), ["adds"]),
    ("bun test", BUN, (3, 1, 1, 0), ["group > two"]),
    ("uvu", UVU, (3, 1, 1, 0), ['sum  "adds"']),
    ("node --test", TAPE, (1, 1, 0, 0), ["should be equal"]),
    ("node --test", LINES, (3, 1, 1, 0), ["/x/a.test.js"]),
]


@pytest.mark.parametrize(("tool", "output", "counts", "failed"), CASES, ids=[case[0] for case in CASES])
@pytest.mark.parametrize("form", ["plain", "coloured", "windows"])
def test_counts_are_those_of_the_tool(
    tool: str, output: str, counts: tuple[int, int, int, int], failed: list[str], form: str
) -> None:
    if form == "coloured":
        output = "\n".join(f"\x1b[1m\x1b[32m{line}\x1b[39m\x1b[22m" for line in output.split("\n"))
    elif form == "windows":
        output = output.replace("\n", "\r\n")
    found = reports.read(f"> sink@1.0.0 test\n> {tool}\n\n{output}")
    assert found is not None
    assert found.tool == tool
    assert (found.passed, found.failed, found.skipped, found.errors) == counts
    assert [case.name for case in found.cases if case.outcome == "failed"] == failed


def test_the_output_of_a_failing_test_is_kept() -> None:
    for output, words in ((JEST, "expect(received)"), (VITEST, "expected 1 to be 2"), (MOCHA, "1 == 2")):
        found = reports.read(output)
        assert found is not None and words in found.cases[0].output


def test_several_runs_are_added_up() -> None:
    found = reports.read(JEST + MOCHA + JEST)
    assert found is not None
    assert (found.passed, found.failed, found.skipped) == (25, 3, 8)
    assert found.tool == "jest, mocha"


@pytest.mark.parametrize("output", ["", "all good\n", "Tests: fine\n", "5 passing thoughts\n", "# pass the salt\n"])
def test_what_is_no_summary_counts_nothing(output: str) -> None:
    assert reports.read(output) is None


def test_a_huge_output_is_read_quickly() -> None:
    output = "not ok 1 - x\n  ---\n" + "  line\n" * 200_000 + MOCHA
    found = reports.read(output)
    assert found is not None and found.passed == 5
