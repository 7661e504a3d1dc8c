"""Runs the project's own tests and counts them."""

from __future__ import annotations

import re
import shlex

from flowctl_core.models import BuildContext, CompletedCommand, Plan, TestCase, TestReport
from flowctl_lang_rust import lockfile
from flowctl_lang_rust.cargo import cargo_environment, failure, has_lock, run_cargo
from flowctl_lang_rust.libtest import Suite, read_suite

_NOT_COMPILED = re.compile(r"^error: (could not compile .*)$", re.MULTILINE)


def run_tests(plan: Plan, context: BuildContext) -> TestReport:
    """Run `cargo test`, or the command that the user's settings give instead.

    Tests that do not compile are one error with rustc's words. Raises DependenciesMissingError,
    ToolchainError or BuildError when cargo could not even begin.
    """
    if plan.settings.test_command:
        return _own_command(plan, context)
    arguments = test_arguments(plan, locked=has_lock(plan, context))
    context.progress.step("cargo " + " ".join(arguments))
    done = run_cargo(plan, context, arguments)
    suite = read_suite(done.stdout, done.stderr)
    command = ("cargo", *arguments)
    if done.ok or suite.cases:
        return _report("cargo test", command, done, suite)
    broken = _NOT_COMPILED.search(done.stderr)
    if broken is None:
        raise failure(done, "cargo test")
    special = failure(done, "cargo test")
    if special.code != "build":
        raise special
    case = TestCase(name=broken.group(1), outcome="error", output=done.stderr)
    return _report("cargo test", command, done, Suite(0, 0, 0, 1, (case,), 0))


def test_arguments(plan: Plan, *, locked: bool) -> list[str]:
    """Arguments of `cargo` that test the plan's packages."""
    arguments = ["test", "--offline"]
    if locked:
        arguments.append("--locked")
    arguments.append("--no-fail-fast")
    if plan.profile == "release":
        arguments.append("--release")
    packages = plan.details.get("test_packages")
    for package in packages if isinstance(packages, list) else ():
        arguments += ["--package", str(package)]
    return arguments


def _own_command(plan: Plan, context: BuildContext) -> TestReport:
    command = plan.settings.test_command
    context.progress.step(shlex.join(command))
    with lockfile.noticed(plan, context):
        done = context.run(list(command), cwd=plan.root, environment=cargo_environment(context))
    suite = read_suite(done.stdout, done.stderr)
    return _report(" ".join(command[:2]), command, done, suite, counted=suite.blocks > 0)


def _report(
    tool: str, command: tuple[str, ...], done: CompletedCommand, suite: Suite, *, counted: bool = True
) -> TestReport:
    return TestReport(
        tool=tool,
        command=command,
        passed=suite.passed,
        failed=suite.failed,
        skipped=suite.skipped,
        errors=suite.errors,
        counted=counted,
        exit_code=done.exit_code,
        duration_s=done.duration_s,
        cases=suite.cases,
        output="" if done.ok else done.output,
    )
