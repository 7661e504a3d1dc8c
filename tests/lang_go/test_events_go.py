"""What `go test -json` printed, counted."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from flowctl_lang_go.events import TestStream


def event(action: str, package: str = "m/p", test: str | None = None, output: str | None = None, **more: Any) -> str:
    body = {"Action": action, "Package": package, "Test": test, "Output": output, **more}
    return json.dumps({key: value for key, value in body.items() if value is not None})


def stream(*lines: str) -> tuple[TestStream, list[str]]:
    shown: list[str] = []
    made = TestStream(lambda package: package.replace("m/", "./"), shown.append)
    for line in lines:
        made.feed(line)
    made.finish()
    return made, shown


def counts(made: TestStream) -> dict[str, int]:
    return dict(Counter(case.outcome for case in made.cases))


def test_tests_and_subtests_count() -> None:
    made, shown = stream(
        event("start"),
        event("run", test="TestA"),
        event("run", test="TestA/one"),
        event("pass", test="TestA/one"),
        event("run", test="TestA/two"),
        event("skip", test="TestA/two"),
        event("pass", test="TestA", Elapsed=0.5),
        event("run", test="ExampleB"),
        event("pass", test="ExampleB"),
        event("pass"),
    )
    assert counts(made) == {"passed": 3, "skipped": 1}
    assert [case.name for case in made.cases][:1] == ["./p TestA/one"]
    assert made.cases[2].duration_s == 0.5
    assert shown == ["ok   ./p (4 tests)"]
    assert made.failures == []


def test_a_failure_keeps_its_output_and_only_its_own() -> None:
    made, shown = stream(
        event("run", test="TestA"),
        event("output", test="TestA", output="=== RUN   TestA\n"),
        event("run", test="TestB"),
        event("output", test="TestB", output="quiet\n"),
        event("output", test="TestA", output="    a_test.go:3: got 1\n"),
        event("pass", test="TestB"),
        event("fail", test="TestA"),
        event("output", output="FAIL\n"),
        event("fail"),
    )
    assert counts(made) == {"passed": 1, "failed": 1}
    (failed,) = [case for case in made.cases if case.outcome == "failed"]
    assert failed.output == "    a_test.go:3: got 1\n"
    assert shown == ["FAIL ./p (1 of 2 tests failed)"]
    assert made.failures == ["=== RUN   TestA\nquiet\n    a_test.go:3: got 1\nFAIL\n"]


def test_packages_without_tests_are_no_tests() -> None:
    made, shown = stream(event("start"), event("output", output="?   \tm/p\t[no test files]\n"), event("skip"))
    assert made.cases == [] and made.seen
    assert shown == ["?    ./p (no tests)"]


@pytest.mark.parametrize("modern", [True, False])
def test_a_package_that_does_not_compile_is_an_error(modern: bool) -> None:
    built = [
        event("build-output", "", output="# m/p\n", ImportPath="m/p [m/p.test]"),
        event("build-output", "", output="p/x_test.go:3: undefined: y\n", ImportPath="m/p [m/p.test]"),
        event("build-fail", "", ImportPath="m/p [m/p.test]"),
    ]
    before = ["# m/p", "p/x_test.go:3: undefined: y"]  # until Go 1.23 the compiler's words were no events
    made, shown = stream(
        *(built if modern else before),
        event("start"),
        event("output", output="FAIL\tm/p [build failed]\n"),
        event("fail", FailedBuild="m/p [m/p.test]" if modern else None),
    )
    (case,) = made.cases
    assert (case.name, case.outcome) == ("./p", "error")
    assert "undefined: y" in (case.output if modern else "\n".join(made.loose))
    assert "p/x_test.go:3: undefined: y" in shown and shown[-1] == "FAIL ./p (no tests)"


def test_tests_that_a_panic_cut_off_failed() -> None:
    made, _ = stream(
        event("run", test="TestDone"),
        event("pass", test="TestDone"),
        event("run", test="TestParallel"),
        event("pause", test="TestParallel"),
        event("run", test="TestPanics"),
        event("output", test="TestPanics", output="panic: boom\n"),
        event("fail", test="TestPanics"),
        event("fail"),
    )
    assert counts(made) == {"passed": 1, "failed": 2}
    cut = next(case for case in made.cases if "Parallel" in case.name)
    assert "ended before this test did" in cut.output


def test_a_lost_end_of_a_subtest_is_no_failure() -> None:
    """golang/go#40771: its root passed."""
    made, _ = stream(
        event("run", test="TestA"), event("run", test="TestA/x"), event("pass", test="TestA"), event("pass")
    )
    assert counts(made) == {"passed": 1}


def test_a_package_that_fails_without_a_failed_test_is_an_error() -> None:
    made, _ = stream(
        event("run", test="TestA"),
        event("pass", test="TestA"),
        event("output", output="leak: 3 goroutines\n"),
        event("fail", Elapsed=0.1),
    )
    assert counts(made) == {"passed": 1, "error": 1}
    assert "leak: 3 goroutines" in made.cases[-1].output


def test_a_stream_that_breaks_off_failed() -> None:
    made, shown = stream(event("start"), event("run", test="TestA"))
    assert counts(made) == {"failed": 1} and shown[-1].startswith("FAIL")


def test_repeated_runs_count_each() -> None:
    once = [event("run", test="TestA"), event("pass", test="TestA")]
    made, _ = stream(*once, *once, event("pass"))
    assert counts(made) == {"passed": 2}


def test_interleaved_packages_stay_apart() -> None:
    made, shown = stream(
        event("run", "m/a", "Test"),
        event("run", "m/b", "Test"),
        event("pass", "m/b", "Test"),
        event("pass", "m/b"),
        event("fail", "m/a", "Test"),
        event("fail", "m/a"),
    )
    assert [(case.name, case.outcome) for case in made.cases] == [("./b Test", "passed"), ("./a Test", "failed")]
    assert shown == ["ok   ./b (1 test)", "FAIL ./a (1 of 1 test failed)"]


@pytest.mark.parametrize("line", ["go: downloading x", "{", "{}", "[1]", '{"Action": 1}', "{" * 100_000, "\x00"])
def test_other_lines_are_kept_as_they_are(line: str) -> None:
    made, shown = stream(line)
    assert made.loose == [line] and shown == [line] and not made.seen


def test_cached_results_are_said() -> None:
    _, shown = stream(
        event("run", test="TestA"),
        event("pass", test="TestA"),
        event("output", output="ok  \tm/p\t(cached)\n"),
        event("pass"),
    )
    assert shown == ["ok   ./p (1 test, cached)"]
