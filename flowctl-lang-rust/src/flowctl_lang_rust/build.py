"""Builds for the host with `cargo build` and takes what cargo says it made."""

from __future__ import annotations

import os
from pathlib import Path

from flowctl_core.errors import BuildError
from flowctl_core.models import Artifact, BuildContext, BuildResult, Plan, Platform
from flowctl_lang_rust.cargo import failure, has_lock, run_cargo
from flowctl_lang_rust.made import copy, outputs
from flowctl_lang_rust.targets import platform_of


def build(plan: Plan, context: BuildContext) -> BuildResult:
    """Build the plan's program or library into `context.output_dir`.

    Raises BuildError with rustc's diagnostics, DependenciesMissingError, ToolchainError, StoreError.
    """
    arguments = build_arguments(plan, locked=has_lock(plan, context))
    context.progress.step("cargo " + " ".join(arguments))
    done = run_cargo(
        plan,
        context,
        [*arguments, "--message-format=json-render-diagnostics"],
        on_line=lambda line: None if line.startswith('{"') else context.progress.line(line),
    )
    if not done.ok:
        raise failure(done, "cargo build")
    platform = _platform(plan, context)
    artifacts = []
    for kind, made in outputs(plan, done.stdout):
        target = context.output_dir / (plan.entry_points[0].name if kind == "bin" else made.name)
        copy(made, target)
        path = Path(os.path.relpath(target, context.source_root)).as_posix()
        artifacts.append(Artifact(path=path, kind="program" if kind == "bin" else "library", platform=platform))
    if not artifacts:
        raise BuildError(
            f"cargo succeeded but did not make {', '.join(entry.name for entry in plan.entry_points)}",
            hint="Look for build_args that choose something else (--bin, --example, --no-run).",
            output=done.stderr,
        )
    return BuildResult(artifacts=tuple(artifacts))


def build_arguments(plan: Plan, *, locked: bool) -> list[str]:
    """Arguments of `cargo` that build what the plan names."""
    arguments = ["build", "--offline"]
    if locked:
        arguments.append("--locked")
    if plan.profile == "release":
        arguments.append("--release")
    return [*arguments, *chosen(plan), *plan.settings.build_args]


def chosen(plan: Plan) -> list[str]:
    """Arguments that choose the package, the program or library, and the features that the program requires."""
    details = plan.details
    arguments = ["--package", str(details["package"])]
    program = details.get("bin")
    arguments += ["--bin", program] if isinstance(program, str) else ["--lib"]
    features = details.get("features")
    if isinstance(features, list) and features:
        arguments += ["--features", ",".join(str(feature) for feature in features)]
    return arguments


def _platform(plan: Plan, context: BuildContext) -> Platform:
    """The platform of the configured target, else the host's."""
    wanted = context.environment.get("CARGO_BUILD_TARGET") or plan.details.get("target")
    arguments = plan.settings.build_args
    for index, argument in enumerate(arguments):
        if argument.startswith("--target="):
            wanted = argument.partition("=")[2]
        elif argument == "--target" and index + 1 < len(arguments):
            wanted = arguments[index + 1]
    known = platform_of(wanted) if isinstance(wanted, str) else None
    return known or Platform.host()
