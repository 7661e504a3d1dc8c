"""Builds for the host with `cargo build` and takes what cargo says it made."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flowctl_core.errors import BuildError, StoreError
from flowctl_core.models import Artifact, BuildContext, BuildResult, Plan, Platform
from flowctl_lang_rust.cargo import failure, has_lock, run_cargo
from flowctl_lang_rust.targets import platform_of

_SUFFIXES = {"cdylib": (".so", ".dylib", ".dll", ".wasm"), "staticlib": (".a", ".lib")}


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
    for kind, made in _outputs(plan, done.stdout):
        target = context.output_dir / (plan.entry_points[0].name if kind == "bin" else made.name)
        _copy(made, target)
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
    details = plan.details
    arguments = ["build", "--offline"]
    if locked:
        arguments.append("--locked")
    if plan.profile == "release":
        arguments.append("--release")
    arguments += ["--package", str(details["package"])]
    program = details.get("bin")
    arguments += ["--bin", program] if isinstance(program, str) else ["--lib"]
    features = details.get("features")
    if isinstance(features, list) and features:
        arguments += ["--features", ",".join(str(feature) for feature in features)]
    return [*arguments, *plan.settings.build_args]


def _outputs(plan: Plan, messages: str) -> Iterator[tuple[str, Path]]:
    """Kind (`bin`, `cdylib`, `staticlib`) and file of what cargo reports for the plan's package."""
    program = plan.details.get("bin")
    libraries = plan.details.get("library")
    wanted = [str(kind) for kind in libraries] if isinstance(libraries, list) else []
    last: dict[str, Path] = {}
    for message in _artifacts(messages):
        target = message.get("target") or {}
        kinds = target.get("kind") or []
        executable = message.get("executable")
        if program is not None and "bin" in kinds and target.get("name") == program and executable:
            last["bin"] = Path(executable)
        # A dependency may be a cdylib as well; the chosen package is compiled last.
        for kind in wanted if program is None else ():
            if kind in kinds:
                for file in map(Path, message.get("filenames") or []):
                    if file.suffix in _SUFFIXES[kind]:
                        last[kind] = file
    yield from last.items()


def _artifacts(messages: str) -> Iterator[dict[str, Any]]:
    for line in messages.splitlines():
        if not line.startswith('{"'):
            continue
        try:
            message = json.loads(line)
        except ValueError:
            continue
        if isinstance(message, dict) and message.get("reason") == "compiler-artifact":
            yield message


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


def _copy(made: Path, target: Path) -> None:
    """A copy, not a link: cargo writes into its own file on the next build. Raises StoreError."""
    part = target.with_name(f".{target.name}.part")
    try:
        shutil.copy2(made, part)
        part.replace(target)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise StoreError(
            f"{target.name} could not be written: {error.strerror}",
            hint="Free some space, or make the folder writable.",
        ) from error
