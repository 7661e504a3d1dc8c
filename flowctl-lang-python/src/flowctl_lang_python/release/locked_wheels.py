"""Which locked packages have no wheel for a platform, as uv.lock tells before anything is fetched.

Only packages that have wheels for other platforms are named: those compile native code. What has no wheel at all may
be pure Python, which only building it tells; fetch does that.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator
from typing import Any

from packaging.markers import InvalidMarker, Marker, UndefinedComparison, UndefinedEnvironmentName
from packaging.specifiers import SpecifierSet

from flowctl_core.models import Limitation, Platform, SourceTree
from flowctl_lang_python.manifest import Project, join, read_toml
from flowctl_lang_python.release.settings import Settings
from flowctl_lang_python.release.target import Target

_MINORS = range(9, 16)
_LIMIT = 10
"""Packages named in one sentence."""


def missing_for_every_python(
    source: SourceTree, project: Project, platform: Platform, settings: Settings
) -> tuple[str, ...]:
    """`name version` of the packages that lack a wheel whichever Python the project allows."""
    data, problem = read_toml(source, join(project.root, "uv.lock"))
    if problem:
        return ()
    allowed = SpecifierSet(project.requires_python or "")
    common: set[str] | None = None
    for minor in _MINORS:
        if allowed.contains(f"3.{minor}.99"):
            found = set(missing(data, _target(platform, (3, minor), settings)))
            common = found if common is None else common & found
    return tuple(sorted(common or ()))


def missing_for(
    source: SourceTree, root: str, platform: Platform, python: tuple[int, int], settings: Settings
) -> tuple[str, ...]:
    """`name version` of the packages that lack a wheel for one Python."""
    data, problem = read_toml(source, join(root, "uv.lock"))
    return () if problem else tuple(sorted(missing(data, _target(platform, python, settings))))


def limitation(platform: Platform, packages: Iterable[str], python: tuple[int, int] | None) -> Limitation:
    """The limitation that names packages without a wheel."""
    names = sorted(packages)
    shown = ", ".join(names[:_LIMIT]) + (f" and {len(names) - _LIMIT} more" if len(names) > _LIMIT else "")
    which = f"{'has' if len(names) == 1 else 'have'} no wheel for {platform}"
    return Limitation(
        platform=platform,
        reason=f"{shown} {which}{f' and CPython {python[0]}.{python[1]}' if python else ''}, "
        "and compiling for another platform is not possible here",
        remedy=f"lock a version that has one, or build on a {platform} worker, which can compile it: "
        f"flowctl component build --platforms {platform} --release",
    )


def missing(data: dict[str, Any], target: Target) -> Iterator[str]:
    """`name version` of the packages in a uv.lock that running on a target needs and that lack a wheel for it.

    None for the host, where what lacks a wheel can be compiled. Format: uv.lock, version 1.
    """
    if target.is_host:
        return
    packages = [package for package in data.get("package") or () if isinstance(package, dict)]
    for package in _needed(packages, target):
        wheels = [name for wheel in package.get("wheels") or () if (name := _filename(wheel))]
        if wheels and all(target.rank(name) is None for name in wheels):
            yield f"{package.get('name')} {package.get('version', '')}".strip()


def _target(platform: Platform, python: tuple[int, int], settings: Settings) -> Target:
    return Target(platform, python, settings.glibc, settings.macos)


def _needed(packages: list[dict[str, Any]], target: Target) -> Iterator[dict[str, Any]]:
    """The packages that can be reached from the project, with its markers and extras."""
    roots = [package for package in packages if _is_project(package)]
    todo = [(package, "") for package in roots]
    seen: set[tuple[int, str]] = set()
    given: set[int] = set()
    while todo:
        package, extra = todo.pop()
        if (id(package), extra) in seen:
            continue
        seen.add((id(package), extra))
        if id(package) not in given and package not in roots:
            given.add(id(package))
            yield package
        optional = package.get("optional-dependencies") or {}
        listed = package.get("dependencies") if not extra else optional.get(extra)
        for entry in listed or ():
            if isinstance(entry, dict) and _applies(entry.get("marker"), target):
                for found in packages:
                    if _is(found, entry, target):
                        todo += [(found, name) for name in ("", *(entry.get("extra") or ()))]


def _is_project(package: dict[str, Any]) -> bool:
    source = package.get("source")
    return isinstance(source, dict) and "." in (source.get("editable"), source.get("virtual"))


def _is(package: dict[str, Any], entry: dict[str, Any], target: Target) -> bool:
    if package.get("name") != entry.get("name"):
        return False
    if "version" in entry:
        return bool(package.get("version") == entry["version"])
    markers = package.get("resolution-markers") or ()
    return not markers or any(_applies(text, target) for text in markers)


def _applies(marker: object, target: Target) -> bool:
    if not isinstance(marker, str):
        return True
    try:
        return Marker(marker).evaluate({**target.markers, "extra": ""})
    except (InvalidMarker, UndefinedComparison, UndefinedEnvironmentName):
        return True


def _filename(wheel: object) -> str | None:
    if not isinstance(wheel, dict):
        return None
    text = wheel.get("url") or wheel.get("path") or wheel.get("filename")
    return posixpath.basename(text) if isinstance(text, str) else None
