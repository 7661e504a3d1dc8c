"""Runs tests of real projects and compares the counts with what pytest and unittest print by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flowctl_core.errors import ToolchainError
from flowctl_core.models import CompletedCommand, LanguageSettings
from flowctl_lang_python.plugin import plugin
from flowctl_lang_python.suite import pytest_report, unittest_report

Bench = Callable[..., Any]

PYTEST = """\
import pytest

def test_good(): pass
def test_bad(): assert 1 + 1 == 3, "arithmetic"
@pytest.fixture
def broken(): raise RuntimeError("no fixture")
@pytest.fixture
def leaky():
    yield
    raise RuntimeError("no teardown")
def test_error(broken): pass
def test_teardown(leaky): pass
@pytest.mark.skip
def test_skipped(): pass
@pytest.mark.xfail
def test_expected(): assert False
@pytest.mark.xfail
def test_unexpected(): pass
@pytest.mark.xfail(strict=True)
def test_strict(): pass
@pytest.mark.parametrize("n", range(3))
def test_many(n): assert n != 1
"""

UNITTEST = """\
import unittest

class Sample(unittest.TestCase):
    def test_good(self):
        "A docstring that unittest prints instead of the name."
    def test_bad(self): self.assertEqual(1, 2, "arithmetic")
    def test_error(self): raise RuntimeError("broken")
    @unittest.skip("later")
    def test_skipped(self): pass
    @unittest.expectedFailure
    def test_expected(self): self.fail()
    @unittest.expectedFailure
    def test_unexpected(self): pass
    def test_sub(self):
        for i in range(3):
            with self.subTest(i=i): self.assertNotIn(i, (0, 2))
    def test_noisy(self): print("noise\\nOK\\nRan 9 tests in 0.1s")

class Broken(unittest.TestCase):
    @classmethod
    def setUpClass(cls): raise RuntimeError("no class")
    def test_never(self): pass
