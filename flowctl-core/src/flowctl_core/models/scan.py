"""What a scan for known vulnerabilities found: security-scan.json.

Advisories, ecosystems and aliases are those of OSV (https://ossf.github.io/osv-schema/).
"""

from __future__ import annotations

from datetime import date
from typing import Literal

from flowctl_core.models.base import Frozen
from flowctl_core.models.severity import Severity

ScanStatus = Literal["scanned", "partly-scanned", "not-scanned"]
"""Only `scanned` can mean that nothing is known against what is used; `partly-scanned` lists what was left out."""


class ScanIgnore(Frozen):
    """A vulnerability that component.yaml decided not to act on (`spec.build.scan.ignore`)."""

    id: str
    """Of the advisory, or any of its aliases."""
    reason: str
    """Why it does not matter here."""
    until: date | None = None
    """Last day on which it is ignored; None is for ever."""


class Ignored(Frozen):
    """Why a finding does not count."""

    reason: str
    """As component.yaml gives it."""
    until: date | None = None
    """Last day on which it is ignored; null is for ever."""


class ScanFinding(Frozen):
    """One vulnerability in one package, however many advisories speak of it."""

    id: str
    """Of the advisory: the ecosystem's own (GO-…, PYSEC-…, RUSTSEC-…) before GHSA-… before CVE-…."""
    aliases: tuple[str, ...] = ()
    """Other names of the same flaw."""
    package: str
    """Package URL, with the version that is used."""
    scope: Literal["runtime", "build", "test"] = "runtime"
    """What the package is used for."""
    severity: Severity
    """The worst that an advisory of this flaw states."""
    score: float | None = None
    """CVSS base score, 0 to 10."""
    vector: str | None = None
    """The CVSS vector that gives the score."""
    summary: str = ""
    """What it is about, in a line."""
    fixed: str | None = None
    """The lowest version above the one in use that has none of the flaw; null when there is none."""
    introduced_by: tuple[str, ...] = ()
    """Package URLs from a direct dependency to the package itself, the shortest way; empty when it is not known."""
    ignored: Ignored | None = None
    """Set when component.yaml says that it does not count."""


class ScanDatabase(Frozen):
    """Where the advisories came from."""

    kind: Literal["directory", "api"]
    """A local directory, or OSV's API."""
    location: str
    """Name of the directory (never its path), or URL of the API."""
    newest: str | None = None
    """When the newest advisory was modified, RFC 3339; of the API, among those that it answered with."""
    advisories: int | None = None
    """How many there are; null for the API, which does not tell."""
    digest: str = ""
    """`sha256:<hex>` over the advisories (of the API: those that it answered with); equal digests, equal findings."""
    unreadable: tuple[str, ...] = ()
    """Files that are no advisories, the first few by name, relative to the directory."""
    unreadable_count: int = 0
    """How many there are."""


class Unscanned(Frozen):
    """A dependency that could not be looked up."""

    package: str
    """Package URL."""
    reason: str
    """Why not."""
    database_lacks_it: bool = False
    """True: another database would have advisories for it; false: none has, or its version is not known."""


class SeverityCounts(Frozen):
    """How many findings there are of each severity; ignored ones are not among them."""

    critical: int = 0
    """CVSS 9.0 and above, and packages that are malware."""
    high: int = 0
    """CVSS 7.0 and above."""
    medium: int = 0
    """CVSS 4.0 and above."""
    low: int = 0
    """Below."""
    unknown: int = 0
    """The advisory does not say."""


class ScanReport(Frozen):
    """Known vulnerabilities of what a component is made of."""

    status: ScanStatus
    """`scanned`, `partly-scanned` (see `reason` and `unscanned`), or `not-scanned`: then nothing is known."""
    reason: str | None = None
    """Why nothing or not all was scanned; null when all was."""
    database: ScanDatabase | None = None
    """Where the advisories came from; null when nothing was scanned."""
    packages: int = 0
    """How many dependencies were looked up."""
    unscanned: tuple[Unscanned, ...] = ()
    """Dependencies that could not be looked up."""
    findings: tuple[ScanFinding, ...] = ()
    """The worst first, then by package and id."""
    counts: SeverityCounts = SeverityCounts()
    """Findings that count, by severity."""
    warnings: tuple[str, ...] = ()
    """What is odd: ignores that have expired, versions that cannot be compared."""
