"""The builder passes the suite that flowctl-core ships; run with pytest where both are installed."""

from pathlib import Path

from flowctl_core.testing.conformance import BuilderConformance, ExpectedTests


class TestShellBuilder(BuilderConformance):
    builder = "sh"
    project = Path(__file__).parent.parent / "sh-greeting"
    expected_tests = ExpectedTests(passed=2, skipped=1)
    broken_build = {"main.sh": "if then fi (\n"}
    broken_build_says = "yntax error"
    failing_test = {"tests/wrong_test.sh": "echo 'expected 1, got 2'\nexit 1\n"}
    failing_test_name = "wrong_test"
    failing_test_says = "expected 1, got 2"
    foreign = {"main.sh": "echo no manifest\n", "README.md": "# scripts\n"}
    arguments = ("Ada",)
    output = "hello Ada"
