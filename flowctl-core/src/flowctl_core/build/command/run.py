"""Runs the declared command, finds what it made, runs the configured tests."""

from __future__ import annotations

import os
import shlex
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flowctl_core.build.command.made import note_absent
from flowctl_core.errors import BuildError
from flowctl_core.launcher import is_native_program, launcher_script
from flowctl_core.models import Artifact, BuildContext, BuildResult, Plan, Platform, TestReport

TEST_COMMAND_HINT = "Set build.local.languages.{language}.test_command in ~/.flowctl/config.yaml."

_USUAL_PLACES = ("{name}", "bin/{name}", "build/{name}", "dist/{name}", "target/release/{name}", "target/debug/{name}")
_RUNTIMES = {
    "node": "node",
    "nodejs": "node",
    "bun": "bun",
    "deno": "deno run",
    "python": "python3",
    "java": "java -jar",
}
"""`build.native.runtime` → what starts the binary."""
_INTERPRETERS = {".js": "node", ".mjs": "node", ".cjs": "node", ".py": "python3", ".jar": "java -jar"}


def build(plan: Plan, context: BuildContext) -> BuildResult:
    """Run the command(s) and report the binary, moved or launched from the output folder.

    Raises BuildError with the command's own output when it fails or makes no program.
    """
    started_ns = time.time_ns()
    note_absent(plan, context)
    with _link_aside(plan, context):
        for argv in _commands(plan, context):
            context.progress.step(shlex.join(argv))
            done = context.run(argv)
            if not done.ok:
                raise BuildError(
                    f"the build command of {plan.component} failed with exit code {done.exit_code}: {shlex.join(argv)}",
                    hint=_hint(plan, context),
                    output=done.output,
                )
    binary = _find_binary(plan, context, started_ns)
    artifacts = [_take(binary, plan, context)]
    root = context.source_root
    if (root / binary).exists():
        artifacts.append(Artifact(path=binary, kind="program", platform=Platform.host()))
    for output in _strings(plan.details.get("outputs")):
        if not (root / output).exists():
            raise BuildError(f"the build command did not make {output}, which component.yaml lists in build.x-outputs")
        artifacts.append(Artifact(path=output, kind="tree", platform=Platform.host()))
    return BuildResult(artifacts=tuple(artifacts))


@contextmanager
def _link_aside(plan: Plan, context: BuildContext) -> Iterator[None]:
    """Take last time's `./<name>` away while a command runs that would write through it; put it back if it fails.

    Only where the command may make a file of that name: kill -9 meanwhile leaves the program without its link, at
    .flowctl/bin/<name>.
    """
    link, declared = context.source_root / plan.component, plan.details.get("binary")
    target = str(link.readlink()) if link.is_symlink() else ""
    elsewhere = isinstance(declared, str) and declared and Path(declared) != Path(plan.component)
    if elsewhere or not target.startswith(".flowctl/"):
        yield
        return
    link.unlink()
    try:
        yield
    except BaseException:
        if not link.exists():
            link.symlink_to(target)
        raise


def _strings(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []


def _commands(plan: Plan, context: BuildContext) -> list[list[str]]:
    command = _strings(plan.details.get("command"))
    if command:
        program = command[0]
        if program in context.tools:
            program = str(context.tools[program].path)
        elif "/" not in program:
            program = f"./{program}"
        return [[program, *command[1:], *plan.settings.build_args]]
    return [["/bin/sh", "-e", "-c", text] for text in _strings(plan.details.get("commands"))]


def _find_binary(plan: Plan, context: BuildContext, started_ns: int) -> str:
    declared = plan.details.get("binary")
    root = context.source_root
    if isinstance(declared, str) and declared:
        if (root / declared).is_file():
            return str(Path(declared))
        raise BuildError(
            f"the build command succeeded but did not make {declared}, which component.yaml names as binary",
            hint="Correct build.native.binary, or the command's output path.",
        )
    places = [place.format(name=plan.component) for place in _USUAL_PLACES]
    for place in places:
        path = root / place
        if path.is_file() and os.access(path, os.X_OK) and path.stat().st_ctime_ns >= started_ns - 2_000_000_000:
            return place
    raise BuildError(
        f"the build command succeeded but made no program in any usual place ({', '.join(places)})",
        hint="Name it in component.yaml: build.native.binary.",
    )


def _take(binary: str, plan: Plan, context: BuildContext) -> Artifact:
    """Put a native program, or a launcher for a script, into the output folder."""
    made, target = context.source_root / binary, context.output_dir / plan.component
    if is_native_program(made):
        if Path(binary) == Path(plan.component):
            shutil.move(made, target)  # frees the name for the link ./<name>
        else:
            shutil.copy2(made, target)
    else:
        runtime = _RUNTIMES.get(str(plan.details.get("runtime")).lower(), "")
        interpreter = runtime or _INTERPRETERS.get(made.suffix, "")
        if not interpreter and not (_has_shebang(made) and os.access(made, os.X_OK)):
            raise BuildError(
                f"{binary} is neither a native program nor an executable script",
                hint=f"Begin it with a #! line and run chmod +x {binary} in the build command.",
            )
        text = launcher_script(binary, f'exec {interpreter} "$root"/{shlex.quote(binary)} "$@"\n')
        target.write_text(text, encoding="utf-8")
        target.chmod(0o755)
    relative = target.relative_to(context.source_root).as_posix()
    return Artifact(path=relative, kind="program", platform=Platform.host())


def _has_shebang(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"#!"


def _hint(plan: Plan, context: BuildContext) -> str:
    command = _strings(plan.details.get("command"))
    root = context.source_root
    if command[:1] == ["go"] and not (root / "go.mod").exists():
        for nested in sorted(root.glob("*/go.mod")):
            folder = nested.parent.name
            return (
                f"go.mod is in {folder}/, but the command runs in the component's folder. Build with "
                f"--language {plan.language}, or write the command so that it runs there (go -C {folder} build …)."
            )
    return f"Correct build.native.command in component.yaml, or build with --language {plan.language}."


def run_tests(plan: Plan, context: BuildContext) -> TestReport:
    """Run `test_command`; only its exit code is known, so nothing is counted."""
    argv = list(plan.settings.test_command)
    context.progress.step(shlex.join(argv))
    done = context.run(argv)
    return TestReport(
        tool=shlex.join(argv),
        command=tuple(argv),
        counted=False,
        exit_code=done.exit_code,
        duration_s=done.duration_s,
        output="" if done.ok else done.output,
    )
