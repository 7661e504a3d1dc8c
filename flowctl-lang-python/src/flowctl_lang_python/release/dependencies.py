"""What was really built in, as package URLs, from the wheels' own metadata."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from packageurl import PackageURL
from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from packaging.requirements import InvalidRequirement, Requirement

from flowctl_core.errors import BuildError
from flowctl_core.models import BuildContext, Dependency, DependencyReport, Plan
from flowctl_lang_python.fetch import BUILD_CONSTRAINTS
from flowctl_lang_python.manifest import normalised
from flowctl_lang_python.recipe import Recipe
from flowctl_lang_python.release import project, resolve, state
from flowctl_lang_python.release.state import Dist
from flowctl_lang_python.release.target import Target

_CLASSIFIED = {
    "License :: OSI Approved :: MIT License": "MIT",
    "License :: OSI Approved :: ISC License (ISCL)": "ISC",
    "License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "License :: OSI Approved :: The Unlicense (Unlicense)": "Unlicense",
    "License :: OSI Approved :: zlib/libpng License": "Zlib",
}
"""The classifiers that name one license exactly; others stand for several versions."""


@dataclass(frozen=True)
class _Built:
    """A wheel of one platform with its metadata."""

    dist: Dist
    metadata: Message
    purl: str


def report(plan: Plan, context: BuildContext) -> DependencyReport:
    """All dependencies of all platforms, sorted by package URL; what fetch brought in is read, nothing is run."""
    fetched = state.load(context)
    if fetched is None or fetched.digest != state.digest(plan, context):
        raise BuildError("the dependencies were not fetched", hint="Build again; fetch comes first.")
    found: dict[str, Dependency] = {}
    for platform in plan.platforms:
        dists = fetched.targets.get(platform)
        if dists is not None:
            for dependency in _for_target(plan, context, state.target(plan, context, platform), dists.dists):
                before = found.get(dependency.purl)
                found[dependency.purl] = dependency if before is None else _merged(before, dependency)
    for purl in _build_requirements(context):
        found.setdefault(purl, Dependency(purl=purl, scope="build"))
    lock = Recipe.of(plan).lock
    asked = (lock or resolve.LOCK, *(("*.dist-info/METADATA",) if found else ()))
    return DependencyReport(dependencies=tuple(found[purl] for purl in sorted(found)), resolved_from=asked)


def _for_target(plan: Plan, context: BuildContext, target: Target, dists: tuple[Dist, ...]) -> Iterator[Dependency]:
    built = {dist.name: _read(context, dist) for dist in dists}
    release = state.release_recipe(Recipe.of(plan))
    direct = {name: set[str]() for name in release.direct}
    own = project.built(context)
    if own is not None:
        direct |= _wanted(_metadata(own), frozenset(), target)
    parents = _parents(built, direct, target)
    for name, entry in built.items():
        yield Dependency(
            purl=entry.purl,
            direct=name in direct,
            parents=tuple(sorted(built[parent].purl for parent in parents.get(name, ()))),
            digest=entry.dist.digest,
            license=_license(entry.metadata),
        )


def _parents(built: dict[str, _Built], direct: dict[str, set[str]], target: Target) -> dict[str, set[str]]:
    """Which packages ask for a package, followed from the direct ones with the extras that are asked for."""
    parents: dict[str, set[str]] = {}
    todo = [(name, extras) for name, extras in direct.items() if name in built]
    todo += [(name, set[str]()) for name in built if name not in direct]
    seen: set[tuple[str, frozenset[str]]] = set()
    while todo:
        name, extras = todo.pop()
        key = (name, frozenset(extras))
        if key in seen:
            continue
        seen.add(key)
        for child, wanted in _wanted(built[name].metadata, key[1], target).items():
            if child in built and child != name:
                parents.setdefault(child, set()).add(name)
                todo.append((child, wanted))
    return parents


def _wanted(metadata: Message, extras: frozenset[str], target: Target) -> dict[str, set[str]]:
    """Names that `Requires-Dist` asks for on a target, with the extras wanted of each."""
    found: dict[str, set[str]] = {}
    for text in metadata.get_all("Requires-Dist") or ():
        try:
            requirement = Requirement(str(text))
        except InvalidRequirement:
            continue
        marker = requirement.marker
        if marker is None or any(marker.evaluate({**target.markers, "extra": extra}) for extra in ("", *extras)):
            found.setdefault(normalised(requirement.name), set()).update(requirement.extras)
    return found


def _read(context: BuildContext, dist: Dist) -> _Built:
    metadata = _metadata(state.folder(context) / dist.file)
    return _Built(dist, metadata, _purl(dist.name, dist.version))


def _metadata(wheel: Path) -> Message:
    """METADATA of a wheel (core metadata specification)."""
    try:
        with ZipFile(wheel) as archive:
            names = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA") and "/" in name]
            text = archive.read(min(names, key=len)).decode("utf-8", errors="replace")
    except (OSError, BadZipFile, ValueError) as error:
        raise BuildError(f"{wheel.name} cannot be read: {error}", hint="Build again; it is fetched anew.") from error
    return HeaderParser().parsestr(text)


def _license(metadata: Message) -> str:
    for field in ("License-Expression", "License"):
        text = str(metadata.get(field) or "").strip()
        try:
            if text and len(text) < 200:
                return str(canonicalize_license_expression(text))
        except InvalidLicenseExpression:
            continue
    classified = {_CLASSIFIED[text] for text in metadata.get_all("Classifier") or () if text in _CLASSIFIED}
    return classified.pop() if len(classified) == 1 else ""


def _build_requirements(context: BuildContext) -> Iterator[str]:
    try:
        text = (context.work_dir / BUILD_CONSTRAINTS).read_text(encoding="utf-8")
    except OSError:
        return
    for line in text.splitlines():
        name, _, version = line.partition("==")
        if version:
            yield _purl(normalised(name), version)


def _purl(name: str, version: str) -> str:
    return PackageURL(type="pypi", name=name, version=version).to_string()


def _merged(one: Dependency, other: Dependency) -> Dependency:
    """The same package on two platforms: wheels of several platforms have several digests, and none is kept then."""
    return one.model_copy(
        update={
            "direct": one.direct or other.direct,
            "parents": tuple(sorted({*one.parents, *other.parents})),
            "digest": one.digest if one.digest == other.digest else "",
            "license": one.license or other.license,
        }
    )
