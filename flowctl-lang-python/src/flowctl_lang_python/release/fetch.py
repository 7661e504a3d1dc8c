"""Fetches what the executables of all platforms hold, and what building the project itself needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from packaging.markers import UndefinedComparison, UndefinedEnvironmentName
from packaging.pylock import Package
from packaging.utils import parse_wheel_filename

from flowctl_core.errors import FetchError
from flowctl_core.models import BuildContext, FetchReport, Plan, Platform
from flowctl_lang_python import leftovers
from flowctl_lang_python.fetch import BUILD_AHEAD, BUILD_CONSTRAINTS, Fetching, prefetch_build_requirements
from flowctl_lang_python.release import embedded, interpreter, resolve, sources, state, wheels
from flowctl_lang_python.release.state import Blocked, Dist, Fetched, TargetDists
from flowctl_lang_python.release.target import Target

Built = dict[tuple[str, str], tuple[Path, str] | str | None]
"""What building a package from source gave: the wheel and its source's digest, the tool's complaint, or nothing."""


def run(plan: Plan, context: BuildContext) -> FetchReport:
    """Bring in the wheels for every platform of the plan; what is there from before is left alone.

    A dependency that cannot be had for a platform does not fail here: it is that platform's outcome. Raises
    FetchError when nothing can be resolved or brought in.
    """
    digest = state.digest(plan, context)
    before = state.load(context)
    known = before.targets if before is not None and before.digest == digest else {}
    ahead = (context.work_dir / BUILD_AHEAD).exists()
    lock = state.folder(context) / resolve.LOCK
    refused = {limitation.platform for limitation in plan.limitations}
    wanted = [platform for platform in plan.platforms if platform not in refused]
    todo = [platform for platform in wanted if platform not in known or not _complete(context, known[platform])]
    if known and not todo and not ahead and (context.work_dir / BUILD_CONSTRAINTS).exists():
        return FetchReport(fetched=0)
    fetching = Fetching(plan, context, interpreter.find(plan, context))
    with leftovers.watched(plan, context):
        packages = resolve.read(lock) if known and lock.exists() else resolve.resolve(fetching)
        listed = resolve.listed_hashes(fetching)
        packages = tuple(_listed_only(package, listed) for package in packages)
        found = dict(known)
        built: Built = {}
        for platform in todo:
            found[platform] = _bring(fetching, packages, platform, lock, built)
        prefetch_build_requirements(fetching)
        embedded.fetch(plan, context, todo)
    state.save(context, Fetched(digest=digest, targets=found))
    return FetchReport(fetched=fetching.fetched, ran_code=tuple(fetching.ran_code))


def _complete(context: BuildContext, dists: TargetDists) -> bool:
    return all((state.folder(context) / dist.file).is_file() for dist in dists.dists)


def _bring(
    fetching: Fetching,
    packages: tuple[Package, ...],
    platform: Platform,
    lock: Path,
    built: Built,
) -> TargetDists:
    """The dependencies for one platform; `built` remembers what was built from source for another one."""
    context = fetching.context
    target = state.target(fetching.plan, context, platform)
    dists, blocked, ready = [], [], []
    for package in packages:
        if not _applies(package, target):
            continue
        wheel = wheels.best(package, target)
        if wheel is not None:
            ready.append((package, wheel))
            place = wheels.path(context, wheel)
            dists.append(_dist(context, package, place, wheels.digest(wheel)))
            continue
        answer = _from_source(fetching, package, target, lock, built)
        if isinstance(answer, Dist):
            dists.append(answer)
        else:
            blocked.append(answer)
    wheels.download(fetching, ready, target, lock)
    return TargetDists(dists=tuple(dists), blocked=tuple(blocked))


def _applies(package: Package, target: Target) -> bool:
    if package.marker is None:
        return True
    try:
        return package.marker.evaluate({**target.markers}, context="lock_file")
    except (UndefinedComparison, UndefinedEnvironmentName) as error:
        raise FetchError(f"the marker of {package.name} cannot be evaluated: {error}") from error


def _from_source(
    fetching: Fetching,
    package: Package,
    target: Target,
    lock: Path,
    built: Built,
) -> Dist | Blocked:
    version = str(package.version or "")

    def blocked(reason: str, output: str = "") -> Blocked:
        return Blocked(name=package.name, version=version, reason=reason, output=output)

    python = f"CPython {target.python[0]}.{target.python[1]}"
    if any(wheels.candidates(package)) and not target.is_host:
        return blocked(f"has no wheel for {target.platform} and {python}, and cannot be compiled for it here")
    key = (package.name, version)
    if key not in built:
        try:
            built[key] = sources.build(fetching, package, lock)
        except sources.NotBuiltError as error:
            built[key] = str(error)
    made = built[key]
    if made is None:
        return blocked(f"has neither a wheel for {target.platform} and {python} nor a source")
    if isinstance(made, str):
        return blocked("has no wheel that fits, and building it from source failed", made)
    place, digest = made
    version = str(parse_wheel_filename(place.name)[1])
    if target.rank(place.name, built=True) is None:
        return blocked(f"has no wheel: built from source it is {place.name}, which does not run on {target.platform}")
    return _dist(fetching.context, package, place, digest, built=True)


def _dist(context: BuildContext, package: Package, place: Path, digest: str, *, built: bool = False) -> Dist:
    file = place.relative_to(state.folder(context)).as_posix()
    version = str(parse_wheel_filename(place.name)[1])
    return Dist(name=package.name, version=version, file=file, digest=digest, built=built)


def _listed_only(package: Package, listed: dict[str, frozenset[str]]) -> Package:
    """The package with only those archives that the project's own lockfile lists; FetchError when none is left."""
    allowed = listed.get(package.name)
    if allowed is None:
        return package

    def is_listed(hashes: Mapping[str, str]) -> bool:
        return any(f"{name}:{value}" in allowed for name, value in hashes.items())

    found = [wheel for wheel in package.wheels or () if is_listed(wheel.hashes)]
    sdist = package.sdist if package.sdist is not None and is_listed(package.sdist.hashes) else None
    if not found and sdist is None and (package.wheels or package.sdist):
        raise FetchError(
            f"{package.name} {package.version}: no archive of the index has a digest that the lockfile lists",
            hint="Lock again if the project moved to another index; otherwise find out who changed the archives.",
        )
    return replace(package, wheels=found, sdist=sdist)
