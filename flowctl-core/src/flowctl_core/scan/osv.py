"""Scans dependencies for known vulnerabilities: from a local directory of advisories, else by OSV's API.

What cannot be looked up is never taken for clean: the report says what was not scanned, and why.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from flowctl_core.errors import ScanError
from flowctl_core.models.artifact import Dependency, DependencyReport
from flowctl_core.models.scan import ScanDatabase, ScanFinding, ScanReport, Unscanned
from flowctl_core.scan.advisory import Advisory
from flowctl_core.scan.affected import Doubts, is_affected
from flowctl_core.scan.ecosystems import OsvPackage, osv_package
from flowctl_core.scan.findings import count, findings_of, in_order
from flowctl_core.scan.index import open_index
from flowctl_core.scan.packages import merged, parse_purl, ways_in


@dataclass(frozen=True)
class ScanSettings:
    """Where advisories come from."""

    database: Path | None = None
    """A directory of advisories in OSV's format; it is used instead of the network."""
    api: str = "https://api.osv.dev"
    """Base URL of OSV's API."""
    offline: bool = False
    """True: the network is not asked."""
    cache_dir: Path | None = None
    """Where the index over the directory is kept; None: nowhere."""
    note: Callable[[str], None] = lambda text: None
    """Told what takes long."""


def scan(dependencies: DependencyReport, settings: ScanSettings) -> ScanReport:
    """Look all dependencies up. The same dependencies and advisories give an equal report.

    Without a directory and without the network, or when the API does not answer as it should, the status is
    `not-scanned` and the reason is given. Raises ScanError when the directory cannot be read, PluginError for a
    dependency whose package URL is none.
    """
    everything = merged(dependencies.dependencies)
    if settings.database is not None:
        return _scan_directory(everything, settings.database, settings)
    if settings.offline:
        return not_scanned(
            "there is no network (--offline) and no database of advisories (--database, build.scan.database)"
        )
    from flowctl_core.scan.api import ask_api

    packages, unscanned = _packages(everything)
    try:
        answers = ask_api(settings.api, [package for _, package in packages])
    except ScanError as error:
        return not_scanned(error.message)
    return _report(packages, unscanned, everything, answers.advisories, answers.database, Doubts())


def not_scanned(reason: str) -> ScanReport:
    """The report for dependencies that were not looked up."""
    return ScanReport(status="not-scanned", reason=reason)


def _scan_directory(everything: Sequence[Dependency], directory: Path, settings: ScanSettings) -> ScanReport:
    try:
        return _scan_index(everything, directory, settings.cache_dir, settings)
    except (sqlite3.Error, zlib.error, ValidationError):  # the index is damaged where no check looks
        return _scan_index(everything, directory, None, settings)


def _scan_index(
    everything: Sequence[Dependency], directory: Path, cache_dir: Path | None, settings: ScanSettings
) -> ScanReport:
    index = open_index(directory, cache_dir, settings.note)
    try:
        database = index.describe()
        if not database.advisories:
            raise ScanError(
                f"the vulnerability database {directory} has no advisories"
                + (f"; {database.unreadable[0]}" if database.unreadable else ""),
                hint="Name a directory with advisories in OSV's format (--database, build.scan.database).",
            )
        packages, unscanned = _packages(everything)
        present = index.ecosystems()
        covered = [(d, package) for d, package in packages if package.ecosystem.name in present]
        unscanned += [
            Unscanned(
                package=d.purl,
                reason=f"the database has no advisories of {package.ecosystem.name}",
                database_lacks_it=True,
            )
            for d, package in packages
            if package.ecosystem.name not in present
        ]
        doubts = Doubts()
        hits = [
            [advisory for advisory in index.find(*package.key) if is_affected(advisory, package, doubts)]
            for _, package in covered
        ]
    finally:
        index.close()
    return _report(covered, unscanned, everything, hits, database, doubts)


def _packages(everything: Sequence[Dependency]) -> tuple[list[tuple[Dependency, OsvPackage]], list[Unscanned]]:
    """What can be looked up, and what cannot."""
    packages: list[tuple[Dependency, OsvPackage]] = []
    unscanned: list[Unscanned] = []
    for dependency in everything:
        package = osv_package(parse_purl(dependency.purl))
        if isinstance(package, OsvPackage):
            packages.append((dependency, package))
        else:
            unscanned.append(Unscanned(package=dependency.purl, reason=package))
    return packages, unscanned


def _report(
    packages: Sequence[tuple[Dependency, OsvPackage]],
    unscanned: Sequence[Unscanned],
    everything: Sequence[Dependency],
    hits: Sequence[Sequence[Advisory]],
    database: ScanDatabase,
    doubts: Doubts,
) -> ScanReport:
    """`hits` are the advisories that affect each of the packages."""
    ways = ways_in(everything)
    findings: list[ScanFinding] = []
    for (dependency, package), advisories in zip(packages, hits, strict=True):
        if advisories:
            findings += findings_of(dependency, package, advisories, ways.get(dependency.purl, ()))
    warnings = [
        f"advisory {advisory}: '{text}' is not a version that can be compared"
        for advisory, text in sorted(doubts.texts.items())
    ]
    unscanned = sorted(unscanned, key=lambda u: u.package)
    missing = []
    if unscanned:
        missing.append(
            f"{len(unscanned)} of {len(everything)} dependencies cannot be looked up, "
            f"{unscanned[0].package}: {unscanned[0].reason}"
        )
    if database.unreadable_count:
        number = database.unreadable_count
        are = "file of the database is no advisory" if number == 1 else "files of the database are no advisories"
        missing.append(f"{number} {are}")
    if unscanned and not packages:
        return ScanReport(
            status="not-scanned",
            reason="; ".join(missing),
            database=database,
            unscanned=tuple(unscanned),
            warnings=tuple(warnings),
        )
    return ScanReport(
        status="partly-scanned" if missing else "scanned",
        reason="; ".join(missing) or None,
        database=database,
        packages=len(packages),
        unscanned=tuple(unscanned),
        findings=in_order(findings),
        counts=count(findings),
        warnings=(*warnings, *missing),
    )
