"""Runs the project's own tests and counts them."""

from __future__ import annotations

import shlex
from collections import Counter

from flowctl_core.models import BuildContext, CompletedCommand, Plan, TestReport
from flowctl_lang_go.events import TestStream
from flowctl_lang_go.failures import build_failure
from flowctl_lang_go.toolchain import build_flags, go_environment, require_cc, run_go


def run_tests(plan: Plan, context: BuildContext) -> TestReport:
    """`go test -json` over all packages of the module (of all members in a workspace), or the user's own command.

    Raises BuildError, DependenciesMissingError or ToolchainError when Go could not even begin.
    """
    if plan.settings.test_command:
        return _own_command(plan, context)
    require_cc(plan, context)
    packages = [str(package) for package in plan.details["test_packages"]]  # type: ignore[union-attr]
    arguments = ["test", "-json", *build_flags(plan, context), *packages]
    what = f"go test {' '.join(packages)}"
    context.progress.step(what)
    stream = _stream(plan, context)
    done = run_go(plan, context, arguments, on_line=stream.feed)
    stream.finish()
    if not stream.seen and not done.ok:
        raise build_failure(done, what)
    return _report("go test", ("go", *arguments), done, stream)


def _own_command(plan: Plan, context: BuildContext) -> TestReport:
    """The configuration's `test_command`; a `go test` is asked for events so that it can be counted."""
    command = plan.settings.test_command
    argv = list(command)
    if argv[:2] == ["go", "test"]:
        argv[0] = str(context.tool("go").path)
        if not any(argument in ("-json", "--json") for argument in argv):
            argv.insert(2, "-json")
    context.progress.step(shlex.join(command))
    stream = _stream(plan, context)
    environment = go_environment(plan, context, network=False)
    done = context.run(argv, cwd=plan.root, environment=environment, on_line=stream.feed)
    stream.finish()
    return _report(" ".join(command[:2]), command, done, stream)


def _stream(plan: Plan, context: BuildContext) -> TestStream:
    modules = plan.details.get("modules")
    paths = {str(path): str(folder) for path, folder in modules.items()} if isinstance(modules, dict) else {}

    def short(package: str) -> str:
        """`./ledger` for a package of this source."""
        inside = [path for path in paths if package == path or package.startswith(path + "/")]
        if not inside:
            return package
        module = max(inside, key=len)
        relative = "/".join(part for part in (paths[module], package[len(module) + 1 :]) if part not in ("", "."))
        return f"./{relative}" if relative else "."

    return TestStream(short, context.progress.line)


def _report(tool: str, command: tuple[str, ...], done: CompletedCommand, stream: TestStream) -> TestReport:
    counts = Counter(case.outcome for case in stream.cases)
    failed = not done.ok or counts["failed"] or counts["error"]
    output = "\n".join(stream.loose) + ("\n" if stream.loose else "") + "".join(stream.failures)
    return TestReport(
        tool=tool,
        command=command,
        passed=counts["passed"],
        failed=counts["failed"],
        skipped=counts["skipped"],
        errors=counts["error"],
        counted=stream.seen,
        exit_code=done.exit_code,
        duration_s=done.duration_s,
        cases=tuple(stream.cases),
        output=output if failed else "",
    )
