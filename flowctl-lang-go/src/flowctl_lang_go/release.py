"""Builds the program for each platform of a release: static, stripped, the same bytes each time."""

from __future__ import annotations

import time
from pathlib import Path

from flowctl_core.errors import BuildError, StoreError, ToolchainError
from flowctl_core.models import (
    Artifact,
    BuildContext,
    CompletedCommand,
    Plan,
    Platform,
    PlatformOutcome,
    ReleaseResult,
)
from flowctl_lang_go import zig
from flowctl_lang_go.c_users import CUsers, find_c_users
from flowctl_lang_go.failures import build_failure
from flowctl_lang_go.pinned import build_arguments, pinned, target_environment
from flowctl_lang_go.platforms import loose_files, uses_c
from flowctl_lang_go.toolchain import run_go

_NOT_TEXT = "main.version: cannot set with -X"


def build_multiplatform(plan: Plan, context: BuildContext) -> ReleaseResult:
    """See `flowctl_build_multiplatform`. What fails for one platform is its outcome; cancellation and timeouts pass."""
    context = pinned(plan, context)
    several = len(plan.platforms) > 1
    outcomes = []
    for platform in plan.platforms:
        folder = context.output_dir / platform.replace("/", "-") if several else context.output_dir
        folder.mkdir(parents=True, exist_ok=True)
        started = time.monotonic()
        refusal = next((one for one in plan.limitations if one.platform == platform), None)
        if refusal is not None:
            outcomes.append(PlatformOutcome(platform=platform, failure=refusal.reason, hint=refusal.remedy))
            continue
        try:
            outcome = _build(plan, context, platform, folder / plan.entry_points[0].name)
        except (BuildError, StoreError, ToolchainError) as error:
            outcome = PlatformOutcome(platform=platform, failure=error.message, output=error.output, hint=error.hint)
        outcomes.append(outcome.model_copy(update={"duration_s": time.monotonic() - started}))
    return ReleaseResult(outcomes=tuple(outcomes))


def _build(plan: Plan, context: BuildContext, platform: Platform, output: Path) -> PlatformOutcome:
    cgo = uses_c(plan, platform)
    users = CUsers()
    if cgo is None:
        users = find_c_users(plan, context, platform) or users
        cgo = bool(users.required)
    if cgo:
        return _build_with_c(plan, context, platform, output)
    environment = {**target_environment(plan, platform), "CGO_ENABLED": "0"}
    outcome = _run(plan, context, platform, output, environment, external=False)
    if outcome.failure is not None and users.optional and outcome.hint is None:
        hint = (
            f"These dependencies use C where they may: {', '.join(users.optional)}. If that is what is missing, set "
            'CGO_ENABLED: "1" in build.native.environment of component.yaml.'
        )
        return outcome.model_copy(update={"hint": hint})
    return outcome


def _build_with_c(plan: Plan, context: BuildContext, platform: Platform, output: Path) -> PlatformOutcome:
    """For linux static with musl, and where its C does not compile or link so, and component.yaml leaves it open, with
    glibc."""
    asked = str(plan.details.get("libc", ""))
    native = zig.on_mac(platform)
    choices = [asked] if asked or platform.os != "linux" else ["musl", f"gnu.{zig.OLDEST_GLIBC}"]
    declared = {name: text for name, text in plan.environment.items() if name.startswith("CGO_")}
    outcomes: list[PlatformOutcome] = []
    for libc in choices:
        if outcomes:
            context.progress.note(f"{platform}: the C code does not build with musl; trying glibc {zig.OLDEST_GLIBC}")
        environment = {
            **zig.environment(context, platform, libc),
            **declared,
            **target_environment(plan, platform),
            "CGO_ENABLED": "1",
        }
        outcome = _run(plan, context, platform, output, environment, external=not native)
        if outcome.failure is None:
            materials = () if native else zig.materials(context)
            return outcome.model_copy(update={"materials": materials})
        outcomes.append(outcome)
        if not zig.complains(outcome.output or ""):
            return outcome
    if len(outcomes) == 1:
        return outcomes[0]
    first, second = (outcome.output or "" for outcome in outcomes)
    words = first if first == second else f"with musl:\n{first}\n\nwith glibc {zig.OLDEST_GLIBC}:\n{second}"
    return outcomes[0].model_copy(update={"output": words})


def _run(
    plan: Plan, context: BuildContext, platform: Platform, output: Path, environment: dict[str, str], *, external: bool
) -> PlatformOutcome:
    """One `go build`; a second one where `main.version` is a variable that cannot be stamped."""
    targets = loose_files(plan, platform) or [str(plan.details["package"])]
    what = f"go build {' '.join(targets)} for {platform}"
    context.progress.step(what)

    def run(*, stamped: bool) -> CompletedCommand:
        arguments = build_arguments(plan, context, output=output, external=external, stamped=stamped)
        return run_go(plan, context, [*arguments, *targets], environment=environment)

    done = run(stamped=True)
    if not done.ok and _NOT_TEXT in done.output:
        context.progress.note(f"{platform}: main.version is no text, so the version {plan.version} is not stamped")
        done = run(stamped=False)
    if not done.ok:
        error = build_failure(done, what)
        return PlatformOutcome(platform=platform, failure=error.message, output=error.output, hint=error.hint)
    if not output.is_file():
        raise BuildError(
            f"{what} ended well and made no program",
            hint="build_args in the configuration may ask for something else than a program.",
            output=done.output,
        )
    return PlatformOutcome(platform=platform, artifacts=(Artifact(path=_path(output, context), platform=platform),))


def _path(output: Path, context: BuildContext) -> str:
    """Relative to the source, where it is inside."""
    if output.is_relative_to(context.source_root):
        return output.relative_to(context.source_root).as_posix()
    return output.as_posix()