"""


def counts(report: Any) -> tuple[int, int, int, int]:
    return (report.passed, report.failed, report.skipped, report.errors)


def test_pytest_counts(bench: Bench) -> None:
    """The test with the broken teardown is counted by pytest as passed and as an error, and so by us."""
    project = bench({"main.py": "", "test_sample.py": PYTEST})
    project.build()
    report = project.test()
    assert report.tool == "pytest"
    # xpassed counts as passed, xfailed as skipped: a report has no other words.
    assert "= 3 failed, 4 passed, 1 skipped, 1 xfailed, 1 xpassed, 2 errors in" in report.output
    assert counts(report) == (5, 3, 2, 2)
    assert not report.ok
    assert report.exit_code == 1
    failing = {case.name: case.output for case in report.cases if case.outcome == "failed"}
    assert set(failing) == {"test_sample::test_bad", "test_sample::test_many[1]", "test_sample::test_strict"}
    assert "arithmetic" in failing["test_sample::test_bad"]
    assert any("does not declare" in note for note in project.progress.notes)
    assert not list(project.root.glob("**/.pytest_cache"))
    assert not [path for path in project.root.rglob("__pycache__") if ".flowctl" not in path.parts]


def test_unittest_counts(bench: Bench) -> None:
    project = bench({"main.py": "", "tests/test_sample.py": UNITTEST})
    project.build()
    report = project.test()
    assert report.tool == "unittest"
    assert "FAILED (failures=3, errors=2, skipped=1, expected failures=1, unexpected successes=1)" in report.output
    # Ran 8: two pass, one of them noisy; test_sub fails twice; setUpClass is an error of its own.
    assert counts(report) == (2, 4, 2, 2)
    assert report.exit_code == 1
    names = [case.name for case in report.cases if case.outcome == "failed"]
    assert any("test_bad" in name for name in names)
    assert any("arithmetic" in case.output for case in report.cases)


@pytest.mark.parametrize(
    ("files", "tool", "passed"),
    [
        ({"tests/__init__.py": "", "tests/test_a.py": "import unittest\n"
          "class A(unittest.TestCase):\n    def test_a(self): pass\n"}, "unittest", 1),
        ({"test_a.py": "import unittest\nclass A(unittest.TestCase):\n    def test_a(self): pass\n"},
         "unittest", 1),
        ({"tests/test_a.py": "def test_a(): pass\n"}, "pytest", 1),
        ({"pytest.ini": "[pytest]\npython_files = check_*.py\n", "check_a.py": "def test_a(): pass\n"}, "pytest", 1),
        ({"requirements-dev.txt": "pytest\n", "test_a.py": "def test_a(): pass\n"}, "pytest", 1),
    ],
)  # fmt: skip
def test_the_tool_is_recognised(files: dict[str, str], tool: str, passed: int, bench: Bench) -> None:
    project = bench({"main.py": "", **files})
    project.build()
    report = project.test()
    assert (report.tool, report.passed, report.ok) == (tool, passed, True), report.output


@pytest.mark.parametrize("files", [{}, {"pytest.ini": "[pytest]\n"}, {"test_x.py": "import unittest\n"}])
def test_no_tests_is_a_count_of_zero(files: dict[str, str], bench: Bench) -> None:
    project = bench({"main.py": "", **files})
    project.build()
    report = project.test()
    assert report.total == 0
    assert report.counted
    assert report.exit_code == 0


def test_a_collection_error_is_an_error(bench: Bench) -> None:
    project = bench({"main.py": "", "test_a.py": "import pytest\nimport flowctl_missing\n", "test_b.py": ""})
    project.build()
    report = project.test()
    assert report.errors == 1
    assert not report.ok
    assert "flowctl_missing" in report.output


def test_a_usage_error_of_pytest_is_no_success(bench: Bench) -> None:
    project = bench({"main.py": "", "pytest.ini": "[pytest]\naddopts = --no-such-option\n", "test_a.py": ""})
    project.build()
    report = project.test()
    assert not report.ok
    assert not report.counted
    assert "--no-such-option" in report.output


def test_a_crashed_interpreter_is_no_success(bench: Bench) -> None:
    project = bench({"main.py": "", "test_a.py": "import os, pytest\ndef test_a(): os._exit(0)\n"})
    project.build()
    report = project.test()
    assert not report.ok


@pytest.mark.parametrize(
    ("command", "counted", "passed"),
    [
        (("pytest", "-q", "-k", "good"), True, 1),
        (("python", "-m", "pytest", "-k", "good or skipped"), True, 1),
        (("python", "-c", "raise SystemExit(4)"), False, 0),
    ],
)
def test_the_users_own_command(command: tuple[str, ...], counted: bool, passed: int, bench: Bench) -> None:
    settings = LanguageSettings(test_command=command)
    project = bench({"main.py": "", "test_sample.py": PYTEST}, folder="with space's", settings=settings)
    project.build()
    report = project.test()
    assert (report.counted, report.passed) == (counted, passed), report.output
    assert report.exit_code == (0 if counted else 4)


def test_strict_configuration_accepts_our_options(bench: Bench) -> None:
    """pytest 9's `strict = true` refuses unknown options; the cache's place is not one."""
    configuration = '[tool.pytest]\nstrict = true\naddopts = ["-p", "no:cacheprovider"]\n'
    project = bench({"main.py": "", "pyproject.toml": configuration, "test_a.py": "def test_a(): pass\n"})
    project.build()
    report = project.test()
    assert (report.passed, report.ok) == (1, True), report.output


def test_testing_before_building_says_what_to_do(bench: Bench) -> None:
    project = bench({"main.py": "", "test_a.py": "def test_a(): pass\n"})
    plan = project.plan()
    with pytest.raises(ToolchainError, match="environment is missing"):
        plugin.flowctl_test(plan, project.context(plan))


def completed(stdout: str = "", stderr: str = "", code: int = 0) -> CompletedCommand:
    return CompletedCommand(argv=("python",), exit_code=code, stdout=stdout, stderr=stderr, duration_s=0.5)


@pytest.mark.parametrize("content", ["", "<testsuites><testsuite", "<html/>", "not xml at all"])
def test_a_cut_off_report_is_not_counted(content: str, tmp_path: Path) -> None:
    path = tmp_path / "report.xml"
    path.write_text(content)
    report = pytest_report(completed("some output", code=-9), 0.5, path)
    assert (report.counted, report.ok, report.exit_code) == (False, False, -9)


def test_unittest_that_died_is_not_counted() -> None:
    report = unittest_report(completed(stderr="Fatal Python error: Segmentation fault", code=-11), 0.1)
    assert (report.counted, report.ok) == (False, False)


def test_unittest_that_died_with_success_is_not_counted() -> None:
    report = unittest_report(completed(stderr="", code=0), 0.1)
    assert (report.counted, report.ok) == (False, False)
