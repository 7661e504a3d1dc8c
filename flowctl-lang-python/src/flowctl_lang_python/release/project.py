"""The project's own wheel, built by its build backend once for all platforms."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

from packaging.utils import parse_wheel_filename

from flowctl_core.errors import BuildError
from flowctl_core.models import BuildContext, Plan
from flowctl_lang_python import leftovers
from flowctl_lang_python.fetch import BUILD_AHEAD, BUILD_CONSTRAINTS, says_offline
from flowctl_lang_python.launcher import write
from flowctl_lang_python.recipe import Recipe
from flowctl_lang_python.release import state
from flowctl_lang_python.release.normalise import normalise

FOLDER = "project"
_MARKER = "built.json"
_VERSION_VARIABLES = ("SETUPTOOLS_SCM_PRETEND_VERSION", "PDM_BUILD_SCM_VERSION", "POETRY_DYNAMIC_VERSIONING_BYPASS")


def built(context: BuildContext) -> Path | None:
    """The wheel of the last build; None before one."""
    return next(iter(sorted((state.folder(context) / FOLDER).glob("*.whl"))), None)


def wheel(plan: Plan, context: BuildContext, interpreter: str) -> Path:
    """Build the wheel unless the last one was built from the same tree. Raises BuildError with the backend's words.

    Several platforms ask at once: the first one builds, the others wait and take what it built.
    """
    folder = state.folder(context) / FOLDER
    with state.locked(folder.with_suffix(".lock")):
        facts = _facts(plan, context, interpreter)
        now = _tree_digest(context.source_root, facts)
        ready = built(context)
        if ready is not None and now in _recorded(folder):
            return ready
        shutil.rmtree(folder, ignore_errors=True)
        _build(plan, context, interpreter, folder)
        ready = built(context)
        if ready is None:
            raise BuildError(f"the build backend of {plan.component} left no wheel")
        normalise(ready)
        # A backend leaves folders of its own in the tree: with them, it is still the tree that was built from.
        digests = [now, _tree_digest(context.source_root, facts)]
        write(folder / _MARKER, json.dumps(digests))
        return ready


def _build(plan: Plan, context: BuildContext, interpreter: str, folder: Path) -> None:
    recipe = Recipe.of(plan)
    context.progress.step("uv build --wheel")
    argv = [str(context.tool("uv").path), "build", "--wheel", "--offline", "--python", interpreter]
    argv += ["--build-constraints", str(context.work_dir / BUILD_CONSTRAINTS), "--out-dir", str(folder)]
    with leftovers.watched(plan, context):
        done = context.run([*argv, *plan.settings.build_args], cwd=plan.root, environment=_environment(plan, context))
    if done.ok:
        return
    if says_offline(done) and not (context.work_dir / BUILD_AHEAD).exists():
        write(context.work_dir / BUILD_AHEAD, "")
        raise BuildError(
            "building the package needs more than it declares",
            hint="Run the same command again: the next fetch asks the build backend, which runs its code.",
            output=done.output,
        )
    what = f" ({release.compiles})" if (release := state.release_recipe(recipe)).compiles else ""
    raise BuildError(
        f"the wheel of {plan.component} could not be built{what}",
        hint="The build backend's own words above say why; `uv build --wheel` would fail in the same way.",
        output=done.output,
    )


def _environment(plan: Plan, context: BuildContext) -> dict[str, str]:
    """What makes a backend's result independent of the place, and tells it the version that git would."""
    root = context.source_root
    given = context.environment
    found = {
        "CARGO_NET_OFFLINE": "true",
        "CFLAGS": f"{given.get('CFLAGS', '')} -g0 -ffile-prefix-map={root}=.".strip(),
        "CXXFLAGS": f"{given.get('CXXFLAGS', '')} -g0 -ffile-prefix-map={root}=.".strip(),
        "CARGO_PROFILE_RELEASE_STRIP": "symbols",
        "RUSTFLAGS": " ".join((given.get("RUSTFLAGS", ""), *_remapped(root, given))).strip(),
        "PYTHONHASHSEED": "0",
    }
    if state.release_recipe(Recipe.of(plan)).version_from_vcs:
        found |= dict.fromkeys(_VERSION_VARIABLES, plan.version)
    return found


def _remapped(root: Path, given: dict[str, str]) -> list[str]:
    home = given.get("CARGO_HOME") or (f"{given['HOME']}/.cargo" if "HOME" in given else "")
    return [f"--remap-path-prefix={path}={name}" for path, name in ((root, "."), (home, "cargo")) if path]


def _facts(plan: Plan, context: BuildContext, interpreter: str) -> list[str]:
    constraints = context.work_dir / BUILD_CONSTRAINTS
    return [
        interpreter,
        context.tool("uv").version,
        plan.version,
        plan.root,
        *plan.settings.build_args,
        context.environment.get("SOURCE_DATE_EPOCH", ""),
        constraints.read_text(encoding="utf-8") if constraints.exists() else "",
    ]


def _recorded(folder: Path) -> list[str]:
    try:
        found = json.loads((folder / _MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [text for text in found if isinstance(text, str)] if isinstance(found, list) else []


def _tree_digest(root: Path, facts: list[str]) -> str:
    """Of every file's path, mode and content, `.flowctl` left out."""
    total = hashlib.sha256("\0".join(facts).encode(errors="surrogateescape"))
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in (".flowctl", ".git", "__pycache__"))
        for name in sorted(files):
            path = Path(folder) / name
            status = path.lstat()
            content = str(path.readlink()).encode(errors="surrogateescape") if path.is_symlink() else path.read_bytes()
            fact = f"{path.relative_to(root).as_posix()}\0{status.st_mode:o}\0"
            total.update(fact.encode(errors="surrogateescape") + hashlib.sha256(content).digest())
    return total.hexdigest()


def requirement(path: Path) -> str:
    """`name==version` of a wheel."""
    name, found, _, _ = parse_wheel_filename(path.name)
    return f"{name}=={found}"
