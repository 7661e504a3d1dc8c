"""Counting what `cargo test` prints. The texts are those of cargo 1.95, shortened where nothing is lost."""

from __future__ import annotations

from flowctl_lang_rust.libtest import Suite, read_suite

UNIT = "     Running unittests src/lib.rs (target/debug/deps/a-de22c1bda0609b20)\n"
CLI = "     Running tests/cli.rs (target/debug/deps/cli-fc562eb2d6de8df6)\n"
OK = "test result: ok. {} passed; 0 failed; {} ignored; 0 measured; 0 filtered out; finished in 0.00s\n"
BAD = "test result: FAILED. {} passed; {} failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.11s\n"


def counts(suite: Suite) -> tuple[int, int, int, int]:
    return suite.passed, suite.failed, suite.skipped, suite.errors


def named(suite: Suite) -> dict[str, str]:
    return {case.name: case.outcome for case in suite.cases}


def test_several_binaries_and_doctests() -> None:
    stdout = (
        "\nrunning 3 tests\ntest tests::one ... ok\ntest tests::two - should panic ... ok\n"
        "test tests::slow ... ignored, needs a network\n\n" + OK.format(2, 1) + "\n"
        "\nrunning 1 test\ntest tests::one ... ok\n\n" + OK.format(1, 0) + "\n"
        "\nrunning 1 test\ntest src/lib.rs - (line 4) ... ok\n\n" + OK.format(1, 0) + "\n"
        "all doctests ran in 0.34s; merged doctests compilation took 0.21s\n"
    )
    suite = read_suite(stdout, "   Compiling a v0.1.0 (/x)\n" + UNIT + CLI + "   Doc-tests a\n")
    assert counts(suite) == (4, 0, 1, 0)
    assert named(suite) == {
        "src/lib.rs: tests::one": "passed",
        "src/lib.rs: tests::two": "passed",
        "src/lib.rs: tests::slow": "skipped",
        "tests/cli.rs: tests::one": "passed",
        "doc: src/lib.rs - (line 4)": "passed",
    }


def test_failures_carry_their_own_output() -> None:
    stdout = (
        "\nrunning 3 tests\ntest good ... ok\ntest bad ... FAILED\ntest worse ... FAILED\n\nfailures:\n\n"
        "---- bad stdout ----\nhello\n\nthread 'bad' panicked at src/lib.rs:17:38:\nleft: 1\n\n"
        '---- worse stdout ----\nError: "no"\n\n\nfailures:\n    bad\n    worse\n\n' + BAD.format(1, 2)
    )
    suite = read_suite(stdout, UNIT + "error: test failed, to rerun pass `--lib`\n")
    assert counts(suite) == (1, 2, 0, 0)
    outputs = {case.name: case.output for case in suite.cases}
    assert outputs["src/lib.rs: bad"] == "hello\n\nthread 'bad' panicked at src/lib.rs:17:38:\nleft: 1"
    assert outputs["src/lib.rs: worse"] == 'Error: "no"'
    assert outputs["src/lib.rs: good"] == ""


def test_a_test_run_inside_a_failing_test_is_not_counted() -> None:
    inner = (
        "running 7 tests\ntest inner ... ok\n\nfailures:\n\n---- inner stdout ----\nx\n\nfailures:\n    inner\n\n"
        + BAD.format(6, 1)
    )
    stdout = (
        "\nrunning 2 tests\ntest outer ... FAILED\ntest other ... ok\n\nfailures:\n\n---- outer stdout ----\n"
        + inner
        + "\n\nfailures:\n    outer\n\n"
        + BAD.format(1, 1)
    )
    suite = read_suite(stdout, UNIT + "error: test failed, to rerun pass `--lib`\n")
    assert counts(suite) == (1, 1, 0, 0)
    assert {name: outcome for name, outcome in named(suite).items() if outcome == "failed"} == {
        "src/lib.rs: outer": "failed"
    }
    (output,) = (case.output for case in suite.cases if case.outcome == "failed")
    assert "running 7 tests" in output


def test_a_line_torn_by_a_childs_output_loses_no_count() -> None:
    stdout = "\nrunning 2 tests\ntest a ... from a child\nok\ntest b ... ok\n\n" + OK.format(2, 0)
    suite = read_suite(stdout, UNIT)
    assert counts(suite) == (2, 0, 0, 0)


def test_a_torn_line_of_a_failure_is_named_by_the_list_at_the_end() -> None:
    stdout = (
        "\nrunning 2 tests\ntest a ... from a child\nFAILED\ntest b ... ok\n\nfailures:\n\n---- a stdout ----\nwhy\n\n\n"
        "failures:\n    a\n\n" + BAD.format(1, 1)
    )
    suite = read_suite(stdout, UNIT + "error: test failed, to rerun pass `--lib`\n")
    assert counts(suite) == (1, 1, 0, 0)
    assert named(suite)["src/lib.rs: a"] == "failed"


def test_an_aborted_binary_is_an_error_and_the_next_one_counts() -> None:
    stdout = "\nrunning 2 tests\ntest ok ... ok\n\nrunning 1 test\ntest fine ... ok\n\n" + OK.format(1, 0)
    stderr = (
        UNIT + "error: test failed, to rerun pass `--lib`\n\nCaused by:\n"
        "  process didn't exit successfully: `/x/deps/a-1` (signal: 6, SIGABRT: process abort signal)\n" + CLI
    )
    suite = read_suite(stdout, stderr)
    assert counts(suite) == (2, 0, 0, 1)
    (error,) = (case for case in suite.cases if case.outcome == "error")
    assert error.name == "src/lib.rs"
    assert "1 of 2 tests" in error.output
    assert "SIGABRT" in error.output


def test_a_failing_target_with_a_harness_of_its_own() -> None:
    stdout = "\nrunning 1 test\ntest fine ... ok\n\n" + OK.format(1, 0) + "custom harness says no\n"
    stderr = (
        UNIT + "     Running tests/custom.rs (target/debug/deps/custom-1)\n"
        "error: test failed, to rerun pass `--test custom`\n\nCaused by:\n"
        "  process didn't exit successfully: `/x/deps/custom-1` (exit status: 3)\n"
        "error: 1 target failed:\n    `--test custom`\n"
    )
    suite = read_suite(stdout, stderr)
    assert counts(suite) == (1, 0, 0, 1)
    (error,) = (case for case in suite.cases if case.outcome == "error")
    assert error.name == "--test custom"
    assert "exit status: 3" in error.output


def test_names_with_spaces_and_measured_benchmarks() -> None:
    stdout = (
        "\nrunning 3 tests\ntest tests::case::empty input ... ok\ntest bench ... bench:  10 ns/iter (+/- 1)\n"
        "test slow ... ok <1.234s>\n\n"
        "test result: ok. 2 passed; 0 failed; 0 ignored; 1 measured; 0 filtered out; finished in 0.00s\n"
    )
    suite = read_suite(stdout, UNIT)
    assert counts(suite) == (3, 0, 0, 0)
    assert "src/lib.rs: tests::case::empty input" in named(suite)
    assert "src/lib.rs: slow" in named(suite)


def test_nothing_and_noise() -> None:
    assert counts(read_suite("", "")) == (0, 0, 0, 0)
    empty = read_suite("\nrunning 0 tests\n\n" + OK.format(0, 0), UNIT)
    assert counts(empty) == (0, 0, 0, 0)
    assert empty.blocks == 1
    assert counts(read_suite("running many tests\ntest result: ok.\nfailures:\n", "error: no")) == (0, 0, 0, 0)
