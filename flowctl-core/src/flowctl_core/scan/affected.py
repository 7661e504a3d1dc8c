"""Whether a version is affected, and which one is not (https://ossf.github.io/osv-schema/#evaluation)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from univers.versions import Version

from flowctl_core.scan.advisory import Advisory, Affected, Event, Range
from flowctl_core.scan.ecosystems import Ecosystem, OsvPackage, package_key, parse_version

_KINDS = ("introduced", "fixed", "last_affected")


@dataclass
class Doubts:
    """Texts in advisories that are no versions, by advisory."""

    texts: dict[str, str] = field(default_factory=dict)


def concerning(advisory: Advisory, package: OsvPackage) -> list[Affected]:
    """The parts of an advisory that speak of a package."""
    ecosystem, key = package.key
    return [
        affected
        for affected in advisory.affected
        if affected.ecosystem == ecosystem and package_key(ecosystem, affected.package.name) == key
    ]


def is_affected(advisory: Advisory, package: OsvPackage, doubts: Doubts | None = None) -> bool:
    """True when the advisory stands and the package's version is among the affected ones."""
    version = parse_version(package.ecosystem, package.version)
    if version is None or advisory.withdrawn:
        return False
    return _hits(advisory, package, version, doubts)


def _hits(advisory: Advisory, package: OsvPackage, version: Version, doubts: Doubts | None = None) -> bool:
    for affected in concerning(advisory, package):
        if version.string in affected.versions:
            return True
        ranges = _comparable(affected)
        if any(_in_range(each, version, package.ecosystem, advisory.id, doubts) for each in ranges):
            return True
        if not ranges and _listed(affected.versions, version, package.ecosystem):
            return True
    return False


def lowest_fixed(advisories: Iterable[Advisory], package: OsvPackage) -> str | None:
    """The lowest version above the package's that some advisory calls fixed and none of them calls affected."""
    installed = parse_version(package.ecosystem, package.version)
    if installed is None:
        return None
    advisories = list(advisories)
    named = {
        event.fixed
        for advisory in advisories
        for affected in concerning(advisory, package)
        for affected_range in _comparable(affected)
        for event in affected_range.events
        if event.fixed
    }
    parsed = [(text, version) for text in sorted(named) if (version := parse_version(package.ecosystem, text))]
    later = [(text, version) for text, version in parsed if version > installed]
    for text, version in sorted(later, key=lambda pair: pair[1]):
        if not any(_hits(advisory, package, version) for advisory in advisories):
            return text
    return None


def _comparable(affected: Affected) -> list[Range]:
    """Ranges of versions; those of commits (GIT) say nothing about a version."""
    return [r for r in affected.ranges if r.type in ("SEMVER", "ECOSYSTEM")]


def _listed(texts: Sequence[str], version: Version, ecosystem: Ecosystem) -> bool:
    """True for another spelling of a listed version (1.0 and 1.0.0). Dear, so only where no range tells."""
    return any(parse_version(ecosystem, text) == version for text in texts)


def _in_range(
    affected_range: Range, version: Version, ecosystem: Ecosystem, advisory: str, doubts: Doubts | None
) -> bool:
    limits = [event.limit for event in affected_range.events if event.limit]
    if limits and not any(limit == "*" or _before(version, limit, ecosystem) for limit in limits):
        return False
    events: list[tuple[Version | None, str]] = []
    for event in affected_range.events:
        kind, text = _event(event)
        if kind == "introduced" and text == "0":
            events.append((None, kind))  # before every version, pre-releases of 0 too
        elif kind:
            point = parse_version(ecosystem, text)
            if point is None:
                if doubts is not None:
                    doubts.texts.setdefault(advisory, text[:80])
                continue
            events.append((point, kind))
    start = [event for event in events if event[0] is None]
    points = sorted(((point, kind) for point, kind in events if point is not None), key=lambda pair: pair[0])
    vulnerable = bool(start)
    for point, kind in points:
        if kind == "introduced" and version >= point:
            vulnerable = True
        elif (kind == "fixed" and version >= point) or (kind == "last_affected" and version > point):
            vulnerable = False
    return vulnerable


def _before(version: Version, limit: str, ecosystem: Ecosystem) -> bool:
    point = parse_version(ecosystem, limit)
    return point is None or version < point


def _event(event: Event) -> tuple[str, str]:
    return next(((kind, text) for kind in _KINDS if (text := getattr(event, kind))), ("", ""))
