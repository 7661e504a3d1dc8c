"""Remembers what an environment was made from, so that an up-to-date one is left alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from flowctl_core.models import BuildContext, Plan
from flowctl_lang_python.launcher import write
from flowctl_lang_python.recipe import ENVIRONMENT, Recipe

_MARKER = "flowctl.json"


def environment(context: BuildContext) -> Path:
    """Absolute path of the component's environment."""
    return context.source_root / ENVIRONMENT


def interpreter(context: BuildContext) -> str:
    """Path of the environment's interpreter."""
    return str(environment(context) / "bin" / "python")


def read(context: BuildContext) -> dict[str, Any]:
    """What the environment's marker says; empty without one or for an unreadable one."""
    try:
        data = json.loads((environment(context) / _MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def record(context: BuildContext, **digests: str) -> None:
    """Add to the environment's marker; written last, so that a killed step counts as not done."""
    write(environment(context) / _MARKER, json.dumps({**read(context), **digests}, indent=1, sort_keys=True))


def forget(context: BuildContext, name: str) -> None:
    """Remove one entry before the step that it stands for begins."""
    kept = {key: value for key, value in read(context).items() if key != name}
    write(environment(context) / _MARKER, json.dumps(kept, indent=1, sort_keys=True))


def fetch_digest(plan: Plan, context: BuildContext) -> str:
    """Everything that fetch's result depends on, the place included: environments cannot be moved."""
    recipe = Recipe.of(plan)
    python = context.tool("python")
    facts = [
        str(context.source_root),
        f"{python.path} {python.version}",
        recipe.model_dump_json(include=_FETCHED),
        *(f"{name}={context.environment[name]}" for name in plan.passthrough if name in context.environment),
    ]
    return _digest(facts, (context.source_root / path for path in plan.inputs.fetch))


_FETCHED = {
    "lock",
    "standard",
    "dynamic",
    "requirements",
    "requirement_files",
    "extras",
    "groups",
    "build_requirements",
    "local",
    "add_pytest",
}


def install_digest(plan: Plan, context: BuildContext) -> str:
    """Everything that an editable install depends on: metadata, and which top-level packages there are."""
    recipe = Recipe.of(plan)
    folders = []
    for root in {plan.root, f"{plan.root}/src"}:
        folder = context.source_root / root
        if folder.is_dir():
            folders += [f"{root}/{entry.name}" for entry in folder.iterdir() if (entry / "__init__.py").is_file()]
    facts = [str(recipe.installable), *recipe.import_roots, *plan.settings.build_args, *sorted(folders)]
    return _digest(facts, (context.source_root / path for path in recipe.metadata))


def _digest(facts: Iterable[str], files: Iterable[Path]) -> str:
    total = hashlib.sha256()
    for fact in facts:
        total.update(fact.encode(errors="surrogateescape") + b"\0")
    for path in files:
        try:
            content = path.read_bytes()
        except OSError:
            content = b"missing"
        total.update(path.name.encode(errors="surrogateescape") + b"\0" + hashlib.sha256(content).digest())
    return total.hexdigest()
