"""Installs the project into its environment and writes the launcher."""

from __future__ import annotations

import os
from pathlib import Path

from flowctl_core.errors import BuildError, DependenciesMissingError
from flowctl_core.models import Artifact, BuildContext, BuildResult, CleanReport, Plan, Platform
from flowctl_lang_python import launcher, leftovers, state
from flowctl_lang_python.fetch import BUILD_AHEAD, BUILD_CONSTRAINTS, says_offline
from flowctl_lang_python.recipe import ENVIRONMENT, Recipe


def run(plan: Plan, context: BuildContext) -> BuildResult:
    """Bring the environment up to date and write the launcher into the output folder.

    Raises DependenciesMissingError when fetch has to run first, BuildError when the project cannot be
    installed or its entry point cannot be loaded.
    """
    recipe = Recipe.of(plan)
    fetched = state.read(context).get("fetch") == state.fetch_digest(plan, context)
    if not fetched or not (context.work_dir / BUILD_CONSTRAINTS).exists():
        raise DependenciesMissingError(f"the environment of {plan.component} is missing or out of date")
    wanted = state.install_digest(plan, context)
    if recipe.compiled or state.read(context).get("install") != wanted:
        state.forget(context, "install")
        if recipe.installable:
            _install(plan, context)
        _put_on_path(context, recipe)
        state.record(context, install=wanted)
    platform = Platform.host()
    made = [Artifact(path=ENVIRONMENT, kind="tree", platform=platform, relocatable=False)]
    # The environment leads to them, so that it is of no use without them.
    made += [Artifact(path=path, kind="library", platform=platform) for path in leftovers.compiled(context)]
    if recipe.kind is None:
        return BuildResult(artifacts=tuple(made))
    name = plan.entry_points[0].name
    boot = launcher.boot_file(recipe)
    if boot is not None:
        launcher.write(state.environment(context) / launcher.BOOT_FOLDER / name, boot)
    _check_entry_point(plan, context, recipe)
    program = context.output_dir / name
    launcher.write(program, launcher.text(recipe, name), executable=True)
    path = program.relative_to(context.source_root).as_posix()
    return BuildResult(artifacts=(Artifact(path=path, platform=platform), *made))


def _install(plan: Plan, context: BuildContext) -> None:
    context.progress.step("uv pip install --editable .")
    argv = [str(context.tool("uv").path), "pip", "install", "--python", state.interpreter(context)]
    argv += ["--offline", "--no-deps", "--build-constraints", str(context.work_dir / BUILD_CONSTRAINTS)]
    # uv would keep an earlier install by the time stamps of pyproject.toml and setup.*; more files count.
    argv += ["--reinstall", *plan.settings.build_args, "--editable", "."]
    environment = {"VIRTUAL_ENV": str(state.environment(context)), "CARGO_NET_OFFLINE": "true"}
    with leftovers.watched(plan, context):
        done = context.run(argv, cwd=plan.root, environment=environment)
    if done.ok:
        return
    ahead = context.work_dir / BUILD_AHEAD
    if says_offline(done) and not ahead.exists():
        launcher.write(ahead, "")
        raise DependenciesMissingError("building the package needs more than it declares", output=done.output)
    raise BuildError(
        f"{plan.component} could not be installed into its environment",
        hint="The build backend's own words above say why; `pip install -e .` would fail in the same way.",
        output=done.output,
    )


def _put_on_path(context: BuildContext, recipe: Recipe) -> None:
    """Sources without a build backend are found through a .pth file, by relative paths."""
    site = next((state.environment(context) / "lib").glob("python*/site-packages"), None)
    if site is None:
        raise BuildError(f"{ENVIRONMENT} is not a Python environment", hint="Run flowctl component clean, then build.")
    path = site / "flowctl_component.pth"
    if not recipe.import_roots:
        path.unlink(missing_ok=True)
        return
    roots = (os.path.relpath(context.source_root / root, site) for root in recipe.import_roots)
    launcher.write(path, "".join(f"{root}\n" for root in roots))


def _check_entry_point(plan: Plan, context: BuildContext, recipe: Recipe) -> None:
    """Look for the entry point and what it imports, with the environment's interpreter, running none of it."""
    code = Path(__file__).with_name("entry_check.py").read_text(encoding="utf-8")
    target = str(context.source_root / recipe.target) if recipe.kind == "file" else recipe.target
    argv = [state.interpreter(context), "-I", "-c", code, recipe.kind or "", target, str(context.source_root)]
    done = context.run(argv)
    if done.ok:
        return
    last = (done.stderr.strip().splitlines() or [f"exit code {done.exit_code}"])[-1].strip()
    missing = last.startswith("ModuleNotFoundError")
    raise BuildError(
        f"entry point {recipe.target} cannot be loaded: {last}",
        hint="Declare the missing package among the dependencies, or correct the import."
        if missing
        else "Correct the source at the place that the output names.",
        output=done.output,
    )


def clean(plan: Plan, context: BuildContext) -> CleanReport:
    """Remove what installing left in the source; core removes `.flowctl`."""
    return CleanReport(removed=leftovers.remove(context))
