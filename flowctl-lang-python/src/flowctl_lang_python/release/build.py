"""Builds the executables of a release, one platform at a time; each has an outcome of its own."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from flowctl_core.errors import ArtifactError, BuildError
from flowctl_core.models import Artifact, BuildContext, Plan, Platform, PlatformOutcome, ReleaseResult
from flowctl_lang_python.recipe import Recipe
from flowctl_lang_python.release import embedded, executable, interpreter, natives, project, state
from flowctl_lang_python.release.state import TargetDists


def run(plan: Plan, context: BuildContext) -> ReleaseResult:
    """An outcome for each platform of the plan: the executable, or why there is none."""
    return ReleaseResult(outcomes=tuple(_outcome(plan, context, platform) for platform in plan.platforms))


def _outcome(plan: Plan, context: BuildContext, platform: Platform) -> PlatformOutcome:
    start = time.monotonic()
    try:
        artifact = _build(plan, context, platform)
    except (BuildError, ArtifactError) as error:
        return PlatformOutcome(
            platform=platform,
            failure=error.message,
            output=error.output,
            hint=error.hint,
            duration_s=time.monotonic() - start,
        )
    return PlatformOutcome(
        platform=platform,
        artifacts=(artifact,),
        materials=(executable.material(), *embedded.materials(plan, context)),
        duration_s=time.monotonic() - start,
    )


def _build(plan: Plan, context: BuildContext, platform: Platform) -> Artifact:
    fetched = state.load(context)
    if fetched is None or fetched.digest != state.digest(plan, context) or platform not in fetched.targets:
        raise BuildError(f"the dependencies for {platform} were not fetched", hint="Build again; fetch comes first.")
    dists = fetched.targets[platform]
    _refuse_blocked(dists, platform)
    recipe = Recipe.of(plan)
    target = state.target(plan, context, platform)
    python = interpreter.find(plan, context)
    chosen = [(f"{dist.name}=={dist.version}", state.folder(context) / dist.file) for dist in dists.dists]
    strict = {Path(dist.file).name for dist in dists.dists if dist.built}
    if recipe.installable:
        own = project.wheel(plan, context, python)
        if target.rank(own.name, built=True) is None:
            raise BuildError(
                f"the package compiles native code: its wheel is {own.name}, which does not run on {platform}",
                hint=f"Build on a {platform} worker: flowctl component build --platforms {platform} --release",
            )
        chosen.append((project.requirement(own), own))
        strict.add(own.name)
    name = plan.entry_points[0].name
    with executable.workshop(context) as shop:
        pex = shop / f"{name}.pex"
        executable.make(plan, context, target, python, chosen, pex, embedded.arguments(plan, context, target))
        natives.check(pex, platform, frozenset(strict))
        made = embedded.result(pex, target) if embedded.wanted(plan) else pex
        output = context.output_dir / name
        shutil.move(made, output)
    output.chmod(0o755)
    path = output.relative_to(context.source_root) if output.is_relative_to(context.source_root) else output
    if embedded.wanted(plan):
        return Artifact(path=path.as_posix(), platform=platform)
    short = f"python{target.python[0]}.{target.python[1]}"
    return Artifact(path=path.as_posix(), platform=platform, format="script", interpreter=short)


def _refuse_blocked(dists: TargetDists, platform: Platform) -> None:
    if not dists.blocked:
        return
    names = ", ".join(f"{entry.name} {entry.version}".strip() for entry in dists.blocked)
    lines = [f"{entry.name} {entry.version}".strip() + f" {entry.reason}" for entry in dists.blocked]
    raise BuildError(
        f"dependencies cannot be had for {platform}: {names}",
        hint=f"Use a version that has a wheel for {platform}, or build on a {platform} worker, which can compile it.",
        output="\n".join(
            part for line, entry in zip(lines, dists.blocked, strict=True) for part in (line, entry.output) if part
        ),
    )
