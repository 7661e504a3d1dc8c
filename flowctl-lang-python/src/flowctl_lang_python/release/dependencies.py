"""What was really built in, as package URLs, from the wheels' own metadata."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message

from flowctl_core.errors import BuildError
from flowctl_core.models import BuildContext, Dependency, DependencyReport, Plan
from flowctl_lang_python.fetch import BUILD_CONSTRAINTS
from flowctl_lang_python.manifest import normalised
from flowctl_lang_python.recipe import Recipe
from flowctl_lang_python.release import environment, project, resolve, state
from flowctl_lang_python.release.metadata import follow, license_of, of_wheel, purl, wanted
from flowctl_lang_python.release.state import Dist
from flowctl_lang_python.release.target import Target


@dataclass(frozen=True)
class _Built:
    """A wheel of one platform with its metadata."""

    dist: Dist
    metadata: Message
    purl: str


def report(plan: Plan, context: BuildContext) -> DependencyReport:
    """All dependencies of all platforms, sorted by package URL; what fetch brought in is read, nothing is run.

    For a plan of the profile `dev` they are what its environment holds. Raises BuildError when nothing was fetched.
    """
    if plan.profile != "release":
        return environment.report(context)
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
    for name in _build_requirements(context):
        found.setdefault(name, Dependency(purl=name, scope="build"))
    lock = Recipe.of(plan).lock
    asked = (lock or resolve.LOCK, *(("*.dist-info/METADATA",) if found else ()))
    return DependencyReport(dependencies=tuple(found[name] for name in sorted(found)), resolved_from=asked)


def _for_target(plan: Plan, context: BuildContext, target: Target, dists: tuple[Dist, ...]) -> Iterator[Dependency]:
    built = {dist.name: _read(context, dist) for dist in dists}
    release = state.release_recipe(Recipe.of(plan))
    direct = {name: set[str]() for name in release.direct}
    own = project.built(context)
    if own is not None:
        direct |= wanted(of_wheel(own), frozenset(), target.markers)
    start = {**{name: set[str]() for name in built}, **direct}
    parents = follow({name: entry.metadata for name, entry in built.items()}, start, target.markers)
    for name, entry in built.items():
        yield Dependency(
            purl=entry.purl,
            direct=name in direct,
            parents=tuple(sorted(built[parent].purl for parent in parents[name])),
            digest=entry.dist.digest,
            license=license_of(entry.metadata),
        )


def _read(context: BuildContext, dist: Dist) -> _Built:
    metadata = of_wheel(state.folder(context) / dist.file)
    return _Built(dist, metadata, purl(dist.name, dist.version))


def _build_requirements(context: BuildContext) -> Iterator[str]:
    try:
        text = (context.work_dir / BUILD_CONSTRAINTS).read_text(encoding="utf-8")
    except OSError:
        return
    for line in text.splitlines():
        name, _, version = line.partition("==")
        if version:
            yield purl(normalised(name), version)


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
