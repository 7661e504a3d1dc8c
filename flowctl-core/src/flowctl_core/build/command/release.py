"""Releases of components that are built by their own command: for this machine's platform, by that same command.

What a command makes cannot be told from outside, so it is run once for each platform that this machine is, and the
result is checked as any other. A command that can build for other platforms is a case for a builder plugin.
"""

from __future__ import annotations

import shutil

from flowctl_core.build.command.run import build
from flowctl_core.errors import BuildError
from flowctl_core.launcher import is_native_program
from flowctl_core.models import Artifact, BuildContext, Limitation, Plan, Platform, PlatformOutcome, ReleaseResult


def limitations(platforms: tuple[Platform, ...]) -> tuple[Limitation, ...]:
    """Every platform but the host's: the command is the component's own, and flowctl cannot tell it another one."""
    host = Platform.host()
    return tuple(
        Limitation(
            platform=platform,
            reason=f"the component's own build command builds for the machine it runs on, {host}",
            remedy=f"build on a {platform} worker, or with a language's builder (--language)",
        )
        for platform in platforms
        if platform != host
    )


def build_release(plan: Plan, context: BuildContext) -> ReleaseResult:
    """Run the command and take the native program, or the script with its own `#!` line, that it made."""
    outcomes = []
    for platform in plan.platforms:
        try:
            artifact = _program(plan, context, platform)
        except BuildError as error:
            outcomes.append(
                PlatformOutcome(platform=platform, failure=error.message, hint=error.hint, output=error.output)
            )
        else:
            outcomes.append(PlatformOutcome(platform=platform, artifacts=(artifact,)))
    return ReleaseResult(outcomes=tuple(outcomes))


def _program(plan: Plan, context: BuildContext, platform: Platform) -> Artifact:
    launched, *others = build(plan, context).artifacts
    if any(other.kind == "tree" for other in others):
        raise BuildError(
            f"{plan.component} needs folders beside its program (build.x-outputs), and a release is one file",
            hint="Let the build command make one self-contained program.",
        )
    target = context.output_dir / plan.component
    if not is_native_program(target):
        made = next((other for other in others if other.kind == "program"), None)
        if made is None or not (context.source_root / made.path).read_bytes()[:2] == b"#!":
            raise BuildError(
                f"the build command of {plan.component} made a file that cannot be run by itself",
                hint="A release is a native program, or a script that begins with a #! line.",
            )
        shutil.copyfile(context.source_root / made.path, target)
        target.chmod(0o755)
        line = target.read_bytes().splitlines()[0][2:].decode("utf-8", errors="replace").strip()
        launched = launched.model_copy(update={"format": "script", "interpreter": line})
    return launched.model_copy(update={"platform": platform})
