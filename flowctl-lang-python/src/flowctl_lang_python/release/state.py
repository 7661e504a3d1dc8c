"""What fetch brought in for releases, and where it lies: `release/` in the work folder."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from flowctl_core.models import BuildContext, Frozen, Plan, Platform
from flowctl_lang_python.launcher import write
from flowctl_lang_python.recipe import Recipe
from flowctl_lang_python.release.recipe import ReleaseRecipe
from flowctl_lang_python.release.target import Target

_FILE = "fetched.json"
_FETCHED = {
    "installable",
    "lock",
    "standard",
    "dynamic",
    "build_requirements",
    "ask_backend",
    "release",
}


class Dist(Frozen):
    """A wheel that goes into an executable."""

    name: str
    """Normalised."""
    version: str
    file: str
    """Relative to `release/`."""
    digest: str
    """`sha256:<hex>` of what was fetched: the wheel, or the source archive that it was built from."""
    built: bool = False
    """True: built here from source."""


class Blocked(Frozen):
    """A dependency that cannot be had for a platform."""

    name: str
    version: str
    reason: str
    output: str = ""


class TargetDists(Frozen):
    """The dependencies for one platform."""

    dists: tuple[Dist, ...] = ()
    blocked: tuple[Blocked, ...] = ()


class Fetched(Frozen):
    """What the last fetch brought in."""

    digest: str
    targets: dict[str, TargetDists]
    """By platform."""


def folder(context: BuildContext) -> Path:
    """Where releases keep what they fetched and built; survives between releases."""
    return context.work_dir / "release"


def release_recipe(recipe: Recipe) -> ReleaseRecipe:
    """The release's part of a recipe; an empty one for a plan that was made for `dev`."""
    return recipe.release or ReleaseRecipe()


def python_version(context: BuildContext) -> tuple[int, int]:
    """The CPython that executables are made for: the version of the interpreter that satisfies the plan."""
    parts = context.tool("python").version.split(".")
    return int(parts[0]), int(parts[1])


def target(plan: Plan, context: BuildContext, platform: Platform) -> Target:
    """What an executable for a platform may hold."""
    settings = release_recipe(Recipe.of(plan)).settings
    return Target(platform, python_version(context), settings.glibc, settings.macos)


def load(context: BuildContext) -> Fetched | None:
    """What the last fetch recorded; None without one or for an unreadable one."""
    try:
        return Fetched.model_validate_json((folder(context) / _FILE).read_bytes())
    except (OSError, ValidationError):
        return None


def save(context: BuildContext, fetched: Fetched) -> None:
    """Record what was fetched; written last, so that a killed fetch counts as not done."""
    write(folder(context) / _FILE, fetched.model_dump_json(indent=1) + "\n")


def digest(plan: Plan, context: BuildContext) -> str:
    """Everything that the dependencies depend on, whatever the platforms and the place."""
    total = hashlib.sha256()
    facts = [
        "{}.{}".format(*python_version(context)),
        Recipe.of(plan).model_dump_json(include=_FETCHED),
        *(f"{name}={context.environment[name]}" for name in plan.passthrough if name in context.environment),
    ]
    for fact in facts:
        total.update(fact.encode(errors="surrogateescape") + b"\0")
    for path in plan.inputs.fetch:
        try:
            content = (context.source_root / path).read_bytes()
        except OSError:
            content = b"missing"
        total.update(path.encode(errors="surrogateescape") + b"\0" + hashlib.sha256(content).digest())
    return total.hexdigest()


def file_digest(path: Path) -> str:
    """`sha256:<hex>` of a file."""
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file; one of several threads or processes at a time."""
    import fcntl

    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
