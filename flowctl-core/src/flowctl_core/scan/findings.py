"""From advisories that hit a package to findings: one for each flaw, whatever names it has."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from flowctl_core.models.artifact import Dependency
from flowctl_core.models.scan import ScanFinding, SeverityCounts
from flowctl_core.models.severity import SEVERITIES
from flowctl_core.scan.advisory import Advisory
from flowctl_core.scan.affected import concerning, lowest_fixed
from flowctl_core.scan.ecosystems import OsvPackage
from flowctl_core.scan.rating import worst

_LAST = ("GHSA-", "CVE-")
"""Ids that name a flaw only where no database of the ecosystem's own has one."""


def findings_of(
    dependency: Dependency, package: OsvPackage, advisories: Iterable[Advisory], way_in: tuple[str, ...]
) -> list[ScanFinding]:
    """Findings in one package, in no order."""
    return [_finding(dependency, package, group, way_in) for group in _flaws(advisories)]


def _flaws(advisories: Iterable[Advisory]) -> list[list[Advisory]]:
    """Advisories that share an id or an alias speak of the same flaw."""
    groups: list[tuple[set[str], list[Advisory]]] = []
    for advisory in sorted(advisories, key=lambda a: a.id):
        names, members = {advisory.id, *advisory.aliases}, [advisory]
        apart = []
        for group in groups:
            if group[0] & names:
                names |= group[0]
                members = [*group[1], *members]
            else:
                apart.append(group)
        groups = [*apart, (names, members)]
    return [members for _, members in groups]


def _finding(
    dependency: Dependency, package: OsvPackage, group: Sequence[Advisory], way_in: tuple[str, ...]
) -> ScanFinding:
    group = sorted(group, key=lambda a: _rank(a.id))
    names = {name for advisory in group for name in (advisory.id, *advisory.aliases)}
    rating = worst((advisory, concerning(advisory, package)) for advisory in group)
    written = [advisory.headline for advisory in group if advisory.headline]
    return ScanFinding(
        id=group[0].id,
        aliases=tuple(sorted(names - {group[0].id}, key=_rank)),
        package=dependency.purl,
        scope=dependency.scope,
        severity=rating.severity,
        score=rating.score,
        vector=rating.vector,
        summary=written[0] if written else "",
        fixed=lowest_fixed(group, package),
        introduced_by=way_in,
    )


def _rank(name: str) -> tuple[int, str]:
    late = next((place for place, prefix in enumerate(_LAST, start=1) if name.startswith(prefix)), 0)
    return late, name


def in_order(findings: Iterable[ScanFinding]) -> tuple[ScanFinding, ...]:
    """The worst first, then by package and id."""
    return tuple(sorted(findings, key=lambda f: (SEVERITIES.index(f.severity), -(f.score or 0.0), f.package, f.id)))


def count(findings: Iterable[ScanFinding]) -> SeverityCounts:
    """How many there are of each severity, ignored ones left out."""
    counting = [finding.severity for finding in findings if finding.ignored is None]
    return SeverityCounts(**{severity: counting.count(severity) for severity in SEVERITIES})
