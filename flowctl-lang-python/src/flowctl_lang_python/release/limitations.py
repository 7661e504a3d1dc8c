"""What cannot be built here, as far as only the interpreter that was found tells."""

from __future__ import annotations

from collections.abc import Iterator

from flowctl_core.models import BuildContext, Limitation, Plan, SourceTree
from flowctl_lang_python.recipe import Recipe
from flowctl_lang_python.release import locked_wheels, state
from flowctl_lang_python.release.settings import Settings
from flowctl_lang_python.release.target import supported


def find(plan: Plan, context: BuildContext) -> tuple[Limitation, ...]:
    """Limitations beyond those in the plan: locked packages without a wheel for the interpreter's version."""
    recipe = Recipe.of(plan)
    if recipe.release is None or recipe.lock != "uv.lock":
        return ()
    return tuple(_find(plan, context, recipe.release.settings))


def _find(plan: Plan, context: BuildContext, settings: Settings) -> Iterator[Limitation]:
    known = {limitation.platform for limitation in plan.limitations}
    source = SourceTree(root=context.source_root)
    python = state.python_version(context)
    for platform in plan.platforms:
        if platform not in known and supported(platform):
            missing = locked_wheels.missing_for(source, plan.root, platform, python, settings)
            if missing:
                yield locked_wheels.limitation(platform, missing, python)
