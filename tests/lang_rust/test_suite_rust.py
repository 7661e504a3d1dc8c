"""The project's own tests, run by the real cargo and counted."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from flowctl_core.errors import BuildError
from flowctl_core.models import LanguageSettings

Make = Callable[..., Any]

pytestmark = pytest.mark.requires_tool("cargo", "rustc", "cc")

MANIFEST = '[package]\nname = "app"\nversion = "0.1.0"\nedition = "2021"\n'
LOCK = 'version = 3\n\n[[package]]\nname = "app"\nversion = "0.1.0"\n'
LIB = """
//! ```
//! assert_eq!(app::two(), 2);
//! ```
pub fn two() -> i32 { 2 }

#[cfg(test)]
mod tests {
    #[test]
    fn right() { assert_eq!(super::two(), 2); }

    #[test]
    #[ignore = "slow"]
    fn slow() {}

    #[test]
    #[should_panic]
    fn panics() { panic!("as it should"); }
}
"""
FAILING = """
#[test]
fn fine() {}

#[test]
fn wrong() {
    println!("about to fail");
    assert_eq!(app::two(), 3, "two is not three");
}
"""
PROJECT = {
    "Cargo.toml": MANIFEST,
    "Cargo.lock": LOCK,
    "src/lib.rs": LIB,
    "src/main.rs": "fn main() {}\n",
}


def test_passing_tests_and_examples_in_the_documentation(bench: Make) -> None:
    project = bench(PROJECT)
    report = project.test()
    assert (report.passed, report.failed, report.skipped, report.errors) == (3, 0, 1, 0)
    assert report.ok
    assert report.counted
    assert report.output == ""
    assert report.tool == "cargo test"
    assert report.command[:2] == ("cargo", "test")
    assert {case.name for case in report.cases} == {
        "src/lib.rs: tests::right",
        "src/lib.rs: tests::slow",
        "src/lib.rs: tests::panics",
        "doc: src/lib.rs - (line 2)",
    }
    assert any("tests::right ... ok" in line for line in project.progress.lines)


def test_the_same_counts_as_by_hand(bench: Make) -> None:
    project = bench(PROJECT | {"tests/it.rs": FAILING})
    report = project.test()
    done = subprocess.run(
        ["cargo", "test", "--no-fail-fast", "--offline"], cwd=project.root, capture_output=True, text=True, check=False
    )
    found = re.findall(r"^test result: .* (\d+) passed; (\d+) failed; (\d+) ignored", done.stdout, re.MULTILINE)
    by_hand = tuple(sum(int(row[i]) for row in found) for i in range(3))
    assert by_hand == (4, 1, 1)
    assert (report.passed, report.failed, report.skipped) == by_hand


def test_a_failing_test_is_named_and_shown(bench: Make) -> None:
    report = bench(PROJECT | {"tests/it.rs": FAILING}).test()
    assert not report.ok
    assert report.exit_code == 101
    (failed,) = (case for case in report.cases if case.outcome == "failed")
    assert failed.name == "tests/it.rs: wrong"
    assert "about to fail" in failed.output
    assert "two is not three" in failed.output
    assert "two is not three" in report.output


def test_tests_that_do_not_compile_are_one_error(bench: Make) -> None:
    report = bench(PROJECT | {"tests/it.rs": "#[test]\nfn broken() { app::three(); }\n"}).test()
    assert (report.passed, report.failed, report.errors, report.total) == (0, 0, 1, 1)
    (case,) = report.cases
    assert case.outcome == "error"
    assert 'could not compile `app` (test "it")' in case.name
    assert "cannot find function `three`" in case.output
    assert not report.ok


def test_no_tests_is_zero(bench: Make) -> None:
    report = bench({"Cargo.toml": MANIFEST, "Cargo.lock": LOCK, "src/main.rs": "fn main() {}\n"}).test()
    assert (report.total, report.exit_code, report.counted) == (0, 0, True)


def test_a_test_that_ends_the_process(bench: Make) -> None:
    files = PROJECT | {"tests/it.rs": "#[test]\nfn gone() { std::process::abort(); }\n"}
    report = bench(files).test()
    assert (report.passed, report.errors) == (3, 1)
    (error,) = (case for case in report.cases if case.outcome == "error")
    assert error.name == "tests/it.rs"
    assert "SIGABRT" in error.output


def test_a_harness_of_its_own(bench: Make) -> None:
    manifest = MANIFEST + '[[test]]\nname = "custom"\nharness = false\n'
    good = bench(PROJECT | {"Cargo.toml": manifest, "tests/custom.rs": "fn main() {}\n"}).test()
    assert (good.passed, good.errors, good.ok) == (3, 0, True)


def test_a_harness_of_its_own_that_fails(bench: Make) -> None:
    manifest = MANIFEST + '[[test]]\nname = "custom"\nharness = false\n'
    bad = bench(PROJECT | {"Cargo.toml": manifest, "tests/custom.rs": "fn main() { std::process::exit(3) }\n"}).test()
    assert (bad.passed, bad.errors, bad.ok) == (3, 1, False)
    assert any(case.name == "--test custom" and "exit status: 3" in case.output for case in bad.cases)


def test_only_the_chosen_member_of_several(bench: Make) -> None:
    files = {
        "Cargo.toml": '[workspace]\nresolver = "2"\nmembers = ["source", "sink"]\n',
        "Cargo.lock": LOCK.replace("app", "sink") + LOCK.replace("app", "source").removeprefix("version = 3\n"),
    }
    for name, tests in (("source", 1), ("sink", 2)):
        body = "fn main() {}\n" + "".join(f"#[test]\nfn t{n}() {{}}\n" for n in range(tests))
        files |= {f"{name}/Cargo.toml": MANIFEST.replace("app", name), f"{name}/src/main.rs": body}
    assert bench(files, main="sink").test().passed == 2


def test_a_command_of_the_users_own_is_counted_when_it_can_be(bench: Make) -> None:
    settings = LanguageSettings(test_command=("cargo", "test", "--offline", "--lib", "--", "right"))
    report = bench(PROJECT, settings=settings).test()
    assert (report.passed, report.total, report.counted) == (1, 1, True)


@pytest.mark.parametrize("code", [0, 5])
def test_a_command_of_the_users_own_with_no_report(code: int, bench: Make) -> None:
    settings = LanguageSettings(test_command=(sys.executable, "-c", f"print('checked'); raise SystemExit({code})"))
    report = bench(PROJECT, settings=settings).test()
    assert (report.total, report.counted, report.exit_code, report.ok) == (0, False, code, code == 0)
    assert report.output == ("checked" if code else "")


def test_a_manifest_that_cargo_refuses(bench: Make) -> None:
    project = bench(PROJECT | {"Cargo.toml": MANIFEST.replace('edition = "2021"', 'edition = "1999"')})
    with pytest.raises(BuildError, match="cargo test failed") as raised:
        project.test()
    assert "1999" in (raised.value.output or "")
