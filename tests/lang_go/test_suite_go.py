"""Tests run with the real go and counted as by hand."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from flowctl_core.errors import BuildError
from flowctl_core.models import LanguageSettings

if TYPE_CHECKING:
    from .conftest import Bench

MakeBench = Callable[..., "Bench"]
BASE = {"go.mod": "module example.com/sample\n\ngo 1.21\n", "main.go": "package main\n\nfunc main() {}\n"}
OK = """\
package ok

import (
	"fmt"
	"testing"
)

func TestTable(t *testing.T) {
	t.Run("one two", func(t *testing.T) { t.Log("fine") })
	t.Run("later", func(t *testing.T) { t.Skip("not today") })
}

func TestAlone(t *testing.T) {}

func FuzzNumbers(f *testing.F) {
	f.Add(1)
	f.Fuzz(func(t *testing.T, n int) {})
}

func BenchmarkNothing(b *testing.B) {}

func ExampleShow() {
	fmt.Println("shown")
	// Output: shown
}

func Show() {}
"""


def test_counts_are_those_of_go_test_v(bench: MakeBench) -> None:
    made = bench({**BASE, "ok/ok_test.go": OK, "none/none.go": "package none\n"})
    report = made.test()
    assert (report.passed, report.skipped, report.failed, report.errors) == (6, 1, 0, 0)
    assert report.ok and report.counted and report.tool == "go test" and report.output == ""
    assert report.command[:3] == ("go", "test", "-json")
    assert "ok   ./ok (7 tests)" in made.progress.lines and "?    . (no tests)" in made.progress.lines
    by_hand = subprocess.run(
        [made.context(made.plan()).tool("go").path, "test", "-v", "-count=1", "./..."],
        cwd=made.root,
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    assert report.total == len(re.findall(r"--- (?:PASS|FAIL|SKIP):", by_hand))


def test_a_failing_test_is_named_with_its_words(bench: MakeBench) -> None:
    text = 'package p\n\nimport "testing"\n\nfunc TestSum(t *testing.T) {\n\tt.Run("a", func(t *testing.T) { t.Error("got 1, want 2") })\n}\n'
    report = bench({**BASE, "p/p_test.go": text, "ok/ok_test.go": OK}).test()
    assert not report.ok and report.failed == 2 and report.passed == 6 and report.exit_code == 1
    failed = {case.name: case.output for case in report.cases if case.outcome == "failed"}
    assert set(failed) == {"./p TestSum", "./p TestSum/a"}
    assert "got 1, want 2" in failed["./p TestSum/a"]
    assert "p_test.go:6: got 1, want 2" in report.output and "fine" not in report.output


def test_what_goes_wrong_in_other_ways(bench: MakeBench) -> None:
    files = {
        "compile/x_test.go": 'package compile\n\nimport "testing"\n\nfunc TestX(t *testing.T) { nothing() }\n',
        "vet/x_test.go": 'package vet\n\nimport (\n\t"fmt"\n\t"testing"\n)\n\nfunc TestX(t *testing.T) { fmt.Printf("%d", "x") }\n',
        "setup/x_test.go": 'package setup\n\nimport (\n\t_ "example.com/nope"\n\t"testing"\n)\n\nfunc TestX(t *testing.T) {}\n',
        "panics/x_test.go": 'package panics\n\nimport "testing"\n\nfunc TestA(t *testing.T) {}\n\n'
        'func TestWaits(t *testing.T) { t.Parallel(); select {} }\n\nfunc TestB(t *testing.T) { panic("boom") }\n',
        "exits/x_test.go": 'package exits\n\nimport (\n\t"os"\n\t"testing"\n)\n\nfunc TestX(t *testing.T) { os.Exit(1) }\n',
        "after/x_test.go": 'package after\n\nimport (\n\t"os"\n\t"testing"\n)\n\n'
        "func TestMain(m *testing.M) { m.Run(); os.Exit(3) }\n\nfunc TestX(t *testing.T) {}\n",
    }
    report = bench({**BASE, **files}).test()
    outcomes = {case.name: case.outcome for case in report.cases}
    assert outcomes == {
        "./compile": "error",
        "./vet": "error",
        "./setup": "error",
        "./panics TestA": "passed",
        "./panics TestWaits": "failed",
        "./panics TestB": "failed",
        "./exits TestX": "failed",
        "./after TestX": "passed",
        "./after": "error",
    }
    said = {case.name: case.output for case in report.cases}
    assert "undefined: nothing" in report.output and "boom" in said["./panics TestB"]
    assert "example.com/nope" in report.output and "wrong type string" in report.output


def test_no_tests_at_all(bench: MakeBench) -> None:
    report = bench(BASE).test()
    assert (report.total, report.exit_code, report.counted) == (0, 0, True)


def test_workspace_members_are_all_tested(bench: MakeBench) -> None:
    passing = 'package {0}\n\nimport "testing"\n\nfunc TestX(t *testing.T) {{}}\n'
    made = bench(
        {
            "go.work": "go 1.21\n\nuse (\n\t./app\n\t./lib\n)\n",
            "app/go.mod": "module example.com/app\n\ngo 1.21\n",
            "app/main.go": BASE["main.go"],
            "app/main_test.go": passing.format("main"),
            "lib/go.mod": "module example.com/lib\n\ngo 1.21\n",
            "lib/lib_test.go": passing.format("lib"),
            "other/go.mod": "module example.com/other\n\ngo 1.21\n",
            "other/other_test.go": passing.format("other"),
        }
    )
    assert sorted(case.name for case in made.test().cases) == ["./app TestX", "./lib TestX"]


def test_loose_files(bench: MakeBench) -> None:
    text = 'package main\n\nimport "testing"\n\nfunc TestX(t *testing.T) {}\n'
    report = bench({"main.go": BASE["main.go"], "main_test.go": text}).test()
    assert report.passed == 1 and report.ok


def test_tests_of_one_package_can_be_tagged(bench: MakeBench) -> None:
    tagged = '//go:build slow\n\npackage main\n\nimport "testing"\n\nfunc TestSlow(t *testing.T) {}\n'
    files = {**BASE, "slow_test.go": tagged}
    assert bench(files).test().total == 0
    assert bench(files, name="tagged", settings=LanguageSettings(build_args=("-tags=slow",))).test().total == 1


def test_own_go_test_command_is_counted(bench: MakeBench) -> None:
    command = ("go", "test", "-run", "TestAlone", "./ok")
    made = bench({**BASE, "ok/ok_test.go": OK}, settings=LanguageSettings(test_command=command))
    report = made.test()
    assert (report.passed, report.counted, report.command) == (1, True, command)


@pytest.mark.parametrize(("script", "code"), [("echo all fine", 0), ("echo broken >&2; exit 4", 4)])
def test_own_script_is_not_counted(bench: MakeBench, script: str, code: int) -> None:
    made = bench(BASE, settings=LanguageSettings(test_command=("sh", "-c", script)))
    report = made.test()
    assert (report.counted, report.total, report.exit_code, report.ok) == (False, 0, code, code == 0)
    assert ("broken" in report.output) is (code != 0)


def test_when_go_cannot_begin(bench: MakeBench) -> None:
    with pytest.raises(BuildError) as caught:
        bench({**BASE, "go.mod": BASE["go.mod"] + "frobnicate\n"}).test()
    assert "unknown directive" in str(caught.value.output)
