"""Builds the program for the host; Go's own build cache makes it incremental."""

from __future__ import annotations

from flowctl_core.errors import BuildError
from flowctl_core.models import Artifact, BuildContext, BuildResult, Plan, Platform
from flowctl_lang_go.failures import build_failure
from flowctl_lang_go.toolchain import build_flags, require_cc, run_go


def build(plan: Plan, context: BuildContext) -> BuildResult:
    """See `flowctl_build`.

    Raises DependenciesMissingError when a module is not in Go's module cache, BuildError with the compiler's words,
    ToolchainError when C is to be compiled and there is no C compiler.
    """
    require_cc(plan, context)
    name = plan.entry_points[0].name
    output = context.output_dir / name
    package = str(plan.details["package"])
    files = plan.details.get("files")
    targets = [str(file) for file in files] if isinstance(files, list) and files else [package]
    context.progress.step(f"go build {' '.join(targets)}")
    # With a go.work the build begins by writing a copy of it, which an early start would not see.
    early = plan.details.get("workspace") is not True and plan.profile == "dev"
    arguments = ["build", *build_flags(plan, context), "-o", str(output), *targets]
    done = run_go(plan, context, arguments, early=early)
    if not done.ok:
        raise build_failure(done, f"go build {' '.join(targets)}")
    if not output.is_file():
        raise BuildError(
            f"go build {package} ended well and made no program",
            hint="build_args in the configuration may ask for something else than a program.",
            output=done.output,
        )
    path = output.relative_to(context.source_root).as_posix()
    return BuildResult(artifacts=(Artifact(path=path, platform=Platform.host()),))
