"""Executables that carry their interpreter, so that nothing has to be on PATH where they run.

pex makes them ("scies") with `science`, which puts a launcher, an archive of python-build-standalone and the pex file
into one native executable. science fetches the first two and keeps them below PEX_ROOT: fetch makes an empty
executable for each platform, so that build finds everything there.
"""

from __future__ import annotations

from pathlib import Path

from flowctl_core.errors import BuildError, FetchError
from flowctl_core.models import BuildContext, Material, Plan, Platform
from flowctl_lang_python.recipe import Recipe
from flowctl_lang_python.release import executable, interpreter, state
from flowctl_lang_python.release.settings import Settings
from flowctl_lang_python.release.target import Target


def settings(plan: Plan) -> Settings:
    """What component.yaml says about releases."""
    return state.release_recipe(Recipe.of(plan)).settings


def wanted(plan: Plan) -> bool:
    """True when the executables are to carry an interpreter."""
    return settings(plan).interpreter == "embedded"


def fetch(plan: Plan, context: BuildContext, platforms: list[Platform]) -> None:
    """Bring in the launcher and the interpreter for each platform. Raises FetchError with science's words."""
    if not wanted(plan):
        return
    python = interpreter.find(plan, context)
    for platform in platforms:
        target = state.target(plan, context, platform)
        context.progress.step(f"science: interpreter {settings(plan).standalone} for {platform}")
        with executable.workshop(context) as shop:
            empty = shop / "empty.pex"
            extra = arguments(plan, context, target)
            done = executable.run_pex(context, target, python, extra, empty, network=not context.offline)
        if not done.ok:
            raise FetchError(
                f"the interpreter to embed for {platform} could not be brought in",
                hint="science's own words above say why. Without network, name a mirror as build.python.assets in "
                "component.yaml, or set build.python.interpreter to system.",
                output=done.output,
            )


def arguments(plan: Plan, context: BuildContext, target: Target) -> list[str]:
    """Arguments that make pex write such an executable beside the pex file; none where it is not wanted."""
    if not wanted(plan):
        return []
    chosen = settings(plan)
    found = ["--scie", "eager", "--no-scie-only", "--scie-platform", _name(target), "--scie-pbs-stripped"]
    found += ["--scie-pbs-release", chosen.standalone]
    found += ["--scie-python-version", f"{target.python[0]}.{target.python[1]}"]
    found += ["--scie-science-binary", str(context.tool("science").path)]
    return found + (["--scie-assets-base-url", chosen.assets] if chosen.assets else [])


def result(pex: Path, target: Target) -> Path:
    """The executable that lies beside a pex file. Raises BuildError when there is none."""
    # It has the platform in its name only where that is not this machine's.
    for made in (pex.with_name(f"{pex.stem}-{_name(target)}"), pex.with_suffix("")):
        if made.is_file():
            return made
    raise BuildError(f"science made no executable for {target.platform}")


def materials(plan: Plan, context: BuildContext) -> tuple[Material, ...]:
    """The interpreter inside."""
    if not wanted(plan):
        return ()
    version = "{}.{}".format(*state.python_version(context))
    return (Material(name="python-build-standalone", version=f"{version}+{settings(plan).standalone}"),)


def _name(target: Target) -> str:
    """science's name of a platform."""
    machine = {"arm64": "aarch64", "ppc64le": "powerpc64"}.get(target.machine, target.machine)
    return f"{'macos' if target.platform.os == 'darwin' else 'linux'}-{machine}"
