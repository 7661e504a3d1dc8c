"""Resolves what running needs, for all platforms at once, as a pylock.toml (PEP 751)."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from urllib.parse import quote

from packaging.pylock import Package, Pylock, PylockUnsupportedVersionError, PylockValidationError

from flowctl_core.errors import FetchError
from flowctl_lang_python import locks
from flowctl_lang_python.fetch import Fetching
from flowctl_lang_python.launcher import write
from flowctl_lang_python.manifest import normalised, requirement_name
from flowctl_lang_python.release import state

LOCK = "pylock.toml"
_HASH = re.compile(r"--hash[=\s]+(sha\d+:[0-9a-f]+)")


def resolve(fetching: Fetching) -> tuple[Package, ...]:
    """The packages of the project's lockfile, else of one resolution for all platforms; markers not yet applied.

    Raises FetchError when uv cannot resolve, and for a lock that cannot be read.
    """
    folder = state.folder(fetching.context)
    folder.mkdir(parents=True, exist_ok=True)
    lock = folder / LOCK
    lock.unlink(missing_ok=True)  # uv would prefer the versions in an existing one
    short = "{}.{}".format(*state.python_version(fetching.context))
    output = ("--quiet", "--no-header", "--python", fetching.interpreter, "--format", "pylock.toml", "-o", str(lock))
    if fetching.recipe.lock == "uv.lock":
        # Without --no-build: nothing is built to export what is locked.
        wanted = ("--frozen", "--no-dev", "--no-default-groups", "--no-emit-project")
        fetching.uv("export", *wanted, *output, may_build=True)
    else:
        inputs = _inputs(fetching, folder)
        if not inputs:
            return ()
        fetching.uv("pip", "compile", "--universal", "--python-version", short, *output, *inputs)
        if fetching.recipe.dynamic:
            fetching.ran_code.append(f"{fetching.plan.component} (its build backend tells the dependencies)")
    return read(lock)


def read(lock: Path) -> tuple[Package, ...]:
    """The packages in a pylock.toml."""
    try:
        return tuple(Pylock.from_dict(tomllib.loads(lock.read_text(encoding="utf-8"))).packages)
    except (OSError, ValueError, PylockValidationError, PylockUnsupportedVersionError) as error:
        raise FetchError(f"the resolved dependencies cannot be read: {error}") from error


def _inputs(fetching: Fetching, folder: Path) -> list[str]:
    recipe, context = fetching.recipe, fetching.context
    release = state.release_recipe(recipe)
    inputs: list[str] = []
    if recipe.standard:
        inputs.append("pyproject.toml")
    elif recipe.dynamic:
        inputs.append(recipe.dynamic)
    inputs += release.requirement_files
    if release.requirements:
        # Relative paths of dependencies are written with this placeholder, as a plan has no absolute ones.
        root = quote(str(context.source_root / fetching.plan.root))
        wanted = folder / "requirements.in"
        write(wanted, "".join(f"{line.replace('${PROJECT_ROOT}', root)}\n" for line in release.requirements))
        inputs.append(str(wanted))
    if inputs and recipe.lock:
        constraints = folder / "constraints.txt"
        write(constraints, locks.constraints(context.source_root / fetching.plan.root / recipe.lock))
        inputs += ["-c", str(constraints)]
    return inputs


def listed_hashes(fetching: Fetching) -> dict[str, frozenset[str]]:
    """Digests that the project itself lists for a distribution: only these may be built in.

    uv.lock's are in the pylock.toml that is made of it. Raises FetchError for an unreadable lockfile.
    """
    root = fetching.context.source_root / fetching.plan.root
    lock = fetching.recipe.lock
    found = locks.hashes(root / lock) if lock and lock != "uv.lock" else {}
    for name in state.release_recipe(fetching.recipe).requirement_files:
        text = (root / name).read_text(encoding="utf-8", errors="replace")
        for line in re.sub(r"\\\r?\n", " ", text).splitlines():
            hashes = frozenset(_HASH.findall(line))
            if hashes:
                key = normalised(requirement_name(line))
                found[key] = found.get(key, frozenset()) | hashes
    return found
