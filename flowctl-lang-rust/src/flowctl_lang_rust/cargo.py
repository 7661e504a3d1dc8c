"""Runs cargo, and turns what it says when it fails into the errors that users meet."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from flowctl_core.errors import (
    BuildError,
    DependenciesMissingError,
    FetchError,
    FlowctlError,
    StoreError,
    ToolchainError,
)
from flowctl_core.models import BuildContext, CompletedCommand, OnLine, Plan
from flowctl_lang_rust import lockfile
from flowctl_lang_rust.toolchain import INSTALL_HINT, LINKER_HINT, check_channel

_MISSING = re.compile(
    r"^As a reminder, you're using offline mode|but --offline was specified|you are in the offline mode"
    r"|^\s*attempting to make an HTTP request, but|can't be checked out.*offline",
    re.MULTILINE,
)
_LOCK = re.compile(r"because --locked was passed|but --locked was passed", re.MULTILINE)
_TOOLCHAIN = re.compile(
    r"^error: toolchain '[^']+' is not installed|^error: toolchain .* does not support", re.MULTILINE
)
_TOO_OLD = re.compile(
    r"^error: (?:rustc [\d.\w-]+ is not supported by the following packages?"
    r"|package `[^`]+` cannot be built because it requires rustc|cannot .* requires rustc)"
    r"|^\s*feature `edition\d+` is required|^\s*this version of Cargo is older than",
    re.MULTILINE,
)
_LINKER = re.compile(r"^error: linker `[^`]+` not found", re.MULTILINE)
_DISK = re.compile(r"\(os error (?:28|30|13)\)\s*$", re.MULTILINE)
_COULD_NOT = re.compile(r"^error: (could not compile .*|failed to run custom build command for .*)$", re.MULTILINE)
_ERROR = re.compile(r"^error(?:\[E\d+\])?: (.+)$", re.MULTILINE)


def target_dir(context: BuildContext) -> Path:
    """Where cargo keeps what it compiles: flowctl's own folder, unless the caller chose one (CARGO_TARGET_DIR).

    Not the project's `target/`: so clean removes nothing of the developer's, and a `cargo build` beside it
    never waits for flowctl's lock.
    """
    given = context.environment.get("CARGO_TARGET_DIR") or context.environment.get("CARGO_BUILD_TARGET_DIR")
    return context.source_root / given if given else context.work_dir / "target"


def run_cargo(
    plan: Plan,
    context: BuildContext,
    arguments: list[str],
    *,
    network: bool = False,
    on_line: OnLine | None = None,
    environment: Mapping[str, str] | None = None,
) -> CompletedCommand:
    """Run cargo in the plan's folder and return its result, whatever its exit code.

    Raises ToolchainError when the source pins a toolchain that is not there.
    """
    channel = plan.details.get("channel")
    if isinstance(channel, list):
        check_channel(context, str(channel[0]), str(channel[1]), plan.root)
    argv = [str(context.tool("cargo").path), *arguments]
    with lockfile.noticed(plan, context):
        return context.run(
            argv,
            cwd=plan.root,
            environment={**cargo_environment(context), **(environment or {})},
            network=network,
            on_line=on_line,
        )


def cargo_environment(context: BuildContext) -> dict[str, str]:
    """The variables that every cargo command of ours gets."""
    found = [str(tool.path.parent) for tool in context.tools.values()]
    path = context.environment.get("PATH", os.defpath).split(os.pathsep)
    # cargo looks for rustc and cc on PATH; a tool found elsewhere is appended, so that nothing is shadowed.
    extended = path + [folder for folder in dict.fromkeys(found) if folder not in path]
    return {"PATH": os.pathsep.join(extended), "CARGO_TARGET_DIR": str(target_dir(context))}


def has_lock(plan: Plan, context: BuildContext) -> bool:
    """True when the workspace has a Cargo.lock, also where the workspace lies above the source tree."""
    return lock_folder(plan, context).joinpath(lockfile.NAME).is_file()


def lock_folder(plan: Plan, context: BuildContext) -> Path:
    """Absolute folder of the workspace's Cargo.toml; asks cargo when it lies outside the source tree."""
    workspace = plan.details.get("workspace")
    if isinstance(workspace, str):
        return context.source_root / workspace
    done = run_cargo(
        plan,
        context,
        ["locate-project", "--workspace", "--message-format", "plain"],
        on_line=lambda line: None,
    )
    if not done.ok:
        raise failure(done, "cargo locate-project", FetchError)
    return Path(done.stdout.strip()).parent


def failure(done: CompletedCommand, what: str, otherwise: Callable[..., FlowctlError] = BuildError) -> FlowctlError:
    """The error for a failed cargo command; `otherwise` is its class when nothing more special fits."""
    text = done.stderr
    if _TOOLCHAIN.search(text):
        return ToolchainError(
            _first_error(text, "the pinned toolchain is not installed"),
            hint="Install it with `rustup toolchain install`, run in the component's folder.",
            output=done.output,
        )
    if _TOO_OLD.search(text):
        return ToolchainError(_first_error(text, "the Rust toolchain is too old"), hint=INSTALL_HINT, output=text)
    if _LINKER.search(text):
        return ToolchainError(_first_error(text, "no linker"), hint=LINKER_HINT, output=text)
    if _LOCK.search(text):
        return otherwise(
            "Cargo.lock does not match Cargo.toml",
            hint="Run `cargo update --workspace` (it changes only what must change) and commit Cargo.lock.",
            output=text,
        )
    if _MISSING.search(text):
        if otherwise is FetchError:
            return FetchError(
                "dependencies are not on this machine and the network is off",
                hint="Run it once without --offline, or vendor the dependencies with `cargo vendor`.",
                output=text,
            )
        return DependenciesMissingError(
            "dependencies are not on this machine", hint="Fetch them while there is a network.", output=text
        )
    if _DISK.search(text) and not _COULD_NOT.search(text):
        return StoreError(
            f"{what} could not write: {_last_cause(text)}",
            hint="Free some space, or make the folder writable.",
            output=text,
        )
    compile_error = _COULD_NOT.search(text)
    said = compile_error.group(1) if compile_error else _first_error(text, f"exit code {done.exit_code}")
    hint = "Check the network, the proxy and cargo's registry settings." if otherwise is FetchError else None
    return otherwise(f"{what} failed: {said}", hint=hint, output=done.stderr or done.stdout)


def _first_error(text: str, default: str) -> str:
    found = _ERROR.search(text)
    if found is None:
        return default
    following = text[found.end() :].strip().splitlines()[:1]
    return (
        " ".join([found.group(1), *(line.strip() for line in following)])
        if found.group(1).endswith(":")
        else found.group(1)
    )


def _last_cause(text: str) -> str:
    return [line.strip() for line in text.splitlines() if "(os error" in line][-1]
