"""The part of the plan that only releases have: what running needs, and what cannot be built here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from flowctl_core.models import Limitation, PlanRequest, Platform, SourceTree, ToolRequirement
from flowctl_lang_python import requirement_files
from flowctl_lang_python.manifest import Project, requirement_name
from flowctl_lang_python.release import locked_wheels, settings, toolchain
from flowctl_lang_python.release.recipe import ReleaseRecipe
from flowctl_lang_python.release.target import supported
from flowctl_lang_python.targets import Target as Program

_MAIN_REQUIREMENTS = ("requirements.txt", "requirements.in")
_VCS = ("setuptools-scm", "hatch-vcs", "versioningit", "poetry-dynamic-versioning", "dunamai", "vcs-versioning")


@dataclass(frozen=True)
class ReleasePart:
    """What a release adds to a plan; empty for the profile `dev`."""

    recipe: ReleaseRecipe | None = None
    tools: tuple[ToolRequirement, ...] = ()
    limitations: tuple[Limitation, ...] = ()
    warnings: tuple[str, ...] = ()

    def with_tools(self, tools: tuple[ToolRequirement, ...]) -> tuple[ToolRequirement, ...]:
        """The tools of the plan: those given, with a release's own in place of those of the same name."""
        own = {tool.name: tool for tool in self.tools}
        return (*(own.pop(tool.name, tool) for tool in tools), *own.values())


def make(
    source: SourceTree,
    project: Project,
    program: Program | None,
    script_requirements: tuple[str, ...],
    request: PlanRequest,
) -> ReleasePart:
    """The release's part of the plan. Raises PlanError for settings that make no sense."""
    if request.profile != "release":
        return ReleasePart()
    chosen = settings.read(source)
    files = tuple(name for name in project.requirement_files if name in _MAIN_REQUIREMENTS)
    lines = (*(() if project.standard else project.requirements), *script_requirements)
    listed = requirement_files.read(source, project.root, files).requirements
    recipe = ReleaseRecipe(
        requirements=lines,
        requirement_files=files,
        direct=tuple(sorted({requirement_name(text) for text in (*project.requirements, *lines, *listed)} - {""})),
        compiles=_compiles(project),
        version_from_vcs=any(requirement_name(text) in _VCS for text in project.build_requirements),
        settings=chosen,
    )
    return ReleasePart(
        recipe=recipe,
        tools=(toolchain.uv(), *((toolchain.SCIENCE,) if chosen.interpreter == "embedded" else ())),
        limitations=tuple(_limitations(source, project, program, recipe, request.platforms)),
        warnings=tuple(_warnings(project, recipe, (*lines, *listed))),
    )


def _compiles(project: Project) -> str | None:
    if project.cargo:
        return "Rust code, through " + ("maturin" if "maturin" in (project.backend or "") else "setuptools-rust")
    for name in ("mesonpy", "scikit_build_core"):
        if (project.backend or "").startswith(name):
            return f"native code, through {name}"
    return None


def _limitations(
    source: SourceTree,
    project: Project,
    program: Program | None,
    recipe: ReleaseRecipe,
    platforms: tuple[Platform, ...],
) -> Iterator[Limitation]:
    for platform in platforms:
        if not supported(platform):
            yield Limitation(
                platform=platform,
                reason=f"the package index has no wheels of CPython for {platform}, or no executable can hold them",
                remedy="release for linux or darwin: --platforms linux/amd64,linux/arm64,darwin/arm64",
            )
        elif program is None:
            yield Limitation(
                platform=platform,
                reason="the project declares no program, and an executable has to start something",
                remedy="add one to [project.scripts] in pyproject.toml, or name one with --main",
            )
        elif recipe.compiles and platform != Platform.host():
            yield Limitation(
                platform=platform,
                reason=f"the package compiles {recipe.compiles}, which works here for {Platform.host()} only",
                remedy=f"build on a {platform} worker: flowctl component build --platforms {platform} --release",
            )
        elif project.lock == "uv.lock":
            missing = locked_wheels.missing_for_every_python(source, project, platform, recipe.settings)
            if missing:
                yield locked_wheels.limitation(platform, missing, None)


def _warnings(project: Project, recipe: ReleaseRecipe, lines: tuple[str, ...]) -> Iterator[str]:
    asked = bool(recipe.direct) or project.dynamic
    pinned = not project.standard and bool(lines) and all("==" in text for text in lines)
    if asked and project.lock is None and not pinned:
        yield (
            "no lockfile pins the dependencies: another day other versions may be built in; "
            "commit one (uv lock), or set UV_EXCLUDE_NEWER to a date"
        )
