"""Runs the project's own tests."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

from flowctl_core.models import BuildContext, CompletedCommand, Plan, TestReport
from flowctl_lang_node import reports
from flowctl_lang_node.toolchain import STRIPS_TYPES, Tooling
from flowctl_lang_node.tsconfig import TYPESCRIPT

_TEST_FILE = re.compile(r"(?:.*[.\-_]test|test-.*|test)\.(?:[cm]?js|[cm]?ts)")
_NOTHING_FOUND = re.compile(
    r"^No tests? (?:files )?found\b|^No test files found|^Error: No test files found|Couldn’t find any files to test",
    re.MULTILINE | re.IGNORECASE,
)


def test(plan: Plan, context: BuildContext) -> TestReport:
    """See `flowctl_test`.

    The configured command, else the package's test script, else `node --test` where there are test files.
    """
    tooling = Tooling(plan, context)
    if plan.settings.test_command:
        argv = list(plan.settings.test_command)
        return _report(plan, _run_with_bins(plan, tooling, argv), " ".join(argv[:2]), argv)
    if plan.details["test"]:
        tool = f"{tooling.manager} test"
        context.progress.step(tool)
        # `bun test` is bun's own runner; the script is `bun run test`.
        arguments = ["run", "test"] if tooling.manager == "bun" else ["test"]
        return _report(plan, tooling.run(arguments, cwd=plan.root), tool, [tooling.manager, *arguments])
    if plan.details["runtime"] == "bun" and _test_files(context.source_root / plan.root, typescript=True):
        context.progress.step("bun test")
        argv = [str(context.tool("bun").path), "test"]
        return _report(plan, tooling.execute(argv, cwd=plan.root), "bun test", ["bun", "test"])
    node = context.tools.get("node")
    strips = node is not None and tuple(int(n) for n in re.findall(r"\d+", node.version)[:3]) >= STRIPS_TYPES
    if node is None or not _test_files(context.source_root / plan.root, typescript=strips):
        return TestReport(tool="node --test")
    context.progress.step("node --test")
    argv = [str(node.path), "--test", "--test-reporter=tap"]
    return _report(plan, tooling.execute(argv, cwd=plan.root), "node --test", ["node", *argv[1:]])


def _test_files(root: Path, *, typescript: bool) -> bool:
    """True when `node --test` would find something (https://nodejs.org/api/test.html#running-tests-from-the-command-line)."""
    for folder, folders, files in os.walk(root, followlinks=False):
        folders[:] = [name for name in folders if name != "node_modules" and not name.startswith(".")]
        in_test = "test" in Path(folder).relative_to(root).parts
        for name in files:
            if name.endswith(TYPESCRIPT) and (not typescript or name.endswith(".d.ts")):
                continue
            if _TEST_FILE.fullmatch(name) or (in_test and re.search(r"\.[cm]?[jt]s$", name)):
                return True
    return False


def _run_with_bins(plan: Plan, tooling: Tooling, argv: list[str]) -> CompletedCommand:
    """Run a configured command with the dependencies' programs on PATH, as a script would find them."""
    environment = dict(tooling.environment())
    root = tooling.context.source_root
    folders = dict.fromkeys((plan.root, str(plan.details["workspace"])))
    bins = [str(root / folder / "node_modules/.bin") for folder in folders]
    environment["PATH"] = os.pathsep.join([*bins, environment["PATH"]])
    tooling.context.progress.step(shlex.join(argv))
    return tooling.context.run(argv, cwd=plan.root, environment=environment)


def _report(plan: Plan, done: CompletedCommand, tool: str, command: list[str]) -> TestReport:
    output = done.output
    counts = reports.read(output)
    if counts is None:
        if _NOTHING_FOUND.search(reports.plain(output)):
            # jest and vitest end with 1 then; nothing failed, there was nothing.
            return TestReport(tool=tool, command=tuple(command), duration_s=done.duration_s, output=output)
        return TestReport(
            tool=tool,
            command=tuple(command),
            counted=False,
            exit_code=done.exit_code,
            duration_s=done.duration_s,
            output=output,
        )
    failed = not done.ok or counts.failed or counts.errors
    return TestReport(
        tool=tool,
        command=tuple(command),
        passed=counts.passed,
        failed=counts.failed,
        skipped=counts.skipped,
        errors=counts.errors,
        exit_code=done.exit_code,
        duration_s=done.duration_s,
        cases=tuple(counts.cases),
        output=output if failed else "",
    )
