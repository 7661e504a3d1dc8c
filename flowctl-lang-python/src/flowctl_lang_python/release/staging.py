"""Sources that no build backend packs: copied as they are, so that the program finds its modules and data files."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from flowctl_core.errors import BuildError
from flowctl_core.models import BuildContext, Plan
from flowctl_lang_python.recipe import Recipe

_LEFT_OUT = frozenset({"node_modules", "venv", "tests", "test", "docs"})
_NEVER = ("setup.py", "conftest.py", "noxfile.py", "component.yaml", "Dockerfile")


def stage(plan: Plan, context: BuildContext, folder: Path) -> bool:
    """Copy what the program needs into a new folder, with settled modes; False when there is nothing to copy.

    With a build backend only a script and the modules beside it are copied: the rest is in the wheel. Raises
    BuildError for a link that leads out of the source.
    """
    recipe = Recipe.of(plan)
    limit = context.source_root.resolve()
    roots = [context.source_root / root for root in recipe.import_roots]
    if recipe.kind == "file":
        script = (context.source_root / recipe.target).parent
        if recipe.installable:
            _copy_modules(script, folder, limit)
            return True
        roots.insert(0, script)
    for root in dict.fromkeys(roots):
        _copy_tree(root, folder, [other for other in roots if other != root], limit)
    return bool(roots)


def _copy_modules(source: Path, folder: Path, limit: Path) -> None:
    for path in sorted(source.glob("*.py")):
        if path.name not in _NEVER:
            _copy(path, folder / path.name, limit)


def _copy_tree(source: Path, folder: Path, other_roots: list[Path], limit: Path) -> None:
    for at, folders, files in os.walk(source, followlinks=True):
        here = Path(at)
        top = here == source
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".")
            and not name.endswith(".egg-info")
            and name != "__pycache__"
            and not (top and name in _LEFT_OUT)
            and here / name not in other_roots
            and not _turns_back(here / name, limit)
        )
        for name in sorted(files):
            target = folder / here.relative_to(source) / name
            if not name.startswith(".") and not (top and name in _NEVER) and not target.exists():
                _copy(here / name, target, limit)


def _turns_back(folder: Path, limit: Path) -> bool:
    """True for a link to a folder that it is in itself, where following it would never end."""
    if not folder.is_symlink():
        return False
    return folder.parent.resolve().is_relative_to(_inside(folder, limit))


def _inside(path: Path, limit: Path) -> Path:
    resolved = path.resolve()
    if not resolved.is_relative_to(limit):
        raise BuildError(
            f"{path.name} is a link that leads out of the source, to {resolved}",
            hint="Copy what it points to into the component's folder.",
        )
    return resolved


def _copy(source: Path, target: Path, limit: Path) -> None:
    if not source.is_file():  # a broken link, a socket
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(_inside(source, limit), target)
    target.chmod(0o755 if source.stat().st_mode & 0o100 else 0o644)
