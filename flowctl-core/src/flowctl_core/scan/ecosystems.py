"""From package URLs to OSV's ecosystems, names and orders of versions.

Types: https://github.com/package-url/purl-spec; ecosystems: https://ossf.github.io/osv-schema/#defined-ecosystems.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from packageurl import PackageURL
from packaging.utils import canonicalize_name
from univers import versions

_GO_RELEASE = re.compile(r"(?:go)?(\d+)\.(\d+)(?:\.(\d+))?(?:(beta|rc)(\d+))?(?:[ -].*)?")
"""`go1.27.3`, `1.21rc2`, `go1.25.1-custom`, as `go version` prints them."""

_LONGEST_VERSION = 256


@dataclass(frozen=True)
class Ecosystem:
    """One of OSV's ecosystems."""

    name: str
    """As OSV spells it."""
    order: type[versions.Version]
    """How its versions compare."""
    join: str = "/"
    """Between namespace and name of a package URL."""


ECOSYSTEMS = {
    "golang": Ecosystem("Go", versions.GolangVersion),
    "npm": Ecosystem("npm", versions.SemverVersion),
    "pypi": Ecosystem("PyPI", versions.PypiVersion),
    "cargo": Ecosystem("crates.io", versions.SemverVersion),
    "maven": Ecosystem("Maven", versions.MavenVersion, join=":"),
    "gem": Ecosystem("RubyGems", versions.RubygemsVersion),
    "nuget": Ecosystem("NuGet", versions.NugetVersion),
    "composer": Ecosystem("Packagist", versions.ComposerVersion),
}
"""Type of a package URL to the ecosystem that its packages are in."""
BY_NAME = {ecosystem.name: ecosystem for ecosystem in ECOSYSTEMS.values()}


@dataclass(frozen=True)
class OsvPackage:
    """A package as OSV names it."""

    ecosystem: Ecosystem
    name: str
    version: str

    @property
    def key(self) -> tuple[str, str]:
        """What advisories are found by."""
        return self.ecosystem.name, package_key(self.ecosystem.name, self.name)


def package_key(ecosystem: str, name: str) -> str:
    """One spelling for all spellings of a name.

    PyPI: https://packaging.python.org/en/latest/specifications/name-normalization/. Elsewhere case is dropped, since
    package URLs of npm and Go may have lost it; names that differ in nothing else are practically never two packages.
    """
    return canonicalize_name(name) if ecosystem == "PyPI" else name.casefold()


def osv_package(purl: PackageURL) -> OsvPackage | str:
    """The package to look up, or why it cannot be looked up."""
    ecosystem = ECOSYSTEMS.get(purl.type)
    if ecosystem is None:
        return f"no advisories are published for packages of type '{purl.type}'"
    if not purl.version:
        return "its version is not known"
    name = f"{purl.namespace}{ecosystem.join}{purl.name}" if purl.namespace else purl.name
    version = _go_version(name, purl.version) if ecosystem.name == "Go" else purl.version
    if parse_version(ecosystem, version) is None:
        return f"'{version}' is not a version that can be compared"
    return OsvPackage(ecosystem, name, version)


def _go_version(name: str, version: str) -> str:
    """Without the v; releases of Go itself as a semantic version (https://go.dev/doc/security/vuln/database)."""
    if name in ("stdlib", "toolchain"):
        match = _GO_RELEASE.fullmatch(version.removeprefix("v"))
        if match is None:
            return version
        major, minor, patch, kind, number = match.groups()
        return f"{major}.{minor}.{patch or 0}" + (f"-{kind}.{number}" if kind else "")
    return version.removeprefix("v")


@lru_cache(maxsize=65536)
def parse_version(ecosystem: Ecosystem, text: str) -> versions.Version | None:
    """The version, comparable; None when the text is none."""
    if len(text) > _LONGEST_VERSION:
        return None
    try:
        return ecosystem.order(text)
    except Exception:  # noqa: BLE001 - each order has errors of its own, and the text may be a stranger's
        return None
