"""Which version a range means: Semantic Versioning, ranges as npm reads them.

A prerelease is chosen only when the range names one of the same version, or prereleases are asked for; a yanked version
never.
"""

from __future__ import annotations

from collections.abc import Iterable

from semantic_version import NpmSpec, Version

from flowctl_core.errors import NotFoundError, UsageError
from flowctl_core.models.trust import ComponentIndex

_SHOWN = 5


def choose(index: ComponentIndex, wanted: str, *, prereleases: bool = False) -> str:
    """The newest version of `index` in the range `wanted`.

    Raises UsageError for what is no range, NotFoundError when no version is in it.
    """
    spec, known = _spec(wanted), _versions(index)
    fitting = [version for version in known if _fits(spec, version, prereleases)]
    alive = [version for version in fitting if index.versions[known[version]].yanked is None]
    if alive:
        # A release before any prerelease, unless prereleases were asked for.
        return known[max(alive, key=lambda version: (prereleases or not version.prerelease, version))]
    raise _none(index, wanted, known, fitting, spec)


def newest(versions: Iterable[str], *, prereleases: bool = False) -> str | None:
    """The newest of some versions; a prerelease only where there is nothing else, or they are asked for."""
    known = {Version(text): text for text in versions if is_version(text)}
    best = max(known, key=lambda version: (prereleases or not version.prerelease, version), default=None)
    return known[best] if best is not None else None


def is_newer(one: str, other: str) -> bool:
    """Whether a version comes after another."""
    return bool(Version(one) > Version(other))


def in_range(version: str, wanted: str, *, prereleases: bool = False) -> bool:
    """Whether a version is in a range. Raises UsageError for what is no range."""
    return is_version(version) and _fits(_spec(wanted), Version(version), prereleases)


def sort_key(version: str) -> tuple[bool, object]:
    """Orders versions; what is none comes first."""
    return (True, Version(version)) if is_version(version) else (False, version)


def _spec(wanted: str) -> NpmSpec:
    try:
        return NpmSpec(wanted.strip().removeprefix("v"))
    except ValueError:
        raise UsageError(
            f"'{wanted}' is no range of versions", hint="Write 1.2.3, ^1.2, ~1.2.3, '>=1.2 <2', 1.x or '1.1 || 1.3'."
        ) from None


def _versions(index: ComponentIndex) -> dict[Version, str]:
    return {Version(text): text for text in index.versions if is_version(text)}


def is_version(text: str) -> bool:
    """Whether a text is a version by Semantic Versioning."""
    try:
        Version(text)
    except ValueError:
        return False
    return True


def _fits(spec: NpmSpec, version: Version, prereleases: bool) -> bool:
    if spec.match(version):
        return True
    return prereleases and bool(version.prerelease) and bool(spec.match(version.truncate("patch")))


def _none(
    index: ComponentIndex, wanted: str, known: dict[Version, str], fitting: list[Version], spec: NpmSpec
) -> NotFoundError:
    what = f"{index.namespace}/{index.component}"
    if fitting:
        version = known[max(fitting)]
        yank = index.versions[version].yanked
        reason = yank.reason if yank is not None else ""
        more = f", like all {len(fitting)} versions in this range" if len(fitting) > 1 else ""
        return NotFoundError(
            f"{what} {version} was yanked{more}: {reason}",
            hint="Choose another version. A lockfile that has it can still install it: --locked.",
        )
    early = [version for version in known if _fits(spec, version, True)]
    alive = sorted((v for v in known if index.versions[known[v]].yanked is None), reverse=True)
    there = ", ".join(known[version] for version in alive[:_SHOWN]) or "none that is not yanked"
    more = f" and {len(alive) - _SHOWN} older ones" if len(alive) > _SHOWN else ""
    hint = f"There is {there}{more}."
    if early:
        hint = f"Only prereleases fit ({known[max(early)]}): ask for them with --prerelease. {hint}"
    return NotFoundError(f"{what} has no version in {wanted}" if wanted != "*" else f"{what} has no release", hint=hint)
